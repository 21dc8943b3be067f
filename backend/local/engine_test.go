package local_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"pitwall/backend"
	"pitwall/backend/engine"
)

// fakeEngine runs instances in memory, as package engine promises. What a
// program does is the first word of its command:
//
//	ok            runs, and is ready after 10 ms
//	slow          is ready after 5 s
//	deaf          runs and is never ready
//	crash         exits with 2 after 100 ms
//	first-crash   like crash in its first run, then like ok
//	missing       can not be started
//	done          exits with 0 after 100 ms
//	stubborn      like ok, but stops only when its grace is over
type fakeEngine struct {
	mu     sync.Mutex
	all    map[string]*fakeInstance
	feeds  map[*fakeFeed]bool
	levels map[string]map[string]backend.Level
	calls  []string
	refuse error // of Start
	nextID int
	usages int
	grow   bool // the memory that instances use, with each measurement

	// starting takes a token from each Start, which waits while it cannot.
	starting chan struct{}
}

type fakeInstance struct {
	status engine.Status
	runs   []engine.RunRecord
	timer  *time.Timer
	asked  bool // to stop
}

func newEngine() *fakeEngine {
	return &fakeEngine{
		all: make(map[string]*fakeInstance), feeds: make(map[*fakeFeed]bool), levels: make(map[string]map[string]backend.Level), nextID: 1000,
	}
}

func unknown(id string) error { return backend.Errorf(backend.NotFound, "there is no instance %s", id) }

func (e *fakeEngine) Start(_ context.Context, s engine.Spec) error {
	if e.starting != nil {
		e.starting <- struct{}{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, "start "+s.ID)
	if e.refuse != nil {
		return e.refuse
	}
	in := e.all[s.ID]
	if in == nil {
		in = &fakeInstance{status: engine.Status{ID: s.ID, Created: time.Now(), Run: s.FirstRun - 1}}
		e.all[s.ID] = in
	} else if !in.status.State.Final() {
		return nil
	}
	in.status.Spec = s
	in.asked = false
	e.launch(in)
	return nil
}

// launch begins the next run.
func (e *fakeEngine) launch(in *fakeInstance) {
	st := &in.status
	st.Run++
	e.nextID++
	st.PID, st.Port = e.nextID, 20000+e.nextID
	in.runs = append(in.runs, engine.RunRecord{Number: st.Run, PID: st.PID, Started: time.Now()})
	e.set(in, backend.InstanceStarting, "", false)
	word := "ok"
	if len(st.Spec.Command.Args) > 0 {
		word = st.Spec.Command.Args[0]
	}
	if word == "first-crash" {
		word = "ok"
		if st.Run == st.Spec.FirstRun {
			word = "crash"
		}
	}
	ready := func() { e.set(in, backend.InstanceRunning, "", true) }
	switch word {
	case "slow":
		e.after(in, 5*time.Second, ready)
	case "deaf":
		e.after(in, 10*time.Millisecond, func() { e.set(in, backend.InstanceStarting, "no answer yet", false) })
	case "crash":
		e.after(in, 100*time.Millisecond, func() { e.exit(in, backend.Exit{Code: 2}) })
	case "missing":
		e.exit(in, backend.Exit{Code: 127, Reason: "there is no program " + word})
	case "done":
		e.after(in, 100*time.Millisecond, func() { e.exit(in, backend.Exit{}) })
	default:
		e.after(in, 10*time.Millisecond, ready)
	}
}

// after runs fn with mu held, unless something else happens to the instance.
func (e *fakeEngine) after(in *fakeInstance, d time.Duration, fn func()) {
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if in.timer == t {
			in.timer = nil
			fn()
		}
	})
	in.timer = t
}

// exit ends the present run and applies the restart policy.
func (e *fakeEngine) exit(in *fakeInstance, x backend.Exit) {
	st := &in.status
	x.Time = time.Now()
	in.runs[len(in.runs)-1].Ended, in.runs[len(in.runs)-1].Exit = time.Now(), &x
	st.LastExit, st.PID = &x, 0
	restart := st.Spec.Restart.OrDefault()
	switch {
	case in.asked:
		e.set(in, backend.InstanceStopped, "", false)
	case x.Code == 0 && restart.Policy != backend.RestartAlways:
		e.set(in, backend.InstanceComplete, "", false)
	case restart.Policy == backend.RestartNever:
		e.set(in, backend.InstanceFailed, x.String(), false)
	case st.Restarts >= restart.Budget:
		e.set(in, backend.InstanceFailed, "its restart budget is spent", false)
	default:
		st.NextStart = time.Now().Add(time.Second)
		e.set(in, backend.InstanceCrashed, x.String(), false)
		e.after(in, time.Second, func() {
			st.Restarts++
			st.NextStart = time.Time{}
			e.launch(in)
		})
	}
}

func (e *fakeEngine) set(in *fakeInstance, s backend.InstanceState, reason string, ready bool) {
	st := &in.status
	st.State, st.Reason, st.Ready, st.Since = s, reason, ready, time.Now()
	for f := range e.feeds {
		f.put(*st)
	}
}

