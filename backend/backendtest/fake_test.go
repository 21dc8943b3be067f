package backendtest_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pitwall/backend"
	"pitwall/backend/backendtest"
)

// shop returns a fake with an app of two instances.
func shop() (*backendtest.Fake, backend.App) {
	f := backendtest.NewFake()
	app := f.AddApp(backend.App{Name: "web", Scope: backend.Scope{Team: "shop"}, Instances: 2})
	f.AddInstance(backend.Instance{App: "web", Index: 0})
	f.AddInstance(backend.Instance{App: "web", Index: 1})
	return f, app
}

func appNow(t *testing.T, f *backendtest.Fake, id string) backend.App {
	t.Helper()
	apps, err := f.Apps(t.Context(), backend.AppQuery{IDs: []string{id}})
	if err != nil || len(apps.Items) != 1 {
		t.Fatalf("Apps(%s) = %v, %v, want one", id, apps.Items, err)
	}
	return apps.Items[0]
}

func TestFakeCountsInstances(t *testing.T) {
	f, app := shop()
	if got := appNow(t, f, app.ID); got.Ready != 2 || got.Instances != 2 {
		t.Errorf("app = %d/%d, want 2/2", got.Ready, got.Instances)
	}
}

func TestFakeCommandsChangeState(t *testing.T) {
	tests := []struct {
		do   func(id string) backend.Command
		want func(backend.App) bool
	}{
		{func(id string) backend.Command { return backend.Block{App: id} }, func(a backend.App) bool { return a.Blocked }},
		{func(id string) backend.Command { return backend.Unblock{App: id} }, func(a backend.App) bool { return !a.Blocked }},
		{func(id string) backend.Command { return backend.Kick{App: id} }, func(a backend.App) bool { return !a.Attached }},
		{func(id string) backend.Command { return backend.Restart{App: id} }, func(a backend.App) bool { return a.Attached }},
		{func(id string) backend.Command { return backend.Stop{App: id} }, func(a backend.App) bool {
			return a.State == backend.AppStopped && a.Ready == 0 && a.Desired == backend.DesiredStopped
		}},
		{func(id string) backend.Command { return backend.Start{App: id} }, func(a backend.App) bool {
			return a.State == backend.AppRunning && a.Ready == 2
		}},
		{func(id string) backend.Command { return backend.Scale{App: id, Instances: 5} }, func(a backend.App) bool {
			return a.Instances == 5 && a.Ready == 5
		}},
		{func(id string) backend.Command { return backend.Scale{App: id, Instances: 1} }, func(a backend.App) bool {
			return a.Instances == 1 && a.Ready == 1
		}},
	}
	f, app := shop()
	for _, tt := range tests {
		c := tt.do(app.ID)
		r, err := f.Do(t.Context(), c)
		if err != nil || r.Operation.State != backend.OperationSucceeded {
			t.Fatalf("Do(%s) = %+v, %v, want success", c.Verb(), r, err)
		}
		if got := appNow(t, f, app.ID); !tt.want(got) {
			t.Errorf("after %s the app is %+v", c.Verb(), got)
		}
	}
	if got := len(f.Commands()); got != len(tests) {
		t.Errorf("Commands() has %d, want %d", got, len(tests))
	}
}

func TestHeldOperationsStep(t *testing.T) {
	f, app := shop()
	f.Hold()
	r, err := f.Do(t.Context(), backend.Stop{App: app.ID})
	if err != nil || r.Operation.State != backend.OperationRunning || len(r.Operation.Steps) != 2 {
		t.Fatalf("Do(stop) = %+v, %v, want running with two steps", r.Operation, err)
	}
	q, err := f.Do(t.Context(), backend.Start{App: app.ID})
	if err != nil || q.Operation.State != backend.OperationQueued {
		t.Fatalf("Do(start) = %+v, %v, want queued", q.Operation, err)
	}
	_, err = f.Do(t.Context(), backend.Start{App: app.ID, Intent: backend.Intent{NoQueue: true}})
	if backend.CodeOf(err) != backend.Conflict {
		t.Errorf("Do(start, no queue) = %v, want conflict", err)
	}
	var states []backend.AppState
	for f.Step() {
		states = append(states, appNow(t, f, app.ID).State)
	}
	want := []backend.AppState{backend.AppRunning, backend.AppStopped, backend.AppStopped, backend.AppRunning}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("states by step (-want +got):\n%s", diff)
	}
}

