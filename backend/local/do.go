package local

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"pitwall/backend"
	"pitwall/backend/sqlite"
)

// plan is how a command is carried out.
type plan struct {
	kind   string // the verb
	target backend.Ref
	also   []backend.Ref
	scope  backend.Scope

	// holds are the qualified names of the apps and jobs that nobody else may
	// work on meanwhile. Preempt calls off what holds them now.
	holds   []string
	preempt bool

	cancelable bool

	// begin changes what is wanted, in the transaction that starts the
	// operation. Its error refuses the command.
	begin func(c *change, op *operation) error

	// work does the rest and waits for the outcome. At once means before Do
	// returns.
	work   func(ctx context.Context, op *operation) error
	atOnce bool

	// inverse undoes it, as long as nothing else has changed the aspects of
	// the app since.
	inverse backend.Command
	aspects []string

	// changes is the difference that an Apply makes.
	changes []backend.Change
}

// Do carries out a command.
func (b *Backend) Do(ctx context.Context, cmd backend.Command) (backend.Result, error) {
	if err := b.enter(ctx); err != nil {
		return backend.Result{}, err
	}
	if cmd == nil {
		return backend.Result{}, backend.Errorf(backend.Invalid, "a command must be given")
	}
	if err := validIntent(backend.IntentOf(cmd)); err != nil {
		return backend.Result{}, explain(cmd.Verb(), err)
	}
	res, err := b.do(ctx, cmd)
	if err != nil {
		return backend.Result{}, explain(cmd.Verb(), err)
	}
	return res, nil
}

// explain puts the verb before an error that does not say it.
func explain(verb string, err error) error {
	e, ok := err.(*backend.Error)
	if !ok {
		return fmt.Errorf("%s: %w", verb, err)
	}
	if e.Op == "" {
		e = clone(e)
		e.Op = verb
	}
	return e
}

func (b *Backend) do(ctx context.Context, cmd backend.Command) (backend.Result, error) {
	if res, ok, err := b.repeated(ctx, cmd); ok || err != nil {
		return res, err
	}
	if a, ok := cmd.(backend.Apply); ok && a.DryRun {
		changes, err := b.dryRun(a)
		return backend.Result{Changes: changes}, err
	}
	p, err := b.plan(cmd)
	if err != nil {
		return backend.Result{}, err
	}
	op, res, err := b.accept(ctx, cmd, p)
	if err != nil || op == nil {
		return res, err
	}
	if p.atOnce {
		op.run()
		res.Operation = op.present()
	}
	return res, nil
}

// plan says how to carry out a command. It changes nothing.
func (b *Backend) plan(cmd backend.Command) (plan, error) {
	switch c := cmd.(type) {
	case backend.Apply:
		return b.planApply(c)
	case backend.Start:
		return b.planStart(c)
	case backend.Stop:
		return b.planStop(c)
	case backend.Restart:
		return b.planRestart(c)
	case backend.ForceRestart:
		return b.planForceRestart(c)
	case backend.Block:
		return b.planBlock(c.App, c.Instance, c.Reason, true)
	case backend.Unblock:
		return b.planBlock(c.App, c.Instance, c.Reason, false)
	case backend.Kick:
		return b.planKick(c)
	case backend.Attach:
		return b.planAttach(c)
	case backend.Scale:
		return b.planScale(c)
	case backend.Delete:
		return b.planDelete(c)
	case backend.RunJob:
		return b.planRun(c)
	case backend.Cancel:
		return b.planCancel(c)
	case backend.Undo:
		return b.planUndo(c)
	case backend.SetLevel:
		return b.planLevel(c)
	case backend.Rollback:
		return b.planRollback(c)
	case backend.Signal:
		return b.planSignal(c)
	case backend.PutDocument:
		return b.planPutDocument(c)
	case backend.DeleteDocument:
		return b.planDeleteDocument(c)
	case backend.Down:
		return b.planDown(c)
	}
	return plan{}, backend.Errorf(backend.Unsupported, "%s is not a command of this server", cmd.Verb())
}

// keyFor makes one principal's idempotency key its own.
func keyFor(ctx context.Context, i backend.Intent) string {
	if i.Key == "" {
		return ""
	}
	return backend.AttributionFrom(ctx).Principal.Name + "\x00" + i.Key
}

