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
// Those that only wait for what is wanted go on; a roll ends as failed, and
// what a new release has not reached yet is taken up by a new operation.
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
	if err := b.giveUpOn(op, errRestarted); err != nil {
		return err
	}
	return b.takeUp(r, cmd)
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
	case backend.RunJob:
		for _, ref := range r.Op.Also {
			if ref.Kind == backend.KindInstance {
				return func(ctx context.Context, op *operation) error { return b.awaitRun(ctx, op, c.Job, ref.ID) }
			}
		}
	}
	return nil
}

// resumeRunning goes on with an operation's work once the engine has said what
// runs.
func (b *Backend) resumeRunning(op *operation, cmd backend.Command, work func(context.Context, *operation) error) error {
	if backend.Exclusive(cmd.Verb()) {
		op.plan.holds = []string{op.plan.scope.Qualify(op.plan.target.Name)}
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

// takeUp brings on its way what an interrupted apply, rollback or restart left
// undone: apps that are to be deleted, and instances of an older release.
func (b *Backend) takeUp(r sqlite.Operation, cmd backend.Command) error {
	switch cmd.(type) {
	case backend.Apply, backend.Rollback, backend.Delete:
	default:
		return nil
	}
	for _, ref := range append([]backend.Ref{r.Op.Ref}, r.Op.Also...) {
		app, err := b.appOf(ref.ID)
		if err != nil || ref.Kind != backend.KindApp {
			continue
		}
		intent := backend.Intent{Reason: "goes on with operation " + r.Op.ID + " after the server was restarted", Source: r.Op.Source}
		ctx := backend.WithAttribution(context.Background(), backend.Attribution{Principal: backend.Principal{Name: r.Op.Author}})
		var next backend.Command
		switch {
		case app.Deleting:
			next = backend.Delete{App: ref.ID, Intent: intent}
		case app.App.Desired == backend.DesiredStarted && b.hasOld(app):
			next = backend.Restart{App: ref.ID, Intent: intent}
		default:
			continue
		}
		p, err := b.plan(next)
		if err != nil {
			return err
		}
		if _, ok := next.(backend.Restart); ok {
			p.work = func(ctx context.Context, op *operation) error {
				return b.roll(ctx, op, ref.ID, "", func(m sqlite.Instance) bool { return m.Instance.Release != app.App.Release })
			}
		}
		if _, _, err := b.accept(ctx, next, p); err != nil {
			return err
		}
	}
	return nil
}

// hasOld reports whether an instance of an app is of an older release.
func (b *Backend) hasOld(app sqlite.App) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for m := range b.membersOf(app.App.ID) {
		if !m.Retired && m.Instance.Release != app.App.Release {
			return true
		}
	}
	return false
}
