package local

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	"pitwall/backend"
	"pitwall/backend/sqlite"
)

// cause is what a change happens for.
type cause struct {
	operation string // id
	author    string
	// durable changes survive a lost machine.
	durable bool
}

// message is what a person reads about a change.
type message struct {
	level backend.Level
	text  string
}

// draft is a record that a change may alter.
type draft[T any] struct {
	was     T
	now     *T
	existed bool
	deleted bool
	said    []message
}

// change is one change of the state while it is made.
type change struct {
	*sqlite.Tx
	b     *Backend
	now   time.Time
	cause cause

	apps      map[string]*draft[sqlite.App]
	jobs      map[string]*draft[sqlite.Job]
	instances map[string]*draft[sqlite.Instance]
	ops       map[string]*draft[sqlite.Operation]
	levels    map[levelKey]*sqlite.Level // nil: removed
	order     []func() error             // flushes, in the order of the first touch
	joined    map[string][]string        // owner to the instances that are new

	events []backend.Event
	owners map[string]bool // whose convergence must look
	settle []func()        // run in the moment of the commit, with changing and mu held
	after  []func()        // run after it, with nothing held
}

// change makes one change: fn drafts it, then it is committed, shown, and
// acted upon. When it fails nothing has changed.
func (b *Backend) change(ctx context.Context, why cause, fn func(c *change) error) error {
	c, err := b.commit(ctx, why, fn)
	if err != nil {
		return err
	}
	b.syncEdges(slices.Sorted(maps.Keys(c.owners)))
	for id := range c.owners {
		b.converge(id)
	}
	for _, fn := range c.after {
		fn()
	}
	return nil
}

func (b *Backend) commit(ctx context.Context, why cause, fn func(c *change) error) (*change, error) {
	b.changing.Lock()
	defer b.changing.Unlock()
	c := &change{
		b: b, now: b.cfg.Now().UTC(), cause: why,
		apps:      make(map[string]*draft[sqlite.App]),
		jobs:      make(map[string]*draft[sqlite.Job]),
		instances: make(map[string]*draft[sqlite.Instance]),
		ops:       make(map[string]*draft[sqlite.Operation]),
		levels:    make(map[levelKey]*sqlite.Level),
		joined:    make(map[string][]string),
		owners:    make(map[string]bool),
	}
	write := b.store.Update
	if why.durable {
		write = b.store.UpdateDurably
	}
	err := write(ctx, func(tx *sqlite.Tx) error {
		c.Tx = tx
		if err := fn(c); err != nil {
			return err
		}
		return c.flush()
	})
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c.show()
	return c, nil
}

// touch returns the draft of a record, making it from the committed one.
func touch[T any](c *change, drafts map[string]*draft[T], known map[string]T, id string, flush func(id string, d *draft[T]) error) *draft[T] {
	if d, ok := drafts[id]; ok {
		if d.deleted {
			return nil
		}
		return d
	}
	was, ok := known[id]
	if !ok {
		return nil
	}
	now := was
	d := &draft[T]{was: was, now: &now, existed: true}
	drafts[id] = d
	c.order = append(c.order, func() error { return flush(id, d) })
	return d
}

func add[T any](c *change, drafts map[string]*draft[T], id string, record T, flush func(id string, d *draft[T]) error) *draft[T] {
	d := &draft[T]{now: &record}
	drafts[id] = d
	c.order = append(c.order, func() error { return flush(id, d) })
	return d
}

// join drafts a new instance.
func (c *change) join(m sqlite.Instance) *draft[sqlite.Instance] {
	id := m.Instance.ID
	c.joined[m.Owner()] = append(c.joined[m.Owner()], id)
	return add(c, c.instances, id, m, c.flushInstance)
}

// app returns the draft of an app, nil when there is none.
func (c *change) app(id string) *draft[sqlite.App] {
	return touch(c, c.apps, c.b.apps, id, c.flushApp)
}

func (c *change) job(id string) *draft[sqlite.Job] {
	return touch(c, c.jobs, c.b.jobs, id, c.flushJob)
}

