package keeper

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pitwall/backend/logstore/segment"
)

func TestRunIsKeptFromStartToExit(t *testing.T) {
	t.Parallel()
	s := shell("echo one; echo two >&2; echo three; exit 3")
	r := start(t, s)
	e := r.event(EventExited)
	if e.Exit.Code != 3 || e.Exit.Run != 1 || e.Exit.Reason != "exit 3" {
		t.Errorf("exit = %+v", *e.Exit)
	}
	r.phase(Exited)
	if got := r.lines(segment.Out); !slices.Equal(got, []string{"one", "three"}) {
		t.Errorf("stdout = %q", got)
	}
	if got := r.lines(segment.Err); !slices.Equal(got, []string{"two"}) {
		t.Errorf("stderr = %q", got)
	}
	runs, err := Runs(r.dir)
	if err != nil || len(runs) != 1 || runs[0].Code != 3 || runs[0].Ended.IsZero() || runs[0].EnvHash == "" {
		t.Errorf("Runs() = %+v, %v", runs, err)
	}
}

func TestChildGetsACleanProcess(t *testing.T) {
	s := shell(`env | sort; echo; ls /proc/self/fd | tr '\n' ' '; echo; cat; pwd; umask; cut -d' ' -f6 /proc/$$/stat; echo pid $$`)
	s.Env = []string{"PATH=/usr/bin:/bin", "A=b c"}
	s.Dir = "/tmp"
	t.Setenv("SECRET_TOKEN", "leaked")
	r := start(t, s)
	r.event(EventExited)
	got := r.lines(segment.Out)
	i := slices.Index(got, "")
	if i < 0 {
		t.Fatalf("stdout = %q", got)
	}
	for _, kv := range got[:i] {
		name, _, _ := strings.Cut(kv, "=")
		if !slices.Contains([]string{"A", "PATH", "PWD", "OLDPWD", "SHLVL", "_", envInstance, envMark}, name) {
			t.Errorf("environment has %q", kv)
		}
	}
	rest := got[i+1:]
	// 3 is the folder that ls itself reads.
	if rest[0] != "0 1 2 3 " {
		t.Errorf("open descriptors: %q", rest[0])
	}
	if rest[1] != "/tmp" {
		t.Errorf("dir = %q", rest[1])
	}
	if "pid "+rest[3] != rest[4] {
		t.Errorf("session %q, want its own (%s)", rest[3], rest[4])
	}
}

func TestMillionLinesAreAllStoredInOrder(t *testing.T) {
	t.Parallel()
	r := start(t, program(t, "flood", "1000000"))
	r.event(EventAppended)
	// The server dies half way: the keeper must not care.
	r.c.conn.Close()
	<-r.c.Done()
	c, err := Dial(r.ctx(), r.dir)
	if err != nil {
		t.Fatal(err)
	}
	r.c = c
	s := r.phase(Exited)
	if s.Last == nil || s.Last.Code != 0 {
		t.Errorf("last = %+v", s.Last)
	}
	r.counted(1_000_000)
}

func TestKilledKeeperLosesNothing(t *testing.T) {
	t.Parallel()
	r := start(t, program(t, "flood", "1000000", "1"))
	child := r.phase(Running).Child
	kills := 0
	for n := range 8 {
		// The moments at which it is killed are spread over its life.
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		for range n % 4 {
			r.c.Next(ctx)
		}
		cancel()
		kill(t, r.c.Keeper())
		<-r.c.Done()
		if !child.Alive() {
			break
		}
		kills++
		pipes := r.c.Pipes()
		if pipes.Empty() || pipes.Run != 1 {
			t.Fatalf("Pipes() = %+v", pipes)
		}
		r.resume(pipes)
		s, err := r.c.Status(r.ctx())
		if err != nil {
			t.Fatal(err)
		}
		if s.Phase == Exited {
			break
		}
		if s.Child != child || s.Run != 1 {
			t.Errorf("child = %+v of run %d, was %+v", s.Child, s.Run, child)
		}
	}
	if kills == 0 {
		t.Fatal("the child ended before its keeper was killed")
	}
	t.Logf("%d keepers killed", kills)
	if !r.c.Keeper().Alive() {
		r.resume(r.c.Pipes())
	}
	r.phase(Exited)
	r.counted(1_000_000)
	runs, _ := Runs(r.dir)
	if len(runs) != 1 || !runs[0].Unknown && runs[0].Code != 0 {
		t.Errorf("runs = %+v", runs)
	}
}

func TestAdoptedChildsExitIsKnownOrUnknownNeverInvented(t *testing.T) {
	t.Parallel()
	gate := fifo(t)
	r := start(t, shell("echo ready; read x < "+gate+"; exit 7"))
	r.sawLineExact("ready")
	kill(t, r.c.Keeper())
	<-r.c.Done()
	child := r.state().Child
	c, err := Resume(r.ctx(), self(t), r.dir, r.c.Pipes())
	if err != nil {
		t.Fatalf("Resume() = %v\n%s", err, r.troubles())
	}
	r.c = c
	if s := r.phase(Running); s.Child != child || !s.Adopted || s.Run != 1 {
		t.Fatalf("status = %+v, want child %+v adopted", s, child)
	}
	openFifo(t, gate)
	e := r.event(EventExited).Exit
	t.Logf("exit of an adopted child: %+v", *e)
	if !e.Unknown && e.Code != 7 || e.Unknown && (e.Code != -1 || !strings.Contains(e.Reason, "unknown")) {
		t.Errorf("exit = %+v, want 7 or unknown", *e)
	}
}

