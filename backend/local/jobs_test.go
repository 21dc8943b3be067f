package local_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pitwall/backend"
)

func jobSpec(change func(s *backend.JobSpec), command ...string) backend.Apply {
	s := backend.JobSpec{Name: "nightly", Command: backend.CommandLine{Args: command}}
	if change != nil {
		change(&s)
	}
	return backend.Apply{Jobs: []backend.JobSpec{s}}
}

func (w *world) job() backend.Job {
	w.Helper()
	list, err := w.b.Jobs(w.ctx, backend.JobQuery{Names: []string{"nightly"}})
	if err != nil || len(list.Items) != 1 {
		w.Fatalf("Jobs() = %d, %v", len(list.Items), err)
	}
	return list.Items[0]
}

func (w *world) runs() []backend.Run {
	w.Helper()
	list, err := w.b.Runs(w.ctx, backend.RunQuery{Jobs: []string{w.job().ID}})
	if err != nil {
		w.Fatalf("Runs() = %v", err)
	}
	return list.Items
}

func TestRunEndsWithItsOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(jobSpec(nil, "done"))
		o := w.must(backend.RunJob{Job: w.job().ID})
		runs := w.runs()
		if len(runs) != 1 || runs[0].State != backend.RunSucceeded || runs[0].Number != 1 || runs[0].Trigger != "manual" || runs[0].Author != "ana" {
			t.Fatalf("runs = %+v", runs)
		}
		if len(o.Also) == 0 || o.Also[0] != runs[0].Ref() {
			t.Errorf("also = %+v, want the run %+v", o.Also, runs[0].Ref())
		}
		if j := w.job(); j.Running != 0 || j.Last == nil || j.Last.State != backend.RunSucceeded {
			t.Errorf("job = %+v", j)
		}
		w.must(jobSpec(nil, "crash"))
		failed := w.do(backend.RunJob{Job: w.job().ID})
		if failed.State != backend.OperationFailed || failed.Error != "exit 2" || w.runs()[0].State != backend.RunFailed || w.runs()[0].Number != 2 {
			t.Errorf("run of what crashes = %s %q, %+v", failed.State, failed.Error, w.runs()[0])
		}
	})
}

func TestConcurrencyPolicies(t *testing.T) {
	for _, policy := range []backend.Concurrency{backend.ConcurrencyForbid, backend.ConcurrencyAllow, backend.ConcurrencyReplace} {
		t.Run(string(policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.must(jobSpec(func(s *backend.JobSpec) { s.Concurrency = policy }, "ok"))
				first := w.begin(backend.RunJob{Job: w.job().ID})
				w.eventually("it runs", func() bool { return w.eng.living() == 1 })
				if policy == backend.ConcurrencyForbid {
					w.refused(backend.RunJob{Job: w.job().ID}, backend.Conflict, "run 1")
					return
				}
				w.begin(backend.RunJob{Job: w.job().ID})
				w.eventually("the second runs", func() bool {
					runs := w.runs()
					return len(runs) == 2 && runs[0].State == backend.RunRunning
				})
				if policy == backend.ConcurrencyAllow {
					if j := w.job(); j.Running != 2 {
						t.Errorf("%d run, want 2", j.Running)
					}
					return
				}
				if o := w.await(first.ID); o.State == backend.OperationSucceeded || w.runs()[1].State != backend.RunCanceled {
					t.Errorf("the replaced run = %s, operation %s", w.runs()[1].State, o.State)
				}
			})
		})
	}
}

func TestCancelKillsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(jobSpec(nil, "stubborn"))
		o := w.begin(backend.RunJob{Job: w.job().ID})
		w.eventually("it runs", func() bool { return w.eng.living() == 1 && w.job().Last.State == backend.RunRunning })
		w.must(backend.Cancel{Operation: o.ID})
		if got := w.await(o.ID); got.State != backend.OperationCanceled || w.runs()[0].State != backend.RunCanceled || w.eng.living() != 0 {
			t.Errorf("operation %s, run %s, %d living", got.State, w.runs()[0].State, w.eng.living())
		}
	})
}

func TestScheduleRunsAndKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(jobSpec(func(s *backend.JobSpec) { s.Schedule, s.Timezone, s.Keep = "0 3 * * *", "UTC", 2 }, "done"))
		due := w.job().Next
		if due.Hour() != 3 || due.Before(time.Now()) {
			t.Fatalf("next = %s, want three o'clock", due)
		}
		time.Sleep(time.Until(due) + time.Minute)
		runs := w.runs()
		if len(runs) != 1 || runs[0].Trigger != "schedule" || runs[0].Author != "schedule" || !runs[0].Scheduled.Equal(due) {
			t.Fatalf("runs = %+v, want one by schedule", runs)
		}
		if next := w.job().Next; next.Sub(due) != 24*time.Hour {
			t.Errorf("next = %s, want a day after %s", next, due)
		}
		time.Sleep(4 * 24 * time.Hour)
		synctest.Wait()
		runs = w.runs()
		if len(runs) != 2 || runs[0].Number != 5 {
			t.Errorf("%d runs are kept, the last is %d; want 2, and 5", len(runs), runs[0].Number)
		}
		if list, _ := w.eng.List(w.ctx); len(list) != 2 {
			t.Errorf("the engine knows %d instances, want 2", len(list))
		}
	})
}

func TestMissedScheduleIsToldNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(jobSpec(func(s *backend.JobSpec) { s.Schedule = "0 * * * *" }, "done"))
		w.close()
		time.Sleep(5 * time.Hour)
		w.open()
		synctest.Wait()
		if runs := w.runs(); len(runs) != 0 || !w.job().Next.After(time.Now()) {
			t.Errorf("%d runs, next %s, now %s", len(runs), w.job().Next, time.Now())
		}
		w.wantTold("while the server was down, and was not run")
	})
}

func TestScheduledJobThatStillRunsIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(jobSpec(func(s *backend.JobSpec) { s.Schedule = "* * * * *" }, "ok"))
		time.Sleep(150 * time.Second)
		synctest.Wait()
		if runs := w.runs(); len(runs) != 1 {
			t.Errorf("%d runs, want one that goes on", len(runs))
		}
		w.wantTold("was skipped")
	})
}

func TestDeleteOfAJobEndsItsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(jobSpec(nil, "ok"))
		id := w.job().ID
		run := w.begin(backend.RunJob{Job: id})
		w.eventually("it runs", func() bool { return w.eng.living() == 1 })
		w.must(backend.Delete{Job: id})
		synctest.Wait()
		if list, _ := w.b.Jobs(w.ctx, backend.JobQuery{}); len(list.Items) != 0 || w.eng.living() != 0 {
			t.Errorf("%d jobs, %d living", len(list.Items), w.eng.living())
		}
		if o := w.await(run.ID); !o.State.Ended() || o.State == backend.OperationSucceeded {
			t.Errorf("the run's operation = %s", o.State)
		}
		if list, _ := w.eng.List(w.ctx); len(list) != 0 {
			t.Errorf("the engine knows %d instances", len(list))
		}
	})
}

func TestRunTakesItsEnvironment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(jobSpec(func(s *backend.JobSpec) { s.Env = map[string]string{"A": "1", "B": "2"} }, "done"))
		w.must(backend.RunJob{Job: w.job().ID, Env: map[string]string{"B": "3"}})
		list, _ := w.eng.List(w.ctx)
		if len(list) != 1 || list[0].Spec.Env["A"] != "1" || list[0].Spec.Env["B"] != "3" || list[0].Spec.Restart.Policy != backend.RestartNever {
			t.Errorf("spec = %+v", list)
		}
		_, err := w.b.Do(w.ctx, backend.RunJob{Job: w.job().ID, Env: map[string]string{"A B": ""}})
		if backend.CodeOf(err) != backend.Invalid || !strings.Contains(err.Error(), "A B") {
			t.Errorf("Do(run with a bad name) = %v", err)
		}
	})
}
