package local_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"pitwall/backend"
)

func TestRestartRollsOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := spec("web", 2, "ok")
		s.Routes = []backend.Route{{TCP: "127.0.0.1:6390"}}
		w.must(apply(s))
		before := w.instances("web")
		w.must(backend.Kick{App: w.app("web").ID})
		w.must(backend.Block{App: w.app("web").ID})
		least := 2
		feed, err := w.b.Watch(w.ctx, backend.WatchQuery{Kinds: []backend.Kind{backend.KindApp}})
		if err != nil {
			t.Fatal(err)
		}
		defer feed.Close()
		o := w.must(backend.Restart{App: w.app("web").ID})
		events, err := feed.Next(w.ctx)
		for _, e := range events {
			if e.App != nil {
				least = min(least, e.App.Ready)
			}
		}
		if err != nil || least < 2 {
			t.Errorf("%d were ready at the least, want 2 all the time (%v)", least, err)
		}
		if want := []string{before[0].ID, before[1].ID}; !slices.Equal(w.edge.drains, want) {
			t.Errorf("drained %v, want %v", w.edge.drains, want)
		}
		a := w.app("web")
		if !a.Attached || !a.Blocked || a.Ready != 2 {
			t.Errorf("attached %v, blocked %v, %d ready; want a kick cleared and a block kept", a.Attached, a.Blocked, a.Ready)
		}
		for i, in := range w.instances("web") {
			if in.ID == before[i].ID {
				t.Errorf("%s is still there (steps %+v)", in.ID, o.Steps)
			}
		}
	})
}

func TestRestartOfOneInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 3, "ok")))
		before := w.instances("web")
		w.must(backend.Restart{App: w.app("web").ID, Instance: before[1].ID})
		after := w.instances("web")
		if after[0].ID != before[0].ID || after[1].ID == before[1].ID || after[2].ID != before[2].ID {
			t.Errorf("instances = %v, want only the second replaced", after)
		}
	})
}

func TestRestartOfWhatIsNotWellIsInPlace(t *testing.T) {
	for _, state := range []string{"failed", "stopped", "crashing"} {
		t.Run(state, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				program := map[string]string{"failed": "missing", "stopped": "ok", "crashing": "crash"}[state]
				s := spec("web", 2, program)
				if state == "failed" {
					s.Processes[0].Restart.Policy = backend.RestartNever
				}
				w.do(apply(s))
				id := w.app("web").ID
				if state == "stopped" {
					w.must(backend.Stop{App: id})
				}
				before := w.instances("web")
				o := w.do(backend.Restart{App: id})
				if want := state == "stopped"; want != (o.State == backend.OperationSucceeded) {
					t.Errorf("restart = %s %q", o.State, o.Error)
				}
				after := w.instances("web")
				if len(after) != 2 || after[0].ID != before[0].ID || after[0].Run <= before[0].Run {
					t.Errorf("first = %s run %d, was %s run %d; want the next run of the same",
						after[0].ID, after[0].Run, before[0].ID, before[0].Run)
				}
				if state != "stopped" && !strings.Contains(o.Error, "main.0") {
					t.Errorf("error = %q, want the first instance named", o.Error)
				}
			})
		})
	}
}

func TestForceRestartCancelsWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 2, "ok")))
		id := w.app("web").ID
		roll := w.begin(apply(spec("web", 2, "slow")))
		o := w.must(backend.ForceRestart{App: id})
		if len(o.Steps) == 0 || o.Steps[0].Name != "cancel apply web" || !strings.Contains(o.Steps[0].Detail, roll.ID) {
			t.Errorf("steps = %+v, want the first to call off the apply", o.Steps)
		}
		if got := w.await(roll.ID); got.State != backend.OperationCanceled || !strings.Contains(got.Error, "force-restart web") {
			t.Errorf("apply = %s %q, want it canceled", got.State, got.Error)
		}
		for _, in := range w.instances("web") {
			if !in.Ready || in.Release != 2 {
				t.Errorf("instance = %+v, want it ready in the present release", in)
			}
		}
		if got := len(w.eng.happened("stop")); got == 0 || w.eng.living() != 2 {
			t.Errorf("%d stops, %d living", got, w.eng.living())
		}
	})
}

func TestStopWinsOverARunningRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 1, "slow")))
		id := w.app("web").ID
		roll := w.begin(backend.Restart{App: id})
		waiting := w.begin(backend.Scale{App: id, Instances: 3})
		if waiting.State != backend.OperationQueued {
			t.Errorf("scale = %s, want it queued behind the restart", waiting.State)
		}
		w.refused(backend.Restart{App: id, Intent: backend.Intent{NoQueue: true}}, backend.Conflict, "restart web", roll.ID)
		w.must(backend.Stop{App: id})
		for _, o := range []backend.Operation{w.await(roll.ID), w.await(waiting.ID)} {
			if o.State != backend.OperationCanceled {
				t.Errorf("%s = %s, want it canceled", o.Kind, o.State)
			}
		}
		synctest.Wait()
		if a := w.app("web"); a.State != backend.AppStopped || w.eng.living() != 0 || a.Instances != 1 {
			t.Errorf("app = %s, %d living, %d wanted", a.State, w.eng.living(), a.Instances)
		}
	})
}

func TestCancelOfARoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 2, "slow")))
		before := w.instances("web")
		roll := w.begin(backend.Restart{App: w.app("web").ID})
		w.must(backend.Cancel{Operation: roll.ID})
		if o := w.await(roll.ID); o.State != backend.OperationCanceled || o.Code != backend.Canceled || !strings.Contains(o.Error, "ana") {
			t.Errorf("restart = %s %s %q", o.State, o.Code, o.Error)
		}
		synctest.Wait()
		after := w.instances("web")
		if len(after) != 2 || after[0].ID != before[0].ID || after[1].ID != before[1].ID {
			t.Errorf("instances = %+v, want those of before", after)
		}
		w.refused(backend.Cancel{Operation: roll.ID}, backend.Conflict, "ended already")
	})
}

func TestQueuedOperationsRunInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 1, "ok")))
		id := w.app("web").ID
		first := w.begin(backend.Restart{App: id})
		second := w.begin(backend.Scale{App: id, Instances: 2})
		third := w.begin(backend.Restart{App: id})
		other := w.must(apply(spec("other", 1, "ok")))
		a, b, c := w.await(first.ID), w.await(second.ID), w.await(third.ID)
		for _, o := range []backend.Operation{a, b, c, other} {
			if o.State != backend.OperationSucceeded {
				t.Errorf("%s = %s %q", o.Kind, o.State, o.Error)
			}
		}
		if b.Started.Before(a.Ended) || c.Started.Before(b.Ended) {
			t.Errorf("they overlap: %s-%s %s-%s %s", a.Started, a.Ended, b.Started, b.Ended, c.Started)
		}
	})
}
