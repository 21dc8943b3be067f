package palette_test

import (
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"pitwall/ui/palette"
	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

func open(chosen *string) *palette.Model {
	item := func(title safe.Text, aliases ...string) palette.Item {
		return palette.Item{Title: title, Aliases: aliases, Run: func() tea.Cmd { *chosen = title.String(); return nil }}
	}
	no := item(safe.Literal("unblock web"))
	no.Why = safe.Literal("web is not blocked")
	return palette.New([]palette.Item{
		item(safe.Literal("apps"), "app", "a"),
		item(safe.Literal("operations"), "ops", "o"),
		item(safe.Literal("flaky"), "shop"),
		item(safe.Literal("restart flaky")),
		no,
	})
}

func typed(m *palette.Model, text string) (done bool) {
	for _, r := range text {
		if r == '\n' {
			_, done = m.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
			continue
		}
		m.Update(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
	return done
}

func TestTypingFindsByAnyWord(t *testing.T) {
	for in, want := range map[string]string{
		"\n": "apps", "o\n": "operations", "ops\n": "operations", "fla\n": "flaky",
		"rest\n": "restart flaky", "restart flaky\n": "restart flaky", "rfl\n": "restart flaky", "shop\n": "flaky",
	} {
		var chosen string
		if done := typed(open(&chosen), in); !done || chosen != want {
			t.Errorf("typing %q chose %q (closed %v), want %q", in, chosen, done, want)
		}
	}
}

func TestWhatCannotBeDoneSaysWhyAndStaysOpen(t *testing.T) {
	var chosen string
	m := open(&chosen)
	if done := typed(m, "unblock\n"); done || chosen != "" {
		t.Errorf("a disabled item was chosen: %q, closed %v", chosen, done)
	}
	b := m.Box(theme.Plain(theme.Options{}), 70, 20)
	if got := ansi.Strip(strings.Join(b.Lines, "\n")); !strings.Contains(got, "web is not blocked") {
		t.Errorf("the reason is not shown:\n%s", got)
	}
}

func TestEveryLineFits(t *testing.T) {
	var chosen string
	for w := 1; w < 90; w++ {
		m := open(&chosen)
		typed(m, "a")
		for i, l := range m.Box(theme.Plain(theme.Options{}), w, 5).Lines {
			if got := ansi.StringWidth(l); w >= 12 && got > w {
				t.Errorf("width %d: line %d %q is %d wide", w, i, ansi.Strip(l), got)
			}
		}
	}
}

func TestEscAndEmptyBackspaceClose(t *testing.T) {
	var chosen string
	for _, k := range []rune{tea.KeyEscape, tea.KeyBackspace} {
		if _, done := open(&chosen).Update(tea.KeyPressMsg{Code: k}); !done {
			t.Errorf("key %v does not close", k)
		}
	}
}
