package local_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pitwall/backend"
)

func TestApplyIsIdempotent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 1, "ok")))
		before := w.instances("web")
		r, err := w.b.Do(w.ctx, apply(spec("web", 1, "ok")))
		if err != nil || len(r.Changes) != 1 || r.Changes[0].Kind != backend.ChangeNone {
			t.Fatalf("Do(apply again) = %+v, %v, want no change", r.Changes, err)
		}
		w.await(r.Operation.ID)
		if diff := cmp.Diff(before, w.instances("web")); diff != "" || w.app("web").Release != 1 {
			t.Errorf("applying it again changed something:\n%s", diff)
		}
	})
}

func TestChangedSpecRollsToANewRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 2, "ok")))
		first := w.instances("web")
		s := spec("web", 2, "ok", "--fast")
		s.Env = map[string]string{"COLOR": "red"}
		r, err := w.b.Do(w.ctx, apply(s))
		if err != nil {
			t.Fatal(err)
		}
		want := []backend.FieldChange{
			{Path: "env.COLOR", New: "red"}, {Path: "processes.main.command.args", Old: "ok", New: "ok --fast"},
		}
		if diff := cmp.Diff(want, r.Changes[0].Fields); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		o := w.await(r.Operation.ID)
		if o.State != backend.OperationSucceeded {
			t.Fatalf("apply = %s: %s", o.State, o.Error)
		}
		for i, in := range w.instances("web") {
			if in.ID == first[i].ID || in.Release != 2 || !in.Ready {
				t.Errorf("instance %d = %s release %d ready %v, want a new one of release 2", i, in.ID, in.Release, in.Ready)
			}
		}
		releases, err := w.b.Releases(w.ctx, backend.ReleaseQuery{App: w.app("web").ID})
		if err != nil || len(releases.Items) != 2 || !releases.Items[0].Current || releases.Items[1].Current {
			t.Fatalf("Releases() = %+v, %v", releases.Items, err)
		}
		if diff := cmp.Diff(want, releases.Items[0].Diff); diff != "" {
			t.Errorf("diff of release 2 (-want +got):\n%s", diff)
		}
		var steps []string
		for _, s := range o.Steps {
			steps = append(steps, s.Name)
		}
		if want := []string{"start main.0", "drain main.0", "stop main.0", "start main.1", "drain main.1", "stop main.1", "ready"}; !slices.Equal(steps, want) {
			t.Errorf("steps = %v, want %v", steps, want)
		}

		w.must(backend.Rollback{App: w.app("web").ID})
		if a := w.app("web"); a.Release != 3 || len(a.Spec.Env) != 0 || a.Instances != 2 {
			t.Errorf("after rollback: release %d, env %v, %d instances", a.Release, a.Spec.Env, a.Instances)
		}
		releases, _ = w.b.Releases(w.ctx, backend.ReleaseQuery{App: w.app("web").ID})
		if releases.Items[0].From != 1 {
			t.Errorf("release 3 is from %d, want 1", releases.Items[0].From)
		}
		w.refused(backend.Rollback{App: w.app("web").ID, Release: 9}, backend.NotFound)
	})
}

func TestARouteMakesAReleaseButNoRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 1, "ok")))
		before := w.instances("web")[0]
		s := spec("web", 1, "ok")
		s.Routes = []backend.Route{{HTTP: "WEB.localhost"}}
		w.must(apply(s))
		a, after := w.app("web"), w.instances("web")[0]
		if a.Release != 2 || after.ID != before.ID || after.Run != 1 || after.Release != 2 {
			t.Errorf("release %d, instance %s run %d release %d; want it to run on in release 2", a.Release, after.ID, after.Run, after.Release)
		}
		told := w.edge.app(a.ID)
		if len(told.Routes) != 1 || told.Routes[0].HTTP != "web.localhost" || len(told.Targets) != 1 || !told.Targets[0].Ready {
			t.Errorf("the edge was told %+v", told)
		}
	})
}

func TestCountsAloneScale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 1, "ok")))
		keep := w.instances("web")[0].ID
		w.must(apply(spec("web", 3, "ok")))
		if a := w.app("web"); a.Release != 1 || a.Ready != 3 || w.instances("web")[0].ID != keep {
			t.Errorf("release %d, %d ready, first %s (was %s)", a.Release, a.Ready, w.instances("web")[0].ID, keep)
		}
	})
}

