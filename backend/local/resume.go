package local

import (
	"context"
	"errors"
	"slices"
	"strings"

	"pitwall/backend"
	"pitwall/backend/sqlite"
)

// errRestarted ends what the server could not see through.
var errRestarted = errors.New("the server was restarted meanwhile")

// resume goes on with the operations that the server before this one left.
// Those whose goal is in the state, such as a new release, go on towards it; a
// restart, whose goal is not, ends as failed.
func (b *Backend) resume() error {
	open := make([]sqlite.Operation, 0, len(b.ops))
	for _, r := range b.ops {
		open = append(open, r)
	}
	slices.SortFunc(open, func(x, y sqlite.Operation) int {
		if c := x.Op.Created.Compare(y.Op.Created); c != 0 {
			return c
		}
		return strings.Compare(x.Op.ID, y.Op.ID)
	})
	for _, r := range open {
		if err := b.resumeOne(r); err != nil {
			return err
		}
	}
	b.spawn(func(context.Context) { b.startQueued() })
	return nil
}

func (b *Backend) resumeOne(r sqlite.Operation) error {
	op := &operation{
		b: b, id: r.Op.ID, what: r.Op.Kind + " " + r.Op.Target, author: r.Op.Author, source: r.Op.Source, last: r.Op,
		plan: plan{kind: r.Op.Kind, target: r.Op.Ref, scope: r.Op.Scope},
	}
	op.ctx, op.cancel = context.WithCancelCause(b.ctx)
	cmd, err := backend.DecodeCommand(r.Command.Verb, r.Command.Body)
	if err == nil && r.Op.State != backend.OperationRunning {
		return b.resumeQueued(op, cmd)
	}
	if err == nil {
		if work := b.workAgain(r, cmd); work != nil {
			return b.resumeRunning(op, cmd, work)
		}
	}
	return b.giveUpOn(op, errRestarted)
}

// giveUpOn ends an operation that can not be gone on with.
func (b *Backend) giveUpOn(op *operation, why error) error {
	return b.change(context.Background(), cause{operation: op.id, author: op.author, durable: true}, func(c *change) error {
		c.finish(op, why)
		return nil
	})
}

// resumeQueued lets an operation that had not begun wait for its turn again.
func (b *Backend) resumeQueued(op *operation, cmd backend.Command) error {
	p, err := b.plan(cmd)
	if err != nil {
		return b.giveUpOn(op, err)
	}
	p.preempt = false // its turn was settled when it was accepted
	op.plan = p
	return b.change(context.Background(), cause{operation: op.id, author: op.author}, func(c *change) error {
		c.enqueue(op)
		return nil
	})
}

// workAgain is what is left to do of an operation that had begun; nil when it
// can not be gone on with.
func (b *Backend) workAgain(r sqlite.Operation, cmd backend.Command) func(context.Context, *operation) error {
	b.mu.RLock()
	known := b.names[r.Op.Scope.Qualify(r.Op.Ref.Name)] == r.Op.Ref.ID
	b.mu.RUnlock()
	if !known {
		return nil
	}
	switch c := cmd.(type) {
	case backend.Start:
		return func(ctx context.Context, op *operation) error { return b.bringUp(ctx, op, c.App, c.Instance) }
	case backend.Stop:
		return func(ctx context.Context, op *operation) error {
			ids := b.running(c.App)
			if c.Instance != "" {
				ids = []string{c.Instance}
			}
			return b.bringDown(ctx, op, ids)
		}
	case backend.Delete:
		if c.Job == "" {
			return func(ctx context.Context, op *operation) error { return b.deleteApp(ctx, op, c.App) }
		}
	case backend.Apply:
		d := b.declaredBefore(c)
		return func(ctx context.Context, op *operation) error { return b.applied(ctx, op, d) }
	case backend.Rollback:
		return b.bringTo(r.Op.Ref, effectReplace)
	case backend.Scale:
		return b.bringTo(r.Op.Ref, effectScale)
	case backend.RunJob:
		for _, ref := range r.Op.Also {
			if ref.Kind == backend.KindInstance {
				return func(ctx context.Context, op *operation) error { return b.awaitRun(ctx, op, c.Job, ref.ID) }
			}
		}
	}
	return nil
}

// bringTo goes on with what brings an app to its declaration.
func (b *Backend) bringTo(app backend.Ref, e effect) func(context.Context, *operation) error {
	return func(ctx context.Context, op *operation) error {
		return b.appliedApp(ctx, op, appChange{id: app.ID, spec: backend.AppSpec{Name: app.Name}, effect: e}, "")
	}
}

// declaredBefore is what an Apply that was written down has left to bring
// about: instances of older releases, places to fill, apps to delete.
func (b *Backend) declaredBefore(cmd backend.Apply) declaration {
	var d declaration
	named := map[string]bool{}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, spec := range cmd.Apps {
		spec.Scope = spec.OrDefault()
		name := spec.Qualify(spec.Name)
		named[name] = true
		if r, ok := b.apps[b.names[name]]; ok {
			d.apps = append(d.apps, appChange{id: r.App.ID, name: name, spec: r.App.Spec, effect: effectReplace})
		}
	}
	for id, r := range b.apps {
		if name := r.App.Qualify(r.App.Name); r.Deleting && r.Set == cmd.Set && !named[name] {
			d.apps = append(d.apps, appChange{id: id, name: name, spec: r.App.Spec, effect: effectDelete})
		}
	}
	for _, spec := range cmd.Jobs {
		d.jobs = append(d.jobs, jobChange{name: spec.OrDefault().Qualify(spec.Name), spec: spec})
	}
	d.sort()
	return d
}

// heldBy are the names that an operation of the server before this one holds.
func (b *Backend) heldBy(op *operation, cmd backend.Command) []string {
	apply, ok := cmd.(backend.Apply)
	if !ok {
		return []string{op.plan.scope.Qualify(op.plan.target.Name)}
	}
	d := b.declaredBefore(apply)
	var names []string
	for _, a := range d.apps {
		names = append(names, a.name)
	}
	for _, j := range d.jobs {
		names = append(names, j.name)
	}
	return names
}

// resumeRunning goes on with an operation's work once the engine has said what
// runs.
func (b *Backend) resumeRunning(op *operation, cmd backend.Command, work func(context.Context, *operation) error) error {
	if backend.Exclusive(cmd.Verb()) {
		op.plan.holds = b.heldBy(op, cmd)
	}
	op.plan.work = work
	return b.change(context.Background(), cause{operation: op.id, author: op.author}, func(c *change) error {
		r := c.remember(op)
		r.Op.Steps = slices.Clone(r.Op.Steps)
		for i := range r.Op.Steps {
			if s := &r.Op.Steps[i]; !s.State.Ended() {
				s.State, s.Ended, s.Detail = backend.OperationCanceled, c.now, errRestarted.Error()
			}
		}
		c.hold(op, op.id)
		c.settle = append(c.settle, func() {
			b.live[op.id] = op
			for _, key := range op.plan.holds {
				b.held[key] = op
			}
		})
		c.after = append(c.after, func() { b.spawn(func(context.Context) { op.run() }) })
		return nil
	})
}
