package dialog_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/golden"

	"pitwall/assets"
	"pitwall/ui/action"
	"pitwall/ui/dialog"
	"pitwall/ui/line"
	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

func dark(t *testing.T) *theme.Theme {
	t.Helper()
	th, err := theme.New(assets.Themes, theme.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return th
}

func key(name string) tea.KeyPressMsg {
	switch name {
	case "enter":
		return tea.KeyPressMsg{Code: tea.KeyEnter}
	case "esc":
		return tea.KeyPressMsg{Code: tea.KeyEscape}
	case "tab":
		return tea.KeyPressMsg{Code: tea.KeyTab}
	case "backspace":
		return tea.KeyPressMsg{Code: tea.KeyBackspace}
	}
	return tea.KeyPressMsg{Code: []rune(name)[0], Text: name}
}

// press gives keys one by one and reports whether the dialog has closed.
func press(d dialog.Dialog, keys ...string) bool {
	for _, k := range keys {
		if _, done := d.Update(key(k)); done {
			return true
		}
	}
	return false
}

// asked is an action of a risk that notes how it was run.
func asked(risk action.Risk, ran *[]string) action.Action {
	return action.Action{
		ID: "app.stop", Title: safe.Literal("stop web"), Label: safe.Literal("stop"), Risk: risk,
		Ask: func() action.Ask {
			return action.Ask{
				Question: safe.Literal("Stop web?"), Name: "web", Reason: true,
				Effect: []safe.Text{safe.Literal("3 instances get TERM, and are killed after 10s. 12 open connections are lost.")},
			}
		},
		Run: func(in action.Input) tea.Cmd { *ran = append(*ran, in.Reason); return nil },
	}
}

func TestFrictionGrowsWithRisk(t *testing.T) {
	split := func(s string) []string { return strings.Split(s, "") }
	tests := []struct {
		name string
		risk action.Risk
		keys []string
		runs int
	}{
		{"medium: y", action.Medium, []string{"y"}, 1},
		{"medium: enter is not enough", action.Medium, []string{"enter"}, 0},
		{"medium: space is not enough", action.Medium, []string{" "}, 0},
		{"medium: n", action.Medium, []string{"n"}, 0},
		{"medium: esc", action.Medium, []string{"esc"}, 0},
		{"high: y is not enough", action.High, []string{"y", "enter"}, 0},
		{"high: the name", action.High, append(split("web"), "enter"), 1},
		{"high: the context is not it", action.High, append(split("prod"), "enter"), 0},
		{"highest: the name is not enough", action.Highest, append(split("web"), "enter"), 0},
		{"highest: the context", action.Highest, append(split("prod"), "enter"), 1},
		{"low: enter", action.Low, []string{"enter"}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var ran []string
			press(dialog.NewConfirm(asked(tt.risk, &ran), "prod"), tt.keys...)
			if len(ran) != tt.runs {
				t.Errorf("keys %v ran the action %d times, want %d", tt.keys, len(ran), tt.runs)
			}
		})
	}
}

func TestHeldKeyConfirmsNothing(t *testing.T) {
	var ran []string
	d := dialog.NewConfirm(asked(action.Medium, &ran), "prod")
	k := key("y")
	k.IsRepeat = true
	if _, done := d.Update(k); done || len(ran) > 0 {
		t.Error("a repeated key confirmed")
	}
}

func TestReasonIsGivenAndTakenBack(t *testing.T) {
	var ran []string
	d := dialog.NewConfirm(asked(action.Medium, &ran), "prod")
	press(d, "r", "x", "y", "enter", "y")
	if len(ran) != 1 || ran[0] != "xy" {
		t.Errorf("ran with %q, want the reason xy", ran)
	}
	ran = nil
	d = dialog.NewConfirm(asked(action.Medium, &ran), "prod")
	if press(d, "r", "x", "esc") {
		t.Fatal("esc in the reason closed the dialog")
	}
	press(d, "y")
	if len(ran) != 1 || ran[0] != "" {
		t.Errorf("ran with %q, want no reason", ran)
	}
	ran = nil
	d = dialog.NewConfirm(asked(action.High, &ran), "prod")
	press(d, "w", "e", "b", "tab", "o", "k", "enter")
	if len(ran) != 1 || ran[0] != "ok" {
		t.Errorf("ran with %q, want the reason ok", ran)
	}
}

