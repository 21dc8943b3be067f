package logstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pitwall/backend"
	"pitwall/backend/logstore/segment"
)

// epoch is when the tests' logs begin, far enough back that nothing waits.
var epoch = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

// clock is a settable time.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// tester is what of testing.TB a test of properties has too.
type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	Cleanup(func())
}

// program writes the log of one instance, as a keeper does.
type program struct {
	t     tester
	src   Source
	w     *segment.Writer
	clock *clock
}

func newProgram(t testing.TB, src Source, o segment.Options) *program {
	t.Helper()
	if src.Dir == "" {
		src.Dir = filepath.Join(t.TempDir(), src.Instance)
	}
	p := &program{t: t, src: src, clock: &clock{now: epoch}}
	o.Now, o.Sync = p.clock.Now, segment.SyncNever
	w, _, err := segment.OpenWriter(src.Dir, o)
	if err != nil {
		t.Fatal(err)
	}
	p.w = w
	t.Cleanup(func() { w.Close() })
	return p
}

func app(instance string, index int) Source {
	return Source{Instance: instance, AppID: "a1", Owner: "web", Process: "main", Index: index, Live: true}
}

func (p *program) write(at time.Duration, s segment.Stream, text string) {
	p.t.Helper()
	p.clock.set(epoch.Add(at))
	if err := p.w.Append(s, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *program) start(at time.Duration, run uint32) {
	p.t.Helper()
	p.clock.set(epoch.Add(at))
	if err := p.w.RunStart(run, 100+int(run)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *program) exit(at time.Duration, code int) {
	p.t.Helper()
	p.clock.set(epoch.Add(at))
	if err := p.w.RunEnd(code, 0, 0); err != nil {
		p.t.Fatal(err)
	}
}

func newStore(t testing.TB, now func() time.Time, programs ...*program) *Store {
	t.Helper()
	s := New(Config{Now: now})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	for _, p := range programs {
		s.Register(p.src)
	}
	return s
}

// all reads a query to its end.
func all(t tester, s *Store, q backend.LogQuery) []backend.LogEntry {
	t.Helper()
	feed, err := s.Logs(context.Background(), q)
	if err != nil {
		t.Fatalf("Logs(%+v) = %v", q, err)
	}
	defer feed.Close()
	var out []backend.LogEntry
	for {
		entries, err := feed.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("Next() of %+v = %v", q, err)
		}
		if len(entries) == 0 {
			t.Fatalf("Next() = no entries and no error")
		}
		out = append(out, entries...)
	}
}

// take reads n entries of a feed.
func take(t tester, feed backend.Feed[backend.LogEntry], n int) []backend.LogEntry {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out []backend.LogEntry
	for len(out) < n {
		entries, err := feed.Next(ctx)
		if err != nil {
			t.Fatalf("Next() after %d of %d entries = %v; had %s", len(out), n, err, show(out))
		}
		out = append(out, entries...)
	}
	return out
}

// show writes entries short: "i1#3 text", gaps and dividers in brackets.
func show(entries []backend.LogEntry) string {
	var b strings.Builder
	for i, e := range entries {
		if i > 0 {
			b.WriteString("\n")
		}
		switch {
		case e.Gap != nil:
			fmt.Fprintf(&b, "[%s gap %d-%d %s]", e.Instance, e.Gap.From, e.Gap.To, e.Gap.Reason)
		case e.Divider != nil:
			fmt.Fprintf(&b, "[%s]", e.Divider.Text)
		case e.Progress != nil:
			fmt.Fprintf(&b, "[progress %t]", e.Progress.Done)
		default:
			fmt.Fprintf(&b, "%s#%d %s", e.Instance, e.Seq, e.Text)
		}
	}
	return b.String()
}

func texts(entries []backend.LogEntry) []string {
	out := []string{}
	for _, e := range entries {
		if e.Gap == nil && e.Divider == nil && e.Progress == nil {
			out = append(out, e.Text)
		}
	}
	return out
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not within a minute", what)
}

func later() time.Time { return epoch.Add(time.Hour) }

// tempDir is a folder for one run of a property.
func tempDir(t tester) string {
	dir, err := os.MkdirTemp("", "logstore")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
