package theme_test

import (
	"strings"
	"testing"

	"pitwall/assets"
	"pitwall/ui/theme"
)

func TestBuiltInThemesParse(t *testing.T) {
	for _, light := range []bool{false, true} {
		th, err := theme.New(assets.Themes, theme.Options{Light: light})
		if err != nil {
			t.Fatalf("New(light=%v) = %v", light, err)
		}
		for _, s := range []theme.Style{th.OK, th.Warn, th.Bad, th.Blocked, th.Selected, th.Match, th.Levels[5]} {
			if s.Zero() {
				t.Errorf("light=%v: a style that carries meaning is plain", light)
			}
		}
	}
}

func TestNoColorKeepsEmphasis(t *testing.T) {
	th, err := theme.New(assets.Themes, theme.Options{NoColor: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]theme.Style{"ok": th.OK, "warn": th.Warn, "dim": th.Dim} {
		if !s.Zero() {
			t.Errorf("%s = %q without colour, want plain", name, s.Start())
		}
	}
	if got, want := th.Selected.Render("x"), "\x1b[7mx\x1b[m"; got != want {
		t.Errorf("selected = %q, want %q", got, want)
	}
	if got, want := th.Bad.Render("x"), "\x1b[1mx\x1b[m"; got != want {
		t.Errorf("bad = %q, want %q", got, want)
	}
}

func TestParseStyle(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", "x"},
		{"bold", "\x1b[1mx\x1b[m"},
		{"red", "\x1b[31mx\x1b[m"},
		{"bold 203", "\x1b[1;38;5;203mx\x1b[m"},
		{"#ff8000 on 237", "\x1b[38;2;255;128;0;48;5;237mx\x1b[m"},
	}
	for _, tt := range tests {
		s, err := theme.ParseStyle(tt.in)
		if err != nil {
			t.Errorf("ParseStyle(%q) = %v", tt.in, err)
		}
		if got := s.Render("x"); got != tt.want {
			t.Errorf("ParseStyle(%q) renders %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestParseRefusesWithASentence(t *testing.T) {
	for in, want := range map[string]string{
		"styles: {nosuch: red}":     `there is no style "nosuch"`,
		"styles: {ok: mauvish}":     `"mauvish" is no colour`,
		"styles: {ok: '#12'}":       `colour "#12" is not #rrggbb`,
		"styles: {ok: 'on'}":        `a colour must follow "on"`,
		"styles: [1":                "parse theme",
		"instances: [red, nothing]": `"nothing" is no colour`,
	} {
		_, err := theme.Parse([]byte(in), theme.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, want it to say %q", in, err, want)
		}
	}
}

func TestEveryStateHasItsOwnGlyph(t *testing.T) {
	for _, ascii := range []bool{false, true} {
		th := theme.Plain(theme.Options{ASCII: ascii})
		seen := map[string]theme.State{}
		for _, s := range []theme.State{theme.Running, theme.Starting, theme.Stopped, theme.Blocked, theme.Degraded, theme.Failed} {
			m := th.Mark(s)
			if m.Glyph.Width() != 1 {
				t.Errorf("Mark(%v) is %d cells wide, want 1", s, m.Glyph.Width())
			}
			if other, ok := seen[m.Glyph.String()]; ok {
				t.Errorf("Mark(%v) looks like Mark(%v)", s, other)
			}
			seen[m.Glyph.String()] = s
			if ascii && m.Glyph.String()[0] >= 0x80 {
				t.Errorf("Mark(%v) = %q is not ASCII", s, m.Glyph)
			}
		}
	}
}

func TestInstanceStyleIsStable(t *testing.T) {
	th, err := theme.New(assets.Themes, theme.Options{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := theme.New(assets.Themes, theme.Options{})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[theme.Style]bool{}
	for _, name := range []string{"main.0", "main.1", "main.2", "web.0", "web.1", "worker.0"} {
		if th.Instance(name) != again.Instance(name) {
			t.Errorf("Instance(%q) differs between two themes", name)
		}
		kinds[th.Instance(name)] = true
	}
	if len(kinds) < 3 {
		t.Errorf("six instances share %d styles", len(kinds))
	}
}
