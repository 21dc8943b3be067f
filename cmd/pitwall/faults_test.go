package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"pitwall/backend"
)

// Programs that misbehave, and a machine that does.

const misbehaving = `
apps:
  deaf:
    processes:
      main:
        command: "trap '' TERM INT HUP; while :; do sleep 0.1; done"
        stop: {grace: 300ms}
  forks:
    processes:
      main:
        command: "(setsid sh -c 'echo $$ > DIR/grandchild; trap \"\" TERM; while :; do sleep 0.1; done' &) ; while :; do sleep 0.1; done"
        stop: {grace: 300ms}
  closes:
    processes:
      main:
        command: "echo last words; exec >&- 2>&- <&-; while :; do sleep 0.1; done"
  missing:
    processes:
      main:
        command: ["DIR/no-such-program", "--port", "$PORT"]
        restart: {policy: on-failure, budget: 2, window: 10m}
  taken:
    processes:
      main:
        command: "export PORT=TAKEN; exec BINARY demo web"
        restart: {policy: on-failure, budget: 2, window: 10m}
`

func TestProgramsThatMisbehave(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	p := newPit(t)
	p.serve()
	p.apply(strings.NewReplacer("DIR", p.dir, "TAKEN", port, "BINARY", binary).Replace(misbehaving))

	t.Run("IgnoresItsStopSignal", func(t *testing.T) {
		p := p.in(t)
		p.ready("deaf", 1)
		in := p.instance1("deaf")
		p.run("stop", "deaf", "--yes", "--wait")
		if alive(in.PID) {
			t.Errorf("pid %d is alive after stop --wait", in.PID)
		}
		p.exits("deaf", func(e backend.Exit) bool { return e.Signal == "KILL" && !e.Unknown })
	})
	t.Run("ForksTwice", func(t *testing.T) {
		p := p.in(t)
		p.ready("forks", 1)
		var grandchild int
		p.until("the grandchild has written its pid", func() bool {
			raw, _ := os.ReadFile(filepath.Join(p.dir, "grandchild"))
			grandchild, _ = strconv.Atoi(strings.TrimSpace(string(raw)))
			return grandchild > 0
		})
		if !alive(grandchild) {
			t.Fatalf("the grandchild %d ended by itself", grandchild)
		}
		p.run("stop", "forks", "--yes", "--wait")
		if alive(grandchild) {
			t.Errorf("the grandchild %d is alive after stop --wait", grandchild)
		}
	})
	t.Run("ClosesItsOutput", func(t *testing.T) {
		p := p.in(t)
		p.ready("closes", 1)
		p.says("closes", "last words")
		in := p.instance1("closes")
		if !alive(in.PID) || in.State != backend.InstanceRunning {
			t.Errorf("a program that closed its output is %s with pid %d", in.State, in.PID)
		}
		p.run("stop", "closes", "--yes", "--wait")
		if alive(in.PID) {
			t.Errorf("pid %d is alive after stop --wait", in.PID)
		}
		p.exits("closes", func(e backend.Exit) bool { return e.Signal == "TERM" && !e.Unknown })
	})
	t.Run("DoesNotExist", func(t *testing.T) {
		p := p.in(t)
		p.until("the instance says that there is no such program", func() bool {
			in := p.instance1("missing")
			return strings.Contains(in.Reason, "no-such-program") && strings.Contains(in.Reason, "no such file")
		})
		p.until("its budget is spent", func() bool { return p.state1("missing").State == backend.AppFailed })
		if words := p.state1("missing").LastError; !strings.Contains(words, "no such file") {
			t.Errorf("the app's last words are %q, and do not say why it cannot run", words)
		}
	})
	t.Run("FindsItsPortTaken", func(t *testing.T) {
		p := p.in(t)
		p.says("taken", "address already in use")
		p.until("its last words are the app's", func() bool {
			return strings.Contains(p.state1("taken").LastError, "address already in use")
		})
	})
}