func TestResumeAfterTheChildDiedToo(t *testing.T) {
	t.Parallel()
	s := shell("echo first; exec sleep 1000")
	s.Restart = Restart{Policy: Always, BackoffMin: time.Millisecond}
	r := start(t, s)
	r.sawLineExact("first")
	child := r.phase(Running).Child
	kill(t, r.c.Keeper())
	<-r.c.Done()
	kill(t, child)
	c, err := Resume(r.ctx(), self(t), r.dir, r.c.Pipes())
	if err != nil {
		t.Fatalf("Resume() = %v\n%s", err, r.troubles())
	}
	r.c = c
	r.running(2)
	runs, _ := Runs(r.dir)
	if len(runs) != 2 || !runs[0].Unknown && runs[0].Signal != int(syscall.SIGKILL) {
		t.Errorf("runs = %+v", runs)
	}
}

func TestRestedInstanceStaysAtRestOverResume(t *testing.T) {
	t.Parallel()
	r := start(t, shell("exit 0"))
	r.phase(Exited)
	kill(t, r.c.Keeper())
	<-r.c.Done()
	c, err := Resume(r.ctx(), self(t), r.dir, r.c.Pipes())
	if err != nil {
		t.Fatal(err)
	}
	r.c = c
	if s := r.phase(Exited); s.Run != 1 || s.Last == nil || s.Last.Run != 1 {
		t.Errorf("status = %+v", s)
	}
}

func TestSecondKeeperIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, shell("exec sleep 1000"))
	r.phase(Running)
	if c, err := Start(r.ctx(), self(t), r.dir); err == nil {
		c.Close()
		t.Error("second Start() succeeded")
	}
	c, err := Dial(r.ctx(), r.dir)
	if err != nil {
		t.Fatalf("second Dial() = %v", err)
	}
	defer c.Close()
	if s, err := c.Status(r.ctx()); err != nil || s.Phase != Running {
		t.Errorf("Status() of the second client = %+v, %v", s, err)
	}
}

