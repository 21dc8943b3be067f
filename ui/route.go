package ui

import (
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"

	"pitwall/ui/action"
	"pitwall/ui/dialog"
	"pitwall/ui/safe"
)

// Escaper is a View that has something for esc to take back before the place
// is left: a filter, a search, marks.
type Escaper interface {
	// Escape takes it back and reports whether there was something.
	Escape() bool
}

// key gives a key press to whom it is for. Esc and a key that came in one read,
// as they do over a slow line, look like one key with alt; nothing here is on
// alt but what edits a text, so elsewhere they are the two keys they were.
func (s *Shell) key(key tea.KeyPressMsg) tea.Cmd {
	if key.Mod&tea.ModAlt == 0 || key.Code != tea.KeyEscape && s.typing() {
		return s.press(key)
	}
	key.Mod &^= tea.ModAlt
	if unicode.IsPrint(key.Code) && key.Mod&^tea.ModShift == 0 {
		if key.Mod&tea.ModShift != 0 {
			key.Code = unicode.ToUpper(key.Code)
		}
		key = tea.KeyPressMsg{Code: key.Code, Text: string(key.Code)}
	}
	first := s.press(tea.KeyPressMsg{Code: tea.KeyEscape})
	return tea.Batch(first, s.grant(), s.press(key))
}

// typing reports whether keys are letters of a text.
func (s *Shell) typing() bool {
	if !s.dialogs.Empty() {
		return s.dialogs.Typing()
	}
	return s.capturing()
}

// press gives one key to a dialog, a view that is typed into, or the action on
// it.
func (s *Shell) press(key tea.KeyPressMsg) tea.Cmd {
	again := s.canceled
	s.canceled = false
	s.notice = Notice{}
	s.receipts.sweep(true)
	name := key.String()
	switch {
	case !s.dialogs.Empty():
		return s.dialogs.Update(key)
	case s.capturing():
		return s.focused().Update(key)
	case name == "ctrl+c":
		return s.interrupt(again)
	}
	a, ok := action.ForKey(s.actions(), name)
	if !ok {
		return nil
	}
	return s.perform(a)
}

func (s *Shell) capturing() bool {
	v := s.focused()
	return v != nil && v.Capturing()
}

// interrupt is ctrl+c: it takes back what esc would, never leaves and never
// harms. Where there is nothing to take back it says so, then how to leave.
func (s *Shell) interrupt(again bool) tea.Cmd {
	if e, ok := s.focused().(Escaper); ok && e.Escape() {
		return s.focused().Update(RefreshMsg{})
	}
	s.canceled = true
	s.notice = Notice{Text: safe.Literal("nothing to cancel")}
	if again {
		s.notice.Text = safe.Join(safe.Literal(" "), safe.Literal("press"), s.keyOf("global.quit"), safe.Literal("to leave"))
	}
	return nil
}

// paste gives pasted text to what is typed into. Elsewhere it is dropped, so
// that no letter of it is taken for a key.
func (s *Shell) paste(msg tea.PasteMsg) tea.Cmd {
	switch {
	case !s.dialogs.Empty():
		return s.dialogs.Update(msg)
	case s.capturing():
		return s.focused().Update(msg)
	}
	return nil
}

// mouseMsg gives the mouse to the dialog or to the view under it.
func (s *Shell) mouseMsg(msg tea.MouseMsg) tea.Cmd {
	if !s.dialogs.Empty() {
		return s.dialogs.Update(msg)
	}
	t := s.top()
	if t == nil {
		return nil
	}
	m := msg.Mouse()
	g := s.geometry()
	e, y := t, m.Y-g.mainY
	if g.sideH > 0 && m.Y >= g.sideY {
		e, y = t.beside, m.Y-g.sideY
	}
	if e == nil || e.view == nil || y < 0 || y >= e.h {
		return nil
	}
	m.Y = y
	switch msg.(type) {
	case tea.MouseWheelMsg:
		return e.view.Update(tea.MouseWheelMsg(m))
	case tea.MouseClickMsg:
		t.onSide = e == t.beside
		s.setFocus()
		return e.view.Update(tea.MouseClickMsg(m))
	}
	return nil
}

// actions are those of the focused view, then the Shell's own, with their keys.
func (s *Shell) actions() []action.Action {
	var list []action.Action
	if v := s.focused(); v != nil {
		list = append(list, v.Actions()...)
	}
	return s.keymap.Bind(append(list, s.global()...))
}

func (s *Shell) keyOf(id string) safe.Text {
	if k := s.keymap.Keys(id); len(k) > 0 {
		return s.keyName(k[0])
	}
	return safe.Text{}
}

