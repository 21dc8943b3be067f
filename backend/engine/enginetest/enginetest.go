// Package enginetest is the contract that every engine passes. A test of an
// engine calls [Run] with a function that makes one.
//
// The programs that it runs are shell scripts, real processes of this machine.
package enginetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pitwall/backend"
	"pitwall/backend/engine"
	"pitwall/backend/logstore/segment"
)

// patience is how long a test waits for something that must come. It is long
// because the machine may be slow, and costs nothing when it is not.
const patience = time.Minute

// Open makes an engine on fresh state. The function it returns closes that
// engine and makes another one on the same state, as a new server does.
type Open func(t *testing.T) (e engine.Engine, reopen func() engine.Engine)

// Run tests an engine against the contract.
func Run(t *testing.T, open Open) {
	tests := []struct {
		name string
		test func(*harness)
	}{
		{"StartRuns", startRuns},
		{"StartTwiceIsOne", startTwiceIsOne},
		{"SecondStartIsTheNextRun", secondStartIsTheNextRun},
		{"EndsByPolicy", endsByPolicy},
		{"CrashBacksOff", crashBacksOff},
		{"BudgetFails", budgetFails},
		{"MissingCommandIsAStatus", missingCommandIsAStatus},
		{"StopIsGraceful", stopIsGraceful},
		{"StopKillsTheStubborn", stopKillsTheStubborn},
		{"StopWhileCrashed", stopWhileCrashed},
		{"StopKillsDoubleForks", stopKillsDoubleForks},
		{"ForcedStopAsksNobody", forcedStopAsksNobody},
		{"RestartIsANewRun", restartIsANewRun},
		{"StartAfterStopIsTheNextRun", startAfterStopIsTheNextRun},
		{"StopBreaksOffARestart", stopBreaksOffARestart},
		{"SignalReachesTheProgram", signalReachesTheProgram},
		{"DeadlineEndsTheRun", deadlineEndsTheRun},
		{"RemoveForgets", removeForgets},
		{"ReopenKeepsProcess", reopenKeepsProcess},
		{"ReopenKnowsWhatHappened", reopenKnowsWhatHappened},
		{"RunsAfterANumber", runsAfterANumber},
		{"EnvironmentIsTheContract", environmentIsTheContract},
		{"CommandIsExpanded", commandIsExpanded},
		{"PortStays", portStays},
		{"ReadyByCheck", readyByCheck},
		{"FailingHealthRestarts", failingHealthRestarts},
		{"ReopenKeepsReady", reopenKeepsReady},
		{"FailingReadyOnlyTakesReadyAway", failingReadyOnlyTakesReadyAway},
		{"LevelsReachTheProgram", levelsReachTheProgram},
		{"AttachGivesOutputAndStatus", attachGivesOutputAndStatus},
		{"AttachWithTerminal", attachWithTerminal},
		{"AttachCloseKillsTheTree", attachCloseKillsTheTree},
		{"UsageOfTheTree", usageOfTheTree},
		{"OutputInOrder", outputInOrder},
		{"ClosedOutputIsNoEnd", closedOutputIsNoEnd},
		{"WatchStartsWithAll", watchStartsWithAll},
		{"WatchCoalesces", watchCoalesces},
		{"UnknownInstances", unknownInstances},
		{"Describes", describes},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.test(newHarness(t, open)) })
	}
}

// harness is an engine under test.
type harness struct {
	*testing.T
	engine.Engine
	renew func() engine.Engine
	next  atomic.Int64
}

func newHarness(t *testing.T, open Open) *harness {
	h := &harness{T: t}
	h.Engine, h.renew = open(t)
	t.Cleanup(h.end)
	return h
}

// reopen goes on with a new engine on the same state.
func (h *harness) reopen() {
	h.Helper()
	h.Engine = h.renew()
}

// end stops all that a test started.
func (h *harness) end() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, s := range h.list(ctx) {
		if err := h.Engine.Stop(ctx, s.ID, engine.StopOptions{Force: true}); err != nil {
			h.Errorf("Stop(%s) at the end = %v", s.ID, err)
		}
	}
	h.eventually("end of all instances", func() bool {
		return !slices.ContainsFunc(h.list(ctx), func(s engine.Status) bool { return !s.State.Final() && s.State != backend.InstancePending })
	})
	if err := h.Engine.Close(); err != nil {
		h.Errorf("Close() = %v", err)
	}
}

func (h *harness) list(ctx context.Context) []engine.Status {
	h.Helper()
	all, err := h.Engine.List(ctx)
	if err != nil {
		h.Fatalf("List() = %v", err)
	}
	return all
}

