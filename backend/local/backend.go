// Package local is the Backend in this process. It holds what operators want,
// makes the engine converge to it, and says what happened.
//
// # How it works
//
// State is a set of records, kept in memory for reading and in package sqlite
// for good. Every change goes through one function, [Backend.change], one at a
// time: it drafts records, commits them with their events in one transaction,
// puts them in memory, and wakes whoever waits. So memory never says what the
// disk does not know, and events come in the order of their index.
//
// Commands change what is wanted; they never touch the engine. A convergence
// per owner (an app or a job) compares what is wanted with what the engine
// says and starts, stops and removes instances until they agree. It runs when
// something changed and costs nothing otherwise. An operation is a goroutine
// that changes what is wanted, waits for records to become so, and writes down
// its steps.
//
// The restart policy is the engine's: an instance that crashes is started
// again without this package, or this process.
package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os/user"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pitwall/backend"
	"pitwall/backend/engine"
	"pitwall/backend/hub"
	"pitwall/backend/sqlite"
)

// Config is what a Backend is made of. Store and Engine are needed; the caller
// closes them, and Edge and Logs, after the Backend.
type Config struct {
	Store  *sqlite.Store
	Engine engine.Engine
	Edge   Edge // nil: routes are not served
	Logs   Logs // nil: there are no logs

	// Bundles is the folder that Put stores in; empty means no bundles.
	Bundles string

	// Node describes the server; what can be measured is filled in.
	Node backend.Node

	Now    func() time.Time // nil means time.Now
	Random io.Reader        // nil means crypto/rand
	Log    *slog.Logger     // nil means none

	// OnDown is called, once, when a Down was carried out. It must not wait
	// for the Backend.
	OnDown func(apps bool)

	// Down makes a Backend that starts nothing: it takes back what runs, to
	// end it by a Down.
	Down bool

	// ReadyDeadline is how long an instance may take to become ready before
	// an operation gives up on it; 0 means a minute.
	ReadyDeadline time.Duration

	// KeepRuns is how many runs are kept of each place of an app; 0 means 20.
	KeepRuns int
}

// Backend implements [backend.Backend] in this process.
type Backend struct {
	cfg    Config
	store  *sqlite.Store
	eng    engine.Engine
	log    *slog.Logger
	author string // of what nobody in particular asked for

	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc
	tasks  sync.WaitGroup
	ending sync.Mutex // held to begin a task, and to say that none may begin
	ended  bool

	// changing is held by the one change that is under way. It guards queue
	// and held, and is locked before mu.
	changing sync.Mutex
	queue    []*operation          // accepted and waiting for what they hold
	held     map[string]*operation // key of an app or job to who has it

	// mu guards everything below. Writers hold changing too, except for
	// control.
	mu        sync.RWMutex
	index     uint64
	apps      map[string]sqlite.App
	jobs      map[string]sqlite.Job
	instances map[string]sqlite.Instance
	members   map[string]map[string]bool // owner to its instances
	names     map[string]string          // "team/space/name" to app or job
	levels    map[levelKey]sqlite.Level
	ops       map[string]sqlite.Operation // that have not ended
	live      map[string]*operation       // their goroutines
	wake      chan struct{}               // closed at the next change
	adopted   bool                        // the engine has said what it runs
	down      bool                        // everything is to stop, whatever is wanted
	control   map[string]*control

	// events has what is committed and shown; watchers that want more read
	// the store. Published to with mu held.
	events hub.Hub[backend.Event]

	usage      atomic.Pointer[map[string]engine.Usage] // last measured; never nil, never written
	converging convergence
	edge       edgeSync
	sampler    sampler
	timers     timers
}

// errClosing ends what runs inside when the server goes; the next one goes on
// with it.
var errClosing = errors.New("the server is closing")

