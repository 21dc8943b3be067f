package process

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"pitwall/backend"
	"pitwall/backend/engine"
	"pitwall/backend/engine/process/keeper"
)

// operation bounds what waits for a keeper, which is a process that may be
// stopped or starved.
const operation = 20 * time.Second

// start implements [Engine.Start]. It says to try again when the instance was
// removed meanwhile.
func (in *instance) start(ctx context.Context, s engine.Spec) (again bool, err error) {
	if err := in.awaitStopped(ctx); err != nil {
		return false, err
	}
	in.ops.Lock()
	defer in.ops.Unlock()
	in.mu.Lock()
	removed, live, stopping := in.removed, in.live(), in.kept.Phase == keeper.Stopping
	in.mu.Unlock()
	switch {
	case removed, live && stopping:
		return true, nil
	case live:
		return false, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	}
	return false, in.launch(s)
}

// awaitStopped waits for the end of a run that was asked to end, since a start
// after that is meant to be the next one.
func (in *instance) awaitStopped(ctx context.Context) error {
	for {
		in.mu.Lock()
		changed, stopping := in.changed, in.kept.Phase == keeper.Stopping && !in.foreign
		in.mu.Unlock()
		if !stopping {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-in.engine.ctx.Done():
			return backend.Errorf(backend.Unavailable, "the engine is closed")
		}
	}
}

// launch starts the next run of an instance that does not run. The caller
// holds ops.
func (in *instance) launch(s engine.Spec) error {
	in.mu.Lock()
	before, fresh, client := in.record, !in.known, in.client
	lastRun := int(in.kept.Run)
	in.mu.Unlock()
	r, spec, err := in.prepare(s, before, lastRun)
	if err == nil {
		if lastRun > 0 {
			r.Asked++
		}
		err = in.layOut(r, spec)
	}
	if err != nil {
		if fresh {
			in.abandon(r.Port)
		}
		return err
	}
	in.mu.Lock()
	in.record, in.known = r, true
	in.show()
	in.mu.Unlock()
	ctx, cancel := context.WithTimeout(in.engine.ctx, operation)
	defer cancel()
	if client != nil {
		err := client.Start(ctx)
		if asked := in.ask(ctx, client); asked != nil || in.runs() {
			return asked // what made it run meanwhile is as good
		}
		if err != nil {
			return fmt.Errorf("start %s: %w", in.id, err)
		}
		return nil
	}
	client, err = keeper.Start(ctx, in.engine.cfg.Exe, in.dir)
	if err != nil {
		// One that a server before this one had just started may be there.
		if there, dialed := keeper.Dial(ctx, in.dir); dialed == nil {
			client, err = there, nil
		}
	}
	if err != nil {
		return fmt.Errorf("start keeper of %s: %w", in.id, err)
	}
	in.hold(client)
	return in.ask(ctx, client)
}

// abandon forgets an instance whose first start was refused.
func (in *instance) abandon(port int) {
	in.mu.Lock()
	in.removed = true
	in.mu.Unlock()
	in.engine.ports.release(port, in.id)
	in.engine.drop(in)
	if err := in.removeFiles(); err != nil {
		in.engine.cfg.Log.Warn("files of a refused instance stay", "instance", in.id, "error", err)
	}
	unix.Rmdir(in.dir)
}

// runs reports whether something runs or is going to.
func (in *instance) runs() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.live()
}

