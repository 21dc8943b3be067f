package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// screen is a real terminal, of tmux, that runs the real binary.
type screen struct {
	t      *testing.T
	socket string
	state  string
	env    []string // beside the terminal's own
	keys   int      // pressed so far
}

// newScreen opens a terminal of that size on a state folder. Everything that
// the folder's server runs is ended with the test.
func newScreen(t *testing.T, state string, columns, rows int, args ...string) *screen {
	t.Helper()
	return newScreenWith(t, nil, state, columns, rows, args...)
}

// newScreenWith is newScreen with variables of the environment.
func newScreenWith(t *testing.T, env []string, state string, columns, rows int, args ...string) *screen {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("SKIPPED, LOUDLY: tmux is not installed, so nothing looked at the screen")
	}
	s := &screen{t: t, state: state, env: env, socket: filepath.Join(t.TempDir(), "tmux")}
	s.open(columns, rows, args...)
	return s
}

// open starts the console in a terminal.
func (s *screen) open(columns, rows int, args ...string) {
	s.t.Helper()
	words := []string{"env", "-u", "PITWALL_SERVER", "TERM=xterm-256color", "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "HOME=" + filepath.Dir(s.state)}
	words = append(append(words, s.env...), binary, "--state", s.state)
	command := quoted(append(words, args...)) + `; echo "left with $?"; sleep 600`
	s.tmux("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(columns), "-y", fmt.Sprint(rows), "-s", "pitwall", command)
	s.tmux("set-option", "-g", "status", "off")
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("the screen at the end:\n%s", s.text())
		}
		_ = exec.Command("tmux", "-S", s.socket, "kill-server").Run() // this test's own
	})
}

func quoted(words []string) string {
	var b strings.Builder
	for _, w := range words {
		b.WriteString("'" + strings.ReplaceAll(w, "'", `'\''`) + "' ")
	}
	return b.String()
}

func (s *screen) tmux(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "tmux", append([]string{"-S", s.socket}, args...)...)
	cmd.Env = append(os.Environ(), "LANG=C.UTF-8", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// text is what is on the screen now.
func (s *screen) text() string {
	out, _ := exec.Command("tmux", "-S", s.socket, "capture-pane", "-p", "-t", "pitwall").Output()
	return string(out)
}

// press types keys, by tmux's names.
func (s *screen) press(keys ...string) {
	s.t.Helper()
	for _, k := range keys {
		s.tmux("send-keys", "-t", "pitwall", k)
		s.keys++
	}
}

// see waits until the screen matches the pattern and returns it.
func (s *screen) see(pattern string) string {
	s.t.Helper()
	want := regexp.MustCompile("(?m)" + pattern)
	deadline := time.Now().Add(patience)
	for {
		text := s.text()
		if want.MatchString(text) {
			return text
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the screen never showed %q, but\n%s", pattern, text)
		}
		time.Sleep(30 * time.Millisecond) // a poll, not a synchronisation
	}
}

// shortState returns a state folder with a path that leaves room on a screen.
func shortState(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pw")
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "state")
	t.Cleanup(func() {
		endServer(state)
		os.RemoveAll(dir)
	})
	return state
}
