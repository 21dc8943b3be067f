// Package palette is one place to find everything: views, names and actions,
// by a few letters of any of their words.
package palette

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/sahilm/fuzzy"

	"pitwall/ui/dialog"
	"pitwall/ui/line"
	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

// Item is one thing to choose.
type Item struct {
	// Title is what is searched first and shown: "apps", "restart flaky".
	Title safe.Text
	// Detail explains it in a few words.
	Detail safe.Text
	// Aliases are other words for it. A whole alias wins over everything.
	Aliases []string
	// Key is shown beside an action that has one.
	Key safe.Text
	// Why says why it cannot be chosen now; empty where it can.
	Why safe.Text
	// Run does it. It may return nil.
	Run func() tea.Cmd
}

// maxShown is how many items are on the screen at most.
const maxShown = 14

// Model is an open palette. It is a [dialog.Dialog].
type Model struct {
	items  []Item
	field  line.Editor
	found  []fuzzy.Match
	cursor int
	top    int
	shown  int
}

// New opens a palette over items, in the order to show without a search.
func New(items []Item) *Model {
	m := &Model{items: items, shown: maxShown}
	m.search()
	return m
}

// Update takes a key.
func (m *Model) Update(msg tea.Msg) (tea.Cmd, bool) {
	key, ok := msg.(tea.KeyPressMsg)
	if ok {
		switch key.String() {
		case "esc", "ctrl+c":
			return nil, true
		case "enter":
			return m.choose()
		case "up", "ctrl+p", "shift+tab":
			m.move(-1)
			return nil, false
		case "down", "ctrl+n", "tab":
			m.move(1)
			return nil, false
		case "pgup":
			m.move(-m.shown)
			return nil, false
		case "pgdown":
			m.move(m.shown)
			return nil, false
		case "backspace":
			if m.field.Value() == "" {
				return nil, true
			}
		}
	}
	if wheel, ok := msg.(tea.MouseWheelMsg); ok {
		m.move(map[tea.MouseButton]int{tea.MouseWheelUp: -1, tea.MouseWheelDown: 1}[wheel.Button])
	}
	if changed, _ := m.field.Update(msg); changed {
		m.search()
	}
	return nil, false
}

// Typing is true: what is looked for is typed.
func (m *Model) Typing() bool { return true }

func (m *Model) choose() (tea.Cmd, bool) {
	if m.cursor >= len(m.found) {
		return nil, false
	}
	it := m.items[m.found[m.cursor].Index]
	if !it.Why.Empty() {
		return nil, false
	}
	if it.Run == nil {
		return nil, true
	}
	return it.Run(), true
}

func (m *Model) move(d int) {
	m.cursor = max(0, min(m.cursor+d, len(m.found)-1))
}

// source lets the search see each item's title. Aliases are no part of it:
// scattered letters of an id would find everything.
type source []Item

func (s source) Len() int { return len(s) }

func (s source) String(i int) string { return s[i].Title.Plain().String() }

// search ranks the items: a whole title or alias first, then a title that
// begins with what is typed, then the best match.
func (m *Model) search() {
	text := strings.TrimSpace(m.field.Value())
	m.cursor, m.top = 0, 0
	if text == "" {
		m.found = make([]fuzzy.Match, len(m.items))
		for i := range m.items {
			m.found[i].Index = i
		}
		return
	}
	m.found = fuzzy.FindFrom(strings.ReplaceAll(text, " ", ""), source(m.items))
	m.addAliases(strings.ToLower(text))
	slices.SortStableFunc(m.found, func(a, b fuzzy.Match) int {
		return m.rank(b.Index, text) - m.rank(a.Index, text)
	})
}

// addAliases finds the items with a word that begins with what is typed, or an
// id that has it.
func (m *Model) addAliases(text string) {
	seen := make(map[int]bool, len(m.found))
	for _, f := range m.found {
		seen[f.Index] = true
	}
	for i, it := range m.items {
		if seen[i] {
			continue
		}
		for _, a := range it.Aliases {
			if a = strings.ToLower(a); strings.HasPrefix(a, text) || len(text) > 2 && strings.Contains(a, text) {
				m.found = append(m.found, fuzzy.Match{Index: i})
				break
			}
		}
	}
}

func (m *Model) rank(i int, text string) int {
	it := m.items[i]
	title := strings.ToLower(it.Title.Plain().String())
	text = strings.ToLower(text)
	switch {
	case title == text:
		return 4
	case slices.Contains(it.Aliases, text):
		return 3
	case strings.HasPrefix(title, text):
		return 2
	case strings.Contains(title, text):
		return 1
	}
	return 0
}

// Box draws the field and what was found.
func (m *Model) Box(th *theme.Theme, width, height int) dialog.Box {
	b := dialog.Box{Title: safe.Literal("go to")}
	text, at := m.field.View(max(1, width-2), th.Field)
	b.Lines = append(b.Lines, th.Key.Render(":")+" "+text)
	b.Cursor = &dialog.Cell{X: 2 + at, Y: 0}
	m.shown = max(1, min(maxShown, height-2))
	m.top = min(m.top, m.cursor)
	m.top = max(m.top, m.cursor-m.shown+1)
	for i := m.top; i < min(len(m.found), m.top+m.shown); i++ {
		b.Lines = append(b.Lines, m.row(th, m.found[i], width, i == m.cursor))
	}
	if len(m.found) == 0 {
		b.Lines = append(b.Lines, th.Dim.Render("  Nothing has these letters."))
	}
	for len(b.Lines) < min(m.shown, len(m.items))+1 { // the box keeps its height
		b.Lines = append(b.Lines, "")
	}
	return b
}

func (m *Model) row(th *theme.Theme, f fuzzy.Match, width int, selected bool) string {
	it := m.items[f.Index]
	var under theme.Style
	lead := "  "
	if selected {
		under, lead = th.Selected, th.Glyphs.Cursor.String()+" "
	}
	keyW := 0
	if !it.Key.Empty() {
		keyW = it.Key.Width() + 1
	}
	title := it.Title.Plain().Truncate(max(1, min(width-4-keyW, 34)), th.Glyphs.Ellipsis)
	out := under.Append(nil, lead)
	out = highlight(out, th, title.String(), f.MatchedIndexes, under, !it.Why.Empty())
	detail, style := it.Detail, th.Dim
	if !it.Why.Empty() {
		detail = it.Why
	}
	column := max(title.Width()+2, min(26, width/2))
	room := width - 2 - column - keyW
	used := 2 + title.Width()
	if room > 6 {
		detail = detail.Plain().Truncate(room, th.Glyphs.Ellipsis)
		out = under.Append(out, strings.Repeat(" ", column-title.Width()))
		out = style.AppendOver(out, under, detail.String())
		used = 2 + column + detail.Width()
	}
	out = under.Append(out, strings.Repeat(" ", max(0, width-used-keyW)))
	if keyW > 0 {
		out = th.Key.AppendOver(out, under, it.Key.String())
		out = under.Append(out, " ")
	}
	return string(out)
}

// highlight draws a title with the letters that were found.
func highlight(out []byte, th *theme.Theme, s string, at []int, under theme.Style, off bool) []byte {
	for i, r := range s {
		style := theme.Style{}
		if off {
			style = th.Off
		}
		if slices.Contains(at, i) {
			style = th.Marked
		}
		out = style.AppendOver(out, under, string(r))
	}
	return out
}
