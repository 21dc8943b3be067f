package line_test

import (
	"testing"

	tea "charm.land/bubbletea/v2"

	"pitwall/ui/line"
	"pitwall/ui/theme"
)

func TestEditing(t *testing.T) {
	left := tea.KeyPressMsg{Code: tea.KeyLeft}
	back := tea.KeyPressMsg{Code: tea.KeyBackspace}
	word := tea.KeyPressMsg{Code: 'w', Mod: tea.ModCtrl}
	tests := []struct {
		name, start string
		msgs        []tea.Msg
		want        string
	}{
		{"typing", "", []tea.Msg{tea.KeyPressMsg{Code: 'a', Text: "a"}, tea.KeyPressMsg{Code: 'B', Text: "B"}}, "aB"},
		{"insert in the middle", "ac", []tea.Msg{left, tea.KeyPressMsg{Code: 'b', Text: "b"}}, "abc"},
		{"backspace", "abc", []tea.Msg{back}, "ab"},
		{"backspace at the start", "", []tea.Msg{back}, ""},
		{"a word", "one two  ", []tea.Msg{word}, "one "},
		{"a paste loses controls", "", []tea.Msg{tea.PasteMsg{Content: "a\x1b[2Jb\nc\u202e\n"}}, "a[2Jb c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := line.New(tt.start)
			for _, m := range tt.msgs {
				e.Update(m)
			}
			if got := e.Value(); got != tt.want {
				t.Errorf("Value() = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestViewKeepsTheCursorInside(t *testing.T) {
	e := line.New("0123456789")
	text, cursor := e.View(4, theme.Style{})
	if text != "789 " || cursor != 3 {
		t.Errorf("View(4) = %q, %d; want %q, 3", text, cursor, "789 ")
	}
	if text, _ := e.View(0, theme.Style{}); text != "" {
		t.Errorf("View(0) = %q, want nothing", text)
	}
}
