package backendtest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"pitwall/backend"
)

// Epoch is the time at which a fresh [Fake] stands.
const Epoch = "2026-03-01T14:00:00Z"

// Author is who a Fake says did a thing when the context names nobody.
const Author = "ana"

// Fake is a small Backend in memory for tests of views and doors. Its clock
// stands still until Advance, so that what it shows is always the same; its
// ids are made from names and a counter.
//
// What a test adds with the Add methods is announced as an event, as a real
// change would be. Commands change the state as a person would expect, and
// their operations end at once, or, after [Fake.Hold], by hand with
// [Fake.Step] and [Fake.Finish]. A Fake is safe for concurrent use.
type Fake struct {
	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	closed  bool
	now     time.Time
	made    int

	index  uint64
	events []backend.Event // all that are kept, by index
	buffer int             // events a watcher may be behind
	resets int             // watches opened before this count are over

	apps       []backend.App
	instances  []backend.Instance
	jobs       []backend.Job
	runs       []backend.Run
	releases   []backend.Release
	loggers    []backend.Logger
	operations []backend.Operation
	nodes      []backend.Node
	documents  []backend.Document
	sets       map[string][]backend.Ref // what an Apply declared

	log     []backend.LogEntry // in the order of arrival; a cursor is a place in it
	seqs    map[string]uint64  // by instance
	samples []backend.Sample   // the latest of each resource, oldest first
	sampled []uint64           // when each came, by sampleTick
	tick    uint64
	blobs   map[string][]byte
	link    backend.LinkState
	links   uint64 // changes of link

	hold     bool
	pending  map[string]backend.Command // of operations that have not ended
	undo     map[string]backend.Command // by operation
	commands []backend.Command
	fails    map[string]error
	gates    map[string]chan struct{} // reads that wait
}

var (
	_ backend.Backend      = (*Fake)(nil)
	_ backend.LinkReporter = (*Fake)(nil)
)

// NewFake returns a Fake with one node and nothing else.
func NewFake() *Fake {
	now, _ := time.Parse(time.RFC3339, Epoch)
	f := &Fake{
		changed: make(chan struct{}),
		now:     now,
		buffer:  1024,
		sets:    make(map[string][]backend.Ref),
		seqs:    make(map[string]uint64),
		blobs:   make(map[string][]byte),
		pending: make(map[string]backend.Command),
		undo:    make(map[string]backend.Command),
		fails:   make(map[string]error),
		gates:   make(map[string]chan struct{}),
	}
	f.link = backend.LinkState{State: backend.LinkUp, Since: now}
	f.nodes = []backend.Node{{
		ID: "node", Name: "pit", State: "ready", Engine: "process", Version: "0.0.0-test", Started: now,
		Context: "test", CPUs: 2, Memory: 8 << 30, MemoryFree: 4 << 30, Disk: 100 << 30, DiskFree: 50 << 30, Cgroup: "none",
	}}
	return f
}

// Now returns the Fake's time.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Advance moves the Fake's time. Nothing happens by it.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

// AddApp adds an app and returns it with what was empty filled in: id, scope,
// state (running, or stopped without instances wanted), spec. It is attached
// unless its state is stopped.
func (f *Fake) AddApp(a backend.App) backend.App {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fillApp(&a)
	f.apps = append(f.apps, a)
	f.announceApp(backend.EventCreated, a, "")
	return a
}

// AddInstance adds an instance of the app that it names by AppID or App, and
// returns it with what was empty filled in. The app's counts follow.
func (f *Fake) AddInstance(i backend.Instance) backend.Instance {
	f.mu.Lock()
	defer f.mu.Unlock()
	app := f.findApp(cmp.Or(i.AppID, i.App))
	f.fillInstance(&i, app)
	f.instances = append(f.instances, i)
	if app != nil {
		f.recount(app)
		f.announceApp(backend.EventUpdated, *app, "")
	}
	f.announceInstance(backend.EventCreated, i, "")
	return i
}

// AddJob adds a job and returns it with what was empty filled in.
func (f *Fake) AddJob(j backend.Job) backend.Job {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fillJob(&j)
	f.jobs = append(f.jobs, j)
	f.announceJob(backend.EventCreated, j)
	return j
}

// AddRun adds a run and returns it with what was empty filled in.
func (f *Fake) AddRun(r backend.Run) backend.Run {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.addRun(r)
}

// AddRelease adds a release of an app, which becomes the current one when it
// says so.
func (f *Fake) AddRelease(r backend.Release) backend.Release {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.addRelease(r)
}

// AddLogger adds a logger of an app.
func (f *Fake) AddLogger(l backend.Logger) backend.Logger {
	f.mu.Lock()
	defer f.mu.Unlock()
	if app := f.findApp(cmp.Or(l.AppID, l.App)); app != nil {
		l.AppID, l.App = app.ID, app.Name
		app.Levels = true
	}
	f.loggers = append(f.loggers, l)
	f.announce(backend.Event{Kind: backend.EventCreated, Ref: l.Ref(), OwnerID: l.AppID, Owner: l.App, Logger: &l})
	return l
}

