package logview

import (
	tea "charm.land/bubbletea/v2"

	"pitwall/ui/action"
	"pitwall/ui/line"
	"pitwall/ui/safe"
)

// Capturing reports whether the operator is typing a search or a filter.
func (m *Model) Capturing() bool { return m.typing != nothing }

// Escape takes back the search, then the filter, and reports whether there was
// one.
func (m *Model) Escape() bool {
	switch {
	case m.typing != nothing:
		m.typing = nothing
	case m.search != "":
		m.Search("")
	case m.filter != "":
		m.SetFilter("")
	default:
		return false
	}
	return true
}

// Update takes keys and pastes while capturing, and the wheel.
func (m *Model) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.MouseWheelMsg:
		switch msg.Button {
		case tea.MouseWheelUp:
			return m.Scroll(-3)
		case tea.MouseWheelDown:
			return m.Scroll(3)
		}
	case tea.KeyPressMsg:
		if m.typing != nothing {
			m.typed(msg)
		}
	case tea.PasteMsg:
		if m.typing != nothing {
			m.field.Update(msg)
		}
	}
	return nil
}

func (m *Model) typed(key tea.KeyPressMsg) {
	switch key.String() {
	case "enter":
		what, text := m.typing, m.field.Value()
		m.typing = nothing
		if what == filtering {
			m.SetFilter(text)
		} else {
			m.Search(text)
		}
	case "esc", "ctrl+c":
		m.typing = nothing
		m.clamp()
	default:
		m.field.Update(key)
	}
}

func (m *Model) begin(what typing, text string) {
	m.typing = what
	m.field = line.New(text)
}

// Actions lists what the operator can do with the log.
func (m *Model) Actions() []action.Action {
	do := func(id string, title safe.Text, f func() tea.Cmd) action.Action {
		return action.Action{ID: id, Title: title, Hidden: true, Run: func(action.Input) tea.Cmd { return f() }}
	}
	set := func(id string, title safe.Text, f func()) action.Action {
		return do(id, title, func() tea.Cmd { f(); return nil })
	}
	level := func(id string, title safe.Text, l Level) action.Action {
		return set(id, title, func() { m.SetLevel(l) })
	}
	search := set("log.search", safe.Literal("search, keeping all lines"), func() { m.begin(searching, "") })
	search.Label = safe.Literal("search")
	follow := do("log.follow", safe.Literal("follow the end, or stand still"), m.toggleFollow)
	follow.Label = safe.Literal("pause")
	if !m.following {
		follow.Label = safe.Literal("follow")
	}
	filter := set("log.filter", safe.Literal("show only lines with a text"), func() { m.begin(filtering, m.filter) })
	filter.Label = safe.Literal("only")
	return []action.Action{
		search, filter, follow,
		set("log.next", safe.Literal("next match"), m.Next),
		set("log.previous", safe.Literal("match before"), m.Previous),
		level("log.all", safe.Literal("all levels"), Unknown),
		level("log.debug", safe.Literal("debug and above"), Debug),
		level("log.info", safe.Literal("info and above"), Info),
		level("log.warn", safe.Literal("warnings and above"), Warn),
		level("log.error", safe.Literal("errors and fatal ones"), Error),
		level("log.fatal", safe.Literal("fatal ones alone"), Fatal),
		set("log.wrap", safe.Literal("wrap long lines, or cut them"), m.toggleWrap),
		set("log.time", safe.Literal("times: to the millisecond, to the second, none"), func() { m.clock = (m.clock + 1) % clocks; m.clamp() }),
		do("log.up", safe.Literal("up"), func() tea.Cmd { return m.Scroll(-1) }),
		do("log.down", safe.Literal("down"), func() tea.Cmd { return m.Scroll(1) }),
		do("log.page-up", safe.Literal("a page up"), func() tea.Cmd { return m.Scroll(1 - m.rowsHigh()) }),
		do("log.page-down", safe.Literal("a page down"), func() tea.Cmd { return m.Scroll(m.rowsHigh() - 1) }),
		do("log.top", safe.Literal("to the very first line"), m.Top),
		do("log.bottom", safe.Literal("to the end, and follow"), m.Follow),
		set("log.left", safe.Literal("scroll left"), func() { m.left = max(0, m.left-sideStep) }),
		set("log.right", safe.Literal("scroll right"), m.right),
	}
}

// sideStep is how far a key scrolls sideways.
const sideStep = 16

func (m *Model) right() {
	if !m.wrap {
		m.left += sideStep
	}
}

func (m *Model) toggleFollow() tea.Cmd {
	if m.following {
		m.stop()
		return nil
	}
	return m.Follow()
}

func (m *Model) toggleWrap() {
	m.wrap = !m.wrap
	m.left, m.sub = 0, 0
	m.clamp()
}
