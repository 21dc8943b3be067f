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
	in.ops.Lock()
	defer in.ops.Unlock()
	in.mu.Lock()
	removed, live := in.removed, in.live()
	in.mu.Unlock()
	switch {
	case removed:
		return true, nil
	case live:
		return false, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	}
	return false, in.launch(s)
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
		if err := client.Start(ctx); err != nil {
			return fmt.Errorf("start %s: %w", in.id, err)
		}
		return in.ask(ctx, client)
	}
	if err := in.forgive(); err != nil {
		return err
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

// forgive makes the state that the last keeper left one to start afresh from:
// a command to start gives a new budget.
func (in *instance) forgive() error {
	st, err := keeper.ReadState(in.dir)
	if err != nil {
		return nil // never started, or unreadable, which the keeper replaces
	}
	st.Restarts, st.Delay, st.Until = nil, 0, time.Time{}
	if !st.Phase.AtRest() {
		st.Phase, st.Child = keeper.Stopped, keeper.Proc{}
	}
	return writeState(in.dir, st)
}

// ask takes the keeper's status. The caller holds ops.
func (in *instance) ask(ctx context.Context, c *keeper.Client) error {
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
	if o.Signal != "" {
		if err := validSignal(o.Signal); err != nil {
			return err
		}
	}
	c, err := in.keeperOf()
	if err != nil || c == nil {
		return err
	}
	err = in.begin(ctx, func(ctx context.Context) error { return c.Stop(ctx, options(o)) }, func(k keeper.Status) bool {
		return k.Phase == keeper.Stopping || k.Phase.AtRest()
	})
	if err != nil {
		return fmt.Errorf("stop %s: %w", in.id, err)
	}
	return nil
}

// restart implements [Engine.Restart].
func (in *instance) restart(ctx context.Context, o engine.StopOptions) error {
	if o.Signal != "" {
		if err := validSignal(o.Signal); err != nil {
			return err
		}
	}
	in.ops.Lock()
	defer in.ops.Unlock()
	in.mu.Lock()
	removed, live, client, spec := in.removed, in.live(), in.client, in.record.Spec
	run := in.kept.Run
	in.mu.Unlock()
	switch {
	case removed:
		return backend.Errorf(backend.NotFound, "there is no instance %s", in.id)
	case !live:
		return in.launch(spec)
	case client == nil:
		return in.unreachable()
	}
	if err := in.amend(func(r *record) { r.Asked++ }); err != nil {
		return err
	}
	err := in.begin(ctx, func(ctx context.Context) error { return client.Restart(ctx, options(o)) }, func(k keeper.Status) bool {
		return k.Phase == keeper.Stopping || k.Run > run
	})
	if err != nil {
		return errors.Join(fmt.Errorf("restart %s: %w", in.id, err), in.amend(func(r *record) { r.Asked-- }))
	}
	return nil
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

// begin has a request on its way that takes long to be answered, and returns
// when the keeper is seen to act on it, or has refused it.
func (in *instance) begin(ctx context.Context, request func(ctx context.Context) error, acting func(keeper.Status) bool) error {
	answer := make(chan error, 1)
	if !in.engine.spawn(func() { answer <- request(in.engine.ctx) }) {
		return backend.Errorf(backend.Unavailable, "the engine is closed")
	}
	for {
		in.mu.Lock()
		changed, k := in.changed, in.kept
		in.mu.Unlock()
		if acting(k) {
			return nil
		}
		select {
		case err := <-answer:
			return err
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