func (c *change) instance(id string) *draft[sqlite.Instance] {
	return touch(c, c.instances, c.b.instances, id, c.flushInstance)
}

func (c *change) op(id string) *draft[sqlite.Operation] {
	return touch(c, c.ops, c.b.ops, id, c.flushOp)
}

// say adds what a person should read of the record's change.
func (d *draft[T]) say(level backend.Level, text string) {
	d.said = append(d.said, message{level, text})
}

// membersOf lists an owner's instances as drafted, by process, index and age.
// The values are not drafts.
func (c *change) membersOf(owner string) []sqlite.Instance {
	var out []sqlite.Instance
	for id := range c.b.members[owner] {
		if d, drafted := c.instances[id]; !drafted {
			out = append(out, c.b.instances[id])
		} else if !d.deleted {
			out = append(out, *d.now)
		}
	}
	for _, id := range c.joined[owner] {
		if d := c.instances[id]; !d.deleted {
			out = append(out, *d.now)
		}
	}
	slices.SortFunc(out, byPlace)
	return out
}

// flush writes what was drafted. Instances come before the apps that they are
// part of, whose state follows from theirs.
func (c *change) flush() error {
	for _, d := range c.instances {
		if owner := d.now.Instance.AppID; owner != "" {
			c.app(owner)
		} else if j := c.job(d.now.Instance.JobID); j != nil {
			c.countRuns(j)
		}
		c.owners[d.now.Owner()] = true
	}
	for id := range c.apps {
		c.owners[id] = true
		c.rollup(id)
	}
	for id := range c.jobs {
		c.owners[id] = true
	}
	for i := 0; i < len(c.order); i++ { // a flush may touch more
		if err := c.order[i](); err != nil {
			return err
		}
	}
	for key, l := range c.levels {
		var err error
		if l == nil {
			err = c.DeleteLevel(sqlite.Level{App: key.app, Instance: key.instance, Logger: key.logger})
		} else {
			err = c.PutLevel(*l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// announce stores one event for each message, or a quiet one.
func (c *change) announce(e backend.Event, said []message) error {
	e.Time = c.now
	if e.Operation == "" {
		e.Operation = c.cause.operation
	}
	e.Author = c.cause.author
	if len(said) == 0 {
		said = []message{{}}
	}
	for _, m := range said {
		e.Message, e.Level = m.text, m.level
		if err := c.Event(&e); err != nil {
			return err
		}
		c.events = append(c.events, e)
	}
	return nil
}

// kindOf says what happened to a record.
func kindOf[T any](d *draft[T]) backend.EventKind {
	switch {
	case d.deleted:
		return backend.EventDeleted
	case !d.existed:
		return backend.EventCreated
	}
	return backend.EventUpdated
}

// same reports whether a draft changes nothing.
func (d *draft[T]) same() bool {
	return d.existed && !d.deleted && len(d.said) == 0 && reflect.DeepEqual(d.was, *d.now)
}

// void reports whether a draft was made and unmade by one change.
func (d *draft[T]) void() bool { return !d.existed && d.deleted }

func (c *change) flushApp(id string, d *draft[sqlite.App]) error {
	if d.same() || d.void() {
		return nil
	}
	var err error
	if d.deleted {
		err = c.DeleteApp(id)
	} else {
		d.now.App.Updated = c.now
		err = c.PutApp(*d.now)
	}
	if err != nil {
		return err
	}
	app := c.b.presentApp(*d.now, slices.Values(c.membersOf(id)))
	return c.announce(backend.Event{
		Kind: kindOf(d), Ref: app.Ref(), Scope: app.Scope, Owner: app.Name, OwnerID: app.ID, App: &app,
	}, d.said)
}

func (c *change) flushJob(id string, d *draft[sqlite.Job]) error {
	if d.same() || d.void() {
		return nil
	}
	var err error
	if d.deleted {
		err = c.DeleteJob(id)
	} else {
		err = c.PutJob(*d.now)
	}
	if err != nil {
		return err
	}
	job := d.now.Job
	return c.announce(backend.Event{
		Kind: kindOf(d), Ref: job.Ref(), Scope: job.Scope, Owner: job.Name, OwnerID: job.ID, Job: &job,
	}, d.said)
}

func (c *change) flushInstance(id string, d *draft[sqlite.Instance]) error {
	if d.same() || d.void() {
		return nil
	}
	var err error
	if d.deleted {
		err = c.DeleteInstance(id)
	} else {
		err = c.PutInstance(*d.now)
	}
	if err != nil {
		return err
	}
	kind := kindOf(d)
	if d.existed && d.now.Ended && !d.was.Ended {
		kind = backend.EventDeleted // to whoever lists what runs
	}
	inst := c.b.presentInstance(*d.now)
	return c.announce(backend.Event{
		Kind: kind, Ref: inst.Ref(), Scope: inst.Scope, Owner: inst.App + inst.Job, OwnerID: d.now.Owner(), Instance: &inst,
	}, d.said)
}

func (c *change) flushOp(id string, d *draft[sqlite.Operation]) error {
	if d.same() {
		return nil
	}
	op := &d.now.Op
	if err := c.PutOperation(*d.now); err != nil {
		return err
	}
	event := backend.Event{Kind: kindOf(d), Ref: op.AsRef(), Scope: op.Scope, Operation: op.ID, Op: clone(op)}
	if op.Ref.Kind == backend.KindApp || op.Ref.Kind == backend.KindJob {
		event.Owner, event.OwnerID = op.Ref.Name, op.Ref.ID
	}
	return c.announce(event, d.said)
}

// putRun stores a run and tells of it.
func (c *change) putRun(kind backend.EventKind, r backend.Run) error {
	if err := c.PutRun(r); err != nil {
		return err
	}
	owner := r.AppID
	if owner == "" {
		owner = r.JobID
	}
	return c.announce(backend.Event{
		Kind: kind, Ref: r.Ref(), Scope: r.Scope, Owner: r.App + r.Job, OwnerID: owner, Run: &r,
	}, nil)
}

// putRelease stores a release and tells of it.
func (c *change) putRelease(kind backend.EventKind, r backend.Release, scope backend.Scope) error {
	if err := c.PutRelease(r); err != nil {
		return err
	}
	return c.announce(backend.Event{
		Kind: kind, Scope: scope, Owner: r.App, OwnerID: r.AppID, Release: &r, Ref: releaseRef(r),
	}, nil)
}

// show puts what was committed in memory. The caller holds mu.
func (c *change) show() {
	b := c.b
	for id, d := range c.apps {
		if name := d.now.App.Qualify(d.now.App.Name); d.deleted {
			delete(b.apps, id)
			delete(b.names, name)
		} else {
			b.apps[id] = *d.now
			b.names[name] = id
		}
	}
	for id, d := range c.jobs {
		if name := d.now.Job.Qualify(d.now.Job.Name); d.deleted {
			delete(b.jobs, id)
			delete(b.names, name)
		} else {
			b.jobs[id] = *d.now
			b.names[name] = id
		}
	}
	for id, d := range c.instances {
		if d.deleted || d.now.Ended {
			b.forget(id, d.now.Owner())
			continue
		}
		b.instances[id] = *d.now
		b.join(*d.now)
	}
	for id, d := range c.ops {
		if d.now.Op.State.Ended() {
			delete(b.ops, id)
		} else {
			b.ops[id] = *d.now
		}
	}
	for key, l := range c.levels {
		if l == nil {
			delete(b.levels, key)
		} else {
			b.levels[key] = *l
		}
	}
	if len(c.events) > 0 {
		b.index = c.events[len(c.events)-1].Index
		b.events.Publish(c.events...)
	}
	for _, fn := range c.settle {
		fn()
	}
	b.wakeAll()
}

// forget drops an instance from memory. The caller holds mu.
func (b *Backend) forget(id, owner string) {
	delete(b.instances, id)
	delete(b.control, id)
	delete(b.members[owner], id)
	if len(b.members[owner]) == 0 {
		delete(b.members, owner)
	}
}

func clone[T any](v *T) *T {
	w := *v
	return &w
}
