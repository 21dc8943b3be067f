package local_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pitwall/backend"
	"pitwall/backend/engine"
)

func TestNextServerTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 2, "ok"), spec("other", 1, "ok")))
		w.must(backend.Block{App: w.app("web").ID})
		before, apps := w.instances("web"), w.app("web")
		list, _ := w.b.Apps(w.ctx, backend.AppQuery{})
		starts := len(w.eng.happened("start"))
		w.restart()
		synctest.Wait()
		after, _ := w.b.Apps(w.ctx, backend.AppQuery{})
		if after.Index != list.Index {
			t.Errorf("index %d, was %d: nothing happened", after.Index, list.Index)
		}
		if diff := cmp.Diff(before, w.instances("web")); diff != "" {
			t.Errorf("instances (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(apps, w.app("web")); diff != "" {
			t.Errorf("app (-before +after):\n%s", diff)
		}
		if got := len(w.eng.happened("start")); got != starts {
			t.Errorf("%d starts by the next server, want none", got-starts)
		}
		feed, err := w.b.Watch(w.ctx, backend.WatchQuery{Since: 1})
		if err != nil {
			t.Fatalf("Watch(1) = %v, want what the server before stored", err)
		}
		defer feed.Close()
		for at := uint64(1); at < list.Index; {
			events, err := feed.Next(w.ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if at++; e.Index != at {
					t.Fatalf("index %d, want %d", e.Index, at)
				}
			}
		}
	})
}

func TestWhatHappenedMeanwhileIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 1, "ok")))
		w.close()
		// The program crashes twice while no server runs.
		for range 2 {
			w.eng.mu.Lock()
			for _, in := range w.eng.all {
				w.eng.exit(in, backend.Exit{Code: 3})
			}
			w.eng.mu.Unlock()
			time.Sleep(2 * time.Second)
		}
		w.open()
		w.eventually("three runs", func() bool {
			runs, _ := w.b.Runs(w.ctx, backend.RunQuery{Apps: []string{w.app("web").ID}})
			return len(runs.Items) == 3 && runs.Items[0].State == backend.RunRunning &&
				runs.Items[1].State == backend.RunFailed && runs.Items[2].State == backend.RunFailed
		})
		if in := w.instances("web")[0]; in.Run != 3 || in.Restarts != 2 || in.LastError != "exit 3" {
			t.Errorf("instance = run %d, %d restarts, %q", in.Run, in.Restarts, in.LastError)
		}
	})
}

func TestRebootStartsAgainWhatIsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 2, "ok"), spec("off", 1, "ok")))
		w.must(backend.Stop{App: w.app("off").ID})
		before := w.instances("web")
		w.close()
		w.eng.reboot()
		w.open()
		w.eventually("it runs again", func() bool {
			all := w.instances("web")
			return len(all) == 2 && all[0].Run == 2 && all[0].Ready && all[1].Ready && all[0].ID == before[0].ID
		})
		runs, _ := w.b.Runs(w.ctx, backend.RunQuery{Apps: []string{w.app("web").ID}, States: []backend.RunState{backend.RunLost}})
		if len(runs.Items) != 2 || runs.Items[0].Exit == nil || !strings.Contains(runs.Items[0].Exit.Reason, "host restarted") {
			t.Errorf("lost runs = %+v", runs.Items)
		}
		if a := w.app("off"); a.State != backend.AppStopped || w.eng.living() != 2 {
			t.Errorf("off is %s, %d living", a.State, w.eng.living())
		}
	})
}

func TestStrangersEndAndMissingStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 2, "ok")))
		lost := w.instances("web")[0].ID
		w.close()
		w.eng.mu.Lock()
		delete(w.eng.all, lost)
		w.eng.mu.Unlock()
		stranger := engine.Spec{ID: "ghost-main-0-aaaaa", Owner: "ghost", FirstRun: 1, Command: backend.CommandLine{Args: []string{"ok"}}}
		if err := w.eng.Start(context.Background(), stranger); err != nil {
			t.Fatal(err)
		}
		w.open()
		w.eventually("both run", func() bool { return w.app("web").Ready == 2 })
		time.Sleep(time.Minute)
		synctest.Wait()
		list, _ := w.eng.List(w.ctx)
		if len(list) != 2 {
			t.Errorf("the engine knows %d instances, want the two of web", len(list))
		}
		w.wantTold("ghost-main-0-aaaaa is not declared and is stopped")
		runs, _ := w.b.Runs(w.ctx, backend.RunQuery{Instances: []string{lost}})
		if len(runs.Items) != 2 || runs.Items[1].State != backend.RunLost || runs.Items[0].Number != 2 {
			t.Errorf("runs of the lost one = %+v", runs.Items)
		}
	})
}

