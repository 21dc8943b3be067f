package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The main flow, as a newcomer goes it: from the first frame to the failing
// app, its last error, its log, a restart and its receipt, in twelve keys.
const mostKeys = 12

// reading is how long a person looks at a question before answering it.
const reading = time.Second

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
	s.see(`APP +(TEAM|STATE)`)

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
	// A failing app is on the first row, and flaky says why it fails.
	first := s.see(`(?s)LAST WORDS[^\n]*\n.✗.*✗? flaky[^\n]*exit 2 "pan`)
	if !regexp.MustCompile(`▸✗ flaky`).MatchString(first) {
		s.press("/", "f", "l", "a", "k", "Enter")
		s.see(`▸✗ flaky`)
	}
	s.press("l")
	s.see(`panic: assignment to entry in nil map`)
	s.press("R")
	s.see(`Restart flaky\?`)
	time.Sleep(reading) // keys that come faster than a reader are not taken for an answer
	s.press("y")
	s.see(`restart flaky.*(✓|✗|…)`)
	if s.keys > mostKeys {
		s.t.Errorf("the flow took %d keys, want at most %d", s.keys, mostKeys)
	}
}

// sleeping is a manifest of one app that does nothing.
const sleeping = `
apps:
  sleepy:
    processes: {main: {command: "echo good morning; exec sleep 3600"}}
`

// The console over loopback TCP, with the token, from a machine that has no
// state folder of its own.
func TestConsoleOverTCP(t *testing.T) {
	p := newPit(t)
	addr := freeAddress(t)
	p.serve("--listen", addr)
	p.apply(sleeping)
	token, err := os.ReadFile(filepath.Join(p.state, tokenFile))
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"PITWALL_TOKEN=" + strings.TrimSpace(string(token))}
	s := newScreenWith(t, env, filepath.Join(t.TempDir(), "none"), 100, 30, "--server", "http://"+addr)
	s.see(`sleepy.*running`)
	s.press("l")
	s.see(`good morning`)
	s.press("q")
	s.see(`left with 0`)

	refused := newScreenWith(t, []string{"PITWALL_TOKEN=wrong"}, filepath.Join(t.TempDir(), "none"), 100, 30, "--server", "http://"+addr)
	refused.see(`(?i)token`)
}
