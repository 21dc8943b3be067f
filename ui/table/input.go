package table

import (
	tea "charm.land/bubbletea/v2"

	"pitwall/ui/action"
	"pitwall/ui/safe"
)

// Capturing reports whether the operator is typing a filter.
func (m *Model[R]) Capturing() bool { return m.capturing }

// Escape takes back the last thing that hides or marks rows, and reports
// whether there was one.
func (m *Model[R]) Escape() bool {
	switch {
	case m.filterLine():
		m.capturing = false
		m.Filter("")
	case len(m.marks) > 0:
		m.ClearMarks()
	default:
		return false
	}
	return true
}

// Update takes keys and pastes while capturing, and the mouse, whose Y counts
// from the table's first line. It reports whether the message was for it.
func (m *Model[R]) Update(msg tea.Msg) bool {
	switch msg := msg.(type) {
	case tea.MouseWheelMsg:
		switch msg.Button {
		case tea.MouseWheelUp:
			m.moveTo(m.cursor - 3)
		case tea.MouseWheelDown:
			m.moveTo(m.cursor + 3)
		}
		return true
	case tea.MouseClickMsg:
		if i := m.top + msg.Y - m.headHeight(); msg.Y >= m.headHeight() && i < len(m.shown) {
			m.moveTo(i)
		}
		return true
	case tea.KeyPressMsg:
		return m.capturing && m.typed(msg)
	case tea.PasteMsg:
		if !m.capturing {
			return false
		}
		m.edit(msg)
		return true
	}
	return false
}

// typed takes a key for the filter. Arrows move in the rows meanwhile.
func (m *Model[R]) typed(key tea.KeyPressMsg) bool {
	switch key.String() {
	case "enter":
		m.capturing = false
		m.moved = m.moved || len(m.terms) > 0 // the row that was looked for
		m.scroll()
	case "esc", "ctrl+c":
		m.capturing = false
		m.Filter("")
	case "up":
		m.moveTo(m.cursor - 1)
	case "down":
		m.moveTo(m.cursor + 1)
	default:
		m.edit(key)
	}
	return true
}

func (m *Model[R]) edit(msg tea.Msg) {
	if changed, _ := m.filter.Update(msg); changed {
		m.setFilter()
	}
}

// Actions lists what the operator can do with the table.
func (m *Model[R]) Actions() []action.Action {
	do := func(id string, title safe.Text, f func()) action.Action {
		return action.Action{ID: id, Title: title, Hidden: true, Run: func(action.Input) tea.Cmd { f(); return nil }}
	}
	move := func(id string, title safe.Text, to func() int) action.Action {
		return do(id, title, func() { m.moveTo(to()) })
	}
	filter := do("list.filter", safe.Literal("filter rows; words that must be there, !words that must not"), func() { m.capturing = true; m.scroll() })
	filter.Label = safe.Literal("filter")
	return []action.Action{
		filter,
		do("list.mark", safe.Literal("mark the row and go down"), m.mark),
		do("list.mark-all", safe.Literal("mark all rows shown"), m.markAll),
		do("list.clear-marks", safe.Literal("remove all marks"), m.ClearMarks),
		do("list.sort-next", safe.Literal("sort by the next column"), func() { m.sortStep(1) }),
		do("list.sort-previous", safe.Literal("sort by the column before"), func() { m.sortStep(-1) }),
		do("list.sort-reverse", safe.Literal("turn the order around"), func() { m.reverse = !m.reverse; m.rearrange() }),
		move("list.up", safe.Literal("up"), func() int { return m.cursor - 1 }),
		move("list.down", safe.Literal("down"), func() int { return m.cursor + 1 }),
		move("list.page-up", safe.Literal("a page up"), func() int { return m.cursor - m.bodyHeight() }),
		move("list.page-down", safe.Literal("a page down"), func() int { return m.cursor + m.bodyHeight() }),
		move("list.top", safe.Literal("to the first row"), func() int { return 0 }),
		move("list.bottom", safe.Literal("to the last row"), func() int { return len(m.shown) - 1 }),
	}
}

func (m *Model[R]) mark() {
	r, ok := m.Selected()
	if !ok {
		return
	}
	if k := m.o.Key(r); m.marks[k] {
		delete(m.marks, k)
	} else {
		m.marks[k] = true
	}
	m.moveTo(m.cursor + 1)
}

func (m *Model[R]) markAll() {
	for _, i := range m.shown {
		m.marks[m.o.Key(m.rows[i])] = true
	}
	m.moved = true
}

// sortStep chooses the next column that can be sorted by; past the last one is
// the table's own order.
func (m *Model[R]) sortStep(d int) {
	n := len(m.o.Columns) + 1
	at := m.sortBy + 1 // 0 is the table's own order
	for range n {
		at = (at + d + n) % n
		if at == 0 || m.o.Columns[at-1].Less != nil {
			break
		}
	}
	m.sortBy, m.reverse = at-1, false
	m.moved = true
	m.rearrange()
}
