package logview_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/golden"
	"pgregory.net/rapid"

	"pitwall/assets"
	"pitwall/ui/action"
	"pitwall/ui/logview"
	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

func dark(t testing.TB) *theme.Theme {
	t.Helper()
	th, err := theme.New(assets.Themes, theme.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return th
}

func at(ms int) time.Time {
	return time.Date(2026, 3, 4, 14, 2, 8, 0, time.UTC).Add(time.Duration(ms) * time.Millisecond)
}

func text(n int) logview.Entry {
	return logview.Entry{Time: at(n), Label: safe.Literal("main.0"), Level: logview.Info, Text: safe.Clean(fmt.Sprintf("line %d", n))}
}

func lines(from, to int) []logview.Entry {
	var out []logview.Entry
	for n := from; n < to; n++ {
		out = append(out, text(n))
	}
	return out
}

func sample() []logview.Entry {
	return []logview.Entry{
		{Time: at(0), Label: safe.Literal("main.0"), Level: logview.Info, Text: safe.CleanSGR("\x1b[32mGET\x1b[0m /cart 200 12ms")},
		{Time: at(40), Label: safe.Literal("worker.1"), Level: logview.Debug, Text: safe.Clean("took job 17")},
		{Kind: logview.Gap, Label: safe.Literal("main.0"), Text: safe.Literal("312 lines skipped, r fetches them"), Cursor: "g1"},
		{Time: at(112), Label: safe.Literal("main.0"), Level: logview.Error, Text: safe.Clean("panic: nil map in cart.go:41 \x1b[2J while handling a request that is long enough to be cut on a narrow screen and wraps where that is asked")},
		{Kind: logview.Divider, Time: at(130), Label: safe.Literal("main.0"), Text: safe.Literal("exited with 2 · run 17 lasted 1.9s · next start in 4s")},
		{Time: at(1004), Label: safe.Literal("main.0"), Level: logview.Warn, Text: safe.Clean("日本語のログ slow")},
		{Time: at(1005), Label: safe.Literal("main.0"), Text: safe.Clean("no level here")},
	}
}

func press(t *testing.T, m *logview.Model, ids ...string) tea.Cmd {
	t.Helper()
	var cmd tea.Cmd
	for _, id := range ids {
		a, ok := action.Find(m.Actions(), id)
		if !ok {
			t.Fatalf("the log has no action %q", id)
		}
		cmd = a.Start()
	}
	return cmd
}

func typeText(m *logview.Model, text string) {
	for _, r := range text {
		m.Update(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
	m.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
}

func screen(m *logview.Model) string { return ansi.Strip(strings.Join(m.View(), "\n")) }

func TestFrames(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 10}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			m := logview.New(logview.Options{Theme: dark(t)})
			m.SetSize(size[0], size[1])
			m.Append(sample()...)
			golden.RequireEqual(t, screen(m)+"\n")
		})
	}
	t.Run("wrapped", func(t *testing.T) {
		m := logview.New(logview.Options{Theme: dark(t)})
		m.SetSize(60, 9)
		m.Append(sample()...)
		press(t, m, "log.wrap")
		golden.RequireEqual(t, screen(m)+"\n")
	})
	t.Run("styled", func(t *testing.T) {
		m := logview.New(logview.Options{Theme: dark(t)})
		m.SetSize(80, 9)
		m.Append(sample()...)
		press(t, m, "log.search")
		typeText(m, "CART")
		golden.RequireEqual(t, strings.Join(m.View(), "\n")+"\n")
	})
	t.Run("plain styled", func(t *testing.T) {
		m := logview.New(logview.Options{Theme: dark(t)})
		m.SetSize(80, 9)
		m.Append(sample()...)
		golden.RequireEqual(t, strings.Join(m.View(), "\n")+"\n")
	})
}

func TestPausingFreezesTheScreenAndCounts(t *testing.T) {
	m := logview.New(logview.Options{Theme: dark(t)})
	m.SetSize(80, 5)
	m.Append(lines(0, 100)...)
	press(t, m, "log.up")
	before := screen(m)
	m.Append(lines(100, 1304)...)
	if got := screen(m); got != before {
		t.Errorf("the screen moved while paused:\n%s\nwas\n%s", got, before)
	}
	if got, want := m.Status().String(), "▲ paused, 1,204 new"; got != want {
		t.Errorf("Status() = %q, want %q", got, want)
	}
	press(t, m, "log.bottom")
	if got := screen(m); !strings.Contains(got, "line 1303") {
		t.Errorf("the end is not on the screen after following again:\n%s", got)
	}
	if m.Unseen() != 0 {
		t.Errorf("Unseen() = %d when following", m.Unseen())
	}
}

