package table

import (
	"strconv"

	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

// narrow is the width below which columns have one space between them, not two.
const narrow = 60

// View draws the table: as many lines as its height.
func (m *Model[R]) View() []string {
	if m.height == 0 {
		return nil
	}
	first := min(m.top, len(m.shown))
	rows := m.shown[first:min(first+m.bodyHeight(), len(m.shown))]
	cells := m.measure(rows)
	m.lay()
	out := make([]string, 0, m.height)
	if m.headHeight() == 2 {
		out = append(out, m.filterText())
	}
	if m.headHeight() >= 1 {
		out = append(out, m.head())
	}
	if len(rows) == 0 && len(out) < m.height {
		out = append(out, m.nothing())
	}
	n := len(m.o.Columns)
	for i, at := range rows {
		out = append(out, m.row(m.rows[at], cells[i*n:(i+1)*n], first+i == m.cursor))
	}
	return out
}

// Cursor returns the cell of the terminal's cursor, if a filter is typed.
func (m *Model[R]) Cursor() (x, y int, ok bool) {
	if !m.capturing || m.headHeight() < 2 {
		return 0, 0, false
	}
	_, at := m.filter.View(m.filterWidth(), theme.Style{})
	return 2 + at, 0, true
}

// measure draws the cells of the rows on the screen and lets their columns grow.
func (m *Model[R]) measure(rows []int32) []Cell {
	cells := make([]Cell, 0, len(rows)*len(m.o.Columns))
	for _, at := range rows {
		for c, col := range m.o.Columns {
			cell := col.Cell(m.rows[at])
			m.widest[c] = max(m.widest[c], cell.Text.Width())
			cells = append(cells, cell)
		}
	}
	return cells
}

// lay chooses the columns that fit and their widths.
func (m *Model[R]) lay() {
	room := m.width - 1 // the cell of cursor and mark
	m.layout = m.layout[:0]
	for c := range m.o.Columns {
		m.layout = append(m.layout, slot{c, m.least(c)})
	}
	for len(m.layout) > 1 && m.used() > room {
		worst := 0
		for i, s := range m.layout {
			if m.o.Columns[s.col].Priority >= m.o.Columns[m.layout[worst].col].Priority {
				worst = i
			}
		}
		if m.o.Columns[m.layout[worst].col].Priority == 0 {
			break
		}
		m.layout = append(m.layout[:worst], m.layout[worst+1:]...)
	}
	m.grow(room)
}

// grow gives columns the width they want, the important ones first, and what
// is left to those that flex: words can be cut, figures cannot.
func (m *Model[R]) grow(room int) {
	for p := range 10 {
		for i := range m.layout {
			s := &m.layout[i]
			col := m.o.Columns[s.col]
			if col.Flex || min(col.Priority, 9) != p {
				continue
			}
			s.width += max(0, min(m.wanted(s.col)-s.width, room-m.used()))
		}
	}
	flex := 0
	for _, s := range m.layout {
		if m.o.Columns[s.col].Flex {
			flex++
		}
	}
	for i := range m.layout {
		s := &m.layout[i]
		if m.o.Columns[s.col].Flex {
			s.width = max(0, s.width+(room-m.used())/flex)
			flex--
		}
	}
	// Where nothing fits, the last columns are cut.
	for i := len(m.layout) - 1; i >= 0 && m.used() > room; i-- {
		s := &m.layout[i]
		s.width = max(0, s.width-(m.used()-room))
	}
}

func (m *Model[R]) least(c int) int {
	col := m.o.Columns[c]
	return max(col.Min, min(col.Title.Width(), 8))
}

func (m *Model[R]) wanted(c int) int {
	col := m.o.Columns[c]
	w := max(col.Min, m.titleWidth(c), m.widest[c])
	if col.Max > 0 {
		w = min(w, col.Max)
	}
	return w
}

func (m *Model[R]) titleWidth(c int) int {
	w := m.o.Columns[c].Title.Width()
	if c == m.sortBy {
		w++
	}
	return w
}

func (m *Model[R]) space() int {
	if m.width < narrow {
		return 1
	}
	return 2
}

// used is the width of the layout.
func (m *Model[R]) used() int {
	n := 0
	for i, s := range m.layout {
		n += s.width
		if i > 0 {
			n += m.gap(i)
		}
	}
	return n
}

// gap is the space before a column: one after a column of one cell, which
// holds a glyph.
func (m *Model[R]) gap(i int) int {
	if i > 0 && m.layout[i-1].width <= 1 {
		return 1
	}
	return m.space()
}

// head draws the titles.
func (m *Model[R]) head() string {
	th := m.o.Theme
	b := append(m.buf[:0], ' ')
	for i, s := range m.layout {
		if i > 0 {
			b = spaces(b, m.gap(i))
		}
		col := m.o.Columns[s.col]
		title := col.Title
		if s.col == m.sortBy {
			arrow := th.Glyphs.Sorted
			if m.reverse {
				arrow = th.Glyphs.Reverse
			}
			title = safe.Join(safe.Text{}, title, arrow)
		}
		b = m.cell(b, Cell{title, th.Head}, s.width, col.Right, theme.Style{}, false)
	}
	m.buf = b
	return trimmed(m.width, b)
}

// row draws one row.
func (m *Model[R]) row(r R, cells []Cell, selected bool) string {
	th := m.o.Theme
	var under theme.Style
	if selected {
		under = th.Selected
	}
	b := m.buf[:0]
	lead, style := safe.Literal(" "), theme.Style{}
	if len(m.marks) > 0 && m.marks[m.o.Key(r)] {
		lead, style = th.Glyphs.Mark, th.Marked
	} else if selected {
		lead = th.Glyphs.Cursor
	}
	b = style.AppendOver(b, under, lead.String())
	used := 1
	for i, s := range m.layout {
		if i > 0 {
			b = m.blank(b, m.gap(i), under)
			used += m.gap(i)
		}
		c := cells[s.col]
		if m.stale {
			c = Cell{c.Text.Plain(), th.Stale}
		}
		b = m.cell(b, c, s.width, m.o.Columns[s.col].Right, under, true)
		used += s.width
	}
	if selected {
		b = m.blank(b, m.width-used, under)
	}
	m.buf = b
	return string(b)
}

// cell draws a text in a width, aligned and cut.
func (m *Model[R]) cell(b []byte, c Cell, width int, right bool, under theme.Style, match bool) []byte {
	t := c.Text.Truncate(width, m.o.Theme.Glyphs.Ellipsis)
	pad := width - t.Width()
	if right {
		b = m.blank(b, pad, under)
	}
	if match && len(m.terms) > 0 && !t.Styled() {
		b = m.highlight(b, t.String(), c.Style, under)
	} else {
		b = c.Style.AppendOver(b, under, t.String())
	}
	if !right {
		b = m.blank(b, pad, under)
	}
	return b
}

// highlight draws a text with the words of the filter marked.
func (m *Model[R]) highlight(b []byte, s string, style, under theme.Style) []byte {
	for s != "" {
		at, n := -1, 0
		for _, t := range m.terms {
			if i := indexFold(s, t.text); !t.not && i >= 0 && (at < 0 || i < at) {
				at, n = i, len(t.text)
			}
		}
		if at < 0 {
			return style.AppendOver(b, under, s)
		}
		b = style.AppendOver(b, under, s[:at])
		b = m.o.Theme.Match.AppendOver(b, under, s[at:at+n])
		s = s[at+n:]
	}
	return b
}

func (m *Model[R]) blank(b []byte, n int, under theme.Style) []byte {
	if n <= 0 {
		return b
	}
	if under.Zero() {
		return spaces(b, n)
	}
	b = append(b, under.Start()...)
	b = spaces(b, n)
	return append(b, "\x1b[m"...)
}

func spaces(b []byte, n int) []byte {
	for range n {
		b = append(b, ' ')
	}
	return b
}

// trimmed returns b as a line; a table without any width draws nothing.
func trimmed(width int, b []byte) string {
	if width <= 0 {
		return ""
	}
	return string(b)
}

func (m *Model[R]) filterWidth() int { return max(8, min(40, m.width-20)) }

// filterText is the line with the filter and what it found.
func (m *Model[R]) filterText() string {
	th := m.o.Theme
	style := theme.Style{}
	if m.capturing {
		style = th.Field
	}
	text, _ := m.filter.View(m.filterWidth(), style)
	count := strconv.Itoa(len(m.shown)) + " of " + strconv.Itoa(len(m.rows))
	out := safe.Clean(" /")
	line := th.Key.Render(out.String()) + text + "  " + th.Dim.Render(count)
	return line
}

// nothing says why there are no rows.
func (m *Model[R]) nothing() string {
	th := m.o.Theme
	switch {
	case !m.loaded:
		return th.Dim.Render("   loading" + th.Glyphs.Ellipsis.String())
	case len(m.rows) == 0:
		return th.Dim.Render("   " + m.o.Empty.String())
	}
	return th.Dim.Render("   No row matches; esc clears the filter.")
}
