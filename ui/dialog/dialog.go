// Package dialog is what lies over the screen until it is answered: questions
// before an action, prompts, and messages that must be read.
package dialog

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

// Dialog is one of them. The top of the stack gets all keys and pastes.
type Dialog interface {
	// Update takes a key press, a paste or a wheel message. Done closes the
	// dialog; cmd is what to do then or meanwhile.
	Update(msg tea.Msg) (cmd tea.Cmd, done bool)
	// Box draws the dialog's inside in at most width × height cells.
	Box(th *theme.Theme, width, height int) Box
}

// Box is the inside of a dialog.
type Box struct {
	Title safe.Text
	// Bad draws the title as an error.
	Bad   bool
	Lines []string
	// Cursor is the cursor's cell in Lines; nil hides it.
	Cursor *Cell
}

// Cell is a position from the top left.
type Cell struct{ X, Y int }

// The time during which a new dialog ignores keys. One that a key opened only
// guards against a burst, such as text pasted into the wrong window; one that
// came by itself also against what the operator was typing.
const (
	burst = 30 * time.Millisecond
	grace = 400 * time.Millisecond
)

// Stack holds the open dialogs. The zero Stack is empty and takes the time
// from the clock.
type Stack struct {
	// Now is the time; nil means the clock.
	Now func() time.Time

	open []entry
}

type entry struct {
	Dialog
	deaf time.Time // keys before it are not for the dialog
}

// Push opens a dialog that a key press asked for. What is typed ahead reaches
// it, unless a single letter of it would confirm something.
func (s *Stack) Push(d Dialog) {
	var deaf time.Duration
	if l, ok := d.(oneLetter); ok && l.oneLetter() {
		deaf = burst
	}
	s.push(d, deaf)
}

// oneLetter is a Dialog in which one key can be enough.
type oneLetter interface{ oneLetter() bool }

// PushLate opens a dialog that came by itself.
func (s *Stack) PushLate(d Dialog) { s.push(d, grace) }

func (s *Stack) push(d Dialog, deaf time.Duration) {
	s.open = append(s.open, entry{d, s.now().Add(deaf)})
}

func (s *Stack) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// Empty reports whether no dialog is open.
func (s *Stack) Empty() bool { return len(s.open) == 0 }

// typed is a Dialog whose keys are letters of a text, now or always.
type typed interface{ Typing() bool }

// Typing reports whether the top dialog is being typed into.
func (s *Stack) Typing() bool {
	if s.Empty() {
		return false
	}
	t, ok := s.open[len(s.open)-1].Dialog.(typed)
	return ok && t.Typing()
}

// Clear closes all dialogs, answering none.
func (s *Stack) Clear() { s.open = nil }

// Update gives a message to the top dialog.
func (s *Stack) Update(msg tea.Msg) tea.Cmd {
	if s.Empty() {
		return nil
	}
	top := len(s.open) - 1
	if s.now().Before(s.open[top].deaf) {
		return nil
	}
	d := s.open[top].Dialog
	cmd, done := d.Update(msg)
	if done && top < len(s.open) && s.open[top].Dialog == d {
		s.open = append(s.open[:top], s.open[top+1:]...)
	}
	return cmd
}

// Draw lays the dialogs over a screen, whose lines it changes, and returns the
// cursor of the top one.
func (s *Stack) Draw(th *theme.Theme, screen []string, width, height int) *Cell {
	var cursor *Cell
	for _, d := range s.open {
		inW, inH := max(1, min(76, width-6)), max(1, height-4)
		b := d.Box(th, inW, inH)
		cursor = Overlay(th, screen, b, width, height)
	}
	return cursor
}

// Overlay draws a box with its frame in the middle of the screen and returns
// where its cursor is.
func Overlay(th *theme.Theme, screen []string, b Box, width, height int) *Cell {
	inner := b.Title.Width() + 2
	for _, l := range b.Lines {
		inner = max(inner, ansi.StringWidth(l))
	}
	inner = min(inner, max(0, width-4))
	rows := frame(th, b, inner)
	if len(rows) > height {
		rows = rows[:max(height, 0)]
	}
	x, y := max(0, (width-inner-4)/2), max(0, (height-len(rows))/3)
	for i, row := range rows {
		if y+i < len(screen) {
			screen[y+i] = place(screen[y+i], row, x, inner+4, width)
		}
	}
	if b.Cursor == nil || b.Cursor.Y+1 >= len(rows) {
		return nil
	}
	return &Cell{min(x+2+b.Cursor.X, max(width-1, 0)), y + 1 + b.Cursor.Y}
}

// frame draws the border around a box.
func frame(th *theme.Theme, b Box, inner int) []string {
	g := th.Glyphs
	under := th.Dialog
	style := th.Title
	if b.Bad {
		style = th.DialogBad
	}
	title := b.Title.Truncate(max(0, inner-2), g.Ellipsis)
	head := th.Rule.Over(under).Render(g.TopLeft.String() + g.Rule.String() + " ")
	head += style.Over(under).Render(title.String())
	head += th.Rule.Over(under).Render(" " + repeat(g.Rule, inner-title.Width()-1) + g.TopRight.String())
	rows := []string{head}
	side := th.Rule.Over(under).Render(g.Bar.String())
	for _, l := range b.Lines {
		l = ansi.Truncate(l, inner, g.Ellipsis.String())
		pad := strings.Repeat(" ", max(0, inner-ansi.StringWidth(l)))
		// Resets inside the line must come back to the dialog's own style.
		l = strings.ReplaceAll(l, "\x1b[m", "\x1b[m"+under.Start())
		rows = append(rows, side+under.Render(" "+l+pad+" ")+side)
	}
	return append(rows, th.Rule.Over(under).Render(g.BottomLeft.String()+repeat(g.Rule, inner+2)+g.BottomRight.String()))
}

func repeat(t safe.Text, n int) string { return strings.Repeat(t.String(), max(n, 0)) }

// place puts row, w cells wide, over line at x.
func place(line, row string, x, w, width int) string {
	left := ansi.Truncate(line, x, "")
	left += strings.Repeat(" ", max(0, x-ansi.StringWidth(left)))
	right := ""
	if x+w < width {
		right = ansi.TruncateLeft(line, x+w, "")
		if ansi.StringWidth(right) > ansi.StringWidth(line)-x-w {
			// A wide character lies under the edge: half of it is left.
			right = " " + ansi.TruncateLeft(line, x+w+1, "")
		}
	}
	return left + "\x1b[m" + row + right
}

// Wrap breaks a text at spaces into lines of at most width cells.
func Wrap(t safe.Text, width int) []safe.Text {
	var out []safe.Text
	for _, l := range strings.Split(ansi.Wrap(t.Plain().String(), max(width, 1), ""), "\n") {
		out = append(out, safe.Clean(l))
	}
	return out
}
