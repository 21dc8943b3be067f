package main

import (
	"regexp"
	"testing"
)

// The main flow, as a newcomer goes it: from the first frame to the failing
// app, its last error, its log, a restart and its receipt, in twelve keys.
const mostKeys = 12

func TestNewcomerFindsAndRestartsTheFailingApp(t *testing.T) {
	state := shortState(t)
	s := newScreen(t, state, 80, 24, "--demo", "--http", freeAddress(t))
	s.mainFlow()

	// The same from a second terminal, attached to the first.
	second := newScreen(t, state, 160, 50)
	second.mainFlow()

	// The second leaves and the first is still there.
	second.press("q")
	second.see(`left with 0`)
	s.press("Escape")
	s.see(`flaky`)

	// Leaving a demo asks, and stops it by default.
	s.press("q")
	s.see(`(?i)stop the demo`)
	s.press("Enter")
	s.see(`left with 0`)
	if (stateFolder{state}).owned() {
		t.Error("after leaving and stopping the demo a server still owns the state folder")
	}
}

// mainFlow goes from the first frame to the receipt of a restart.
func (s *screen) mainFlow() {
	s.t.Helper()
	s.keys = 0
	// The failing app is on the first row, with its last words.
	first := s.see(`flaky.*(crash|fail|restart|exit|panic)`)
	rows := regexp.MustCompile(`(?m)^.*\b(flaky|leaky|web|chat|worker)\b.*$`).FindAllString(first, 1)
	if len(rows) == 0 || !regexp.MustCompile(`flaky|leaky`).MatchString(rows[0]) {
		s.t.Fatalf("the first row is not of a failing app:\n%s", first)
	}
	s.see(`flaky.*panic`)
	if !regexp.MustCompile(`flaky`).MatchString(rows[0]) {
		s.press("/", "f", "l", "a", "k", "Enter")
	}
	s.press("l")
	s.see(`panic: assignment to entry in nil map`)
	s.press("R")
	s.see(`(?i)restart flaky`)
	s.press("y")
	s.see(`restart flaky.*(✓|✗|…)`)
	if s.keys > mostKeys {
		s.t.Errorf("the flow took %d keys, want at most %d", s.keys, mostKeys)
	}
}