// repeated answers a command whose key is known with the operation that it
// became the first time.
func (b *Backend) repeated(ctx context.Context, cmd backend.Command) (backend.Result, bool, error) {
	key := keyFor(ctx, backend.IntentOf(cmd))
	if key == "" {
		return backend.Result{}, false, nil
	}
	k, known, err := b.store.KeyOf(ctx, key)
	if err != nil || !known {
		return backend.Result{}, false, err
	}
	if k.Verb != cmd.Verb() || k.Target != subject(cmd) {
		return backend.Result{}, true, backend.Errorf(backend.Conflict, "the key %q was used for another command (%s)", backend.IntentOf(cmd).Key, k.Verb)
	}
	list, err := b.store.Operations(ctx, backend.OperationQuery{IDs: []string{k.Operation}})
	if err != nil {
		return backend.Result{}, true, err
	}
	if len(list.Items) == 0 {
		return backend.Result{}, true, backend.Errorf(backend.NotFound, "the operation of the key %q is no longer kept", backend.IntentOf(cmd).Key)
	}
	return backend.Result{Operation: list.Items[0].Op, Changes: k.Changes}, true, nil
}

// subject is what a command asks for, without how it was asked.
func subject(cmd backend.Command) string {
	body, err := json.Marshal(backend.WithIntent(cmd, backend.Intent{}))
	if err != nil {
		return ""
	}
	return string(body)
}

// accept makes a command an operation: it runs, or waits for its turn. The
// operation is nil when another request with the same key was faster.
func (b *Backend) accept(ctx context.Context, cmd backend.Command, p plan) (*operation, backend.Result, error) {
	op, err := b.newOperation(ctx, cmd, p)
	if err != nil {
		return nil, backend.Result{}, err
	}
	intent := backend.IntentOf(cmd)
	why := cause{operation: op.id, author: op.author, durable: true}
	var victims []*operation
	var first backend.Result
	var repeated bool
	err = b.change(ctx, why, func(c *change) error {
		victims = nil
		var err error
		if first, repeated, err = b.repeated(ctx, cmd); repeated || err != nil {
			return err
		}
		holder := b.inTheWay(p.holds)
		if holder != nil && !p.preempt && intent.NoQueue {
			return backend.Errorf(backend.Conflict, "%s (operation %s) is not done with it yet: wait for it or cancel it", holder.what, holder.id)
		}
		record := op.record(cmd, c.now)
		add(c, c.ops, op.id, record, c.flushOp)
		if p.preempt {
			victims = b.overlapping(p.holds)
			c.callOff(op, victims)
		}
		if err := c.putKey(ctx, cmd, op.id, p.changes); err != nil {
			return err
		}
		if err := c.Audit(audit(ctx, cmd, op)); err != nil {
			return err
		}
		if holder != nil {
			c.enqueue(op)
			c.after = append(c.after, func() { b.cancelAll(victims, op) })
			return nil
		}
		return c.start(op)
	})
	if err != nil || repeated {
		return nil, first, err
	}
	return op, backend.Result{Operation: op.present(), Changes: p.changes}, nil
}

// putKey remembers the command's key, if it has one.
func (c *change) putKey(ctx context.Context, cmd backend.Command, id string, changes []backend.Change) error {
	key := keyFor(ctx, backend.IntentOf(cmd))
	if key == "" {
		return nil
	}
	return c.PutKey(sqlite.Key{Key: key, Operation: id, Verb: cmd.Verb(), Target: subject(cmd), Changes: changes})
}

func audit(ctx context.Context, cmd backend.Command, op *operation) sqlite.Audit {
	return sqlite.Audit{
		Attribution: backend.AttributionFrom(ctx), Verb: cmd.Verb(), Target: op.plan.target.String(),
		Operation: op.id, Outcome: "accepted", Reason: backend.IntentOf(cmd).Reason,
	}
}

// inTheWay returns an operation that holds, or waits for, one of the keys. The
// caller holds changing.
func (b *Backend) inTheWay(keys []string) *operation {
	if o := b.overlapping(keys); len(o) > 0 {
		return o[0]
	}
	return nil
}

// overlapping lists the operations that hold or wait for one of the keys,
// those that run first. The caller holds changing.
func (b *Backend) overlapping(keys []string) []*operation {
	var out []*operation
	for _, key := range keys {
		if o := b.held[key]; o != nil && !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	for _, o := range b.queue {
		if slices.ContainsFunc(o.plan.holds, func(k string) bool { return slices.Contains(keys, k) }) {
			out = append(out, o)
		}
	}
	return out
}