func TestBadDeclarationsChangeNothing(t *testing.T) {
	good := spec("good", 1, "ok")
	with := func(change func(s *backend.AppSpec)) backend.AppSpec {
		s := spec("web", 1, "ok")
		change(&s)
		return s
	}
	job := func(change func(s *backend.JobSpec)) backend.Apply {
		s := backend.JobSpec{Name: "nightly", Command: backend.CommandLine{Shell: "true"}}
		change(&s)
		return backend.Apply{Apps: []backend.AppSpec{good}, Jobs: []backend.JobSpec{s}}
	}
	tests := map[string]struct {
		cmd  backend.Apply
		want string
	}{
		"bad name":       {apply(good, spec("Web", 1, "ok")), "a-z"},
		"twice":          {apply(good, good), "declared twice"},
		"app and job":    {job(func(s *backend.JobSpec) { s.Name = "good" }), "declared twice"},
		"no process":     {apply(good, backend.AppSpec{Name: "web"}), "no process"},
		"no command":     {apply(good, spec("web", 1)), "no command"},
		"negative count": {apply(good, spec("web", -1, "ok")), "0 to 1000"},
		"too many":       {apply(good, spec("web", 1001, "ok")), "0 to 1000"},
		"two commands":   {apply(good, with(func(s *backend.AppSpec) { s.Processes[0].Command.Shell = "x" })), "not both"},
		"bad policy":     {apply(good, with(func(s *backend.AppSpec) { s.Processes[0].Restart.Policy = "maybe" })), "on-failure"},
		"bad signal":     {apply(good, with(func(s *backend.AppSpec) { s.Processes[0].Stop.Signal = "SIGTERM" })), "without SIG"},
		"empty check":    {apply(good, with(func(s *backend.AppSpec) { s.Processes[0].Health = &backend.Check{} })), "exactly one"},
		"two checks": {apply(good, with(func(s *backend.AppSpec) {
			s.Processes[0].Ready = &backend.Check{TCP: true, HTTP: "/"}
		})), "exactly one"},
		"bad path":         {apply(good, with(func(s *backend.AppSpec) { s.Processes[0].Ready = &backend.Check{HTTP: "x"} })), "begin with /"},
		"two kinds":        {apply(good, with(func(s *backend.AppSpec) { s.Routes = []backend.Route{{HTTP: "a", TCP: "b:1"}} })), "exactly one"},
		"bad address":      {apply(good, with(func(s *backend.AppSpec) { s.Routes = []backend.Route{{TCP: "6390"}} })), "HOST:PORT"},
		"bad host":         {apply(good, with(func(s *backend.AppSpec) { s.Routes = []backend.Route{{HTTP: "a b"}} })), "host name"},
		"no such process":  {apply(good, with(func(s *backend.AppSpec) { s.Routes = []backend.Route{{HTTP: "a", Process: "x"}} })), "does not have"},
		"same route twice": {apply(good, with(func(s *backend.AppSpec) { s.Routes = []backend.Route{{HTTP: "a"}, {HTTP: "A"}} })), "twice"},
		"route of another": {apply(good, with(func(s *backend.AppSpec) { s.Routes = []backend.Route{{TCP: "127.0.0.1:7000"}} })), "taken by"},
		"port of another":  {apply(good, with(func(s *backend.AppSpec) { s.Routes = []backend.Route{{TCP: "0.0.0.0:7000"}} })), "port 7000"},
		"bad env":          {apply(good, with(func(s *backend.AppSpec) { s.Env = map[string]string{"A-B": ""} })), "environment"},
		"own env":          {apply(good, with(func(s *backend.AppSpec) { s.Env = map[string]string{"PITWALL_X": ""} })), "Pitwall's own"},
		"bad levels":       {apply(good, with(func(s *backend.AppSpec) { s.Levels = "magic" })), "levels"},
		"bad schedule":     {job(func(s *backend.JobSpec) { s.Schedule = "every day" }), "five fields"},
		"bad minute":       {job(func(s *backend.JobSpec) { s.Schedule = "61 * * * *" }), "schedule"},
		"bad zone":         {job(func(s *backend.JobSpec) { s.Timezone = "Mars/Base" }), "time zone"},
		"bad concurrency":  {job(func(s *backend.JobSpec) { s.Concurrency = "often" }), "concurrency"},
		"prune of what":    {backend.Apply{Apps: []backend.AppSpec{good}, Prune: true}, "set"},
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		taken := spec("taken", 1, "ok")
		taken.Routes = []backend.Route{{TCP: "127.0.0.1:7000"}}
		w.must(apply(taken))
		for name, tt := range tests {
			_, err := w.b.Do(w.ctx, tt.cmd)
			if backend.CodeOf(err) != backend.Invalid || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: Do(apply) = %v, want Invalid with %q", name, err, tt.want)
			}
		}
		apps, _ := w.b.Apps(w.ctx, backend.AppQuery{})
		if len(apps.Items) != 1 || w.eng.living() != 1 {
			t.Errorf("%d apps, %d living, want only the one before", len(apps.Items), w.eng.living())
		}
	})
}