// TestTakenRouteIsToldAndRetried has another program on an app's route.
func TestTakenRouteIsToldAndRetried(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	route := other.Addr().String()
	p := newPit(t)
	p.serve("--http", freeAddress(t))
	manifest := strings.NewReplacer("BINARY", binary, "ROUTE", route).Replace(`
apps:
  web:
    processes:
      main:
        command: ["BINARY", "demo", "web"]
        ready: {tcp: true, interval: 200ms}
    routes:
      - tcp: ROUTE
`)
	out, errs, err := p.try("apply", "-f", p.write("pitwall.yaml", manifest))
	if err != nil { // refused at once is as good, with the same words
		if !strings.Contains(errs, route) {
			t.Errorf("apply with a route that is taken: %v\n%s%s", err, out, errs)
		}
		return
	}
	p.ready("web", 1)
	p.until("an event names the address that is taken", func() bool {
		events := p.run("events", "web")
		return strings.Contains(events, route) && strings.Contains(events, "in use")
	})
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	p.until("the edge listens once the address is free", func() bool {
		conn, err := net.Dial("tcp", route)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

const surviving = `
apps:
  steady:
    processes:
      main:
        command: "echo up; while :; do sleep 0.1; done"
        instances: 2
  rests:
    processes:
      main:
        command: "while :; do sleep 0.1; done"
`

// A reboot ends everything at once and the kernel gets another boot id.
func TestRebootEndsRunsAsLostAndStartsAppsAgain(t *testing.T) {
	p := newPit(t)
	first := p.serve()
	p.apply(surviving)
	p.ready("steady", 2)
	p.ready("rests", 1)
	p.run("stop", "rests", "--yes", "--wait")
	before := p.pids("steady")
	keepers := map[int]bool{}
	for pid := range before {
		keepers[parent(t, pid)] = true
	}
	p.kill(first.Process.Pid)
	_ = first.Wait()
	for pid := range keepers {
		p.kill(pid)
	}
	for pid := range before {
		p.kill(pid)
	}
	p.until("all are dead", func() bool {
		for pid := range before {
			if alive(pid) {
				return false
			}
		}
		return true
	})
	p.anotherBoot()

	p.serve()
	p.ready("steady", 2)
	for pid := range p.pids("steady") {
		if before[pid] {
			t.Errorf("pid %d is said to run after a reboot", pid)
		}
	}
	lost := 0
	for _, r := range read[[]backend.Run](p, "runs", "steady") {
		if !before[r.PID] {
			continue
		}
		lost++
		if r.State != backend.RunLost || r.Exit == nil || !r.Exit.Unknown || r.Exit.Reason != "lost: host restarted" {
			t.Errorf("the run of pid %d before the reboot is %s with %v, want lost: host restarted", r.PID, r.State, r.Exit)
		}
	}
	if lost != 2 {
		t.Errorf("%d runs from before the reboot are listed, want 2:\n%s", lost, p.run("runs", "steady"))
	}
	if a := p.state1("rests"); a.State != backend.AppStopped {
		t.Errorf("an app that was stopped before the reboot is %s", a.State)
	}
}

// anotherBoot makes what is on disk that of another boot: the ids differ, and
// the sockets of keepers are dead.
func (p *pit) anotherBoot() {
	p.t.Helper()
	states, err := filepath.Glob(filepath.Join(p.state, instancesDir, "*", "state.json"))
	if err != nil || len(states) == 0 {
		p.t.Fatalf("no state of a keeper is found: %v", err)
	}
	for _, name := range states {
		raw, err := os.ReadFile(name)
		if err != nil {
			p.t.Fatal(err)
		}
		var state map[string]json.RawMessage
		if err := json.Unmarshal(raw, &state); err != nil {
			p.t.Fatalf("%s: %v", name, err)
		}
		if _, ok := state["boot"]; !ok {
			p.t.Fatalf("%s names no boot: %s", name, raw)
		}
		state["boot"] = json.RawMessage(`"00000000-0000-4000-8000-000000000000"`)
		if raw, err = json.Marshal(state); err == nil {
			err = os.WriteFile(name, raw, 0o600)
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

// A folder that something holds which is not a server that hands over.
func TestLockedStateFolderIsRefusedWithASentence(t *testing.T) {
	p := newPit(t)
	state := stateFolder{p.state}
	if err := state.make(); err != nil {
		t.Fatal(err)
	}
	lock, err := state.lock()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	for _, args := range [][]string{{"serve", "--timeout", "2s"}, {"apps", "--timeout", "2s"}} {
		_, errs, err := p.try(args...)
		if code := exitOf(err); code != exitUnreachable && code != exitTimeout {
			t.Errorf("%v on a locked folder: exit %d, want %d or %d\n%s", args, code, exitUnreachable, exitTimeout, errs)
		}
		if lines := strings.Count(errs, "\n"); lines != 1 || !strings.HasPrefix(errs, "pitwall: ") || !strings.Contains(errs, p.state) {
			t.Errorf("%v on a locked folder says %q, want one sentence that names the folder", args, errs)
		}
	}
}

func TestServersTakeOverInARow(t *testing.T) {
	p := newPit(t)
	first := p.serve()
	p.apply(surviving)
	p.ready("steady", 2)
	before := p.pids("steady")
	for range 3 {
		next := p.serve()
		if err := first.Wait(); err != nil {
			t.Errorf("a server that was taken over from ended with %v", err)
		}
		first = next
	}
	for pid := range p.pids("steady") {
		if !before[pid] {
			t.Errorf("after three take-overs pid %d runs, which did not before", pid)
		}
	}
}

// in is p in a subtest.
func (p *pit) in(t *testing.T) *pit {
	sub := *p
	sub.t = t
	return &sub
}

func (p *pit) kill(pid int) {
	p.t.Helper()
	if pid <= 1 {
		p.t.Fatalf("%d is no process of this test", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		p.t.Fatal(err)
	}
}

// alive reports whether a process runs; one that only waits to be reaped does
// not.
func alive(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// exits waits until an app's newest run has ended in a way.
func (p *pit) exits(app string, so func(backend.Exit) bool) {
	p.t.Helper()
	p.until("the last run of "+app+" has ended so", func() bool {
		runs := read[[]backend.Run](p, "runs", app)
		return len(runs) > 0 && runs[0].Exit != nil && so(*runs[0].Exit)
	})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// exitOf is the exit code of a command that was run.
func exitOf(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := err.(interface{ ExitCode() int }); ok {
		return e.ExitCode()
	}
	return -1
}
