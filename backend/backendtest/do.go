package backendtest

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"pitwall/backend"
)

// Hold makes operations wait for [Fake.Step] or [Fake.Finish] from now on.
func (f *Fake) Hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hold = true
}

// Step ends the next step of the oldest operation that runs, and with its last
// step the operation. It reports whether there was one.
func (f *Fake) Step() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n := range f.operations {
		o := &f.operations[n]
		if _, ok := f.pending[o.ID]; ok && o.State == backend.OperationRunning {
			f.step(o)
			return true
		}
	}
	return false
}

// Finish ends an operation: with its effect when err is nil, as failed with
// err otherwise, or as canceled where that is its code. It reports whether the
// operation was there to end.
func (f *Fake) Finish(id string, err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.findOperation(id)
	if o == nil || o.State.Ended() {
		return false
	}
	if err != nil {
		state := backend.OperationFailed
		if backend.CodeOf(err) == backend.Canceled {
			state = backend.OperationCanceled
		}
		f.end(o, state, err)
		return true
	}
	for !o.State.Ended() {
		f.start(o)
		f.step(o)
	}
	return true
}

// Do implements [backend.Backend].
func (f *Fake) Do(ctx context.Context, c backend.Command) (backend.Result, error) {
	if err := f.enter(ctx, "do"); err != nil {
		return backend.Result{}, err
	}
	defer f.mu.Unlock()
	f.commands = append(f.commands, c)
	if err := f.fails[c.Verb()]; err != nil {
		return backend.Result{}, err
	}
	intent := backend.IntentOf(c)
	if intent.Key != "" {
		if at := slices.IndexFunc(f.operations, func(o backend.Operation) bool { return o.Key == intent.Key }); at >= 0 {
			return backend.Result{Operation: f.operations[at]}, nil
		}
	}
	ref, scope, err := f.target(c)
	if err != nil {
		return backend.Result{}, err
	}
	if err := f.check(c); err != nil {
		return backend.Result{}, err
	}
	var changes []backend.Change
	if apply, ok := c.(backend.Apply); ok {
		changes = f.diff(apply)
		if apply.DryRun {
			return backend.Result{Changes: changes}, nil
		}
	}
	o := backend.Operation{
		ID: f.operationID(), Kind: c.Verb(), Target: ref.Name, Ref: ref, Scope: scope,
		State: backend.OperationQueued, Steps: steps(c, f), Created: f.now,
		Author: cmp.Or(backend.AttributionFrom(ctx).Principal.Name, Author),
		Source: intent.Source, Reason: intent.Reason, Key: intent.Key, Cancelable: true,
	}
	if err := f.makeRoom(c, ref); err != nil {
		return backend.Result{}, err
	}
	if inverse := f.inverse(c); inverse != nil {
		f.undo[o.ID], o.Undo = inverse, inverse.Verb()
	}
	f.pending[o.ID] = c
	f.operations = append(f.operations, o)
	f.announceOperation(backend.EventCreated, o)
	at := &f.operations[len(f.operations)-1]
	if f.holder(c, ref, o.ID) == nil {
		f.start(at)
		for !f.hold && !at.State.Ended() {
			f.step(at)
		}
	}
	return backend.Result{Operation: *f.findOperation(o.ID), Changes: changes}, nil
}