func TestScrollingToTheEndFollowsAgain(t *testing.T) {
	m := logview.New(logview.Options{Theme: dark(t)})
	m.SetSize(80, 5)
	m.Append(lines(0, 20)...)
	press(t, m, "log.page-up", "log.page-up")
	if m.Following() {
		t.Fatal("still following after a page up")
	}
	press(t, m, "log.page-down", "log.page-down", "log.page-down")
	if !m.Following() {
		t.Error("not following at the end")
	}
}

func TestWhatIsHeldIsBounded(t *testing.T) {
	m := logview.New(logview.Options{Theme: dark(t), Lines: 100})
	m.SetSize(80, 5)
	m.Append(lines(0, 1000)...)
	if held, _ := m.Len(); held != 100 {
		t.Errorf("%d lines are held, want 100", held)
	}
	if first, _ := m.First(); first.Text.String() != "line 900" {
		t.Errorf("the first line held is %q, want line 900", first.Text)
	}
	big := logview.New(logview.Options{Theme: dark(t), Bytes: 10_000})
	big.SetSize(80, 5)
	for range 50 {
		big.Append(logview.Entry{Text: safe.Clean(strings.Repeat("x", 1000))})
	}
	if held, _ := big.Len(); held > 10 {
		t.Errorf("%d lines of 1,000 bytes are held in 10,000 bytes", held)
	}
}

func TestPausedOnTheOldestLineLetsNewOnesGoAndCanGetThem(t *testing.T) {
	asked := 0
	m := logview.New(logview.Options{Theme: dark(t), Lines: 50, Newer: func() tea.Cmd { asked++; return nil }})
	m.SetSize(80, 5)
	m.Append(lines(0, 50)...)
	press(t, m, "log.top")
	before := screen(m)
	m.Append(lines(50, 80)...)
	if got := screen(m); got != before {
		t.Errorf("the lines under the reader went away:\n%s", got)
	}
	if m.Unseen() != 30 {
		t.Errorf("Unseen() = %d, want 30", m.Unseen())
	}
	for range 20 {
		press(t, m, "log.page-down")
	}
	if asked != 1 || m.Following() {
		t.Fatalf("Newer was asked %d times and Following() = %v; want 1, false", asked, m.Following())
	}
	m.Extend(lines(50, 80), true)
	m.Append(text(80))
	for range 20 {
		press(t, m, "log.page-down")
	}
	if got := screen(m); !strings.Contains(got, "line 80") || !m.Following() {
		t.Errorf("after the lines were fetched the end is not there:\n%s", got)
	}
}

func TestGoingPastTheFirstLineAsksForOlder(t *testing.T) {
	asked := 0
	m := logview.New(logview.Options{Theme: dark(t), Older: func() tea.Cmd { asked++; return nil }})
	m.SetSize(80, 5)
	m.Append(lines(100, 120)...)
	press(t, m, "log.top", "log.up", "log.up")
	if asked != 1 {
		t.Fatalf("Older was asked %d times, want once until it answers", asked)
	}
	before := screen(m)
	m.Prepend(lines(50, 100), false)
	if got := screen(m); got != before {
		t.Errorf("the screen moved when older lines came:\n%s\nwas\n%s", got, before)
	}
	press(t, m, "log.up")
	if got := screen(m); !strings.HasPrefix(strings.TrimSpace(got), "14:02:08.099") {
		t.Errorf("the line before is not there:\n%s", got)
	}
	press(t, m, "log.top")
	m.Prepend(nil, true)
	press(t, m, "log.top", "log.up")
	if asked != 2 {
		t.Errorf("Older was asked %d times, want 2: there is nothing before the first", asked)
	}
}

func TestLevelFilterKeepsThePlaceAndTheSigns(t *testing.T) {
	m := logview.New(logview.Options{Theme: dark(t)})
	m.SetSize(100, 10)
	m.Append(sample()...)
	press(t, m, "log.error")
	got := screen(m)
	for _, want := range []string{"panic: nil map", "312 lines skipped", "exited with 2"} {
		if !strings.Contains(got, want) {
			t.Errorf("with errors alone %q is not shown:\n%s", want, got)
		}
	}
	for _, not := range []string{"GET /cart", "no level here", "took job"} {
		if strings.Contains(got, not) {
			t.Errorf("with errors alone %q is shown", not)
		}
	}
	press(t, m, "log.all")
	if got := screen(m); !strings.Contains(got, "took job") {
		t.Errorf("with all levels the debug line is missing:\n%s", got)
	}
}

