package table_test

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/golden"

	"pitwall/assets"
	"pitwall/ui/action"
	"pitwall/ui/safe"
	"pitwall/ui/table"
	"pitwall/ui/theme"
)

type row struct {
	name, team, state string
	errors            int
	words             string
}

func dark(t testing.TB) *theme.Theme {
	t.Helper()
	th, err := theme.New(assets.Themes, theme.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return th
}

func newTable(th *theme.Theme) *table.Model[row] {
	text := func(f func(row) string) func(row) table.Cell {
		return func(r row) table.Cell { return table.Cell{Text: safe.Clean(f(r))} }
	}
	return table.New(table.Options[row]{
		Theme: th,
		Key:   func(r row) string { return r.name },
		Empty: safe.Literal("No apps."),
		Columns: []table.Column[row]{
			{Min: 1, Max: 1, Cell: func(r row) table.Cell {
				m := th.Mark(map[string]theme.State{"running": theme.Running, "crash loop": theme.Failed}[r.state])
				return table.Cell{Text: m.Glyph, Style: m.Style}
			}},
			{Title: safe.Literal("APP"), Min: 6, Max: 24, Cell: text(func(r row) string { return r.name }), Less: func(a, b row) bool { return a.name < b.name }},
			{Title: safe.Literal("TEAM"), Min: 4, Max: 12, Priority: 5, Cell: text(func(r row) string { return r.team })},
			{Title: safe.Literal("STATE"), Min: 7, Max: 12, Cell: text(func(r row) string { return r.state })},
			{Title: safe.Literal("ERR/MIN"), Min: 3, Max: 8, Right: true, Priority: 2, Cell: text(func(r row) string { return fmt.Sprint(r.errors) }), Less: func(a, b row) bool { return a.errors > b.errors }},
			{Title: safe.Literal("LAST WORDS"), Min: 10, Flex: true, Priority: 3, Cell: text(func(r row) string { return r.words })},
		},
	})
}

func rows() []row {
	return []row{
		{"flaky", "shop", "crash loop", 60, "exit 2 \"panic: nil map in cart.go:41\""},
		{"leaky", "shop", "running", 2, "killed at its memory limit (256 MiB), run 4"},
		{"chat", "ops", "blocked", 0, "日本語のログ\x1b[2J"},
		{"web", "shop", "running", 0, ""},
	}
}

// press runs the action that an ID names.
func press(t *testing.T, m *table.Model[row], ids ...string) {
	t.Helper()
	for _, id := range ids {
		a, ok := action.Find(m.Actions(), id)
		if !ok {
			t.Fatalf("the table has no action %q", id)
		}
		a.Start()
	}
}

func typeText(m *table.Model[row], text string) {
	for _, r := range text {
		m.Update(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
}

func selected(t *testing.T, m *table.Model[row]) string {
	t.Helper()
	r, ok := m.Selected()
	if !ok {
		return ""
	}
	return r.name
}

func TestFrames(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 10}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			m := newTable(dark(t))
			m.SetSize(size[0], size[1])
			m.SetRows(rows())
			press(t, m, "list.mark", "list.down")
			golden.RequireEqual(t, ansi.Strip(strings.Join(m.View(), "\n"))+"\n")
		})
	}
	t.Run("styled", func(t *testing.T) {
		m := newTable(dark(t))
		m.SetSize(80, 8)
		m.SetRows(rows())
		press(t, m, "list.mark", "list.filter")
		typeText(m, "shop")
		golden.RequireEqual(t, strings.Join(m.View(), "\n")+"\n")
	})
}

func TestSelectionStaysOnItsRow(t *testing.T) {
	m := newTable(dark(t))
	m.SetSize(80, 24)
	m.SetRows(rows())
	press(t, m, "list.down")
	if got := selected(t, m); got != "leaky" {
		t.Fatalf("selected %q after down, want leaky", got)
	}
	r := rows()
	m.SetRows([]row{r[3], r[2], r[0], r[1]})
	if got := selected(t, m); got != "leaky" {
		t.Errorf("selected %q after the rows moved, want leaky", got)
	}
	press(t, m, "list.sort-next")
	if got := selected(t, m); got != "leaky" {
		t.Errorf("selected %q after sorting, want leaky", got)
	}
	m.SetRows([]row{r[3], r[2], r[0]})
	if got := selected(t, m); got == "" {
		t.Errorf("nothing is selected after the selected row went away")
	}
}

func TestSelectedRowKeepsItsLine(t *testing.T) {
	m := newTable(dark(t))
	m.SetSize(80, 11)
	m.SetRows(many(100))
	for range 50 {
		press(t, m, "list.down")
	}
	before := lineOf(m, "app-050")
	m.SetRows(append([]row{{name: "new-1"}, {name: "new-2"}}, many(100)...))
	if got := lineOf(m, "app-050"); got != before || got < 0 {
		t.Errorf("the selected row went from line %d to %d", before, got)
	}
}

func TestCursorIsOnTheFirstRowUntilMoved(t *testing.T) {
	m := newTable(dark(t))
	m.SetSize(80, 24)
	r := rows()
	m.SetRows([]row{r[3], r[1]})
	m.SetRows([]row{r[0], r[3], r[1]})
	if got := selected(t, m); got != "flaky" {
		t.Errorf("selected %q, want the worst row flaky, as nobody has moved", got)
	}
}