// keyName is how a key is written on the screen.
func (s *Shell) keyName(k string) safe.Text {
	switch k {
	case "enter":
		return s.theme.Glyphs.Enter
	case "up":
		return s.theme.Glyphs.Up
	case "down":
		return s.theme.Glyphs.Down
	}
	return safe.Clean(k)
}

// global are the Shell's own actions.
func (s *Shell) global() []action.Action {
	do := func(id string, title, label safe.Text, f func() tea.Cmd) action.Action {
		return action.Action{ID: id, Title: title, Label: label, Run: func(action.Input) tea.Cmd { return f() }}
	}
	l := safe.Literal
	back := do("global.back", l("back to where you came from"), safe.Text{}, s.escape)
	back.Hidden = true
	palette := do("global.palette", l("go to a view, a name or an action"), l("go to"), s.openPalette)
	palette.Hidden = true
	menu := do("global.menu", l("a menu of what can be done here"), safe.Text{}, s.openMenu)
	menu.Hidden = true
	focus := do("global.focus", l("between the list and what is beside it"), safe.Text{}, s.switchFocus)
	focus.Hidden = true
	focus.Enabled = func() (bool, safe.Text) {
		t := s.top()
		return t != nil && t.beside != nil, l("there is nothing beside it")
	}
	return []action.Action{
		palette, back, focus, menu,
		do("global.split", l("show or hide what is beside the list"), safe.Text{}, s.toggleSplit),
		do("global.mouse", l("leave the mouse to the terminal, or take it"), safe.Text{}, s.toggleMouse),
		s.copyAction(),
		do("global.redraw", l("draw the screen anew"), safe.Text{}, func() tea.Cmd { return tea.ClearScreen }),
		do("global.help", l("every key"), l("help"), s.openHelp),
		do("global.quit", l("leave; what runs keeps running"), l("leave"), s.quit),
	}
}

// escape takes one thing back: a filter, the focus beside, the place.
func (s *Shell) escape() tea.Cmd {
	if e, ok := s.focused().(Escaper); ok && e.Escape() {
		return s.focused().Update(RefreshMsg{})
	}
	if t := s.top(); t != nil && t.onSide {
		return s.switchFocus()
	}
	return s.back()
}

// copyAction puts what the focused view offers on the clipboard, by the
// terminal, so that it works over SSH too.
func (s *Shell) copyAction() action.Action {
	c, ok := s.focused().(Copier)
	none := safe.Literal("there is nothing here to copy")
	return action.Action{
		ID: "global.copy", Title: safe.Literal("copy the rows, the lines on the screen or the page"),
		Enabled: func() (bool, safe.Text) { return ok, none },
		Run: func(action.Input) tea.Cmd {
			what, lines := c.Copied()
			if len(lines) == 0 {
				return s.deps.Notify(Notice{Text: none})
			}
			return s.deps.Copy(what, strings.Join(lines, "\n")+"\n")
		},
	}
}

func (s *Shell) switchFocus() tea.Cmd {
	t := s.top()
	t.onSide = !t.onSide && t.beside != nil
	s.setFocus()
	return nil
}

func (s *Shell) toggleSplit() tea.Cmd {
	s.split = !s.split
	if s.split && !s.fits() {
		s.notice = Notice{Text: safe.Clean("a log beside the list needs " + splitNeeds)}
	}
	return nil
}

func (s *Shell) toggleMouse() tea.Cmd {
	s.mouse = !s.mouse
	s.notice = Notice{Text: safe.Literal("the mouse is the terminal's: select text with it")}
	if s.mouse {
		s.notice.Text = safe.Literal("the wheel scrolls and a click selects")
	}
	return nil
}

type leaveMsg struct{ value string }

// quit leaves, or asks how.
func (s *Shell) quit() tea.Cmd {
	if len(s.o.Leave) == 0 {
		return s.leave("")
	}
	d := &dialog.Choose{Title: safe.Literal("Leave?")}
	for i, l := range s.o.Leave {
		run := func() tea.Cmd { return func() tea.Msg { return leaveMsg{l.Value} } }
		d.Choices = append(d.Choices, dialog.Choice{Key: l.Key, Text: l.Text, Run: run})
		if i == 0 {
			d.Default = run
		}
	}
	s.dialogs.Push(d)
	return nil
}

// leave ends the program and notes what keeps running.
func (s *Shell) leave(value string) tea.Cmd {
	s.result = Result{Apps: s.counts.running, Instances: s.counts.ready, Leave: value}
	for _, r := range s.receipts.open {
		if !r.op.State.Ended() {
			s.result.Open = append(s.result.Open, r.op)
		}
	}
	if t := s.top(); t != nil {
		s.result.Place = t.place
	}
	return tea.Quit
}