// New loads the state and starts to converge. The Backend works until Close;
// ctx bounds the loading alone.
func New(ctx context.Context, cfg Config) (*Backend, error) {
	b := &Backend{
		cfg: cfg.orDefault(), store: cfg.Store, eng: cfg.Engine, author: currentUser(),
		held:      make(map[string]*operation),
		apps:      make(map[string]sqlite.App),
		jobs:      make(map[string]sqlite.Job),
		instances: make(map[string]sqlite.Instance),
		members:   make(map[string]map[string]bool),
		names:     make(map[string]string),
		levels:    make(map[levelKey]sqlite.Level),
		ops:       make(map[string]sqlite.Operation),
		live:      make(map[string]*operation),
		control:   make(map[string]*control),
		wake:      make(chan struct{}),
	}
	b.log, b.down = b.cfg.Log, cfg.Down
	b.usage.Store(&map[string]engine.Usage{})
	b.ctx, b.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	st, err := b.store.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("load state: %w", err)
	}
	b.load(st)
	b.syncEdges(slices.Sorted(maps.Keys(b.apps)))
	if err := b.resume(); err != nil {
		b.Close()
		return nil, fmt.Errorf("resume operations: %w", err)
	}
	b.spawn(b.follow)
	b.spawn(b.schedule)
	b.spawn(b.expireLevels)
	return b, nil
}

func (c Config) orDefault() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.OnDown == nil {
		c.OnDown = func(bool) {}
	}
	if c.ReadyDeadline == 0 {
		c.ReadyDeadline = time.Minute
	}
	if c.Node.ID == "" {
		c.Node.ID = bootID()
	}
	if c.KeepRuns == 0 {
		c.KeepRuns = 20
	}
	return c
}

func currentUser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

// load puts the stored state in memory. Nobody else is there yet.
func (b *Backend) load(st sqlite.State) {
	b.index = st.Index
	for _, a := range st.Apps {
		a.App.Operation = ""
		b.apps[a.App.ID] = a
		b.names[a.App.Qualify(a.App.Name)] = a.App.ID
	}
	for _, j := range st.Jobs {
		b.jobs[j.Job.ID] = j
		b.names[j.Job.Qualify(j.Job.Name)] = j.Job.ID
	}
	for _, i := range st.Instances {
		i.TriedBy = "" // whoever saw to it has gone with the server before
		b.instances[i.Instance.ID] = i
		b.join(i)
	}
	for _, l := range st.Levels {
		b.levels[keyOf(l)] = l
	}
	for _, o := range st.Operations {
		b.ops[o.Op.ID] = o
	}
}

func (b *Backend) join(i sqlite.Instance) {
	m := b.members[i.Owner()]
	if m == nil {
		m = make(map[string]bool)
		b.members[i.Owner()] = m
	}
	m[i.Instance.ID] = true
}

// spawn runs fn in a goroutine that Close waits for; after Close it does not.
func (b *Backend) spawn(fn func(ctx context.Context)) {
	b.ending.Lock()
	defer b.ending.Unlock()
	if b.ended {
		return
	}
	b.tasks.Go(func() { fn(b.ctx) })
}

// Close stops deciding. Apps run on, and so does what the engine keeps by
// itself; operations that run are gone on with by the next Backend on the same
// store. It may be called twice.
func (b *Backend) Close() error {
	b.cancel(errClosing)
	b.ending.Lock()
	b.ended = true
	b.ending.Unlock()
	b.timers.stop()
	b.events.Close(b.closed())
	b.mu.Lock()
	b.wakeAll()
	b.mu.Unlock()
	b.tasks.Wait()
	return nil
}

// closed fails with Unavailable after Close.
func (b *Backend) closed() error {
	if b.ctx.Err() != nil {
		return backend.Errorf(backend.Unavailable, "%w", errClosing)
	}
	return nil
}

// wakeAll wakes whoever waits for a change. The caller holds mu.
func (b *Backend) wakeAll() {
	close(b.wake)
	b.wake = make(chan struct{})
}

// until waits for cond, which is asked with mu held for reading after every
// change, and returns its error.
func (b *Backend) until(ctx context.Context, cond func() (bool, error)) error {
	for {
		b.mu.RLock()
		wake := b.wake
		done, err := cond()
		b.mu.RUnlock()
		if done || err != nil {
			return err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// sleep waits for d or the end of ctx, and reports whether it was d.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// timers are single shots that Close calls off.
type timers struct {
	mu     sync.Mutex
	closed bool
	next   int
	all    map[int]*time.Timer
}

// after runs fn after d, unless stopped before. Fn must be quick.
func (t *timers) after(d time.Duration, fn func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	if t.all == nil {
		t.all = make(map[int]*time.Timer)
	}
	id := t.next
	t.next++
	t.all[id] = time.AfterFunc(d, func() {
		t.mu.Lock()
		_, due := t.all[id]
		delete(t.all, id)
		t.mu.Unlock()
		if due {
			fn()
		}
	})
}

func (t *timers) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, timer := range t.all {
		timer.Stop()
	}
	clear(t.all)
}
