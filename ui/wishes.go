package ui

import (
	"sync"

	tea "charm.land/bubbletea/v2"
)

// wishes are what views have asked of the Shell through their Deps. They are
// granted at the end of the Update in which they were asked, or, when a command
// asked, in the one that its message wakes.
type wishes struct {
	mu   sync.Mutex
	msgs []tea.Msg
}

// wished wakes the Shell.
type wished struct{}

// add notes a wish.
func (w *wishes) add(msg tea.Msg) tea.Cmd {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.msgs = append(w.msgs, msg)
	return func() tea.Msg { return wished{} }
}

// take returns the wishes that have not been granted.
func (w *wishes) take() []tea.Msg {
	w.mu.Lock()
	defer w.mu.Unlock()
	msgs := w.msgs
	w.msgs = nil
	return msgs
}
