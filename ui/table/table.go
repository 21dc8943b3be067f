// Package table is a list of rows with columns that stays quick at a hundred
// thousand rows: only what is on the screen is measured and drawn.
//
// Rows are typed values with a key. The selection and the marks hold keys, so
// they stay on their rows when rows move, come and go; and the selected row
// stays on its line of the screen when others move around it.
package table

import (
	"slices"
	"strings"

	"pitwall/ui/line"
	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

// Cell is what a column shows of a row.
type Cell struct {
	Text  safe.Text
	Style theme.Style
}

// Column describes one column.
type Column[R any] struct {
	Title safe.Text
	// Min and Max bound the width; in between it is as wide as the widest
	// cell that was shown. Max 0 means no bound.
	Min, Max int
	// Flex gives the column what is left of the width.
	Flex bool
	// Priority says which columns vanish first on a narrow screen: the
	// highest. A column with 0 never vanishes.
	Priority int
	// Right aligns numbers.
	Right bool
	// Cell draws a row. It is called for the rows on the screen alone.
	Cell func(R) Cell
	// Less orders rows by this column; nil where that makes no sense.
	Less func(a, b R) bool
}

// Options make a table.
type Options[R any] struct {
	Theme   *theme.Theme
	Columns []Column[R]
	// Key identifies a row.
	Key func(R) string
	// Text is what the filter searches of a row; nil means its cells.
	Text func(R) string
	// Less is the order while no column is chosen; nil keeps the rows' own.
	Less func(a, b R) bool
	// Empty is said where there are no rows at all.
	Empty safe.Text
}

// Model is a table. Make it with [New].
type Model[R any] struct {
	o             Options[R]
	width, height int

	rows   []R
	shown  []int32 // indexes in rows, after filter and sort
	cursor int     // index in shown
	top    int     // the first row on the screen
	moved  bool    // the operator has moved the cursor

	marks map[string]bool

	sortBy  int // index in Columns, or -1
	reverse bool

	filter    line.Editor
	terms     []term
	capturing bool

	widest []int // per column, of what was shown
	layout []slot
	stale  bool
	loaded bool
	buf    []byte
}

// slot is a column with its place on the screen.
type slot struct {
	col, width int
}

// New makes an empty table.
func New[R any](o Options[R]) *Model[R] {
	if o.Theme == nil {
		o.Theme = theme.Plain(theme.Options{})
	}
	return &Model[R]{o: o, sortBy: -1, marks: map[string]bool{}, widest: make([]int, len(o.Columns))}
}

// SetSize sets the cells that the table may draw in.
func (m *Model[R]) SetSize(width, height int) {
	m.width, m.height = max(width, 0), max(height, 0)
	m.scroll()
}

// SetRows replaces the rows; the table keeps the slice. Marks of rows that are
// gone are dropped. Until the operator moves, the cursor is on the first row;
// then it stays on its row, or where that is gone, at its place.
func (m *Model[R]) SetRows(rows []R) {
	m.loaded = true
	key, line := m.selectedKey(), m.cursor-m.top
	m.rows = rows
	m.dropMarks()
	m.arrange()
	m.restore(key, line)
}

// SetStale draws the rows in grey, because they may no longer be true.
func (m *Model[R]) SetStale(stale bool) { m.stale = stale }

// Len returns how many rows there are, and how many pass the filter.
func (m *Model[R]) Len() (all, shown int) { return len(m.rows), len(m.shown) }

// Selected returns the row under the cursor.
func (m *Model[R]) Selected() (R, bool) {
	if m.cursor < 0 || m.cursor >= len(m.shown) {
		var zero R
		return zero, false
	}
	return m.rows[m.shown[m.cursor]], true
}

// Select puts the cursor on the row with a key and reports whether it is shown.
func (m *Model[R]) Select(key string) bool {
	for i, at := range m.shown {
		if m.o.Key(m.rows[at]) == key {
			m.moveTo(i)
			return true
		}
	}
	return false
}

// Marked returns the marked rows, in the rows' own order.
func (m *Model[R]) Marked() []R {
	if len(m.marks) == 0 {
		return nil
	}
	var out []R
	for _, r := range m.rows {
		if m.marks[m.o.Key(r)] {
			out = append(out, r)
		}
	}
	return out
}

// Targets returns what an action is for: the marked rows or, when there are
// none, the selected one.
func (m *Model[R]) Targets() []R {
	if marked := m.Marked(); len(marked) > 0 {
		return marked
	}
	if r, ok := m.Selected(); ok {
		return []R{r}
	}
	return nil
}

// Line returns a row as plain text: its cells, those of hidden columns too.
func (m *Model[R]) Line(r R) string {
	var cells []string
	for _, c := range m.o.Columns {
		if t := c.Cell(r).Text.Plain(); !t.Empty() {
			cells = append(cells, t.String())
		}
	}
	return strings.Join(cells, "  ")
}

// ClearMarks removes all marks.
func (m *Model[R]) ClearMarks() { clear(m.marks) }

// Touch keeps the cursor on its row from now on, as moving it does.
func (m *Model[R]) Touch() { m.moved = true }

func (m *Model[R]) selectedKey() string {
	if r, ok := m.Selected(); ok {
		return m.o.Key(r)
	}
	return ""
}

// restore puts the cursor back on the row with that key, on its screen line.
func (m *Model[R]) restore(key string, line int) {
	if !m.moved {
		m.cursor, m.top = 0, 0
		return
	}
	for i, at := range m.shown {
		if key != "" && m.o.Key(m.rows[at]) == key {
			m.cursor = i
			m.top = i - line
			break
		}
	}
	m.cursor = max(0, min(m.cursor, len(m.shown)-1))
	m.scroll()
}

func (m *Model[R]) dropMarks() {
	if len(m.marks) == 0 {
		return
	}
	kept := make(map[string]bool, len(m.marks))
	for _, r := range m.rows {
		if k := m.o.Key(r); m.marks[k] {
			kept[k] = true
		}
	}
	m.marks = kept
}

// arrange filters and sorts.
func (m *Model[R]) arrange() {
	m.shown = m.shown[:0]
	for i, r := range m.rows {
		if m.matches(r) {
			m.shown = append(m.shown, int32(i))
		}
	}
	less := m.o.Less
	if m.sortBy >= 0 {
		less = m.o.Columns[m.sortBy].Less
	}
	if less == nil {
		if m.reverse {
			slices.Reverse(m.shown)
		}
		return
	}
	sign := 1
	if m.reverse {
		sign = -1
	}
	slices.SortStableFunc(m.shown, func(a, b int32) int {
		switch {
		case less(m.rows[a], m.rows[b]):
			return -sign
		case less(m.rows[b], m.rows[a]):
			return sign
		}
		return 0
	})
}

// rearrange sorts and filters anew after the operator changed either.
func (m *Model[R]) rearrange() {
	key, line := m.selectedKey(), m.cursor-m.top
	m.arrange()
	m.restore(key, line)
}

// moveTo puts the cursor on a shown row.
func (m *Model[R]) moveTo(i int) {
	m.moved = true
	m.cursor = max(0, min(i, len(m.shown)-1))
	m.scroll()
}

// scroll brings the cursor onto the screen.
func (m *Model[R]) scroll() {
	h := m.bodyHeight()
	m.top = min(m.top, m.cursor)
	m.top = max(m.top, m.cursor-h+1)
	m.top = max(0, min(m.top, len(m.shown)-h))
}

// bodyHeight is how many rows fit.
func (m *Model[R]) bodyHeight() int { return max(1, m.height-m.headHeight()) }

// headHeight is the lines above the rows: the filter, and the titles unless
// there is room for nothing but a row.
func (m *Model[R]) headHeight() int {
	n := 0
	if m.height > 1 {
		n++
	}
	if m.filterLine() && m.height > 2 {
		n++
	}
	return n
}

func (m *Model[R]) filterLine() bool { return m.capturing || len(m.terms) > 0 }

// term is a word of the filter.
type term struct {
	text string // lower case
	not  bool
}

// setFilter reads the filter: words that must all be there, and those after !
// that must not.
func (m *Model[R]) setFilter() {
	m.terms = m.terms[:0]
	for w := range strings.FieldsSeq(strings.ToLower(m.filter.Value())) {
		rest, not := strings.CutPrefix(w, "!")
		if rest != "" {
			m.terms = append(m.terms, term{rest, not})
		}
	}
	m.rearrange()
}

// Filter sets the filter's text.
func (m *Model[R]) Filter(text string) {
	m.filter.Set(text)
	m.setFilter()
}

// matches reports whether a row passes the filter.
func (m *Model[R]) matches(r R) bool {
	if len(m.terms) == 0 {
		return true
	}
	text := m.text(r)
	for _, t := range m.terms {
		if containsFold(text, t.text) == t.not {
			return false
		}
	}
	return true
}

func (m *Model[R]) text(r R) string {
	if m.o.Text != nil {
		return m.o.Text(r)
	}
	var b strings.Builder
	for _, c := range m.o.Columns {
		b.WriteString(c.Cell(r).Text.Plain().String())
		b.WriteByte(' ')
	}
	return b.String()
}

// containsFold reports whether lower, which is lower case, is in s in any
// case. It does not allocate for ASCII.
func containsFold(s, lower string) bool { return indexFold(s, lower) >= 0 }

// indexFold is the byte index of lower in s in any case, or -1.
func indexFold(s, lower string) int {
	for i := range len(s) {
		if s[i] >= 0x80 {
			low := strings.ToLower(s)
			if len(low) != len(s) {
				return strings.Index(s, lower)
			}
			return strings.Index(low, lower)
		}
	}
	for i := 0; i+len(lower) <= len(s); i++ {
		if equalFold(s[i:i+len(lower)], lower) {
			return i
		}
	}
	return -1
}

func equalFold(s, lower string) bool {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
