package keeper

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pitwall/backend/logstore/segment"
)

// childEnv makes the test binary behave as one of the programs below.
const childEnv = "KEEPER_TEST_CHILD"

func TestMain(m *testing.M) {
	if code, mine := Dispatch(os.Args[1:]); mine {
		os.Exit(code)
	}
	if part := os.Getenv(childEnv); part != "" {
		os.Exit(child(part, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// child is a program that a keeper runs in these tests.
func child(part string, args []string) int {
	arg := func(i int) int { n, _ := strconv.Atoi(args[i]); return n }
	switch part {
	case "flood": // N lines, then exit
		w := bufio.NewWriterSize(os.Stdout, 64<<10)
		for i := range arg(0) {
			fmt.Fprintf(w, "line %d\n", i)
			if len(args) > 1 && i%arg(1) == 0 {
				w.Flush()
			}
		}
		w.Flush()
	case "grow": // N MiB, touched, then wait
		p := make([]byte, arg(0)<<20)
		for i := range p {
			p[i] = byte(i)
		}
		fmt.Println("grown", p[len(p)/2])
		time.Sleep(time.Hour)
	case "rlimit":
		var r unix.Rlimit
		unix.Getrlimit(unix.RLIMIT_NOFILE, &r)
		fmt.Println("nofile", r.Cur)
	}
	return 0
}

func self(t testing.TB) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// rig is one instance and its keepers.
type rig struct {
	t    testing.TB
	dir  string
	c    *Client
	seen []Event
}

func shell(script string) Spec {
	return Spec{Instance: "app.main.0", Argv: []string{"/bin/sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}}
}

func program(t testing.TB, part string, args ...string) Spec {
	return Spec{
		Instance: "app.main.0", Argv: append([]string{self(t)}, args...), Env: []string{childEnv + "=" + part},
	}
}

// prepare writes a spec into a new folder; start also starts its keeper.
func prepare(t testing.TB, s Spec) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	if err := WriteSpec(r.dir, s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.clean)
	return r
}

func start(t testing.TB, s Spec) *rig {
	t.Helper()
	r := prepare(t, s)
	r.start()
	return r
}

func (r *rig) start() {
	r.t.Helper()
	c, err := Start(r.ctx(), self(r.t), r.dir)
	if err != nil {
		r.t.Fatalf("Start() = %v\n%s", err, r.troubles())
	}
	r.c = c
}

func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	r.t.Cleanup(cancel)
	return ctx
}

func (r *rig) troubles() string {
	p, _ := os.ReadFile(filepath.Join(r.dir, "keeper.log"))
	return string(p)
}

// clean ends everything that the rig started, by pid.
func (r *rig) clean() {
	if r.t.Failed() {
		r.t.Logf("keeper.log:\n%s", r.troubles())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if r.c != nil {
		if r.c.Stop(ctx, StopOptions{Force: true}) == nil {
			r.c.Shutdown(ctx, true)
		}
		r.c.Close()
	}
	s, err := ReadState(r.dir)
	if err != nil {
		return
	}
	for _, p := range []Proc{s.Keeper, s.Child} {
		if p.Alive() {
			syscall.Kill(p.PID, syscall.SIGKILL)
		}
	}
	poll(r.t, "keeper ended", func() bool { return !s.Keeper.Alive() })
}

// event waits for an event of a kind.
func (r *rig) event(kind EventKind) Event {
	r.t.Helper()
	for {
		for i, e := range r.seen {
			if e.Kind == kind {
				r.seen = slices.Delete(r.seen, 0, i+1)
				return e
			}
		}
		r.seen = nil
		events, err := r.c.Next(r.ctx())
		if err != nil {
			r.t.Fatalf("waiting for %s: %v\n%s", kind, err, r.troubles())
		}
		r.seen = events
	}
}

// phase waits for a phase.
func (r *rig) phase(want Phase) Status {
	r.t.Helper()
	var s Status
	poll(r.t, "phase "+string(want), func() bool {
		var err error
		if s, err = r.c.Status(r.ctx()); err != nil {
			r.t.Fatalf("Status() = %v\n%s", err, r.troubles())
		}
		return s.Phase == want
	})
	return s
}

func poll(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// entries reads the whole log.
func (r *rig) entries(f func(segment.Entry)) {
	r.t.Helper()
	d, err := segment.OpenDir(filepath.Join(r.dir, "log"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer d.Close()
	l := d.Lines()
	defer l.Close()
	if err := l.All(func(e segment.Entry) error { f(e); return nil }); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) lines(s segment.Stream) []string {
	r.t.Helper()
	var lines []string
	r.entries(func(e segment.Entry) {
		if e.Kind == segment.Batch && e.Stream == s {
			lines = append(lines, string(e.Bytes))
		}
	})
	return lines
}

// sawLine waits for a line of stdout that begins with a word and returns the
// rest.
func (r *rig) sawLine(word string) string {
	r.t.Helper()
	rest := ""
	poll(r.t, "line "+word, func() bool {
		for _, l := range r.lines(segment.Out) {
			if after, ok := strings.CutPrefix(l, word+" "); ok {
				rest = after
				return true
			}
		}
		return false
	})
	return rest
}

// pidOf finds the process whose pid a line of stdout says.
func (r *rig) pidOf(word string) Proc {
	r.t.Helper()
	pid, err := strconv.Atoi(r.sawLine(word))
	if err != nil {
		r.t.Fatal(err)
	}
	p, err := findProc(pid)
	if err != nil {
		r.t.Fatalf("find %s: %v", word, err)
	}
	return p
}

// counted checks that the flood's lines are all there, in order and once.
func (r *rig) counted(n int) {
	r.t.Helper()
	next, seq := 0, uint64(0)
	r.entries(func(e segment.Entry) {
		switch e.Kind {
		case segment.Gap:
			r.t.Fatalf("gap at %d: %d bytes, %s", e.Seq, e.Dropped, e.Reason)
		case segment.Batch:
			if got, want := string(e.Bytes), "line "+strconv.Itoa(next); got != want {
				r.t.Fatalf("got %q, want %q", got, want)
			}
			if seq++; e.Seq != seq {
				r.t.Fatalf("sequence %d, want %d", e.Seq, seq)
			}
			next++
		}
	})
	if next != n {
		r.t.Fatalf("%d lines, want %d", next, n)
	}
}