// script is the spec of an instance that runs a shell script once.
func (h *harness) script(text string) engine.Spec {
	n := h.next.Add(1)
	return engine.Spec{
		ID: fmt.Sprintf("shop-main-%d-test", n), AppID: "0123456789abcdef01234567", Owner: "shop", Process: "main",
		Index: int(n - 1), Release: 1, FirstRun: 1,
		Command: backend.CommandLine{Shell: text},
		Restart: backend.RestartSpec{Policy: backend.RestartNever},
		Stop:    backend.StopSpec{Grace: backend.Duration(patience)},
	}
}

// start starts an instance and returns its id.
func (h *harness) start(s engine.Spec) string {
	h.Helper()
	if err := h.Engine.Start(h.Context(), s); err != nil {
		h.Fatalf("Start(%s) = %v", s.ID, err)
	}
	return s.ID
}

// run starts an instance and waits until it is ready, and says its pid, which
// the scripts do once their traps are set.
func (h *harness) run(s engine.Spec) engine.Status {
	h.Helper()
	h.start(s)
	h.awaitLine(s.ID, "pid ")
	return h.await(s.ID, backend.InstanceRunning)
}

func (h *harness) stop(id string, o engine.StopOptions) {
	h.Helper()
	if err := h.Engine.Stop(h.Context(), id, o); err != nil {
		h.Fatalf("Stop(%s) = %v", id, err)
	}
}

// status is what the engine knows of an instance now.
func (h *harness) status(id string) engine.Status {
	h.Helper()
	for _, s := range h.list(h.Context()) {
		if s.ID == id {
			return s
		}
	}
	h.Fatalf("List() has no %s", id)
	return engine.Status{}
}

// await waits until an instance is in one of the states.
func (h *harness) await(id string, states ...backend.InstanceState) engine.Status {
	h.Helper()
	return h.awaitStatus(id, fmt.Sprint("state ", states), func(s engine.Status) bool { return slices.Contains(states, s.State) })
}

// awaitStatus waits until what is known of an instance is as wanted.
func (h *harness) awaitStatus(id, what string, ok func(engine.Status) bool) engine.Status {
	h.Helper()
	var last engine.Status
	deadline := time.Now().Add(patience)
	for {
		last = h.status(id)
		if ok(last) {
			return last
		}
		if time.Now().After(deadline) {
			h.Fatalf("%s: no %s, but %s (%s), run %d, ready %v, exit %v", id, what, last.State, last.Reason, last.Run, last.Ready, last.LastExit)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// eventually waits until something holds.
func (h *harness) eventually(what string, ok func() bool) {
	h.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			h.Fatalf("no %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// output is every whole line that an instance has written, in order.
func (h *harness) output(id string) []string {
	h.Helper()
	if source, ok := h.Engine.(engine.LogSource); ok {
		return h.entries(source, id)
	}
	dir, err := segment.OpenDir(h.status(id).LogDir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		h.Fatalf("OpenDir(%s) = %v", id, err)
	}
	defer dir.Close()
	lines := dir.Lines()
	defer lines.Close()
	var out []string
	err = lines.All(func(e segment.Entry) error {
		switch e.Kind {
		case segment.Batch:
			out = append(out, string(e.Bytes))
		case segment.Gap:
			out = append(out, "gap: "+e.Reason.String())
		}
		return nil
	})
	if err != nil {
		h.Fatalf("read log of %s: %v", id, err)
	}
	return out
}

func (h *harness) entries(source engine.LogSource, id string) []string {
	h.Helper()
	feed, err := source.Logs(h.Context(), id, 0)
	if err != nil {
		h.Fatalf("Logs(%s) = %v", id, err)
	}
	defer feed.Close()
	var out []string
	for {
		// What is there comes at once; the rest is not waited for.
		ctx, cancel := context.WithTimeout(h.Context(), 100*time.Millisecond)
		batch, err := feed.Next(ctx)
		cancel()
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded) {
				return out
			}
			h.Fatalf("Logs(%s).Next() = %v", id, err)
		}
		for _, e := range batch {
			if e.Divider == nil {
				out = append(out, e.Text)
			}
		}
	}
}

// awaitLine waits for a line with a prefix and returns what follows it.
func (h *harness) awaitLine(id, prefix string) string {
	h.Helper()
	var rest string
	h.eventually(fmt.Sprintf("line %q of %s", prefix, id), func() bool {
		for _, line := range h.output(id) {
			if after, ok := strings.CutPrefix(line, prefix); ok {
				rest = after
				return true
			}
		}
		return false
	})
	return rest
}

// code fails the test unless err has the code.
func (h *harness) code(call string, err error, want backend.Code) {
	h.Helper()
	if got := backend.CodeOf(err); got != want {
		h.Errorf("%s = %v (code %q), want code %q", call, err, got, want)
	}
}

// alive reports whether a process runs.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(after, "Z")
}
