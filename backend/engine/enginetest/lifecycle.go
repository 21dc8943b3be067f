package enginetest

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pitwall/backend"
	"pitwall/backend/engine"
)

// forever is a script that runs until it is stopped, and tells its pid.
const forever = `trap 'exit 0' TERM; echo "pid $$"; while :; do sleep 0.02; done`

// stubborn is one that ignores what it is asked.
const stubborn = `trap '' TERM HUP INT; echo "pid $$"; while :; do sleep 0.02; done`

func startRuns(h *harness) {
	spec := h.script(forever)
	before := time.Now().Add(-time.Second)
	s := h.run(spec)
	if !s.Ready || s.PID == 0 || s.Run != 1 || s.Restarts != 0 || s.Since.Before(before) || s.Created.Before(before) || s.LastExit != nil {
		h.Errorf("a started instance is %+v", s)
	}
	if diff := cmp.Diff(spec, s.Spec); diff != "" {
		h.Errorf("Status.Spec (-want +got):\n%s", diff)
	}
	if s.EnvHash == "" || s.Reason == "" {
		h.Errorf("a started instance has environment hash %q and reason %q", s.EnvHash, s.Reason)
	}
	if got := h.awaitLine(s.ID, "pid "); got != strconv.Itoa(s.PID) {
		h.Errorf("the program says it is pid %s, the engine %d", got, s.PID)
	}
}

func startTwiceIsOne(h *harness) {
	spec := h.script(forever)
	first := h.run(spec)
	h.start(spec)
	if again := h.status(spec.ID); again.PID != first.PID || again.Run != first.Run {
		h.Errorf("a second Start made pid %d, run %d of pid %d, run %d", again.PID, again.Run, first.PID, first.Run)
	}
	if all := h.list(h.Context()); len(all) != 1 {
		h.Errorf("List() after a second Start has %d instances", len(all))
	}
}

func secondStartIsTheNextRun(h *harness) {
	spec := h.script("echo first; exit 3")
	h.start(spec)
	h.await(spec.ID, backend.InstanceFailed)
	spec.Command.Shell, spec.Release = "echo second; exit 0", 2
	h.start(spec)
	s := h.await(spec.ID, backend.InstanceComplete)
	if s.Run != 2 || s.Spec.Release != 2 || s.LastExit == nil || s.LastExit.Code != 0 {
		h.Errorf("the second start ended as run %d of release %d with %v", s.Run, s.Spec.Release, s.LastExit)
	}
	if diff := cmp.Diff([]string{"first", "second"}, h.output(spec.ID)); diff != "" {
		h.Errorf("output of both (-want +got):\n%s", diff)
	}
}

func endsByPolicy(h *harness) {
	tests := []struct {
		policy backend.RestartPolicy
		exit   int
		want   backend.InstanceState
	}{
		{backend.RestartNever, 0, backend.InstanceComplete},
		{backend.RestartNever, 4, backend.InstanceFailed},
		{backend.RestartOnFailure, 0, backend.InstanceComplete},
	}
	for _, tt := range tests {
		spec := h.script("exit " + strconv.Itoa(tt.exit))
		spec.Restart.Policy = tt.policy
		h.start(spec)
		s := h.await(spec.ID, tt.want)
		if s.LastExit == nil || s.LastExit.Code != tt.exit || s.LastExit.Unknown || s.LastExit.Time.IsZero() {
			h.Errorf("%s with exit %d left %+v", tt.policy, tt.exit, s.LastExit)
		}
		if s.Ready || s.PID != 0 {
			h.Errorf("%s with exit %d is ready %v, pid %d", tt.policy, tt.exit, s.Ready, s.PID)
		}
	}
}

func crashBacksOff(h *harness) {
	spec := h.script("exit 7")
	spec.Restart = backend.RestartSpec{Policy: backend.RestartOnFailure}
	h.start(spec)
	s := h.awaitStatus(spec.ID, "wait for the next start", func(s engine.Status) bool {
		return s.State == backend.InstanceCrashed && !s.NextStart.IsZero() && s.Run >= 2
	})
	if s.Ready || s.LastExit == nil || s.LastExit.Code != 7 || !strings.Contains(s.Reason, "7") {
		h.Errorf("a crashed instance is ready %v, exit %v, reason %q", s.Ready, s.LastExit, s.Reason)
	}
	s = h.awaitStatus(spec.ID, "restart", func(s engine.Status) bool { return s.Restarts >= 2 })
	runs := h.runs(spec.ID, 0)
	if len(runs) < 2 || runs[0].Number != 1 || runs[1].Number != 2 || runs[0].Exit == nil || runs[0].Exit.Code != 7 {
		h.Errorf("Runs() of a crash loop = %+v", runs)
	}
	if s.Run != s.Restarts+1 {
		h.Errorf("run %d after %d restarts", s.Run, s.Restarts)
	}
}