// target finds what a command acts on.
func (f *Fake) target(c backend.Command) (backend.Ref, backend.Scope, error) {
	switch c := c.(type) {
	case backend.Apply:
		return backend.Ref{Kind: backend.KindServer, Name: cmp.Or(c.Set, "manifest")}, backend.Scope{}, nil
	case backend.PutDocument:
		return c.Document.Ref(), c.Document.OrDefault(), nil
	case backend.DeleteDocument:
		d := backend.Document{Kind: c.Kind, Name: c.Name}
		if f.document(c.Scope, c.Kind, c.Name) < 0 {
			return d.Ref(), backend.Scope{}, notFound(c.Verb(), d.Ref())
		}
		return d.Ref(), c.Scope.OrDefault(), nil
	}
	for _, need := range c.Needs() {
		ref := need.Ref
		switch ref.Kind {
		case backend.KindApp:
			at := slices.IndexFunc(f.apps, func(a backend.App) bool { return a.ID == ref.ID })
			if at < 0 {
				return ref, backend.Scope{}, notFound(c.Verb(), ref)
			}
			if id := instanceOf(c); id != "" && len(f.instancesOf(ref.ID, id)) == 0 {
				return ref, backend.Scope{}, notFound(c.Verb(), backend.Ref{Kind: backend.KindInstance, ID: id})
			}
			return f.apps[at].Ref(), f.apps[at].Scope, nil
		case backend.KindJob:
			at := slices.IndexFunc(f.jobs, func(j backend.Job) bool { return j.ID == ref.ID })
			if at < 0 {
				return ref, backend.Scope{}, notFound(c.Verb(), ref)
			}
			return f.jobs[at].Ref(), f.jobs[at].Scope, nil
		case backend.KindOperation:
			o := f.findOperation(ref.ID)
			if o == nil {
				return ref, backend.Scope{}, notFound(c.Verb(), ref)
			}
			return o.AsRef(), o.Scope, nil
		}
	}
	return backend.Ref{Kind: backend.KindServer, Name: "server"}, backend.Scope{}, nil
}

// check refuses what a real server would.
func (f *Fake) check(c backend.Command) error {
	switch c := c.(type) {
	case backend.Apply:
		for _, a := range c.Apps {
			if err := backend.ValidName(a.Name); err != nil {
				return err
			}
		}
		for _, j := range c.Jobs {
			if err := backend.ValidName(j.Name); err != nil {
				return err
			}
		}
	case backend.Scale:
		if c.Instances < 0 {
			return backend.Errorf(backend.Invalid, "%d instances cannot be", c.Instances)
		}
		if _, ok := f.findApp(c.App).Spec.Process(c.Process); !ok {
			return backend.Errorf(backend.NotFound, "there is no process %q", c.Process)
		}
	case backend.SetLevel:
		if !f.findApp(c.App).Levels {
			return backend.Errorf(backend.Unsupported, "%s has no log levels", f.findApp(c.App).Name)
		}
		if _, err := backend.ParseLevel(string(c.Level)); c.Level != "" && err != nil {
			return err
		}
	case backend.Cancel:
		if o := f.findOperation(c.Operation); o.State.Ended() {
			return backend.Errorf(backend.Conflict, "%s has ended", o.AsRef().Name)
		}
	case backend.Undo:
		if _, ok := f.undo[c.Operation]; !ok {
			return backend.Errorf(backend.Unsupported, "nothing undoes %s", f.findOperation(c.Operation).AsRef().Name)
		}
	case backend.Rollback:
		if _, err := f.rollbackTo(c); err != nil {
			return err
		}
	case backend.PutDocument:
		d := c.Document
		if at := f.document(d.Scope, d.Kind, d.Name); d.Version != 0 && (at < 0 || f.documents[at].Version != d.Version) {
			return backend.Errorf(backend.Conflict, "%s is not at version %d", d.Ref().Name, d.Version)
		}
	}
	return nil
}

// holder returns the exclusive operation that c would have to wait for.
func (f *Fake) holder(c backend.Command, ref backend.Ref, except string) *backend.Operation {
	if !backend.Exclusive(c.Verb()) {
		return nil
	}
	for n := range f.operations {
		o := &f.operations[n]
		if _, ok := f.pending[o.ID]; ok && o.ID != except && o.Ref == ref && backend.Exclusive(o.Kind) && !o.State.Ended() {
			return o
		}
	}
	return nil
}

// makeRoom cancels what stop and force-restart cancel, and fails with Conflict
// when c would have to wait and does not want to.
func (f *Fake) makeRoom(c backend.Command, ref backend.Ref) error {
	switch c.(type) {
	case backend.Stop, backend.ForceRestart:
		for o := f.holder(c, ref, ""); o != nil; o = f.holder(c, ref, "") {
			f.end(o, backend.OperationCanceled, backend.Errorf(backend.Canceled, "%s takes over", c.Verb()))
		}
	}
	o := f.holder(c, ref, "")
	if o != nil && backend.IntentOf(c).NoQueue {
		e := backend.Errorf(backend.Conflict, "%s is running on it", o.Kind)
		e.Op, e.Ref = c.Verb(), ref
		return e
	}
	return nil
}