// ask takes the keeper's status. Answers are taken in the order in which they
// were asked for, so that an old one never covers a newer one.
func (in *instance) ask(ctx context.Context, c *keeper.Client) error {
	in.asking.Lock()
	defer in.asking.Unlock()
	k, err := c.Status(ctx)
	if err != nil {
		return fmt.Errorf("ask keeper of %s: %w", in.id, err)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.client == c {
		in.take(k)
	}
	return nil
}

// keeperOf is the keeper of a live instance; it waits while one keeper takes
// over from another. It is nil when nothing runs, and fails with Unavailable
// when something does whose keeper cannot be talked to.
func (in *instance) keeperOf() (*keeper.Client, error) {
	in.mu.Lock()
	client, live := in.client, in.live()
	in.mu.Unlock()
	if live && client == nil {
		in.ops.Lock()
		defer in.ops.Unlock()
		in.mu.Lock()
		defer in.mu.Unlock()
		client, live = in.client, in.live()
	}
	switch {
	case !live:
		return nil, nil
	case client == nil:
		return nil, in.unreachable()
	}
	return client, nil
}

func (in *instance) unreachable() error {
	return backend.Errorf(backend.Unavailable, "the keeper of %s cannot be reached: see keeper.log in %s", in.id, in.dir)
}

// options are the keeper's words for how to stop.
func options(o engine.StopOptions) keeper.StopOptions {
	return keeper.StopOptions{Signal: o.Signal, Grace: o.Grace, Force: o.Force}
}

// stop implements [Engine.Stop].
func (in *instance) stop(ctx context.Context, o engine.StopOptions) error {
	if err := validStop(o); err != nil {
		return err
	}
	err := in.begin(ctx, request{
		idle: in.settle,
		send: func(c *keeper.Client) (waitFunc, error) { return c.BeginStop(options(o)) },
		acting: func(k keeper.Status, since time.Time) bool {
			return k.Phase == keeper.Stopping && k.Since.After(since)
		},
	})
	if err != nil {
		return fmt.Errorf("stop %s: %w", in.id, err)
	}
	return nil
}

func validStop(o engine.StopOptions) error {
	if o.Signal == "" {
		return nil
	}
	return validSignal(o.Signal)
}

// settle makes an instance stopped that was never started, because the server
// died before it could be. Others that do not run stay what they are.
func (in *instance) settle() error {
	in.ops.Lock()
	defer in.ops.Unlock()
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.kept.Phase != "" || in.removed {
		return nil
	}
	st := keeper.State{Version: keeper.ProtocolVersion, Instance: in.id, Phase: keeper.Stopped, Since: in.engine.cfg.Now()}
	if err := writeState(in.dir, st); err != nil {
		return err
	}
	in.take(statusOf(st))
	return nil
}

// restart implements [Engine.Restart].
func (in *instance) restart(ctx context.Context, o engine.StopOptions) error {
	if err := validStop(o); err != nil {
		return err
	}
	run, ended, err := in.beginRestart()
	if ended || err != nil {
		return err
	}
	err = in.begin(ctx, request{
		idle: func() error { return in.finishRestart(run) },
		send: func(c *keeper.Client) (waitFunc, error) {
			if in.isPast(run) {
				return done, nil
			}
			return c.BeginRestart(options(o))
		},
		acting: func(k keeper.Status, since time.Time) bool {
			return k.Phase == keeper.Stopping && k.Since.After(since) || k.Run > run
		},
	})
	if err != nil {
		return fmt.Errorf("restart %s: %w", in.id, err)
	}
	return nil
}

// beginRestart notes that the next run of a live instance is asked for, and
// returns the number of the present one. One that has ended it starts itself.
func (in *instance) beginRestart() (run uint32, ended bool, err error) {
	in.ops.Lock()
	defer in.ops.Unlock()
	in.mu.Lock()
	removed, live, spec := in.removed, in.live(), in.record.Spec
	run = in.kept.Run
	unreachable := live && in.client == nil
	in.mu.Unlock()
	switch {
	case removed:
		return 0, false, backend.Errorf(backend.NotFound, "there is no instance %s", in.id)
	case unreachable:
		return 0, false, in.unreachable()
	case !live:
		return 0, true, in.launch(spec)
	}
	return run, false, in.amend(func(r *record) { r.Asked++ })
}

// finishRestart starts the run that follows one which was to be restarted and
// whose keeper died before it could.
func (in *instance) finishRestart(run uint32) error {
	in.ops.Lock()
	defer in.ops.Unlock()
	in.mu.Lock()
	over := in.kept.Run != run || in.live() || in.removed
	spec := in.record.Spec
	in.mu.Unlock()
	if over {
		return nil
	}
	if err := in.amend(func(r *record) { r.Asked-- }); err != nil { // launch counts it
		return err
	}
	return in.launch(spec)
}

// isPast reports whether a later run has begun.
func (in *instance) isPast(run uint32) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.kept.Run > run
}