func TestSearchGoesThroughTheMatchesWithContext(t *testing.T) {
	m := logview.New(logview.Options{Theme: dark(t)})
	m.SetSize(80, 6)
	for i := range 100 {
		e := text(i)
		if i%25 == 10 { // 10, 35, 60, 85
			e.Text = safe.Clean(fmt.Sprintf("Boom %d", i))
		}
		m.Append(e)
	}
	press(t, m, "log.search")
	typeText(m, "boom")
	for _, want := range []string{"Boom 85", "Boom 60", "Boom 35"} {
		if got := screen(m); !strings.Contains(got, want) || !strings.Contains(got, "line ") {
			t.Errorf("want %q with its context, got\n%s", want, got)
		}
		press(t, m, "log.previous")
	}
	press(t, m, "log.previous")
	if got := screen(m); !strings.Contains(got, "no more matches") {
		t.Errorf("nothing says that there is no match before:\n%s", got)
	}
	press(t, m, "log.next")
	if got := screen(m); !strings.Contains(got, "Boom 35") {
		t.Errorf("next does not come back to 35:\n%s", got)
	}
}

func TestGapIsFilledInPlace(t *testing.T) {
	m := logview.New(logview.Options{Theme: dark(t)})
	m.SetSize(100, 12)
	m.Append(sample()...)
	gap, ok := m.GapOnScreen()
	if !ok || gap.Cursor != "g1" {
		t.Fatalf("GapOnScreen() = %v, %v; want g1", gap, ok)
	}
	if !m.Fill("g1", lines(41, 44)) {
		t.Fatal("Fill() = false")
	}
	got := screen(m)
	if strings.Contains(got, "skipped") || strings.Index(got, "line 41") > strings.Index(got, "panic") || strings.Index(got, "line 41") < strings.Index(got, "took job") {
		t.Errorf("the lines are not in the gap's place:\n%s", got)
	}
	if m.Fill("g1", nil) {
		t.Error("Fill() = true for a gap that is gone")
	}
}

func TestNoColorStripsTheProgramsColours(t *testing.T) {
	m := logview.New(logview.Options{Theme: theme.Plain(theme.Options{NoColor: true})})
	m.SetSize(80, 9)
	m.Append(sample()...)
	if got := strings.Join(m.View(), "\n"); strings.Contains(got, "\x1b[32m") {
		t.Errorf("colour without colours: %q", got)
	}
}

// TestAnyUseStaysInside does anything in any order and looks at the screen.
func TestAnyUseStaysInside(t *testing.T) {
	th := dark(t)
	rapid.Check(t, func(rt *rapid.T) {
		m := logview.New(logview.Options{Theme: th, Lines: 40, Older: func() tea.Cmd { return nil }, Newer: func() tea.Cmd { return nil }})
		ids := m.Actions()
		n := 0
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 7).Draw(rt, "step") {
			case 0:
				m.SetSize(rapid.IntRange(0, 130).Draw(rt, "w"), rapid.IntRange(0, 12).Draw(rt, "h"))
			case 1:
				k := rapid.IntRange(0, 60).Draw(rt, "lines")
				m.Append(lines(n, n+k)...)
				n += k
			case 2:
				m.Append(sample()...)
			case 3:
				m.Prepend(lines(0, rapid.IntRange(0, 60).Draw(rt, "older")), false)
			case 4:
				m.Extend(lines(n, n+5), rapid.Bool().Draw(rt, "live"))
			case 5:
				m.Fill("g1", lines(0, rapid.IntRange(0, 60).Draw(rt, "fill")))
			default:
				ids[rapid.IntRange(0, len(ids)-1).Draw(rt, "action")].Start()
				if m.Capturing() {
					typeText(m, rapid.SampledFrom([]string{"", "line", "日", "zz"}).Draw(rt, "text"))
				}
			}
			view := m.View()
			held, _ := m.Len()
			if held > 40 {
				rt.Fatalf("%d lines are held, want 40 at most", held)
			}
			w, h := m.Size()
			if len(view) > h {
				rt.Fatalf("%d rows on a screen of %d", len(view), h)
			}
			for _, l := range view {
				if got := ansi.StringWidth(l); w >= 40 && got > w {
					rt.Fatalf("%q is %d wide on a screen of %d", ansi.Strip(l), got, w)
				}
			}
		}
	})
}

func BenchmarkAppendAndView(b *testing.B) {
	for _, held := range []int{1000, 50_000} {
		b.Run(fmt.Sprint(held), func(b *testing.B) {
			m := logview.New(logview.Options{Theme: dark(b)})
			m.SetSize(120, 40)
			m.Append(lines(0, held)...)
			batch := lines(0, 100)
			b.ReportAllocs()
			for b.Loop() {
				m.Append(batch...)
				m.View()
			}
		})
	}
}

func BenchmarkScroll(b *testing.B) {
	m := logview.New(logview.Options{Theme: dark(b)})
	m.SetSize(120, 40)
	m.Append(lines(0, 50_000)...)
	m.Pause()
	b.ReportAllocs()
	for b.Loop() {
		m.Scroll(-1)
		m.View()
	}
}
