package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pitwall/backend"
	"pitwall/ui/safe"
)

// named is a command and the name of what it acts on.
type named struct {
	name string
	cmd  backend.Command
}

// do confirms and carries out commands, and prints their operations: as they
// were accepted, or with --wait as they end.
func (c *cli) do(ctx context.Context, b backend.Backend, a *action, cmds []named) error {
	if err := c.confirm(cmds, a.all); err != nil {
		return err
	}
	r := receipts{c: c, open: map[string]backend.Operation{}}
	for i, n := range cmds {
		res, err := b.Do(ctx, withOwnKey(n.cmd, i))
		switch {
		case err != nil:
			r.refused(n, err, len(cmds) > 1)
		case a.wait:
			r.accepted(res.Operation)
		default:
			r.printed(res.Operation)
		}
	}
	if err := r.follow(ctx, b); err != nil {
		return err
	}
	return r.failed
}

// withOwnKey tells the commands of one command line apart, which share a key.
func withOwnKey(cmd backend.Command, i int) backend.Command {
	intent := backend.IntentOf(cmd)
	if i == 0 || intent.Key == "" {
		return cmd
	}
	intent.Key = fmt.Sprintf("%s/%d", intent.Key, i)
	return backend.WithIntent(cmd, intent)
}

// receipts prints operations and remembers the first failure among them.
type receipts struct {
	c      *cli
	open   map[string]backend.Operation // that are followed, as printed last
	failed error
}

// refused tells of a command that became no operation. What refused it stands
// in the machine-readable output too.
func (r *receipts) refused(n named, err error, several bool) {
	if r.c.structured() {
		r.fail(r.c.printDocument(refusal{Target: n.name, Kind: n.cmd.Verb(), Error: err.Error(), Code: backend.CodeOf(err)}))
	}
	if several {
		fmt.Fprintf(r.c.err, "pitwall: %s: %s\n", safe.Clean(n.name), sentence(err.Error()))
		err = silent{err}
	}
	r.fail(err)
}

// refusal is what scripts read of a command that became no operation; the
// names are those of an operation.
type refusal struct {
	Kind   string       `json:"kind"`
	Target string       `json:"target"`
	Error  string       `json:"error"`
	Code   backend.Code `json:"code"`
}

// fail keeps the first failure.
func (r *receipts) fail(err error) {
	if r.failed == nil {
		r.failed = err
	}
}

// printed prints an operation as it is and does not follow it. It may have
// ended at once.
func (r *receipts) printed(op backend.Operation) {
	r.fail(r.c.printOperation(op))
	r.fail(outcomeError(op))
}

// accepted begins to follow an operation.
func (r *receipts) accepted(op backend.Operation) {
	r.open[op.ID] = backend.Operation{}
	r.progress(op)
}

// progress prints what is new of an operation that is followed.
func (r *receipts) progress(op backend.Operation) {
	old, followed := r.open[op.ID]
	if !followed {
		return
	}
	r.open[op.ID] = op
	if !r.c.structured() && r.c.output != "name" {
		r.c.printSteps(old, op)
	}
	if op.State.Ended() {
		delete(r.open, op.ID)
		r.printed(op)
	}
}

// follow prints what comes of the operations that are followed until all have
// ended.
func (r *receipts) follow(ctx context.Context, b backend.Backend) error {
	if len(r.open) == 0 {
		return nil
	}
	return settle(ctx, b, backend.WatchQuery{Kinds: []backend.Kind{backend.KindOperation}}, settling{
		list: func(ctx context.Context) (uint64, error) { return r.list(ctx, b) },
		event: func(e backend.Event) error {
			if e.Op != nil {
				r.progress(*e.Op)
			}
			return nil
		},
		settled: func() bool { return len(r.open) == 0 },
	})
}

// list looks at the operations as they are now.
func (r *receipts) list(ctx context.Context, b backend.Backend) (uint64, error) {
	q := backend.OperationQuery{}
	for id := range r.open {
		q.IDs = append(q.IDs, id)
	}
	list, err := b.Operations(ctx, q)
	if err != nil {
		return 0, err
	}
	found := map[string]bool{}
	for _, op := range list.Items {
		found[op.ID] = true
		r.progress(op)
	}
	for _, id := range q.IDs {
		if !found[id] {
			return 0, backend.Errorf(backend.Internal, "operation %s is no longer kept: how it ended is not known", id)
		}
	}
	return list.Index, nil
}

// outcomeError is the exit code of an operation that has been printed with
// its error: 1 whatever failed in it, as the command line itself was right,
// but 5 for what took too long and 4 for what was not permitted.
func outcomeError(op backend.Operation) error {
	if !op.State.Ended() || op.State == backend.OperationSucceeded {
		return nil
	}
	code := op.Code
	if code != backend.Timeout && code != backend.Denied {
		code = backend.Internal
	}
	return silent{&backend.Error{Code: code, Err: errors.New(op.Error)}}
}

// printSteps prints the steps that have ended since op was old.
func (c *cli) printSteps(old, op backend.Operation) {
	for i, s := range op.Steps {
		if i < len(old.Steps) && old.Steps[i].State == s.State || !s.State.Ended() {
			continue
		}
		line := fmt.Sprintf("  %s %s", mark(s.State), s.Name)
		if s.Detail != "" {
			line += ": " + s.Detail
		}
		if d := s.Ended.Sub(s.Started); !s.Started.IsZero() && d >= noticeable {
			line += fmt.Sprintf(" (%.1fs)", d.Seconds())
		}
		c.println(line)
	}
}

// noticeable is the least time of a step that is worth telling: it rounds to
// a tenth of a second.
const noticeable = 50 * time.Millisecond

func mark(s backend.OperationState) string {
	switch s {
	case backend.OperationSucceeded:
		return "✓"
	case backend.OperationFailed:
		return "✗"
	}
	return "–"
}

func (c *cli) printOperation(op backend.Operation) error {
	switch {
	case c.structured():
		return c.printDocument(op)
	case c.output == "name":
		c.println(op.ID)
		return nil
	}
	line := fmt.Sprintf("%s %s: %s", op.Kind, op.Target, op.State)
	if op.State == backend.OperationSucceeded && !op.Started.IsZero() {
		line += fmt.Sprintf(" in %.1fs", op.Ended.Sub(op.Started).Seconds())
	}
	if op.Error != "" {
		line += ": " + op.Error
	}
	c.println(line + "  (operation " + op.ID + ")")
	return nil
}

// println prints a line with nothing in it that a terminal would obey.
func (c *cli) println(s string) { fmt.Fprintln(c.out, safe.Clean(s)) }
