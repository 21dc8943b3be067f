//go:build figures

package main

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
)

// terminal is a pseudo terminal that a program writes to. Nothing is drawn:
// it notes what came and when.
type terminal struct {
	t     *testing.T
	cmd   *exec.Cmd
	file  *os.File
	began time.Time
	done  chan struct{}

	mu    sync.Mutex
	raw   strings.Builder
	last  time.Time
	news  chan struct{} // closed at the next bytes
	count int64
}

var (
	size80  = &pty.Winsize{Cols: 80, Rows: 24}
	size120 = &pty.Winsize{Cols: 120, Rows: 40}
)

func start(t *testing.T, size *pty.Winsize, name string, args ...string) *terminal {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "TERM=xterm-256color", "LANG=C.UTF-8"}
	s := &terminal{t: t, cmd: cmd, began: time.Now(), done: make(chan struct{}), news: make(chan struct{})}
	file, err := pty.StartWithSize(cmd, size)
	if err != nil {
		t.Fatal(err)
	}
	s.file = file
	go s.listen()
	t.Cleanup(s.end)
	return s
}

func (s *terminal) listen() {
	defer close(s.done)
	buf := make([]byte, 64<<10)
	for {
		n, err := s.file.Read(buf)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.last = time.Now()
		s.raw.Write(buf[:n])
		s.count += int64(n)
		close(s.news)
		s.news = make(chan struct{})
		s.mu.Unlock()
	}
}

// shows waits until all that came so far, without what only steers a
// terminal, is as wanted, and returns how long after the start that was.
func (s *terminal) shows(wanted func(string) bool) time.Duration {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		s.mu.Lock()
		text, at, news := ansi.Strip(s.raw.String()), s.last, s.news
		s.mu.Unlock()
		if wanted(text) {
			return at.Sub(s.began)
		}
		select {
		case <-news:
		case <-deadline:
			s.t.Fatalf("the screen never showed it, but %q", text)
		case <-s.done:
			s.t.Fatalf("the program ended and showed %q", text)
		}
	}
}

// settle waits until nothing has come for half a second.
func (s *terminal) settle() {
	for {
		s.mu.Lock()
		news := s.news
		s.mu.Unlock()
		select {
		case <-news:
		case <-time.After(500 * time.Millisecond):
			return
		}
	}
}

// send types keys.
func (s *terminal) send(keys string) {
	s.t.Helper()
	if _, err := s.file.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// read is how many bytes came.
func (s *terminal) read() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// end kills the program, which is this test's own, and with it a server in
// its process. It may be called again.
func (s *terminal) end() {
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()
	s.file.Close()
	<-s.done
}

// showing runs a program until its screen is as wanted and returns how long
// that took.
func showing(t *testing.T, size *pty.Winsize, wanted func(string) bool, name string, args ...string) time.Duration {
	t.Helper()
	s := start(t, size, name, args...)
	defer s.end()
	return s.shows(wanted)
}
