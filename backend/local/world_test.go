package local_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pitwall/backend"
	"pitwall/backend/local"
	"pitwall/backend/proxy"
	"pitwall/backend/sqlite"
)

// world is a Backend over a fake engine and a fake edge, on a real store.
type world struct {
	*testing.T
	path string
	eng  *fakeEngine
	edge *fakeEdge
	st   *sqlite.Store
	b    *local.Backend
	down []bool
	ctx  context.Context
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, path: filepath.Join(t.TempDir(), "state.db"), eng: newEngine(), edge: newEdge()}
	w.ctx = backend.WithAttribution(t.Context(), backend.Attribution{Principal: backend.Principal{Name: "ana"}, Door: "test"})
	w.open()
	t.Cleanup(w.close)
	return w
}

func (w *world) open() {
	w.Helper()
	var err error
	if w.st, err = sqlite.Open(context.Background(), sqlite.Config{Path: w.path}); err != nil {
		w.Fatalf("Open() = %v", err)
	}
	w.b, err = local.New(context.Background(), local.Config{
		Store: w.st, Engine: w.eng, Edge: w.edge, Bundles: filepath.Join(filepath.Dir(w.path), "bundles"),
		Node: backend.Node{ID: "boot", Name: "here"}, OnDown: func(apps bool) { w.down = append(w.down, apps) },
	})
	if err != nil {
		w.Fatalf("New() = %v", err)
	}
}

func (w *world) close() {
	if err := w.b.Close(); err != nil {
		w.Errorf("Close() = %v", err)
	}
	w.st.Close()
}

// restart is the end of a server and the start of the next.
func (w *world) restart() {
	w.Helper()
	w.close()
	w.open()
}

// spec declares an app of one process.
func spec(name string, n int, command ...string) backend.AppSpec {
	return backend.AppSpec{Name: name, Processes: []backend.ProcessSpec{{
		Name: "main", Instances: n, Command: backend.CommandLine{Args: command},
	}}}
}

func apply(specs ...backend.AppSpec) backend.Apply { return backend.Apply{Apps: specs} }

// begin does a command that must be accepted.
func (w *world) begin(c backend.Command) backend.Operation {
	w.Helper()
	r, err := w.b.Do(w.ctx, c)
	if err != nil {
		w.Fatalf("Do(%s) = %v", c.Verb(), err)
	}
	return r.Operation
}

// do does a command and waits for its outcome.
func (w *world) do(c backend.Command) backend.Operation {
	w.Helper()
	return w.await(w.begin(c).ID)
}

// must is do for what must succeed.
func (w *world) must(c backend.Command) backend.Operation {
	w.Helper()
	o := w.do(c)
	if o.State != backend.OperationSucceeded {
		w.Fatalf("%s = %s: %s (steps %+v)", c.Verb(), o.State, o.Error, o.Steps)
	}
	return o
}

// refused wants a command to be refused with a code.
func (w *world) refused(c backend.Command, want backend.Code, words ...string) {
	w.Helper()
	_, err := w.b.Do(w.ctx, c)
	if backend.CodeOf(err) != want {
		w.Errorf("Do(%s) = %v (code %q), want code %q", c.Verb(), err, backend.CodeOf(err), want)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			w.Errorf("Do(%s) = %q, want it to say %q", c.Verb(), err, word)
		}
	}
}

// patience bounds what a failing test waits.
const patience = 10 * time.Minute

func (w *world) await(id string) backend.Operation {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	list, err := w.b.Operations(ctx, backend.OperationQuery{IDs: []string{id}})
	if err != nil || len(list.Items) != 1 {
		w.Fatalf("Operations(%s) = %d, %v", id, len(list.Items), err)
	}
	o := list.Items[0]
	feed, err := w.b.Watch(ctx, backend.WatchQuery{Since: list.Index, Ref: o.AsRef()})
	if err != nil {
		w.Fatalf("Watch() = %v", err)
	}
	defer feed.Close()
	for !o.State.Ended() {
		events, err := feed.Next(ctx)
		if err != nil {
			w.Fatalf("%s %s never ended: %v (steps %+v)", o.Kind, o.Target, err, o.Steps)
		}
		for _, e := range events {
			if e.Op != nil {
				o = *e.Op
			}
		}
	}
	return o
}

func (w *world) app(name string) backend.App {
	w.Helper()
	list, err := w.b.Apps(w.ctx, backend.AppQuery{Names: []string{name}})
	if err != nil || len(list.Items) != 1 {
		w.Fatalf("Apps(%s) = %d, %v", name, len(list.Items), err)
	}
	return list.Items[0]
}

func (w *world) instances(name string) []backend.Instance {
	w.Helper()
	list, err := w.b.Instances(w.ctx, backend.InstanceQuery{Apps: []string{w.app(name).ID}})
	if err != nil {
		w.Fatalf("Instances() = %v", err)
	}
	return list.Items
}

// eventually polls for what must come, in the bubble's time where there is one.
func (w *world) eventually(what string, ok func() bool) {
	w.Helper()
	for until := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			w.Fatalf("it never came: %s", what)
		}
	}
}

func (w *world) state(name string, want backend.AppState) {
	w.Helper()
	w.eventually(name+" "+string(want), func() bool { return w.app(name).State == want })
}

// told lists the messages of events, newest first.
func (w *world) told() []string {
	w.Helper()
	list, err := w.b.Events(w.ctx, backend.EventQuery{})
	if err != nil {
		w.Fatalf("Events() = %v", err)
	}
	var out []string
	for _, e := range list.Items {
		out = append(out, e.Message)
	}
	return out
}

func (w *world) wantTold(part string) {
	w.Helper()
	if all := w.told(); !slices.ContainsFunc(all, func(m string) bool { return strings.Contains(m, part) }) {
		w.Errorf("no event says %q:\n%s", part, strings.Join(all, "\n"))
	}
}

// fakeEdge remembers what it was told.
type fakeEdge struct {
	mu     sync.Mutex
	apps   map[string]proxy.App
	kicked []string
	drains []string
	fail   map[string]error // by app name
}

func newEdge() *fakeEdge {
	return &fakeEdge{apps: make(map[string]proxy.App), fail: make(map[string]error)}
}

func (e *fakeEdge) Set(a proxy.App) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.apps[a.ID] = a
	return e.fail[a.Name]
}

func (e *fakeEdge) Remove(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.apps, id)
}

func (e *fakeEdge) Kick(id string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kicked = append(e.kicked, id)
	return 7
}

func (e *fakeEdge) KickInstance(_, id string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kicked = append(e.kicked, id)
	return 3
}

func (e *fakeEdge) Drain(_ context.Context, _, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drains = append(e.drains, id)
	return nil
}

func (e *fakeEdge) CountsOf(id string) (proxy.AppCounts, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.apps[id]
	return proxy.AppCounts{}, ok
}

func (e *fakeEdge) app(id string) proxy.App {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.apps[id]
}