func TestStubbornChildIsKilledAfterGrace(t *testing.T) {
	t.Parallel()
	s := shell("trap '' TERM; echo ready; while :; do sleep 0.05; done")
	s.Stop = Stop{Signal: "TERM", Grace: 50 * time.Millisecond}
	r := start(t, s)
	r.sawLineExact("ready")
	if err := r.c.Stop(r.ctx(), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	if e := r.event(EventExited).Exit; e.Signal != int(syscall.SIGKILL) || !e.Stopped {
		t.Errorf("exit = %+v", *e)
	}
	r.phase(Stopped)
}

func TestStopEscalatesToForce(t *testing.T) {
	t.Parallel()
	s := shell("trap '' TERM; echo ready; while :; do sleep 0.05; done")
	s.Stop.Grace = time.Hour
	r := start(t, s)
	r.sawLineExact("ready")
	first := make(chan error, 1)
	go func() { first <- r.c.Stop(r.ctx(), StopOptions{}) }()
	r.event(EventStopping)
	if err := r.c.Stop(r.ctx(), StopOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	if err := <-first; err != nil {
		t.Errorf("first Stop() = %v", err)
	}
}

func TestDoubleForkedChildrenAreKilled(t *testing.T) {
	t.Parallel()
	for _, groups := range [][]string{nil, {"pitwall-test"}} {
		t.Run(fmt.Sprint(groups), func(t *testing.T) {
			s := shell("(setsid sh -c 'echo far $$; exec sleep 1000' &) ; (env -i setsid sh -c 'echo bare $$; exec sleep 1000' &); sleep 1000")
			s.Cgroup = groups
			r := start(t, s)
			far, bare := r.pidOf("far"), r.pidOf("bare")
			if err := r.c.Stop(r.ctx(), StopOptions{}); err != nil {
				t.Fatal(err)
			}
			for _, p := range []Proc{far, bare} {
				if p.Alive() {
					t.Errorf("process %d lives on", p.PID)
				}
			}
		})
	}
}

func TestLeftoversOfARunAreKilledBeforeTheNext(t *testing.T) {
	t.Parallel()
	s := shell("(setsid sh -c 'echo far $$; exec sleep 1000' &); sleep 0.05; exit 1")
	s.Restart = Restart{Policy: OnFailure, BackoffMin: time.Millisecond, Budget: 1}
	r := start(t, s)
	// The orphan holds the pipe open, and the run ends all the same.
	e := r.event(EventExited)
	far := 0
	fmt.Sscan(r.sawLine("far"), &far)
	if p, err := findProc(far); err == nil && p.Alive() {
		t.Errorf("orphan %d of run %d lives on", far, e.Run)
	}
	if s := r.phase(Failed); s.Run != 2 {
		t.Errorf("failed after run %d, want 2", s.Run)
	}
}

func TestChildThatClosesItsOutputRunsOn(t *testing.T) {
	t.Parallel()
	r := start(t, shell("echo bye; exec >&- 2>&-; sleep 0.3; exit 5"))
	r.sawLineExact("bye")
	if e := r.event(EventExited).Exit; e.Code != 5 {
		t.Errorf("exit = %+v", *e)
	}
}

func TestWhatCannotBeExecutedIsSaidInASentence(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "plain")
	os.WriteFile(plain, []byte("x"), 0o644)
	for want, s := range map[string]Spec{
		`exec "nope": no such file; check command and dir`:                                  {Argv: []string{"nope"}},
		`dir "/does/not/exist": no such folder; check dir`:                                  {Argv: []string{"true"}, Dir: "/does/not/exist"},
		`user "nobody-at-all": no such user`:                                                {Argv: []string{"true"}, User: "nobody-at-all"},
		`exec "` + plain + `": permission denied; check that it is executable for its user`: {Argv: []string{plain}},
	} {
		t.Run(want, func(t *testing.T) {
			s.Instance, s.Env = "x", []string{"PATH=/usr/bin:/bin"}
			s.Restart = Restart{Policy: Always, Budget: 1, BackoffMin: time.Millisecond}
			r := start(t, s)
			st := r.phase(Failed)
			runs, _ := Runs(r.dir)
			if len(runs) != 2 || runs[1].Reason != want {
				t.Errorf("runs = %+v, want reason %q", runs, want)
			}
			if !strings.Contains(st.Reason, want) {
				t.Errorf("reason = %q", st.Reason)
			}
		})
	}
}

func TestStoppedInstanceStartsAgainByItsNewSpec(t *testing.T) {
	t.Parallel()
	r := start(t, shell("echo old; exec sleep 1000"))
	r.sawLineExact("old")
	if err := r.c.Start(r.ctx()); err == nil {
		t.Error("Start() of a running instance succeeded")
	}
	if err := WriteSpec(r.dir, shell("echo new; exec sleep 1000")); err != nil {
		t.Fatal(err)
	}
	if err := r.c.Restart(r.ctx(), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	r.sawLineExact("new")
	if s := r.phase(Running); s.Run != 2 {
		t.Errorf("run = %d, want 2", s.Run)
	}
	if err := r.c.Stop(r.ctx(), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := r.c.Shutdown(r.ctx(), false); err != nil {
		t.Fatal(err)
	}
	keeper := r.c.Keeper()
	poll(t, "keeper ends", func() bool { return !keeper.Alive() })
	r.start()
	if s := r.phase(Running); s.Run != 3 {
		t.Errorf("run = %d, want 3", s.Run)
	}
}

func TestSignalReachesTheGroup(t *testing.T) {
	t.Parallel()
	r := start(t, shell("trap 'echo hup; exit 0' HUP; echo ready; while :; do sleep 0.05; done"))
	r.sawLineExact("ready")
	if err := r.c.Signal(r.ctx(), "HUP"); err != nil {
		t.Fatal(err)
	}
	r.event(EventExited)
	if got := r.lines(segment.Out); !slices.Contains(got, "hup") {
		t.Errorf("stdout = %q", got)
	}
	if err := r.c.Signal(r.ctx(), "HUP"); err == nil {
		t.Error("Signal() of nothing succeeded")
	}
}

func TestHeldProcessExecutesNothingWithoutItsKeeper(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "ran")
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	rr, rw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer rr.Close()
	p, err := os.StartProcess(self(t), []string{"x", heldCommand}, &os.ProcAttr{Files: []*os.File{nil, nil, nil, pr, rw}})
	if err != nil {
		t.Fatal(err)
	}
	pr.Close()
	rw.Close()
	err = sendPlan(pw, plan{Argv: []string{"/bin/sh", "-c", "touch " + out}, Dir: "/", Env: []string{"PATH=/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	pw.Close() // the keeper dies before it lets go
	st, err := p.Wait()
	if err != nil || st.ExitCode() != 125 {
		t.Errorf("Wait() = %v, %v, want exit 125", st, err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("the program was executed")
	}
}

func TestRebootEndsTheRunAsLost(t *testing.T) {
	t.Parallel()
	r := prepare(t, shell("echo again; exec sleep 1000"))
	self, _ := findProc(os.Getpid())
	old := State{
		Version: 1, Instance: "app.main.0", Boot: "another boot", Run: 4, Phase: Running,
		Child: Proc{PID: self.PID, Start: self.Start}, Started: time.Now(),
	}
	if err := writeJSON(filepath.Join(r.dir, "state.json"), old); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.running(5)
	runs, _ := Runs(r.dir)
	if len(runs) != 2 || !runs[0].Unknown || runs[0].Reason != "lost: host restarted" {
		t.Errorf("runs = %+v", runs)
	}
}
