package ui_test

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"pitwall/ui"
)

// patience bounds a failure, not a success.
const patience = time.Minute

// screen is a terminal's output that can be looked at meanwhile.
type screen struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

func (s *screen) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Len()
}

// await waits until what was written has a text.
func (s *screen) await(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		found := bytes.Contains([]byte(ansi.Strip(s.all.String())), []byte(text))
		s.mu.Unlock()
		if found {
			return
		}
	}
	t.Fatalf("%q was not written within %s", text, patience)
}

// rest waits until nothing is written for longer than a second, so that
// nothing is drawn by a clock.
func (s *screen) rest(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		before := s.len()
		time.Sleep(1300 * time.Millisecond) // the quiet that is looked at, not one that is waited for
		if s.len() == before {
			return
		}
	}
	t.Fatalf("the console does not come to rest within %s", patience)
}

// start runs a console on pipes and returns its keyboard, its screen, and what
// it ends with.
func start(t *testing.T, ctx context.Context, o ui.Options) (io.Writer, *screen, <-chan ui.Result) {
	t.Helper()
	in, keys := io.Pipe()
	out := &screen{}
	ended := make(chan ui.Result, 1)
	go func() {
		defer in.Close()
		r, err := ui.Run(ctx, ui.Terminal{
			In: in, Out: out, Env: []string{"TERM=xterm-256color"}, Width: 100, Height: 30,
		}, o)
		if err != nil && ctx.Err() == nil {
			t.Errorf("Run() = %v", err)
		}
		ended <- r
	}()
	t.Cleanup(func() { keys.Close() })
	return keys, out, ended
}

func TestRunningConsoleIsQuietAndLeaves(t *testing.T) {
	o := ui.Options{Backend: sample(), Views: []ui.Spec{appsSpec(), aboutSpec(nil)}}
	keys, out, ended := start(t, t.Context(), o)
	out.await(t, "flaky")
	out.rest(t)
	if _, err := io.WriteString(keys, "q"); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-ended:
		if r.Apps != 2 {
			t.Errorf("Result = %+v, want 2 apps that keep running", r)
		}
	case <-time.After(patience):
		t.Fatal("q does not leave")
	}
}

func TestEndOfTheContextEndsTheConsole(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := ui.Options{Backend: sample(), Views: []ui.Spec{appsSpec(), aboutSpec(nil)}}
	_, out, ended := start(t, ctx, o)
	out.await(t, "flaky")
	cancel()
	select {
	case r := <-ended:
		if r.Apps != 2 || r.Place.View != "apps" {
			t.Errorf("Result = %+v, want what keeps running and where the operator was", r)
		}
	case <-time.After(patience):
		t.Fatal("the console goes on after its context has ended")
	}
}