func budgetFails(h *harness) {
	spec := h.script("exit 1")
	spec.Restart = backend.RestartSpec{Policy: backend.RestartAlways, Budget: 2, Window: backend.Duration(time.Hour)}
	h.start(spec)
	s := h.await(spec.ID, backend.InstanceFailed)
	if s.Restarts != 2 || s.Run != 3 || !strings.Contains(s.Reason, "budget") {
		h.Errorf("a spent budget of 2 is %d restarts, run %d, reason %q", s.Restarts, s.Run, s.Reason)
	}
	h.reopen()
	if again := h.status(spec.ID); again.State != s.State || again.Reason != s.Reason || again.Run != s.Run {
		h.Errorf("after reopening it is %s in run %d, %q; before %s in run %d, %q",
			again.State, again.Run, again.Reason, s.State, s.Run, s.Reason)
	}
}

func missingCommandIsAStatus(h *harness) {
	spec := h.script("")
	spec.Command = backend.CommandLine{Args: []string{"no-such-program-here"}}
	h.start(spec)
	s := h.await(spec.ID, backend.InstanceFailed)
	if s.LastExit == nil || s.LastExit.Code == 0 || !strings.Contains(s.Reason, "no-such-program-here") {
		h.Errorf("a missing command is reason %q, exit %+v", s.Reason, s.LastExit)
	}
}

func stopIsGraceful(h *harness) {
	spec := h.script(`trap 'echo bye; exit 5' USR2; echo "pid $$"; while :; do sleep 0.02; done`)
	spec.Stop = backend.StopSpec{Signal: "USR2", Grace: backend.Duration(patience)}
	spec.Restart.Policy = backend.RestartAlways
	h.run(spec)
	h.stop(spec.ID, engine.StopOptions{})
	s := h.await(spec.ID, backend.InstanceStopped)
	if s.LastExit == nil || s.LastExit.Code != 5 || s.PID != 0 {
		h.Errorf("a stopped instance is pid %d, exit %+v", s.PID, s.LastExit)
	}
	h.awaitLine(spec.ID, "bye")
	h.stop(spec.ID, engine.StopOptions{}) // once more is no error
}

func stopKillsTheStubborn(h *harness) {
	spec := h.script(stubborn)
	spec.Stop.Grace = backend.Duration(100 * time.Millisecond)
	started := h.run(spec)
	h.stop(spec.ID, engine.StopOptions{})
	s := h.await(spec.ID, backend.InstanceStopped)
	if s.LastExit == nil || s.LastExit.Signal != "KILL" || s.LastExit.Code != 137 {
		h.Errorf("a program that ignores TERM ended with %+v", s.LastExit)
	}
	if alive(started.PID) {
		h.Errorf("pid %d of a stopped instance lives", started.PID)
	}
}

func stopWhileCrashed(h *harness) {
	spec := h.script("exit 1")
	spec.Restart = backend.RestartSpec{Policy: backend.RestartAlways, Budget: 1000}
	h.start(spec)
	// By then the backoff is long enough to be met.
	h.awaitStatus(spec.ID, "third run", func(s engine.Status) bool { return s.State == backend.InstanceCrashed && s.Run >= 3 })
	h.stop(spec.ID, engine.StopOptions{})
	s := h.await(spec.ID, backend.InstanceStopped)
	if !s.NextStart.IsZero() {
		h.Errorf("a stopped instance starts next at %v", s.NextStart)
	}
}

// doubleFork is a script whose grandchild has a session of its own and no
// living ancestor but what adopts it.
const doubleFork = `(setsid sh -c 'trap "" TERM; echo "escaped $$"; while :; do sleep 0.05; done' &) ; ` + forever

