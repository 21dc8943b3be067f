package local

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"pitwall/backend"
	"pitwall/backend/sqlite"
)

// operation is a command that was accepted, while it waits and runs. What
// others see of it is its record.
type operation struct {
	b      *Backend
	id     string
	what   string // "restart web", for people
	author string
	source string
	plan   plan

	ctx    context.Context
	cancel context.CancelCauseFunc

	// total is how many steps it will have, for the percentage; guarded by
	// the Backend's changing.
	total int

	mu      sync.Mutex
	last    backend.Operation // as of its last change
	updates []*update         // that wait to be stored
	storing bool              // somebody stores what waits
}

// update is a change of what is stored of a running operation.
type update struct {
	fn     func(o *backend.Operation, now time.Time)
	stored chan struct{} // closed when it is, or cannot be
}

// canceledError is why an operation was called off.
type canceledError struct{ by string }

func (e *canceledError) Error() string { return "canceled by " + e.by }

func (b *Backend) newOperation(ctx context.Context, cmd backend.Command, p plan) (*operation, error) {
	id, err := b.newID()
	if err != nil {
		return nil, err
	}
	from := backend.AttributionFrom(ctx)
	op := &operation{
		b: b, id: id, plan: p, what: p.kind + " " + p.target.Name,
		author: cmp.Or(from.Principal.Name, b.author),
		source: cmp.Or(backend.IntentOf(cmd).Source, from.Door, "local"),
	}
	op.ctx, op.cancel = context.WithCancelCause(b.ctx)
	return op, nil
}

// record is the operation as it is first stored.
func (op *operation) record(cmd backend.Command, now time.Time) sqlite.Operation {
	intent := backend.IntentOf(cmd)
	r := sqlite.Operation{
		Op: backend.Operation{
			ID: op.id, Kind: op.plan.kind, Target: op.plan.target.Name, Ref: op.plan.target, Also: op.plan.also,
			Scope: op.plan.scope, State: backend.OperationQueued, Steps: []backend.Step{}, Author: op.author, Source: op.source,
			Reason: intent.Reason, Created: now, Cancelable: op.plan.cancelable, Key: intent.Key,
		},
		Command: stored(cmd),
	}
	if op.plan.inverse != nil {
		r.Op.Undo = op.plan.inverse.Verb()
		r.Inverse, r.Aspects = stored(op.plan.inverse), op.plan.aspects
	}
	return r
}

// stored makes a command something to keep.
func stored(cmd backend.Command) sqlite.Command {
	body, err := json.Marshal(cmd)
	if err != nil {
		return sqlite.Command{}
	}
	return sqlite.Command{Verb: cmd.Verb(), Body: body}
}

// present is the operation as of its last change.
func (op *operation) present() backend.Operation {
	op.mu.Lock()
	defer op.mu.Unlock()
	return op.last
}

// remember makes what the change drafted of an operation its last state, once
// it is committed.
func (c *change) remember(op *operation) *sqlite.Operation {
	d := c.op(op.id)
	c.settle = append(c.settle, func() {
		last := d.now.Op
		last.Steps = slices.Clone(last.Steps)
		op.mu.Lock()
		defer op.mu.Unlock()
		op.last = last
	})
	return d.now
}

// enqueue lets an operation wait for its turn. One that preempts waits before
// all others.
func (c *change) enqueue(op *operation) {
	c.remember(op)
	c.settle = append(c.settle, func() {
		c.b.live[op.id] = op
		if op.plan.preempt {
			c.b.queue = slices.Insert(c.b.queue, 0, op)
		} else {
			c.b.queue = append(c.b.queue, op)
		}
	})
}

// start begins an operation: what it holds is its own from here on.
func (c *change) start(op *operation) error {
	if err := context.Cause(op.ctx); err != nil {
		return err
	}
	r := c.remember(op)
	r.Op.State, r.Op.Started = backend.OperationRunning, c.now
	if op.plan.begin != nil {
		if err := op.plan.begin(c, op); err != nil {
			return err
		}
	}
	c.hold(op, op.id)
	c.settle = append(c.settle, func() {
		c.b.dequeue(op)
		c.b.live[op.id] = op
		for _, key := range op.plan.holds {
			c.b.held[key] = op
		}
	})
	switch {
	case op.plan.work == nil:
		c.finish(op, nil)
	case !op.plan.atOnce:
		c.after = append(c.after, func() { c.b.spawn(func(context.Context) { op.run() }) })
	}
	c.after = append(c.after, func() { c.b.mark(op, c.now) })
	return nil
}