func (e *fakeEngine) Stop(_ context.Context, id string, o engine.StopOptions) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, fmt.Sprintf("stop %s %v", id, o.Force))
	in := e.all[id]
	if in == nil {
		return unknown(id)
	}
	if in.status.State.Final() {
		return nil
	}
	if in.asked && !o.Force {
		return nil
	}
	in.asked = true
	if in.status.State == backend.InstanceCrashed {
		in.timer = nil
		e.set(in, backend.InstanceStopped, "", false)
		return nil
	}
	wait, x := 20*time.Millisecond, backend.Exit{Code: 143, Signal: "TERM"}
	if in.status.Spec.Command.Args[0] == "stubborn" {
		wait, x = in.status.Spec.Stop.OrDefault().Grace.Std(), backend.Exit{Code: 137, Signal: "KILL"}
	}
	if o.Force {
		wait, x = time.Millisecond, backend.Exit{Code: 137, Signal: "KILL"}
	}
	e.set(in, backend.InstanceStopping, "", false)
	e.after(in, wait, func() { e.exit(in, x) })
	return nil
}

func (e *fakeEngine) Restart(_ context.Context, id string, _ engine.StopOptions) error {
	return backend.Errorf(backend.Unsupported, "not used")
}

func (e *fakeEngine) Signal(_ context.Context, id, signal string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, "signal "+id+" "+signal)
	if e.all[id] == nil {
		return unknown(id)
	}
	return nil
}

func (e *fakeEngine) Remove(_ context.Context, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	in := e.all[id]
	if in == nil {
		return unknown(id)
	}
	if !in.status.State.Final() {
		return backend.Errorf(backend.Conflict, "%s runs", id)
	}
	delete(e.all, id)
	return nil
}

func (e *fakeEngine) List(context.Context) ([]engine.Status, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []engine.Status
	for _, in := range e.all {
		out = append(out, in.status)
	}
	return out, nil
}

func (e *fakeEngine) Watch(context.Context) (backend.Feed[engine.Change], error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := &fakeFeed{e: e, latest: make(map[string]engine.Status), ready: make(chan struct{}, 1)}
	for _, in := range e.all {
		f.latest[in.status.ID] = in.status
	}
	f.wake()
	e.feeds[f] = true
	return f, nil
}

func (e *fakeEngine) Runs(_ context.Context, id string, after int) ([]engine.RunRecord, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	in := e.all[id]
	if in == nil {
		return nil, unknown(id)
	}
	var out []engine.RunRecord
	for _, r := range in.runs {
		if r.Number > after {
			out = append(out, r)
		}
	}
	return out, nil
}

func (e *fakeEngine) Usage(_ context.Context, ids []string) (map[string]engine.Usage, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.usages++
	rss := int64(1 << 20)
	if e.grow {
		rss *= int64(e.usages)
	}
	out := make(map[string]engine.Usage)
	for _, id := range ids {
		out[id] = engine.Usage{CPU: 0.25, RSS: rss, FDs: 3, Processes: 1}
	}
	return out, nil
}

func (e *fakeEngine) SetLevels(_ context.Context, id string, levels map[string]backend.Level) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.levels[id] = maps.Clone(levels)
	return nil
}

func (e *fakeEngine) levelsOf(id string) map[string]backend.Level {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.levels[id]
}

func (e *fakeEngine) Loggers(context.Context, string) ([]string, error) { return []string{"http"}, nil }

func (e *fakeEngine) Attach(context.Context, backend.AttachSpec) (backend.Conn, error) {
	return nil, backend.Errorf(backend.Unsupported, "no attaching here")
}

func (e *fakeEngine) Describe() engine.Description {
	return engine.Description{Name: "fake", Cgroup: "none"}
}

func (e *fakeEngine) Close() error { return nil }

// reboot ends everything, as the host's restart does.
func (e *fakeEngine) reboot() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, in := range e.all {
		if in.status.State.Final() {
			continue
		}
		in.timer = nil
		x := backend.Exit{Unknown: true, Reason: "lost: host restarted", Time: time.Now()}
		in.runs[len(in.runs)-1].Ended, in.runs[len(in.runs)-1].Exit = time.Now(), &x
		in.status.LastExit, in.status.PID = &x, 0
		e.set(in, backend.InstanceLost, "host restarted", false)
	}
}

// happened lists the calls with a prefix.
func (e *fakeEngine) happened(prefix string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(e.calls), func(c string) bool { return !strings.HasPrefix(c, prefix) })
}

// measured counts how often the engine was asked to measure.
func (e *fakeEngine) measured() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.usages
}

// living counts what runs.
func (e *fakeEngine) living() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, in := range e.all {
		if !in.status.State.Final() {
			n++
		}
	}
	return n
}

// fakeFeed has the latest status of each instance that has news.
type fakeFeed struct {
	e      *fakeEngine
	latest map[string]engine.Status
	closed bool
	first  bool
	ready  chan struct{}
}

func (f *fakeFeed) put(st engine.Status) {
	f.latest[st.ID] = st
	f.wake()
}

func (f *fakeFeed) wake() {
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

func (f *fakeFeed) Next(ctx context.Context) ([]engine.Change, error) {
	for {
		f.e.mu.Lock()
		if f.closed {
			f.e.mu.Unlock()
			return nil, io.EOF
		}
		if len(f.latest) > 0 || !f.first {
			f.first = true
			var out []engine.Change
			for id, st := range f.latest {
				out = append(out, engine.Change{ID: id, Status: &st, Logged: true})
			}
			clear(f.latest)
			f.e.mu.Unlock()
			return out, nil
		}
		f.e.mu.Unlock()
		select {
		case <-f.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *fakeFeed) Close() error {
	f.e.mu.Lock()
	defer f.e.mu.Unlock()
	f.closed = true
	delete(f.e.feeds, f)
	f.wake()
	return nil
}