func TestFinishFails(t *testing.T) {
	f, app := shop()
	f.Hold()
	r, _ := f.Do(t.Context(), backend.Restart{App: app.ID})
	if !f.Finish(r.Operation.ID, errors.New("main.0 did not become ready")) {
		t.Fatal("Finish() = false")
	}
	ops, _ := f.Operations(t.Context(), backend.OperationQuery{IDs: []string{r.Operation.ID}})
	if o := ops.Items[0]; o.State != backend.OperationFailed || o.Error != "main.0 did not become ready" {
		t.Errorf("operation = %+v, want failed with the reason", o)
	}
}

func TestFailedVerbs(t *testing.T) {
	f, app := shop()
	denied := backend.Errorf(backend.Denied, "you may not")
	f.Fail("kick", denied)
	f.Fail("apps", denied)
	if _, err := f.Do(t.Context(), backend.Kick{App: app.ID}); err != error(denied) {
		t.Errorf("Do(kick) = %v, want denied", err)
	}
	if _, err := f.Apps(t.Context(), backend.AppQuery{}); err != error(denied) {
		t.Errorf("Apps() = %v, want denied", err)
	}
	f.Fail("apps", nil)
	if got := appNow(t, f, app.ID); !got.Attached {
		t.Error("a refused kick detached the app")
	}
}

func TestUndo(t *testing.T) {
	f, app := shop()
	r, _ := f.Do(t.Context(), backend.Block{App: app.ID})
	if r.Operation.Undo != "unblock" {
		t.Errorf("Undo = %q, want unblock", r.Operation.Undo)
	}
	if _, err := f.Do(t.Context(), backend.Undo{Operation: r.Operation.ID}); err != nil {
		t.Fatalf("Do(undo) = %v", err)
	}
	if appNow(t, f, app.ID).Blocked {
		t.Error("the app is still blocked")
	}
}

func TestApplyDeclares(t *testing.T) {
	f, _ := shop()
	spec := backend.AppSpec{Name: "cache", Processes: []backend.ProcessSpec{{Name: "main", Instances: 2}}}
	apply := backend.Apply{Set: "shop.yaml", Apps: []backend.AppSpec{spec}, Prune: true}
	for _, want := range []backend.ChangeKind{backend.ChangeCreate, backend.ChangeNone} {
		r, err := f.Do(t.Context(), apply)
		if err != nil || len(r.Changes) != 1 || r.Changes[0].Kind != want {
			t.Fatalf("Do(apply) = %+v, %v, want %s", r.Changes, err, want)
		}
	}
	apps, _ := f.Apps(t.Context(), backend.AppQuery{Names: []string{"cache"}})
	if len(apps.Items) != 1 || apps.Items[0].Ready != 2 {
		t.Errorf("Apps(cache) = %+v, want one with two ready", apps.Items)
	}
	apply.Apps = nil
	if r, err := f.Do(t.Context(), apply); err != nil || len(r.Changes) != 1 || r.Changes[0].Kind != backend.ChangeDelete {
		t.Errorf("Do(apply) without it = %+v, %v, want delete", r.Changes, err)
	}
}

func TestDelayHoldsReads(t *testing.T) {
	f, _ := shop()
	release := f.Delay("apps")
	done := make(chan error)
	go func() {
		_, err := f.Apps(t.Context(), backend.AppQuery{})
		done <- err
	}()
	select {
	case <-done:
		t.Fatal("Apps() did not wait")
	default:
	}
	release()
	if err := <-done; err != nil {
		t.Errorf("Apps() = %v", err)
	}
}