// hold writes on the apps that an operation holds which one it is.
func (c *change) hold(op *operation, id string) {
	for _, key := range op.plan.holds {
		if d := c.appNamed(key); d != nil {
			d.now.App.Operation = id
		}
	}
}

// appNamed returns the draft of the app with a qualified name, or nil.
func (c *change) appNamed(name string) *draft[sqlite.App] {
	for _, d := range c.apps {
		if !d.deleted && d.now.App.Qualify(d.now.App.Name) == name {
			return d
		}
	}
	if id, ok := c.b.names[name]; ok {
		return c.app(id)
	}
	return nil
}

// dequeue takes an operation out of the queue. The caller holds changing.
func (b *Backend) dequeue(op *operation) {
	b.queue = slices.DeleteFunc(b.queue, func(o *operation) bool { return o == op })
}

// run does an operation's work and ends it by the outcome. When the server
// closes meanwhile, the operation stays as it is for the next one.
func (op *operation) run() {
	var err error
	if !op.plan.atOnce { // before that it is not known what runs
		err = op.b.until(op.ctx, func() (bool, error) { return op.b.adopted, nil })
	}
	if err == nil {
		err = op.plan.work(op.ctx, op)
	}
	if err != nil && errors.Is(context.Cause(op.ctx), errClosing) {
		return
	}
	op.b.end(op, err)
}

// end writes an operation's outcome, however long that takes: a full disk must
// not leave it open.
func (b *Backend) end(op *operation, err error) {
	for {
		cerr := b.change(context.Background(), cause{operation: op.id, author: op.author, durable: true}, func(c *change) error {
			c.finish(op, err)
			return nil
		})
		if cerr == nil {
			break
		}
		b.log.Error("write the outcome of an operation", "operation", op.id, "err", cerr)
		if !sleep(b.ctx, time.Second) {
			return
		}
	}
	op.cancel(nil)
	b.startQueued()
}

// finish drafts an operation's outcome. One that has ended stays as it is.
func (c *change) finish(op *operation, err error) {
	if c.op(op.id) == nil {
		return
	}
	r := c.remember(op)
	o := &r.Op
	o.State, o.Ended, o.Percent, o.Cancelable = backend.OperationSucceeded, c.now, 100, false
	level, text := backend.LevelInfo, op.what+" succeeded"
	if err != nil {
		o.State, o.Error, o.Code = backend.OperationFailed, err.Error(), codeOf(err)
		level, text = backend.LevelError, fmt.Sprintf("%s failed: %v", op.what, err)
		o.Percent = r.Op.Percent
	}
	var canceled *canceledError
	if err != nil && errors.As(context.Cause(op.ctx), &canceled) {
		o.State, o.Code, o.Error = backend.OperationCanceled, backend.Canceled, canceled.Error()
		level, text = backend.LevelWarn, op.what+" was "+canceled.Error()
	}
	o.Steps = append([]backend.Step{}, o.Steps...)
	for i := range o.Steps {
		if s := &o.Steps[i]; !s.State.Ended() {
			s.State, s.Ended = o.State, c.now
		}
	}
	c.op(op.id).say(level, text)
	c.hold(op, "")
	c.settle = append(c.settle, func() {
		c.b.dequeue(op)
		delete(c.b.live, op.id)
		for _, key := range op.plan.holds {
			if c.b.held[key] == op {
				delete(c.b.held, key)
			}
		}
	})
	c.after = append(c.after, func() { c.b.mark(op, c.now) })
}

// codeOf is an error's code, where it says more than that something is wrong.
func codeOf(err error) backend.Code {
	if code := backend.CodeOf(err); code != backend.Internal {
		return code
	}
	return ""
}

// startQueued starts what nothing holds up any more.
func (b *Backend) startQueued() {
	for b.ctx.Err() == nil {
		var op *operation
		err := b.change(context.Background(), cause{durable: true}, func(c *change) error {
			if op = b.nextQueued(); op == nil {
				return nil
			}
			c.cause.operation, c.cause.author = op.id, op.author
			return c.start(op)
		})
		switch {
		case op == nil && err == nil:
			return
		case op != nil && err != nil:
			b.end(op, err)
			return // end goes on with the rest
		case err != nil:
			b.log.Error("start the next operation", "err", err)
			b.timers.after(time.Second, func() { b.spawn(func(context.Context) { b.startQueued() }) })
			return
		}
	}
}