// start makes a queued operation run.
func (f *Fake) start(o *backend.Operation) {
	if o.State != backend.OperationQueued {
		return
	}
	o.State, o.Started = backend.OperationRunning, f.now
	o.Steps = slices.Clone(o.Steps)
	if len(o.Steps) > 0 {
		o.Steps[0].State, o.Steps[0].Started = backend.OperationRunning, f.now
	}
	if app := f.findApp(o.Ref.ID); app != nil && backend.Exclusive(o.Kind) {
		app.Operation = o.ID
	}
	f.announceOperation(backend.EventUpdated, *o)
}

// step ends an operation's running step.
func (f *Fake) step(o *backend.Operation) {
	o.Steps = slices.Clone(o.Steps)
	at := slices.IndexFunc(o.Steps, func(s backend.Step) bool { return !s.State.Ended() })
	if at >= 0 {
		o.Steps[at].State, o.Steps[at].Ended = backend.OperationSucceeded, f.now
		o.Percent = 100 * (at + 1) / len(o.Steps)
		if at+1 < len(o.Steps) {
			o.Steps[at+1].State, o.Steps[at+1].Started = backend.OperationRunning, f.now
			f.announceOperation(backend.EventUpdated, *o)
			return
		}
	}
	o.Also = append(o.Also, f.effect(f.pending[o.ID], *o)...)
	f.end(f.findOperation(o.ID), backend.OperationSucceeded, nil)
}

// end gives an operation its outcome and lets the next one in line start.
func (f *Fake) end(o *backend.Operation, state backend.OperationState, err error) {
	delete(f.pending, o.ID)
	o.State, o.Ended, o.Cancelable = state, f.now, false
	o.Steps = slices.Clone(o.Steps)
	for n := range o.Steps {
		if s := &o.Steps[n]; !s.State.Ended() {
			s.State, s.Ended = state, f.now
		}
	}
	if err != nil {
		o.Error, o.Code = err.Error(), backend.CodeOf(err)
	} else {
		o.Percent = 100
	}
	if app := f.findApp(o.Ref.ID); app != nil && app.Operation == o.ID {
		app.Operation = ""
	}
	f.announceOperation(backend.EventUpdated, *o)
	f.startNext(o.Ref)
}

func (f *Fake) startNext(ref backend.Ref) {
	for n := range f.operations {
		o := &f.operations[n]
		c, ok := f.pending[o.ID]
		if !ok || o.Ref != ref || o.State != backend.OperationQueued {
			continue
		}
		f.start(o)
		id := o.ID
		for !f.hold && !o.State.Ended() {
			f.step(o)
			o = f.findOperation(id)
		}
		if backend.Exclusive(c.Verb()) {
			return
		}
	}
}

// steps returns what a person would see a command do.
func steps(c backend.Command, f *Fake) []backend.Step {
	var names []string
	each := func(app, one, format string) {
		for _, i := range f.instancesOf(app, one) {
			names = append(names, fmt.Sprintf(format, i.Name()))
		}
	}
	switch c := c.(type) {
	case backend.Start:
		each(c.App, c.Instance, "start %s")
	case backend.Stop:
		each(c.App, c.Instance, "stop %s")
	case backend.Restart:
		for _, i := range f.instancesOf(c.App, c.Instance) {
			names = append(names, "start new "+i.Name(), "stop old "+i.Name())
		}
	case backend.ForceRestart:
		each(c.App, c.Instance, "restart %s")
	}
	if len(names) == 0 {
		names = []string{c.Verb()}
	}
	out := make([]backend.Step, len(names))
	for n, name := range names {
		out[n] = backend.Step{Name: name, State: backend.OperationQueued}
	}
	return out
}

// instanceOf returns the one instance that a command names, or "".
func instanceOf(c backend.Command) string {
	switch c := c.(type) {
	case backend.Start:
		return c.Instance
	case backend.Stop:
		return c.Instance
	case backend.Restart:
		return c.Instance
	case backend.ForceRestart:
		return c.Instance
	case backend.Block:
		return c.Instance
	case backend.Unblock:
		return c.Instance
	case backend.Kick:
		return c.Instance
	case backend.Attach:
		return c.Instance
	case backend.SetLevel:
		return c.Instance
	case backend.Signal:
		return c.Instance
	}
	return ""
}
