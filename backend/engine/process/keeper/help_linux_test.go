package keeper

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"pitwall/backend/logstore/segment"
)

// kill kills a process by its pid and waits until it is gone.
func kill(t testing.TB, p Proc) {
	t.Helper()
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %d: %v", p.PID, err)
	}
	poll(t, "killed", func() bool { return !p.Alive() })
}

func (r *rig) state() State {
	r.t.Helper()
	s, err := ReadState(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) sawLineExact(line string) {
	r.t.Helper()
	poll(r.t, "line "+line, func() bool { return slices.Contains(r.lines(segment.Out), line) })
}

// fifo makes a gate at which a child waits until openFifo.
func fifo(t testing.TB) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "gate")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func openFifo(t testing.TB, name string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("go\n")
	f.Close()
}

func terminate(t testing.TB, p Proc) {
	t.Helper()
	if err := syscall.Kill(p.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// running waits until a run is on.
func (r *rig) running(run uint32) {
	r.t.Helper()
	var last Status
	for end := time.Now().Add(time.Minute); last.Run != run || last.Phase != Running; time.Sleep(5 * time.Millisecond) {
		s, err := r.c.Status(r.ctx())
		if err != nil {
			r.t.Fatalf("Status() = %v\n%s", err, r.troubles())
		}
		if last = s; time.Now().After(end) {
			r.t.Fatalf("run %d is never on: %+v", run, last)
		}
	}
}

// resume replaces a dead keeper.
func (r *rig) resume(p Pipes) {
	r.t.Helper()
	c, err := Resume(r.ctx(), self(r.t), r.dir, p)
	if err != nil {
		r.t.Fatalf("Resume() = %v\n%s", err, r.troubles())
	}
	r.c = c
}
