package local

import (
	"context"

	"pitwall/backend"
	"pitwall/backend/sqlite"
)

// operationOf reads an operation's record.
func (b *Backend) operationOf(id string) (sqlite.Operation, error) {
	if id == "" {
		return sqlite.Operation{}, backend.Errorf(backend.Invalid, "an operation must be given")
	}
	list, err := b.store.Operations(context.Background(), backend.OperationQuery{IDs: []string{id}})
	if err != nil {
		return sqlite.Operation{}, err
	}
	if len(list.Items) == 0 {
		return sqlite.Operation{}, backend.Errorf(backend.NotFound, "there is no operation with the id %s", id)
	}
	return list.Items[0], nil
}

// planUndo carries out the inverse of an operation, as an operation of its own
// kind.
func (b *Backend) planUndo(cmd backend.Undo) (plan, error) {
	r, err := b.operationOf(cmd.Operation)
	if err != nil {
		return plan{}, err
	}
	switch {
	case r.Op.State != backend.OperationSucceeded:
		return plan{}, backend.Errorf(backend.Conflict, "%s %s has not succeeded: there is nothing to undo", r.Op.Kind, r.Op.Target)
	case r.Inverse.Verb == "":
		return plan{}, backend.Errorf(backend.Unsupported, "%s can not be undone", r.Op.Kind)
	}
	inverse, err := backend.DecodeCommand(r.Inverse.Verb, r.Inverse.Body)
	if err != nil {
		return plan{}, err
	}
	p, err := b.plan(inverse)
	if err != nil {
		return plan{}, err
	}
	begin := p.begin
	p.kind = "undo"
	p.begin = func(c *change, op *operation) error {
		d, err := c.theApp(r.Op.Ref.ID)
		if err != nil {
			return err
		}
		for _, aspect := range r.Aspects {
			if d.now.Last[aspect] != cmd.Operation {
				return backend.Errorf(backend.Conflict, "%s was changed since: undo would undo that too", r.Op.Target)
			}
		}
		return begin(c, op)
	}
	return p, nil
}

// planCancel calls off an operation.
func (b *Backend) planCancel(cmd backend.Cancel) (plan, error) {
	r, err := b.operationOf(cmd.Operation)
	if err != nil {
		return plan{}, err
	}
	switch {
	case r.Op.State.Ended():
		return plan{}, backend.Errorf(backend.Conflict, "%s %s has ended already: it %s", r.Op.Kind, r.Op.Target, r.Op.State)
	case r.Op.State == backend.OperationRunning && !r.Op.Cancelable:
		return plan{}, backend.Errorf(backend.Unsupported, "%s can not be canceled once it runs", r.Op.Kind)
	}
	p := plan{kind: "cancel", target: r.Op.AsRef(), also: []backend.Ref{r.Op.Ref}, scope: r.Op.Scope, atOnce: true}
	p.work = func(_ context.Context, op *operation) error {
		return op.step("cancel "+r.Op.Kind+" "+r.Op.Target, func() (string, error) {
			b.mu.RLock()
			victim := b.live[cmd.Operation]
			b.mu.RUnlock()
			if victim == nil {
				return "", backend.Errorf(backend.Conflict, "it has ended meanwhile")
			}
			b.callOff(victim, &canceledError{by: op.author})
			return "", nil
		})
	}
	return p, nil
}

// planDown ends the server, and before, if asked, everything it runs. What is
// wanted stays: the next server starts it again.
func (b *Backend) planDown(cmd backend.Down) (plan, error) {
	p := plan{kind: "down", target: backend.Ref{Kind: backend.KindServer, ID: b.cfg.Node.ID, Name: b.cfg.Node.Name}}
	p.work = func(ctx context.Context, op *operation) error {
		if cmd.Apps {
			if err := b.stopAll(ctx, op); err != nil {
				return err
			}
		}
		// The outcome is written first: afterwards nobody may be left to.
		b.end(op, nil)
		b.cfg.OnDown(cmd.Apps)
		return nil
	}
	return p, nil
}

// stopAll stops everything until the end of this server.
func (b *Backend) stopAll(ctx context.Context, op *operation) error {
	b.mu.Lock()
	b.down = true
	ids := make([]string, 0, len(b.instances))
	owners := make([]string, 0, len(b.members))
	for id := range b.instances {
		ids = append(ids, id)
	}
	for owner := range b.members {
		owners = append(owners, owner)
	}
	b.mu.Unlock()
	for _, owner := range owners {
		b.converge(owner)
	}
	return op.step("stop "+instances(len(ids)), func() (string, error) { return "", b.awaitEnd(ctx, ids) })
}