// nextQueued returns the first operation in the queue that neither a running
// one nor one before it holds up. The caller holds changing.
func (b *Backend) nextQueued() *operation {
	taken := make(map[string]bool)
	for key := range b.held {
		taken[key] = true
	}
	for _, op := range b.queue {
		if !slices.ContainsFunc(op.plan.holds, func(k string) bool { return taken[k] }) {
			return op
		}
		for _, k := range op.plan.holds {
			taken[k] = true
		}
	}
	return nil
}

// callOff writes into the steps of an operation what it calls off.
func (c *change) callOff(op *operation, victims []*operation) {
	r := c.remember(op)
	for _, v := range victims {
		r.Op.Steps = append(slices.Clone(r.Op.Steps), backend.Step{
			Name: "cancel " + v.what, Detail: "operation " + v.id, State: backend.OperationSucceeded, Started: c.now, Ended: c.now,
		})
	}
}

// cancelAll calls operations off for another one.
func (b *Backend) cancelAll(victims []*operation, by *operation) {
	for _, v := range victims {
		b.callOff(v, &canceledError{by: by.what})
	}
}

// callOff ends an operation: at once when it waits, when its work notices
// when it runs.
func (b *Backend) callOff(op *operation, why *canceledError) {
	op.cancel(why)
	b.changing.Lock()
	waits := slices.Contains(b.queue, op)
	b.changing.Unlock()
	if waits {
		b.end(op, why)
	}
}

// begin adds a step that runs and returns its number.
func (op *operation) begin(name string) int {
	var n int
	op.update(func(o *backend.Operation, now time.Time) {
		n = len(o.Steps)
		o.Steps = append(slices.Clone(o.Steps), backend.Step{Name: name, State: backend.OperationRunning, Started: now})
	})
	return n
}

// done ends a step.
func (op *operation) done(n int, detail string, err error) {
	op.update(func(o *backend.Operation, now time.Time) {
		if n >= len(o.Steps) {
			return
		}
		o.Steps = slices.Clone(o.Steps)
		s := &o.Steps[n]
		s.State, s.Ended, s.Detail = backend.OperationSucceeded, now, detail
		if err != nil {
			s.State, s.Detail = backend.OperationFailed, err.Error()
			if op.ctx.Err() != nil {
				s.State = backend.OperationCanceled
			}
		}
		ended := 0
		for _, s := range o.Steps {
			if s.State.Ended() {
				ended++
			}
		}
		o.Percent = min(99, 100*ended/max(op.total, len(o.Steps), 1))
	})
}

// update changes what is stored of a running operation, and returns when it
// is. Updates that come while another is being stored are stored together: an
// operation on a thousand apps writes its thousand steps a few times, not two
// thousand.
func (op *operation) update(fn func(o *backend.Operation, now time.Time)) {
	u := &update{fn: fn, stored: make(chan struct{})}
	op.mu.Lock()
	op.updates = append(op.updates, u)
	mine := !op.storing
	op.storing = true
	op.mu.Unlock()
	if !mine {
		<-u.stored
		return
	}
	for {
		op.mu.Lock()
		waiting := op.updates
		op.updates, op.storing = nil, len(op.updates) > 0
		op.mu.Unlock()
		if len(waiting) == 0 {
			return
		}
		op.store(waiting)
	}
}

// store makes updates in one change. A failure is logged alone: the outcome
// will be written, and work is not stopped half way.
func (op *operation) store(updates []*update) {
	err := op.b.change(context.Background(), cause{operation: op.id, author: op.author}, func(c *change) error {
		if c.op(op.id) == nil {
			return nil
		}
		r := c.remember(op)
		for _, u := range updates {
			u.fn(&r.Op, c.now)
		}
		return nil
	})
	if err != nil {
		op.b.log.Error("write a step of an operation", "operation", op.id, "err", err)
	}
	for _, u := range updates {
		close(u.stored)
	}
}

// step runs fn as a step; its text says what came of it. The step does not end
// when the server closes.
func (op *operation) step(name string, fn func() (string, error)) error {
	n := op.begin(name)
	detail, err := fn()
	if err != nil && errors.Is(context.Cause(op.ctx), errClosing) {
		return err
	}
	op.done(n, detail, err)
	return err
}

// expect says how many steps the operation will have.
func (op *operation) expect(n int) {
	op.b.changing.Lock()
	defer op.b.changing.Unlock()
	op.total = n
}

// cause is what the operation's changes happen for.
func (op *operation) cause() cause { return cause{operation: op.id, author: op.author} }