func TestFilterFindsAllWordsAndNotOthers(t *testing.T) {
	m := newTable(dark(t))
	m.SetSize(80, 24)
	m.SetRows(rows())
	press(t, m, "list.filter")
	if !m.Capturing() {
		t.Fatal("the table does not capture while a filter is typed")
	}
	typeText(m, "SHOP !crash")
	if all, shown := m.Len(); all != 4 || shown != 2 {
		t.Errorf("Len() = %d, %d; want 4, 2", all, shown)
	}
	m.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
	if m.Capturing() {
		t.Error("enter does not end typing")
	}
	if !m.Escape() {
		t.Error("Escape() = false with a filter, want true")
	}
	if _, shown := m.Len(); shown != 4 {
		t.Errorf("%d rows after the filter was cleared, want 4", shown)
	}
	if m.Escape() {
		t.Error("Escape() = true with nothing to take back")
	}
}

func TestTargetsAreTheMarkedOrTheSelected(t *testing.T) {
	m := newTable(dark(t))
	m.SetSize(80, 24)
	m.SetRows(rows())
	if got := m.Targets(); len(got) != 1 || got[0].name != "flaky" {
		t.Errorf("Targets() = %v, want the selected row", got)
	}
	press(t, m, "list.mark", "list.mark")
	if got := m.Targets(); len(got) != 2 || got[0].name != "flaky" || got[1].name != "leaky" {
		t.Errorf("Targets() = %v, want the two marked rows", got)
	}
	m.SetRows(rows()[1:])
	if got := m.Targets(); len(got) != 1 || got[0].name != "leaky" {
		t.Errorf("Targets() = %v, want the one marked row that is left", got)
	}
}

func TestEveryLineFits(t *testing.T) {
	for w := range 130 {
		for _, h := range []int{0, 1, 2, 3, 5, 9} {
			m := newTable(dark(t))
			m.SetSize(w, h)
			m.SetRows(rows())
			press(t, m, "list.filter")
			typeText(m, "o")
			m.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
			lines := m.View()
			if len(lines) > h {
				t.Fatalf("%dx%d: %d lines", w, h, len(lines))
			}
			for _, l := range lines {
				if got := ansi.StringWidth(l); w >= 40 && got > w {
					t.Fatalf("%dx%d: %q is %d wide", w, h, ansi.Strip(l), got)
				}
			}
		}
	}
}

func TestEmptyAndLoadingSaySo(t *testing.T) {
	m := newTable(dark(t))
	m.SetSize(80, 5)
	if got := ansi.Strip(strings.Join(m.View(), "\n")); !strings.Contains(got, "loading") {
		t.Errorf("before the first rows: %q", got)
	}
	m.SetRows(nil)
	if got := ansi.Strip(strings.Join(m.View(), "\n")); !strings.Contains(got, "No apps.") {
		t.Errorf("without rows: %q", got)
	}
	press(t, m, "list.down", "list.up", "list.mark", "list.bottom", "list.page-up", "list.mark-all", "list.sort-next")
	if _, ok := m.Selected(); ok {
		t.Error("a row is selected in an empty table")
	}
}

func TestSortGoesThroughTheColumnsAndBack(t *testing.T) {
	m := newTable(dark(t))
	m.SetSize(100, 24)
	m.SetRows(rows())
	order := func() string {
		var names []string
		for _, l := range m.View()[1:] {
			names = append(names, strings.Fields(strings.TrimLeft(ansi.Strip(l), " ▸"))[1])
		}
		return strings.Join(names, " ")
	}
	press(t, m, "list.sort-next")
	if got := order(); got != "chat flaky leaky web" {
		t.Errorf("by name: %s", got)
	}
	press(t, m, "list.sort-reverse")
	if got := order(); got != "web leaky flaky chat" {
		t.Errorf("by name, reversed: %s", got)
	}
	press(t, m, "list.sort-next", "list.sort-next")
	if got := order(); got != "flaky leaky chat web" {
		t.Errorf("the table's own order: %s", got)
	}
}

func many(n int) []row {
	out := make([]row, n)
	for i := range out {
		out[i] = row{name: fmt.Sprintf("app-%03d", i), team: "shop", state: "running", errors: i % 7, words: "listening on :8080"}
	}
	return out
}

func lineOf(m *table.Model[row], name string) int {
	for i, l := range m.View() {
		if strings.Contains(ansi.Strip(l), name) {
			return i
		}
	}
	return -1
}

func BenchmarkKeyAndView(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := newTable(dark(b))
			m.SetSize(120, 40)
			m.SetRows(many(n))
			down, _ := action.Find(m.Actions(), "list.down")
			b.ReportAllocs()
			for b.Loop() {
				down.Start()
				m.View()
			}
		})
	}
}

func BenchmarkSetRows100k(b *testing.B) {
	m := newTable(dark(b))
	m.SetSize(120, 40)
	rows := many(100_000)
	b.ReportAllocs()
	for b.Loop() {
		m.SetRows(rows)
		m.View()
	}
}

func BenchmarkFilter100k(b *testing.B) {
	m := newTable(dark(b))
	m.SetSize(120, 40)
	m.SetRows(many(100_000))
	b.ReportAllocs()
	for b.Loop() {
		m.Filter("app-05")
		m.View()
	}
}
