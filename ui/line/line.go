// Package line is an editor for one line of text: the field of a prompt, a
// filter or a palette.
package line

import (
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

// maxLen is more than anyone types; a paste is cut there.
const maxLen = 4096

// Editor holds a line and a cursor. The zero Editor is empty. What is typed or
// pasted into it loses its control characters and line breaks.
type Editor struct {
	text []rune
	pos  int // the cursor is before text[pos]
}

// New returns an editor with a text, the cursor at its end.
func New(text string) Editor {
	var e Editor
	e.Insert(text)
	return e
}

// Value returns the text.
func (e *Editor) Value() string { return string(e.text) }

// Set replaces the text and puts the cursor at its end.
func (e *Editor) Set(text string) { e.text, e.pos = e.text[:0], 0; e.Insert(text) }

// Insert puts text at the cursor.
func (e *Editor) Insert(text string) {
	in := make([]rune, 0, len(text))
	for _, r := range text {
		switch {
		case len(e.text)+len(in) >= maxLen:
		case r == '\n' || r == '\t':
			in = append(in, ' ')
		case unicode.IsPrint(r):
			in = append(in, r)
		}
	}
	e.text = append(e.text[:e.pos:e.pos], append(in, e.text[e.pos:]...)...)
	e.pos += len(in)
}

// Update takes a key or a paste and reports whether the text has changed and
// whether the key was one for an editor.
func (e *Editor) Update(msg tea.Msg) (changed, used bool) {
	switch msg := msg.(type) {
	case tea.PasteMsg:
		before := len(e.text)
		e.Insert(strings.TrimRight(msg.Content, "\r\n"))
		return len(e.text) != before, true
	case tea.KeyPressMsg:
		if msg.Text != "" && msg.Mod&(tea.ModCtrl|tea.ModAlt) == 0 {
			before := len(e.text)
			e.Insert(msg.Text)
			return len(e.text) != before, true
		}
		return e.key(msg.String())
	}
	return false, false
}

func (e *Editor) key(k string) (changed, used bool) {
	before := len(e.text)
	switch k {
	case "left":
		e.pos = max(0, e.pos-1)
	case "right":
		e.pos = min(len(e.text), e.pos+1)
	case "home", "ctrl+a":
		e.pos = 0
	case "end", "ctrl+e":
		e.pos = len(e.text)
	case "backspace", "ctrl+h":
		e.cut(e.pos-1, e.pos)
	case "delete":
		e.cut(e.pos, e.pos+1)
	case "ctrl+w", "alt+backspace":
		e.cut(e.wordStart(), e.pos)
	case "ctrl+u":
		e.cut(0, e.pos)
	case "ctrl+k":
		e.cut(e.pos, len(e.text))
	default:
		return false, false
	}
	return len(e.text) != before, true
}

// cut removes the runes from i up to j, as far as there are any.
func (e *Editor) cut(i, j int) {
	i, j = max(i, 0), min(j, len(e.text))
	if i >= j {
		return
	}
	e.text = append(e.text[:i], e.text[j:]...)
	e.pos = i
}

func (e *Editor) wordStart() int {
	i := e.pos
	for i > 0 && e.text[i-1] == ' ' {
		i--
	}
	for i > 0 && e.text[i-1] != ' ' {
		i--
	}
	return i
}

// View draws the line in width cells, in a style, so that the cursor can be
// seen, and returns the cursor's cell.
func (e *Editor) View(width int, style theme.Style) (text string, cursor int) {
	if width <= 0 {
		return "", 0
	}
	all := safe.Clean(string(e.text))
	at := ansi.StringWidth(safe.Clean(string(e.text[:e.pos])).String())
	left := max(0, at-width+1)
	shown := all.Cut(left, left+width)
	pad := strings.Repeat(" ", max(0, width-shown.Width()))
	return style.Render(shown.String() + pad), at - left
}