func TestPruneDeletesWhatItsSetNoLongerNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := apply(spec("a", 1, "ok"), spec("b", 1, "ok"))
		a.Set = "shop"
		a.Jobs = []backend.JobSpec{{Name: "j", Command: backend.CommandLine{Args: []string{"done"}}}}
		w.must(a)
		w.must(apply(spec("c", 1, "ok")))
		less := apply(spec("a", 1, "ok"))
		less.Set, less.Prune, less.DryRun = "shop", true, true
		r, err := w.b.Do(w.ctx, less)
		var kinds []backend.ChangeKind
		for _, c := range r.Changes {
			kinds = append(kinds, c.Kind)
		}
		if err != nil || r.Operation.ID != "" || !slices.Equal(kinds, []backend.ChangeKind{backend.ChangeNone, backend.ChangeDelete, backend.ChangeDelete}) {
			t.Errorf("Do(dry run) = %v, operation %q, %v", kinds, r.Operation.ID, err)
		}
		less.DryRun = false
		w.must(less)
		apps, _ := w.b.Apps(w.ctx, backend.AppQuery{})
		jobs, _ := w.b.Jobs(w.ctx, backend.JobQuery{})
		if len(apps.Items) != 2 || len(jobs.Items) != 0 {
			t.Errorf("%d apps, %d jobs left, want a and c", len(apps.Items), len(jobs.Items))
		}
	})
}

func TestFailedRollLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 3, "ok")))
		before := w.instances("web")
		o := w.do(apply(spec("web", 3, "crash")))
		if o.State != backend.OperationFailed || !strings.Contains(o.Error, "exit 2") || !strings.Contains(o.Error, "web") {
			t.Errorf("apply of what crashes = %s %q", o.State, o.Error)
		}
		synctest.Wait()
		after := w.instances("web")
		if len(after) != 3 || w.eng.living() != 3 {
			t.Fatalf("%d instances, %d living, want the three of before", len(after), w.eng.living())
		}
		for i := range after {
			if after[i].ID != before[i].ID || !after[i].Ready || after[i].Release != 1 {
				t.Errorf("instance %d = %+v, want %s untouched", i, after[i], before[i].ID)
			}
		}
		if a := w.app("web"); a.State != backend.AppRunning || a.Operation != "" {
			t.Errorf("app = %s, held by %q", a.State, a.Operation)
		}
	})
}

func TestWhatIsNeverReadyTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		begun := time.Now()
		o := w.do(apply(spec("web", 1, "deaf")))
		if o.State != backend.OperationFailed || o.Code != backend.Timeout || !strings.Contains(o.Error, "no answer yet") {
			t.Errorf("apply = %s %s %q", o.State, o.Code, o.Error)
		}
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("it took %s, want the deadline of a minute", took)
		}
	})
}

func TestTakenPortFailsTheStepNotTheApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.edge.fail["web"] = errors.New("listen tcp 127.0.0.1:6390: address already in use")
		s := spec("web", 1, "ok")
		s.Routes = []backend.Route{{TCP: "127.0.0.1:6390"}}
		o := w.do(apply(s))
		if o.State != backend.OperationFailed || !strings.Contains(o.Error, "address already in use") {
			t.Errorf("apply = %s %q", o.State, o.Error)
		}
		if a := w.app("web"); a.State != backend.AppRunning || !strings.Contains(a.LastError, "already in use") {
			t.Errorf("app = %s %q", a.State, a.LastError)
		}
		w.wantTold("web cannot be reached: listen tcp")
		w.edge.mu.Lock()
		delete(w.edge.fail, "web")
		w.edge.mu.Unlock()
		w.eventually("reached", func() bool { return w.app("web").LastError == "" })
		w.wantTold("web can be reached again")
	})
}

func TestEngineThatRefusesIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.eng.refuse = errors.New("the disk is full")
		o := w.begin(apply(spec("web", 1, "ok")))
		w.eventually("a reason", func() bool {
			all := w.instances("web")
			return len(all) == 1 && strings.Contains(all[0].Reason, "disk is full")
		})
		w.eng.mu.Lock()
		w.eng.refuse = nil
		w.eng.mu.Unlock()
		if o := w.await(o.ID); o.State != backend.OperationSucceeded {
			t.Errorf("apply = %s %q", o.State, o.Error)
		}
		w.wantTold("could not be started: the disk is full")
	})
}