// amend changes the record, on disk first.
func (in *instance) amend(change func(*record)) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	r := in.record
	change(&r)
	if err := r.write(in.dir); err != nil {
		return err
	}
	in.record = r
	return nil
}

// request is what takes a keeper long to answer.
type request struct {
	// send sends it, and returns what waits for the answer.
	send func(c *keeper.Client) (waitFunc, error)
	// idle does it when nothing runs.
	idle func() error
	// acting tells that a keeper acts on it, by what it said last and the
	// time of its phase before it was sent.
	acting func(k keeper.Status, since time.Time) bool
}

type waitFunc = func(ctx context.Context) error

// done waits for what is done already.
func done(context.Context) error { return nil }

// begin has a request on its way and returns when the keeper is seen to act on
// it, or has answered. What a keeper acts on is in its state, so that the next
// one finishes it; one that dies before is followed by another that is asked
// again.
func (in *instance) begin(ctx context.Context, r request) error {
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := in.try(ctx, r)
		in.mu.Lock()
		foreign := in.foreign
		in.mu.Unlock()
		if foreign || !errors.Is(err, keeper.ErrGone) && backend.CodeOf(err) != backend.Unavailable {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		case <-in.engine.ctx.Done():
			return err
		}
	}
}

// try makes a request once.
func (in *instance) try(ctx context.Context, r request) error {
	c, err := in.keeperOf()
	if err != nil {
		return err
	}
	if c == nil {
		return r.idle()
	}
	in.mu.Lock()
	since := in.kept.Since
	in.mu.Unlock()
	wait, err := r.send(c)
	if err != nil {
		return err
	}
	answer := make(chan error, 1)
	if !in.engine.spawn(func() { answer <- wait(in.engine.ctx) }) {
		return backend.Errorf(backend.Unavailable, "the engine is closed")
	}
	for {
		in.mu.Lock()
		changed, k := in.changed, in.kept
		in.mu.Unlock()
		if r.acting(k, since) {
			return nil
		}
		select {
		case err := <-answer:
			if err != nil {
				return err
			}
			// What the caller does next must build on what is so now.
			return in.ask(ctx, c)
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// signal implements [Engine.Signal].
func (in *instance) signal(ctx context.Context, name string) error {
	if err := validSignal(name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	in.mu.Lock()
	p, live := in.kept.Child, in.live()
	in.mu.Unlock()
	if !live || p.PID == 0 {
		return backend.Errorf(backend.Conflict, "instance %s does not run: there is nothing to signal", in.id)
	}
	err := signalProc(p, unix.SignalNum("SIG"+name))
	if errors.Is(err, unix.ESRCH) {
		return backend.Errorf(backend.Conflict, "instance %s has just ended: there is nothing to signal", in.id)
	}
	if err != nil {
		return fmt.Errorf("signal %s: %w", in.id, err)
	}
	return nil
}

// signalProc sends a signal to a process and to no later one with its number.
func signalProc(p keeper.Proc, signal unix.Signal) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if !p.Alive() {
		return unix.ESRCH
	}
	return unix.PidfdSendSignal(fd, signal, nil, 0)
}

// writeState replaces state.json of an instance that has no keeper.
func writeState(dir string, st keeper.State) error {
	return writeJSON(filepath.Join(dir, "state.json"), st)
}