func TestOperationsSurviveTheServer(t *testing.T) {
	tests := map[string]struct {
		begin func(w *world) backend.Operation
		state backend.OperationState
		check func(w *world)
	}{
		"start": {
			func(w *world) backend.Operation {
				w.must(backend.Stop{App: w.app("web").ID})
				return w.begin(backend.Start{App: w.app("web").ID})
			},
			backend.OperationSucceeded,
			func(w *world) { w.state("web", backend.AppRunning) },
		},
		"stop": {
			func(w *world) backend.Operation { return w.begin(backend.Stop{App: w.app("web").ID}) },
			backend.OperationSucceeded,
			func(w *world) { w.state("web", backend.AppStopped) },
		},
		"delete": {
			func(w *world) backend.Operation { return w.begin(backend.Delete{App: w.app("web").ID}) },
			backend.OperationSucceeded,
			func(w *world) {
				if list, _ := w.b.Apps(w.ctx, backend.AppQuery{}); len(list.Items) != 0 {
					w.Errorf("%d apps", len(list.Items))
				}
			},
		},
		"restart": {
			func(w *world) backend.Operation { return w.begin(backend.Restart{App: w.app("web").ID}) },
			backend.OperationFailed,
			func(w *world) {
				w.eventually("two ready", func() bool { return w.app("web").Ready == 2 && w.eng.living() == 2 })
			},
		},
		"apply": {
			func(w *world) backend.Operation { return w.begin(apply(spec("web", 2, "slow", "--new"))) },
			"", // gone on with, or failed and taken up by another
			func(w *world) {
				w.eventually("the new release", func() bool {
					all := w.instances("web")
					return len(all) == 2 && all[0].Release == 2 && all[1].Release == 2 && all[0].Ready && all[1].Ready && w.eng.living() == 2
				})
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.must(apply(spec("web", 2, "slow")))
				o := tt.begin(w)
				queued := w.begin(backend.Restart{App: w.app("web").ID})
				if name == "stop" || name == "delete" {
					w.await(o.ID)
				}
				w.restart()
				if got := w.await(o.ID); tt.state != "" && got.State != tt.state {
					t.Errorf("%s = %s %q, want %s", name, got.State, got.Error, tt.state)
				}
				if tt.state == backend.OperationFailed && !strings.Contains(w.await(o.ID).Error, "server was restarted") {
					t.Errorf("error = %q", w.await(o.ID).Error)
				}
				w.await(queued.ID)
				if name == "stop" {
					w.must(backend.Stop{App: w.app("web").ID})
				}
				tt.check(w)
			})
		})
	}
}

func TestRunSurvivesTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(jobSpec(nil, "done"))
		o := w.begin(backend.RunJob{Job: w.job().ID})
		w.close()
		time.Sleep(time.Minute)
		w.open()
		if got := w.await(o.ID); got.State != backend.OperationSucceeded {
			t.Errorf("run = %s %q (steps %+v)", got.State, got.Error, got.Steps)
		}
	})
}

func TestKeyMakesItTheSameOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 1, "ok")))
		id := w.app("web").ID
		cmd := backend.Restart{App: id, Intent: backend.Intent{Key: "k1"}}
		var wg sync.WaitGroup
		ids := make([]string, 20)
		for i := range ids {
			wg.Go(func() {
				if r, err := w.b.Do(w.ctx, cmd); err == nil {
					ids[i] = r.Operation.ID
				} else {
					t.Errorf("Do() = %v", err)
				}
			})
		}
		wg.Wait()
		w.await(ids[0])
		w.restart()
		r, err := w.b.Do(w.ctx, cmd)
		if err != nil || r.Operation.State != backend.OperationSucceeded {
			t.Errorf("Do() again = %+v, %v", r.Operation, err)
		}
		for _, got := range append(ids, r.Operation.ID) {
			if got != ids[0] {
				t.Errorf("operations %v, want one", ids)
				break
			}
		}
		if in := w.instances("web")[0]; in.Run != 2 {
			t.Errorf("run %d, want exactly one restart", in.Run)
		}
		w.refused(backend.Stop{App: id, Intent: backend.Intent{Key: "k1"}}, backend.Conflict, "another command")
		other := backend.WithAttribution(context.Background(), backend.Attribution{Principal: backend.Principal{Name: "bob"}})
		if r, err := w.b.Do(other, cmd); err != nil || r.Operation.ID == ids[0] {
			t.Errorf("another principal's key = %q, %v, want an operation of its own", r.Operation.ID, err)
		}
	})
}

func TestAuditHasEveryAcceptedCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 1, "ok")))
		w.must(backend.Block{App: w.app("web").ID, Intent: backend.Intent{Reason: "why not"}})
		w.refused(backend.Scale{App: w.app("web").ID, Instances: -1}, backend.Invalid)
		audits, err := w.st.Audits(w.ctx, 10)
		if err != nil || len(audits) != 2 || audits[0].Verb != "block" || audits[0].Reason != "why not" || audits[0].Attribution.Principal.Name != "ana" {
			t.Errorf("Audits() = %+v, %v", audits, err)
		}
	})
}
