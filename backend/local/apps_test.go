package local_test

import (
	"testing"
	"testing/synctest"

	"pitwall/backend"
)

func TestApplyStartsANewApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		o := w.must(apply(spec("web", 3, "ok")))
		if o.Author != "ana" || o.Source != "test" || o.Kind != "apply" || o.Target != "web" || o.Percent != 100 {
			t.Errorf("operation = %+v", o)
		}
		a := w.app("web")
		if a.State != backend.AppRunning || a.Ready != 3 || a.Instances != 3 || a.Release != 1 || a.Team != "default" {
			t.Errorf("app = %+v, want it running with 3 of 3 in release 1", a)
		}
		for i, in := range w.instances("web") {
			if in.Index != i || in.State != backend.InstanceRunning || in.Run != 1 || in.PID == 0 || in.Release != 1 {
				t.Errorf("instance %d = %+v", i, in)
			}
		}
		runs, err := w.b.Runs(w.ctx, backend.RunQuery{Apps: []string{a.ID}})
		if err != nil || len(runs.Items) != 3 || runs.Items[0].State != backend.RunRunning {
			t.Errorf("Runs() = %+v, %v, want 3 that run", runs.Items, err)
		}
	})
}

func TestStopAndStartKeepTheInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 1, "ok")))
		before := w.instances("web")[0]
		w.must(backend.Stop{App: w.app("web").ID})
		if a := w.app("web"); a.State != backend.AppStopped || a.Desired != backend.DesiredStopped || w.eng.living() != 0 {
			t.Errorf("after stop: %s, %s, %d living", a.State, a.Desired, w.eng.living())
		}
		w.must(backend.Start{App: w.app("web").ID})
		after := w.instances("web")[0]
		if after.ID != before.ID || after.Run != 2 || after.State != backend.InstanceRunning {
			t.Errorf("after start: %s run %d %s, want %s run 2 running", after.ID, after.Run, after.State, before.ID)
		}
	})
}

func TestScaleUpAndDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 1, "ok")))
		id := w.app("web").ID
		up := w.must(backend.Scale{App: id, Instances: 4})
		if a := w.app("web"); a.Ready != 4 || a.Release != 1 {
			t.Errorf("after scale to 4: %d ready, release %d", a.Ready, a.Release)
		}
		w.must(backend.Scale{App: id, Process: "main", Instances: 2})
		if got := w.instances("web"); len(got) != 2 || w.eng.living() != 2 {
			t.Errorf("after scale to 2: %d instances, %d living", len(got), w.eng.living())
		}
		w.refused(backend.Undo{Operation: up.ID}, backend.Conflict, "changed since")
		w.refused(backend.Scale{App: id, Instances: 1001}, backend.Invalid)
		w.refused(backend.Scale{App: id, Process: "other", Instances: 1}, backend.NotFound)
		w.must(backend.Scale{App: id, Instances: 0})
		if a := w.app("web"); a.State != backend.AppStopped || a.Desired != backend.DesiredStarted {
			t.Errorf("scaled to nothing: %s, %s", a.State, a.Desired)
		}
	})
}

func TestRunNumbersGoOnInAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 1, "ok")))
		id := w.app("web").ID
		first := w.instances("web")[0].ID
		w.must(backend.Restart{App: id})
		second := w.instances("web")[0]
		if second.ID == first || second.Run != 2 {
			t.Errorf("after a rolling restart: %s run %d, want another instance in run 2", second.ID, second.Run)
		}
		w.must(backend.ForceRestart{App: id})
		if third := w.instances("web")[0]; third.ID != second.ID || third.Run != 3 {
			t.Errorf("after a forced restart: %s run %d, want %s in run 3", third.ID, third.Run, second.ID)
		}
		runs, err := w.b.Runs(w.ctx, backend.RunQuery{Apps: []string{id}})
		if err != nil || len(runs.Items) != 3 || runs.Items[0].Number != 3 || runs.Items[2].ID != first+"/1" {
			t.Errorf("Runs() = %+v, %v", runs.Items, err)
		}
		if ended := runs.Items[2]; ended.State != backend.RunCanceled || ended.Exit == nil || ended.Ended.IsZero() {
			t.Errorf("the first run = %+v, want it canceled", ended)
		}
		all, err := w.b.Instances(w.ctx, backend.InstanceQuery{Apps: []string{id}, Ended: true})
		if err != nil || len(all.Items) != 2 {
			t.Errorf("Instances(ended too) = %d, %v, want 2", len(all.Items), err)
		}
	})
}

func TestDeleteRemovesEverythingButEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := spec("web", 2, "ok")
		s.Routes = []backend.Route{{TCP: "127.0.0.1:6390"}}
		w.must(apply(s))
		id := w.app("web").ID
		w.must(backend.Delete{App: id})
		apps, _ := w.b.Apps(w.ctx, backend.AppQuery{})
		if len(apps.Items) != 0 || w.eng.living() != 0 || w.edge.app(id).ID != "" {
			t.Errorf("%d apps, %d living, edge %v; want nothing", len(apps.Items), w.eng.living(), w.edge.app(id))
		}
		if list, _ := w.eng.List(w.ctx); len(list) != 0 {
			t.Errorf("the engine still knows %d instances", len(list))
		}
		w.wantTold("web was deleted by ana")
		w.refused(backend.Start{App: id}, backend.NotFound)
		w.must(apply(s))
		if again := w.app("web"); again.ID == id || again.Release != 1 {
			t.Errorf("declared again: id %s release %d, want a new id and release 1", again.ID, again.Release)
		}
	})
}

func TestOneInstanceStopsAndStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 2, "ok")))
		id, one := w.app("web").ID, w.instances("web")[1].ID
		w.must(backend.Stop{App: id, Instance: one})
		if a := w.app("web"); a.State != backend.AppDegraded || a.Ready != 1 || a.Desired != backend.DesiredStarted {
			t.Errorf("one stopped: %s, %d ready, %s", a.State, a.Ready, a.Desired)
		}
		w.restart()
		synctest.Wait()
		if in := w.instances("web")[1]; in.State != backend.InstanceStopped {
			t.Errorf("after a restart of the server it is %s, want stopped", in.State)
		}
		w.must(backend.Start{App: id, Instance: one})
		if a := w.app("web"); a.State != backend.AppRunning || a.Ready != 2 {
			t.Errorf("started again: %s, %d ready", a.State, a.Ready)
		}
		w.refused(backend.Stop{App: id, Instance: "other"}, backend.NotFound)
	})
}

func TestCrashingAppSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		o := w.do(apply(spec("flaky", 1, "crash")))
		if o.State != backend.OperationFailed || o.Error != "flaky: main.0: exit 2" {
			t.Errorf("apply = %s %q, want it failed with the last words", o.State, o.Error)
		}
		a := w.app("flaky")
		if a.State != backend.AppCrashing || a.LastError != "exit 2" || a.Restarts == 0 {
			t.Errorf("app = %s %q, %d restarts", a.State, a.LastError, a.Restarts)
		}
		w.wantTold("flaky main.0 exited with 2 · run 1 lasted 100ms · next start in 1s")
		w.state("flaky", backend.AppFailed)
		w.wantTold("flaky main.0 failed: its restart budget is spent")
	})
}

func TestOneCrashIsForgivenAndSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		o := w.must(apply(spec("web", 1, "first-crash")))
		if a := w.app("web"); a.State != backend.AppCrashing {
			t.Errorf("right after its crash it is %s (operation %s)", a.State, o.State)
		}
		w.state("web", backend.AppRunning)
	})
}

func TestWorstAppsComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.do(apply(spec("a", 1, "ok"), spec("b", 1, "missing"), spec("c", 1, "crash"), spec("d", 1, "ok")))
		w.must(backend.Stop{App: w.app("a").ID})
		list, err := w.b.Apps(w.ctx, backend.AppQuery{})
		if err != nil {
			t.Fatal(err)
		}
		var got string
		for _, a := range list.Items {
			got += a.Name
		}
		if got != "cbda" && got != "bcda" {
			t.Errorf("Apps() = %s, want the failing, the running, the stopped", got)
		}
		if list.Items[0].State.Severity() > list.Items[1].State.Severity() {
			t.Errorf("%s before %s", list.Items[0].State, list.Items[1].State)
		}
		var paged string
		q := backend.AppQuery{Page: backend.Page{Limit: 1}}
		for {
			page, err := w.b.Apps(w.ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range page.Items {
				paged += a.Name
			}
			if q.Page.After = page.Next; page.Next == "" {
				break
			}
		}
		if paged != got {
			t.Errorf("pages = %s, want %s", paged, got)
		}
	})
}
