package ui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"pitwall/ui/safe"
)

// alive is how many views of the history go on living. Those below are closed
// and opened anew on the way back, without their cursor.
const alive = 12

// entry is a place in the history.
type entry struct {
	place Place
	view  View // nil when it was closed to save its feeds
	stop  context.CancelFunc
	w, h  int

	beside *entry // the companion, nil without one
	wanted Place  // what the companion should be
	onSide bool   // the companion has the focus
}

func (e *entry) close() {
	if e.beside != nil {
		e.beside.close()
		e.beside = nil
	}
	if e.view != nil {
		e.view.Close()
		e.stop()
		e.view = nil
	}
}

// views are those of the entry that are open.
func (e *entry) views() []View {
	var out []View
	if e.view != nil {
		out = append(out, e.view)
	}
	if e.beside != nil && e.beside.view != nil {
		out = append(out, e.beside.view)
	}
	return out
}

// resize tells the view its size, if it is another.
func (e *entry) resize(w, h int) {
	if e.view != nil && (e.w != w || e.h != h) {
		e.w, e.h = w, h
		e.view.SetSize(w, h)
	}
}

func (s *Shell) spec(name string) (Spec, bool) {
	for _, sp := range s.o.Views {
		if sp.Name == name {
			return sp, true
		}
	}
	return Spec{}, false
}

// open makes the view of a place.
func (s *Shell) open(p Place) (*entry, tea.Cmd) {
	sp, ok := s.spec(p.View)
	if !ok {
		s.notice = Notice{Text: safe.Clean("there is no view " + p.View), Bad: true}
		return nil, nil
	}
	ctx, stop := context.WithCancel(s.ctx)
	e := &entry{place: p, stop: stop, w: -1, h: -1}
	e.view = sp.Open(s.deps, p)
	cmd := e.view.Init(ctx)
	if st, ok := e.view.(Staler); ok && s.link.stale() {
		st.SetStale(true)
	}
	return e, cmd
}

// top is the entry on the screen; nil before the first.
func (s *Shell) top() *entry {
	if len(s.stack) == 0 {
		return nil
	}
	return s.stack[len(s.stack)-1]
}

// focused is the view that has the keys; nil before the first.
func (s *Shell) focused() View {
	t := s.top()
	switch {
	case t == nil:
		return nil
	case t.onSide && t.beside != nil && s.splits():
		return t.beside.view
	}
	return t.view
}

// push goes to a place. One that is in the history already is gone back to,
// with its cursor as it was left.
func (s *Shell) push(p Place) tea.Cmd {
	for i, e := range s.stack {
		if e.place == p {
			return s.cutBack(i)
		}
	}
	e, cmd := s.open(p)
	if e == nil {
		return nil
	}
	if t := s.top(); t != nil {
		s.closeCompanion(t) // it is opened again on the way back
	}
	s.stack = append(s.stack, e)
	if n := len(s.stack) - alive; n > 0 && s.stack[n].view != nil {
		s.stack[n].close() // the first place of all stays alive
	}
	s.setFocus()
	return cmd
}

// cutBack closes what is above an entry and shows it.
func (s *Shell) cutBack(i int) tea.Cmd {
	for _, e := range s.stack[i+1:] {
		e.close()
	}
	s.stack = s.stack[:i+1]
	t := s.top()
	var cmd tea.Cmd
	if t.view == nil {
		var e *entry
		if e, cmd = s.open(t.place); e != nil {
			s.stack[i] = e
		}
	}
	s.setFocus()
	return cmd
}

// back goes to the place before; at the first one it stays.
func (s *Shell) back() tea.Cmd {
	if len(s.stack) < 2 {
		return nil
	}
	return s.cutBack(len(s.stack) - 2)
}

func (s *Shell) setFocus() {
	t := s.top()
	if t == nil {
		return
	}
	set := func(v View, on bool) {
		if f, ok := v.(Focused); ok {
			f.SetFocus(on)
		}
	}
	set(t.view, !t.onSide)
	if t.beside != nil {
		set(t.beside.view, t.onSide)
	}
}

// settleTime is how long a selection must rest before its companion is opened,
// so that going through a list does not open a feed for each row.
const settleTime = 150 * time.Millisecond

type companionMsg struct {
	of    *entry
	place Place
}

// companion opens, changes or closes what is shown beside the view.
func (s *Shell) companion() tea.Cmd {
	t := s.top()
	if t == nil {
		return nil
	}
	place, ok := Place{}, false
	if c, is := t.view.(Companion); is && s.splits() {
		place, ok = c.Companion()
	}
	if !ok {
		s.closeCompanion(t)
		return nil
	}
	if place == t.wanted {
		return nil
	}
	t.wanted = place
	msg := companionMsg{t, place}
	if t.beside == nil {
		return s.openCompanion(msg)
	}
	return tea.Tick(settleTime, func(time.Time) tea.Msg { return msg })
}

func (s *Shell) closeCompanion(t *entry) {
	t.wanted = Place{}
	if t.beside == nil {
		return
	}
	t.beside.close()
	t.beside = nil
	t.onSide = false
	s.setFocus()
}

// openCompanion opens the companion, if it is still the one that is wanted.
func (s *Shell) openCompanion(msg companionMsg) tea.Cmd {
	t := msg.of
	if t != s.top() || t.wanted != msg.place || !s.splits() {
		return nil
	}
	e, cmd := s.open(msg.place)
	if e == nil {
		return nil
	}
	if t.beside != nil {
		t.beside.close()
	}
	t.beside = e
	s.setFocus()
	return cmd
}

// broadcast gives a message to all open views.
func (s *Shell) broadcast(msg tea.Msg) tea.Cmd {
	var cmds []tea.Cmd
	for _, e := range s.stack {
		for _, v := range e.views() {
			cmds = append(cmds, v.Update(msg))
		}
	}
	return tea.Batch(cmds...)
}