// AddOperation adds an operation as it is; an empty id, state and time are
// filled in. It never moves by itself.
func (f *Fake) AddOperation(o backend.Operation) backend.Operation {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o.ID == "" {
		o.ID = f.operationID()
	}
	o.State = cmp.Or(o.State, backend.OperationSucceeded)
	o.Author = cmp.Or(o.Author, Author)
	if o.Created.IsZero() {
		o.Created = f.now
	}
	f.operations = append(f.operations, o)
	f.announceOperation(backend.EventCreated, o)
	return o
}

// AddNode adds a node after the server's own.
func (f *Fake) AddNode(n backend.Node) backend.Node {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes = append(f.nodes, n)
	f.announce(backend.Event{Kind: backend.EventCreated, Ref: n.Ref(), Node: &n})
	return n
}

// SetNode changes the server's own node.
func (f *Fake) SetNode(change func(*backend.Node)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.nodes[0])
	n := f.nodes[0]
	f.announce(backend.Event{Kind: backend.EventUpdated, Ref: n.Ref(), Node: &n})
}

// SetApp changes the app of that id or name and announces it with message,
// which may be empty. It reports whether there is such an app.
func (f *Fake) SetApp(idOrName, message string, change func(*backend.App)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	app := f.findApp(idOrName)
	if app == nil {
		return false
	}
	was := app.State
	change(app)
	app.Updated = f.now
	if app.State != was {
		app.Since = f.now
	}
	f.announceApp(backend.EventUpdated, *app, message)
	return true
}

// SetInstance changes the instance of that id and announces it with message,
// which may be empty. It reports whether there is such an instance.
func (f *Fake) SetInstance(id, message string, change func(*backend.Instance)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.findInstance(id)
	if i == nil {
		return false
	}
	was := i.State
	change(i)
	if i.State != was {
		i.Since = f.now
	}
	f.announceInstance(backend.EventUpdated, *i, message)
	if app := f.findApp(i.AppID); app != nil {
		f.recount(app)
		f.announceApp(backend.EventUpdated, *app, "")
	}
	return true
}

// RemoveInstance takes an instance away, as a scale or a roll does.
func (f *Fake) RemoveInstance(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.removeInstance(id)
}

// Emit publishes an event as it is, with the next index and, when it has none,
// the present time.
func (f *Fake) Emit(e backend.Event) backend.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.announce(e)
}

// Sample publishes measurements.
func (f *Fake) Sample(samples ...backend.Sample) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range samples {
		f.tick++
		if s.Time.IsZero() {
			s.Time = f.now
		}
		if at := slices.IndexFunc(f.samples, func(o backend.Sample) bool { return o.Ref == s.Ref }); at >= 0 {
			f.samples, f.sampled = slices.Delete(f.samples, at, at+1), slices.Delete(f.sampled, at, at+1)
		}
		f.samples, f.sampled = append(f.samples, s), append(f.sampled, f.tick)
	}
	f.wake()
}

// SetLink changes what Link reports.
func (f *Fake) SetLink(s backend.LinkState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.Since.IsZero() {
		s.Since = f.now
	}
	f.link = s
	f.links++
	f.wake()
}

// Commands returns every command that was given to Do, the refused ones too,
// in order.
func (f *Fake) Commands() []backend.Command {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.commands)
}

// Fail makes what is named fail with err until it is called again with nil: a
// command by its verb, a read by the name of its method in lower case ("apps",
// "watch", "logs", "open" …).
func (f *Fake) Fail(verb string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails[verb] = err
}

// Delay makes calls of what is named wait, as Fail names it, until the
// returned function is called or their context ends.
func (f *Fake) Delay(verb string) (release func()) {
	gate := make(chan struct{})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gates[verb] = gate
	return sync.OnceFunc(func() {
		close(gate)
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.gates, verb)
	})
}

// Buffer sets how many events a watcher may be behind before it is told of a
// lag; 1024 at first.
func (f *Fake) Buffer(events int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buffer = events
}

// Compact forgets every event up to the present index.
func (f *Fake) Compact() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = nil
	f.wake()
}

// Reset ends every watch with [backend.Reset], as a change of rights does.
func (f *Fake) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resets++
	f.wake()
}

// Close ends every feed and makes every later call fail with Unavailable.
func (f *Fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.wake()
	return nil
}

// enter is the start of every method: it waits at the gate of that name, fails
// as Fail asked, or locks the Fake.
func (f *Fake) enter(ctx context.Context, name string) error {
	f.mu.Lock()
	for f.gates[name] != nil {
		gate := f.gates[name]
		f.mu.Unlock()
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
		f.mu.Lock()
	}
	err := ctx.Err()
	switch {
	case err != nil:
	case f.closed:
		err = backend.Errorf(backend.Unavailable, "the backend is closed")
	default:
		err = f.fails[name]
	}
	if err != nil {
		f.mu.Unlock()
	}
	return err
}

func (f *Fake) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// id makes an id of 24 hexadecimal digits.
func (f *Fake) id(name string) string {
	f.made++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, f.made))
	return hex.EncodeToString(sum[:12])
}

func (f *Fake) operationID() string {
	f.made++
	return fmt.Sprintf("op%04d", f.made)
}