func stopKillsDoubleForks(h *harness) {
	needsSetsid(h.T)
	spec := h.script(doubleFork)
	h.run(spec)
	pid, err := strconv.Atoi(h.awaitLine(spec.ID, "escaped "))
	if err != nil {
		h.Fatal(err)
	}
	h.stop(spec.ID, engine.StopOptions{})
	h.await(spec.ID, backend.InstanceStopped)
	h.eventually("end of the escaped process", func() bool { return !alive(pid) })
}

func forcedStopAsksNobody(h *harness) {
	spec := h.script(stubborn)
	h.run(spec)
	h.stop(spec.ID, engine.StopOptions{Force: true})
	s := h.await(spec.ID, backend.InstanceStopped)
	if s.LastExit == nil || s.LastExit.Signal != "KILL" {
		h.Errorf("a forced stop ended with %+v", s.LastExit)
	}
}

func startAfterStopIsTheNextRun(h *harness) {
	spec := h.script(`trap 'sleep 0.2; exit 0' TERM; echo "pid $$"; while :; do sleep 0.02; done`)
	h.run(spec)
	h.stop(spec.ID, engine.StopOptions{})
	h.start(spec) // while it is still stopping
	s := h.awaitStatus(spec.ID, "second run", func(s engine.Status) bool { return s.Run == 2 && s.State == backend.InstanceRunning })
	if s.Restarts != 0 {
		h.Errorf("a run that was asked for counts as %d restarts", s.Restarts)
	}
}

func stopBreaksOffARestart(h *harness) {
	spec := h.script(stubborn)
	h.run(spec)
	if err := h.Engine.Restart(h.Context(), spec.ID, engine.StopOptions{}); err != nil {
		h.Fatalf("Restart() = %v", err)
	}
	h.stop(spec.ID, engine.StopOptions{Force: true})
	if s := h.await(spec.ID, backend.InstanceStopped); s.Run != 1 {
		h.Errorf("a restart that a stop broke off came to run %d", s.Run)
	}
}

func restartIsANewRun(h *harness) {
	spec := h.script(forever)
	spec.Restart = backend.RestartSpec{Policy: backend.RestartAlways, Budget: 1}
	first := h.run(spec)
	for n := 2; n <= 3; n++ { // more than the budget has
		if err := h.Engine.Restart(h.Context(), spec.ID, engine.StopOptions{}); err != nil {
			h.Fatalf("Restart() = %v", err)
		}
		s := h.awaitStatus(spec.ID, "next run", func(s engine.Status) bool { return s.Run == n && s.State == backend.InstanceRunning })
		if s.PID == first.PID || s.Restarts != 0 {
			h.Errorf("a restarted instance is pid %d (it was %d) with %d restarts", s.PID, first.PID, s.Restarts)
		}
	}
}

func signalReachesTheProgram(h *harness) {
	spec := h.script(`trap 'exit 42' USR1; echo "pid $$"; while :; do sleep 0.02; done`)
	h.run(spec)
	h.code(`Signal("NONSENSE")`, h.Engine.Signal(h.Context(), spec.ID, "NONSENSE"), backend.Invalid)
	if err := h.Engine.Signal(h.Context(), spec.ID, "USR1"); err != nil {
		h.Fatalf("Signal() = %v", err)
	}
	if s := h.await(spec.ID, backend.InstanceFailed); s.LastExit == nil || s.LastExit.Code != 42 {
		h.Errorf("the program ended with %+v, want its handler's 42", s.LastExit)
	}
}

func deadlineEndsTheRun(h *harness) {
	spec := h.script(stubborn)
	spec.Deadline = 200 * time.Millisecond
	spec.Stop.Grace = backend.Duration(100 * time.Millisecond)
	h.start(spec)
	s := h.await(spec.ID, backend.InstanceFailed)
	if !strings.Contains(s.Reason, "deadline") {
		h.Errorf("after its deadline an instance has reason %q", s.Reason)
	}
}

func removeForgets(h *harness) {
	spec := h.script(forever)
	h.run(spec)
	h.code("Remove() of a running instance", h.Engine.Remove(h.Context(), spec.ID), backend.Conflict)
	h.stop(spec.ID, engine.StopOptions{})
	h.await(spec.ID, backend.InstanceStopped)
	if err := h.Engine.Remove(h.Context(), spec.ID); err != nil {
		h.Fatalf("Remove() = %v", err)
	}
	h.reopen()
	if all := h.list(h.Context()); len(all) != 0 {
		h.Errorf("List() after Remove() has %+v", all)
	}
}

