package keeper

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pitwall/backend/logstore/segment"
)

func TestBackoffDoublesAndForgets(t *testing.T) {
	p := Spec{}.withDefaults().Restart
	var got []time.Duration
	prev := time.Duration(0)
	for _, lasted := range []time.Duration{0, 0, 0, 0, 0, 0, 0, 100 * time.Second, 300 * time.Second, 0} {
		prev = p.after(prev, lasted)
		got = append(got, prev/time.Second)
	}
	if want := []time.Duration{1, 2, 4, 8, 16, 30, 30, 30, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("delays = %v, want %v", got, want)
	}
}

// TestBudgetIsSpent holds for budgets of any size, and for a window that moves.
func TestBudgetIsSpent(t *testing.T) {
	for _, budget := range []int{1, 10, 1000} {
		r := Restart{Budget: budget, Window: time.Hour}
		now := time.Unix(1_000_000, 0)
		var restarts []int64
		for n := range budget {
			var left bool
			if restarts, left = r.spend(restarts, now); !left || len(restarts) != n+1 {
				t.Fatalf("restart %d of %d: %d counted, left %v", n+1, budget, len(restarts), left)
			}
			now = now.Add(time.Second)
		}
		if restarts, left := r.spend(restarts, now); left || len(restarts) != budget {
			t.Errorf("after %d restarts: %d counted, left %v", budget, len(restarts), left)
		}
		if restarts, left := r.spend(restarts, now.Add(time.Hour)); !left || len(restarts) != 1 {
			t.Errorf("an hour later: %d counted, left %v, want 1", len(restarts), left)
		}
	}
	var restarts []int64
	for range 2 * maxCounted {
		restarts, _ = Restart{Window: time.Hour}.spend(restarts, time.Unix(1_000_000, 0))
	}
	if len(restarts) != maxCounted {
		t.Errorf("without a budget %d are remembered, want %d", len(restarts), maxCounted)
	}
}

func TestStopEndsABackoff(t *testing.T) {
	t.Parallel()
	s := shell("exit 1")
	s.Restart = Restart{Policy: Always, BackoffMin: time.Hour, BackoffMax: time.Hour}
	r := start(t, s)
	if st := r.phase(Backoff); st.Until.Before(time.Now().Add(time.Minute)) || st.Restarts != 1 {
		t.Errorf("status = %+v", st)
	}
	// A backoff outlives its keeper.
	kill(t, r.c.Keeper())
	<-r.c.Done()
	r.resume(r.c.Pipes())
	if st := r.phase(Backoff); st.Run != 1 || st.Until.Before(time.Now().Add(time.Minute)) {
		t.Errorf("status = %+v", st)
	}
	if err := r.c.Stop(r.ctx(), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	r.phase(Stopped)
	if err := r.c.Start(r.ctx()); err != nil {
		t.Fatal(err)
	}
	if st := r.phase(Backoff); st.Run != 2 {
		t.Errorf("run = %d, want 2", st.Run)
	}
}

func TestRecordedExitIsNotRecordedAgain(t *testing.T) {
	t.Parallel()
	r := prepare(t, shell("exec sleep 1000"))
	// A keeper died after it had recorded the exit, before it changed the phase.
	now := time.Now()
	log := runLog{name: filepath.Join(r.dir, "runs.jsonl")}
	if err := log.add(Exit{Run: 3, PID: 1 << 30, Started: now, Ended: now, Code: 9, Reason: "exit 9"}); err != nil {
		t.Fatal(err)
	}
	old := State{Version: 1, Instance: "app.main.0", Boot: BootID(), Run: 3, Phase: Running, Child: Proc{PID: 1 << 30, Start: 5}}
	if err := writeJSON(filepath.Join(r.dir, "state.json"), old); err != nil {
		t.Fatal(err)
	}
	r.resume(Pipes{})
	if st := r.phase(Exited); st.Last == nil || st.Last.Code != 9 {
		t.Errorf("status = %+v", st)
	}
	if runs, _ := Runs(r.dir); len(runs) != 1 || runs[0].Code != 9 {
		t.Errorf("runs = %+v", runs)
	}
}

func TestTornRunRecordIsSkipped(t *testing.T) {
	name := filepath.Join(t.TempDir(), "runs.jsonl")
	log := runLog{name: name}
	log.add(Exit{Run: 1, Code: 1})
	f, _ := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	f.WriteString(`{"run":2,"co`)
	f.Close()
	log.add(Exit{Run: 3, Code: 3})
	p, _ := os.ReadFile(name)
	runs := parseRuns(p)
	if len(runs) != 2 || runs[0].Run != 1 || runs[1].Code != 3 {
		t.Errorf("runs = %+v", runs)
	}
}

func TestUnknownProtocolIsRefusedWithASentence(t *testing.T) {
	r := start(t, shell("exec sleep 1000"))
	t.Chdir(r.dir)
	conn, err := net.Dial("unixpacket", socketName)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for body, want := range map[string]string{
		`{"id":1,"op":"status"}`:                "say hello first",
		`{"id":2,"op":"hello","versions":[99]}`: "speaks protocol 1",
	} {
		conn.Write([]byte(body))
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		var m message
		if err != nil || json.Unmarshal(buf[:n], &m) != nil || !strings.Contains(m.Error, want) {
			t.Errorf("%s -> %s, %v, want %q", body, buf[:n], err, want)
		}
	}
	if st, err := os.Stat(socketName); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode of the socket = %v, %v", st.Mode(), err)
	}
}

func TestRunsAsAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: RUNNING AS ANOTHER USER NEEDS ROOT")
	}
	s := shell("id -u; id -G; id -un")
	s.User, s.Dir = "nobody", "/"
	r := start(t, s)
	r.event(EventExited)
	got := r.lines(segment.Out)
	if len(got) != 3 || got[0] == "0" || slices.Contains(strings.Fields(got[1]), "0") || got[2] != "nobody" {
		t.Errorf("id = %q, stderr %q", got, r.lines(segment.Err))
	}
}

func TestLimitsOfANewSpecHoldForTheNextRun(t *testing.T) {
	t.Parallel()
	s := shell("exec sleep 1000")
	s.Cgroup, s.Limits.CPUMillis = []string{"pitwall-test"}, 500
	r := start(t, s)
	st := r.phase(Running)
	if st.Limits != "cpu by control group" {
		t.Skipf("SKIPPED: CPU LIMITS ARE NOT TESTED: %s", st.Limits)
	}
	quota := func() string {
		for _, d := range st.Cgroups {
			for _, name := range []string{"cpu.max", "cpu.cfs_quota_us"} {
				if p, err := os.ReadFile(filepath.Join(d, name)); err == nil {
					return strings.Fields(string(p))[0]
				}
			}
		}
		return "none"
	}
	if got := quota(); got != "50000" {
		t.Errorf("quota = %s, want 50000", got)
	}
	s.Limits.CPUMillis = 250
	if err := WriteSpec(r.dir, s); err != nil {
		t.Fatal(err)
	}
	if err := r.c.Restart(r.ctx(), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := quota(); got != "25000" {
		t.Errorf("quota after a restart = %s, want 25000", got)
	}
}

func TestShutdownLeavesAFailedInstanceFailed(t *testing.T) {
	t.Parallel()
	s := shell("exit 1")
	s.Restart = Restart{Policy: Always, Budget: 1, BackoffMin: time.Millisecond}
	r := start(t, s)
	why := r.phase(Failed).Reason
	keeper := r.c.Keeper()
	if err := r.c.Shutdown(r.ctx(), false); err != nil {
		t.Fatalf("Shutdown() = %v", err)
	}
	poll(t, "keeper ended", func() bool { return !keeper.Alive() })
	if st := r.state(); st.Phase != Failed || st.Reason != why {
		t.Errorf("after Shutdown() the state is %s, %q, want %s, %q", st.Phase, st.Reason, Failed, why)
	}
}