func TestLateDialogIgnoresKeysInFlight(t *testing.T) {
	now := time.Unix(1000, 0)
	s := dialog.Stack{Now: func() time.Time { return now }}
	var ran []string
	s.PushLate(dialog.NewConfirm(asked(action.Medium, &ran), "prod"))
	now = now.Add(300 * time.Millisecond)
	s.Update(key("y"))
	if len(ran) != 0 || s.Empty() {
		t.Fatal("a key in flight confirmed a dialog that came by itself")
	}
	now = now.Add(300 * time.Millisecond)
	s.Update(key("y"))
	if len(ran) != 1 || !s.Empty() {
		t.Errorf("a later key ran it %d times, and the stack is empty: %v", len(ran), s.Empty())
	}
}

func TestPromptRefusesWithTheReason(t *testing.T) {
	var got string
	p := &dialog.Prompt{
		Title: safe.Literal("Scale web"), Label: safe.Literal("Instances:"), Help: safe.Literal("0 stops it."), Field: line.New("3"),
		Check: func(s string) error {
			if s != "5" {
				return errors.New("give a number from 0 to 100")
			}
			return nil
		},
		Done: func(s string) tea.Cmd { got = s; return nil },
	}
	if press(p, "x", "enter") || got != "" {
		t.Fatal("a wrong value was taken")
	}
	if box := p.Box(dark(t), 60, 20); !strings.Contains(strings.Join(box.Lines, "\n"), "from 0 to 100") {
		t.Errorf("the reason is not shown: %q", box.Lines)
	}
	if !press(p, "backspace", "backspace", "5", "enter") || got != "5" {
		t.Errorf("got %q, want 5", got)
	}
}

func TestLongMessageScrolls(t *testing.T) {
	m := &dialog.Message{Title: safe.Literal("keys")}
	for range 50 {
		m.Lines = append(m.Lines, safe.Literal("a line"))
	}
	m.Lines = append(m.Lines, safe.Literal("the last line"))
	text := func() string { return strings.Join(m.Box(dark(t), 40, 10).Lines, "\n") }
	if strings.Contains(text(), "the last") {
		t.Fatal("50 lines fit in 10")
	}
	for range 60 {
		press(m, "j")
	}
	if !strings.Contains(text(), "the last line") {
		t.Errorf("the last line cannot be reached:\n%s", text())
	}
}

func TestOverlayKeepsTheScreenAround(t *testing.T) {
	th := dark(t)
	screen := make([]string, 12)
	for i := range screen {
		screen[i] = strings.Repeat("日本", 15)
	}
	var ran []string
	s := dialog.Stack{}
	s.Push(dialog.NewConfirm(asked(action.High, &ran), "prod"))
	cursor := s.Draw(th, screen, 60, 12)
	if cursor == nil {
		t.Fatal("a field without a cursor")
	}
	for i, l := range screen {
		if got := ansi.StringWidth(l); got > 60 {
			t.Errorf("line %d is %d wide: %q", i, got, ansi.Strip(l))
		}
	}
	golden.RequireEqual(t, strings.Join(screen, "\n")+"\n")
}

func TestBrokenHelpLineStandsIn(t *testing.T) {
	m := &dialog.Message{Indent: 6, Lines: []safe.Text{safe.Literal("/     filter rows by words that must be there")}}
	got := m.Box(dark(t), 30, 10).Lines
	if len(got) < 2 || got[0] != "/     filter rows by words" || got[1] != "      that must be there" {
		t.Errorf("Lines = %q, want the second row under the first's words", got)
	}
}

func TestNoTwoKeysOfAQuestionSayTheSame(t *testing.T) {
	var ran []string
	a := asked(action.Medium, &ran)
	a.Label = safe.Literal("cancel")
	lines := strings.Join(dialog.NewConfirm(a, "prod").Box(dark(t), 60, 20).Lines, "\n")
	if got := ansi.Strip(lines); !strings.Contains(got, "y cancel") || !strings.Contains(got, "esc leave it") {
		t.Errorf("the keys are\n%s\nwant y cancel and esc leave it", got)
	}
}

func TestWhatIsTypedFirstReplacesWhatStoodThere(t *testing.T) {
	got := ""
	prompt := func() *dialog.Prompt {
		return &dialog.Prompt{Field: line.New("3"), Done: func(s string) tea.Cmd { got = s; return nil }}
	}
	press(prompt(), "1", "2", "enter")
	if got != "12" {
		t.Errorf("12 over 3 gives %q", got)
	}
	p := prompt()
	p.Update(tea.KeyPressMsg{Code: tea.KeyEnd})
	press(p, "0", "enter")
	if got != "30" {
		t.Errorf("0 after 3 gives %q, want 30: moving keeps what stands there", got)
	}
}