func reopenKeepsProcess(h *harness) {
	spec := h.script(forever)
	first := h.run(spec)
	for range 2 {
		h.reopen()
		s := h.awaitStatus(spec.ID, "running again", func(s engine.Status) bool { return s.State == backend.InstanceRunning && s.Ready })
		if s.PID != first.PID || s.Run != first.Run || s.Restarts != 0 || s.Port != first.Port || !s.Created.Equal(first.Created) {
			h.Errorf("after reopening %+v, before %+v", s, first)
		}
		if diff := cmp.Diff(spec, s.Spec); diff != "" {
			h.Errorf("Status.Spec after reopening (-want +got):\n%s", diff)
		}
	}
	h.stop(spec.ID, engine.StopOptions{})
	if s := h.await(spec.ID, backend.InstanceStopped); s.LastExit == nil || s.LastExit.Code != 0 {
		h.Errorf("an adopted instance ended with %+v", s.LastExit)
	}
	h.reopen()
	if s := h.status(spec.ID); s.State != backend.InstanceStopped || s.LastExit == nil || s.LastExit.Code != 0 {
		h.Errorf("a stopped instance is %s with %+v after reopening", s.State, s.LastExit)
	}
}

func reopenKnowsWhatHappened(h *harness) {
	spec := h.script(forever)
	spec.Restart = backend.RestartSpec{Policy: backend.RestartAlways}
	first := h.run(spec)
	if err := h.Engine.Close(); err != nil {
		h.Fatalf("Close() = %v", err)
	}
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		h.Fatalf("kill the program: %v", err)
	}
	h.eventually("end of the program", func() bool { return !alive(first.PID) })
	h.reopen()
	s := h.awaitStatus(spec.ID, "second run", func(s engine.Status) bool { return s.Run >= 2 && s.State == backend.InstanceRunning })
	if s.Restarts != 1 || s.LastExit == nil || s.LastExit.Code != 137 || s.LastExit.Signal != "KILL" {
		h.Errorf("after a crash without a server: %d restarts, exit %+v", s.Restarts, s.LastExit)
	}
	runs := h.runs(spec.ID, 0)
	if len(runs) != 2 || runs[0].Exit == nil || runs[0].Exit.Code != 137 || runs[0].PID != first.PID || runs[0].Ended.IsZero() || runs[1].Exit != nil || runs[1].PID != s.PID {
		h.Errorf("Runs() after a crash without a server = %+v", runs)
	}
}

func runsAfterANumber(h *harness) {
	spec := h.script("exit 9")
	spec.FirstRun = 5
	h.start(spec)
	h.await(spec.ID, backend.InstanceFailed)
	h.start(spec)
	h.awaitStatus(spec.ID, "second run", func(s engine.Status) bool { return s.Run == 6 && s.State == backend.InstanceFailed })
	all := h.runs(spec.ID, 0)
	if len(all) != 2 || all[0].Number != 5 || all[1].Number != 6 {
		h.Fatalf("Runs(0) = %+v, want runs 5 and 6", all)
	}
	for _, r := range all {
		if r.Exit == nil || r.Exit.Code != 9 || r.PID == 0 || r.EnvHash == "" || r.Ended.Before(r.Started) || r.Started.IsZero() {
			h.Errorf("run %+v", r)
		}
	}
	if now := h.status(spec.ID).EnvHash; now != all[1].EnvHash {
		h.Errorf("the environment's hash is %s, that of its run %s", now, all[1].EnvHash)
	}
	if after := h.runs(spec.ID, 5); len(after) != 1 || after[0].Number != 6 {
		h.Errorf("Runs(5) = %+v, want run 6", after)
	}
	if after := h.runs(spec.ID, 6); len(after) != 0 {
		h.Errorf("Runs(6) = %+v, want none", after)
	}
}

func (h *harness) runs(id string, after int) []engine.RunRecord {
	h.Helper()
	runs, err := h.Engine.Runs(h.Context(), id, after)
	if err != nil {
		h.Fatalf("Runs(%s, %d) = %v", id, after, err)
	}
	return runs
}

func needsSetsid(t *testing.T) {
	t.Helper()
	if _, err := lookPath("setsid"); err != nil {
		t.Skip("no setsid program on this machine: double forks are not tested")
	}
}
