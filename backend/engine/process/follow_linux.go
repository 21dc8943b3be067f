package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"pitwall/backend"
	"pitwall/backend/engine"
	"pitwall/backend/engine/process/keeper"
	"pitwall/backend/logstore/segment"
)

// adopt takes over an instance that is on disk.
func (in *instance) adopt(ctx context.Context) {
	in.ops.Lock()
	defer in.ops.Unlock()
	runs, err := keeper.Runs(in.dir)
	if err != nil {
		in.engine.notice(in.id, backend.LevelError, fmt.Sprintf("its runs cannot be read: %v", err))
	}
	in.mu.Lock()
	for _, r := range runs {
		if !r.Ended.IsZero() {
			in.last = &r
		}
	}
	in.mu.Unlock()
	dialing, cancel := context.WithTimeout(ctx, operation)
	defer cancel()
	c, err := in.dial(dialing)
	if err == nil {
		in.meet(dialing, c)
		return
	}
	st, stErr := keeper.ReadState(in.dir)
	if stErr == nil && st.Boot == keeper.BootID() && st.Keeper.Alive() {
		// It lives and cannot be talked to. Another one would fight it.
		in.mu.Lock()
		in.foreign = true
		in.take(statusOf(st))
		in.mu.Unlock()
		in.engine.notice(in.id, backend.LevelError, fmt.Sprintf("its keeper is left alone: %v", err))
		return
	}
	in.takeOver(dialing, st, stErr, keeper.Pipes{})
}

// meet begins with a keeper that another server started.
func (in *instance) meet(ctx context.Context, c *keeper.Client) {
	in.hold(c)
	if err := in.ask(ctx, c); err != nil {
		in.engine.notice(in.id, backend.LevelError, err.Error())
	}
	in.mu.Lock()
	degraded := in.kept.Degraded
	in.mu.Unlock()
	if degraded != "" {
		in.engine.notice(in.id, backend.LevelWarn, "its log takes no more: "+degraded)
	}
	in.engine.spawn(func() { in.dismiss(c) }) // unless it has work
}

// newborn is how long a keeper may take from its start to its first answer
// when the server that started it died in between.
const newborn = time.Second

// dial reaches the keeper. It waits for one that a server before this one may
// have started just before it died: the spec then promises a run that the state
// does not have yet.
func (in *instance) dial(ctx context.Context) (*keeper.Client, error) {
	for deadline := time.Now().Add(newborn); ; {
		c, err := keeper.Dial(ctx, in.dir)
		if err == nil {
			return c, nil
		}
		spec, specErr := keeper.ReadSpec(in.dir)
		st, stErr := keeper.ReadState(in.dir)
		promised := specErr == nil && (stErr == nil || errors.Is(stErr, fs.ErrNotExist)) &&
			(st.Phase == "" || st.Phase.AtRest()) && spec.FirstRun > st.Run
		if !promised || time.Now().After(deadline) {
			return nil, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// takeOver deals with an instance that has no keeper, from the state that the
// last one left. The caller holds ops.
func (in *instance) takeOver(ctx context.Context, st keeper.State, err error, pipes keeper.Pipes) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if err != nil || st.Phase.AtRest() || st.Boot != keeper.BootID() {
		pipes.Close()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		in.take(keeper.Status{})
	case err != nil:
		in.engine.notice(in.id, backend.LevelError, fmt.Sprintf("its state cannot be read: %v", err))
		in.lose(st, "lost: its state cannot be read")
	case in.record.Lost != "":
		in.take(remains(st))
	case st.Phase.AtRest():
		in.take(statusOf(st))
	case st.Boot != keeper.BootID():
		in.lose(st, "lost: host restarted")
	default:
		in.take(statusOf(st))
		in.mu.Unlock()
		in.resume(ctx, st, pipes)
		in.mu.Lock()
	}
}

// resume starts another keeper for an instance whose own has died. Where that
// fails it is tried again and again, with the pipes held meanwhile: without
// them the program would die of its next line. The caller holds ops.
func (in *instance) resume(ctx context.Context, st keeper.State, pipes keeper.Pipes) {
	if pipes.Empty() && st.Child.Alive() {
		in.engine.notice(in.id, backend.LevelWarn,
			"its keeper died while no server held its output: lines since are lost, and more may be; restart it to see its output again")
	}
	err := in.resumeOnce(ctx, pipes)
	if err == nil {
		pipes.Close()
		return
	}
	in.engine.cfg.Log.Error("keeper cannot be replaced", "instance", in.id, "error", err)
	in.engine.notice(in.id, backend.LevelError, fmt.Sprintf("its keeper died and another cannot be started yet: %v", err))
	if !in.engine.spawn(func() { in.resumeUntil(pipes) }) {
		pipes.Close()
	}
}

// resumeOnce starts another keeper and leaves the pipes as they are. The caller
// holds ops.
func (in *instance) resumeOnce(ctx context.Context, pipes keeper.Pipes) error {
	given, err := pipes.Dup()
	if err != nil {
		return err
	}
	c, err := keeper.Resume(ctx, in.engine.cfg.Exe, in.dir, given)
	if err != nil {
		// The one that died just now may have been one too many.
		if c, err = keeper.Dial(ctx, in.dir); err != nil {
			return err
		}
	}
	in.hold(c)
	if err := in.ask(ctx, c); err != nil && !errors.Is(err, keeper.ErrGone) {
		in.engine.notice(in.id, backend.LevelError, err.Error())
	}
	return nil
}

// resumeUntil tries to start another keeper until there is one. The pauses
// start short, for a keeper that was killed while it took over, and become
// long, for a machine that has no room for it.
func (in *instance) resumeUntil(pipes keeper.Pipes) {
	defer pipes.Close()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		select {
		case <-time.After(pause):
		case <-in.engine.ctx.Done():
			return
		}
		if in.resumed(pipes) {
			return
		}
	}
}

func (in *instance) resumed(pipes keeper.Pipes) bool {
	in.ops.Lock()
	defer in.ops.Unlock()
	in.mu.Lock()
	done := in.client != nil || in.removed || !in.live()
	in.mu.Unlock()
	if done {
		return true
	}
	ctx, cancel := context.WithTimeout(in.engine.ctx, operation)
	defer cancel()
	return in.resumeOnce(ctx, pipes) == nil
}

// lose records that nobody knows how the last run ended. The caller holds mu.
func (in *instance) lose(st keeper.State, why string) {
	now := in.engine.cfg.Now()
	exit := keeper.Exit{
		Run: st.Run, PID: st.Child.PID, Started: st.Started, Ended: now,
		Code: -1, Unknown: true, Reason: why, EnvHash: st.EnvHash,
	}
	on := st.Phase != keeper.Backoff && st.Run > 0 && (in.last == nil || in.last.Run < st.Run)
	if on {
		if err := in.recordEnd(exit); err != nil {
			in.engine.cfg.Log.Warn("end of a lost run is not recorded", "instance", in.id, "error", err)
		}
		in.last = &exit
	}
	in.record.Lost, in.record.LostAt = why, now
	if err := in.record.write(in.dir); err != nil {
		in.engine.cfg.Log.Warn("loss of an instance is not recorded", "instance", in.id, "error", err)
	}
	in.take(remains(st))
}

// remains is the status of an instance that is lost: nothing of it runs.
func remains(st keeper.State) keeper.Status {
	k := statusOf(st)
	k.Phase, k.Child, k.Keeper = keeper.Exited, keeper.Proc{}, keeper.Proc{}
	return k
}

// recordEnd writes the end of a run that had no keeper: to the list of runs,
// and to the log.
func (in *instance) recordEnd(e keeper.Exit) error {
	if err := appendJSON(filepath.Join(in.dir, "runs.jsonl"), e); err != nil {
		return err
	}
	w, _, err := segment.OpenWriter(filepath.Join(in.dir, "log"), segment.Options{LockWait: time.Second})
	if err != nil {
		return err
	}
	return errors.Join(w.RunEnd(e.Code, 0, segment.ExitUnknown), w.Close())
}

// statusOf is what a keeper would have said of the state that it left.
func statusOf(st keeper.State) keeper.Status {
	return keeper.Status{
		Version: st.Version, Instance: st.Instance, Keeper: st.Keeper, Phase: st.Phase, Since: st.Since,
		Run: st.Run, Child: st.Child, Started: st.Started, Until: st.Until, Reason: st.Reason,
	}
}

// hold begins to follow a keeper. The caller holds ops.
func (in *instance) hold(c *keeper.Client) {
	in.mu.Lock()
	in.client, in.foreign = c, false
	in.record.Lost = ""
	in.mu.Unlock()
	if !in.engine.spawn(func() { in.follow(c) }) && in.release(c) {
		c.Close()
	}
}

// release lets go of a keeper, unless something else does so already. It
// reports whether it was held.
func (in *instance) release(c *keeper.Client) bool {
	in.mu.Lock()
	held := in.client == c
	if held {
		in.client = nil
	}
	in.mu.Unlock()
	return held
}

// follow hears a keeper until it or the engine ends, and has it replaced when
// it died. Who releases the client closes it.
func (in *instance) follow(c *keeper.Client) {
	for {
		events, err := c.Next(in.engine.ctx)
		if in.engine.ctx.Err() != nil {
			if in.release(c) {
				in.letGo(c)
			}
			return
		}
		if err != nil {
			in.bereaved(c)
			return
		}
		in.hear(c, events)
	}
}

// hear takes events. What they say of the state is asked anew, and once for all
// of them, since more may have happened.
func (in *instance) hear(c *keeper.Client, events []keeper.Event) {
	logged, moved := false, false
	for _, ev := range events {
		switch ev.Kind {
		case keeper.EventAppended:
			logged = true
		case keeper.EventDegraded:
			in.engine.notice(in.id, backend.LevelWarn, "its log takes no more: "+ev.Reason)
		case keeper.EventRecovered:
			in.engine.notice(in.id, backend.LevelInfo, fmt.Sprintf("its log goes on; %s of output were lost", size(ev.Dropped)))
		case keeper.EventEscaped:
			in.engine.notice(in.id, backend.LevelError, ev.Reason)
		default:
			moved = true
			logged = logged || ev.Kind == keeper.EventExited // its last line
		}
	}
	if logged {
		in.engine.feeds.publish(engine.Change{ID: in.id, Logged: true})
	}
	if !moved {
		return
	}
	ctx, cancel := context.WithTimeout(in.engine.ctx, operation)
	defer cancel()
	if in.ask(ctx, c) != nil {
		return // the end of the events follows
	}
	in.mu.Lock()
	idle := in.kept.Phase.AtRest()
	in.mu.Unlock()
	if idle {
		in.engine.spawn(func() { in.dismiss(c) })
	}
}

// dismiss ends a keeper that has nothing to keep: what it knows is on disk. One
// that was given work meanwhile refuses, and is held on to.
func (in *instance) dismiss(c *keeper.Client) {
	in.ops.Lock()
	defer in.ops.Unlock()
	if in.engine.ctx.Err() == nil {
		in.end(c)
	}
}

// end ends a keeper that has nothing to keep, and reports whether it did. The
// caller holds ops.
func (in *instance) end(c *keeper.Client) bool {
	ctx, cancel := context.WithTimeout(in.engine.ctx, operation)
	defer cancel()
	if err := in.ask(ctx, c); err != nil {
		return false // it is gone, or is going to be followed by another
	}
	if in.runs() || !in.release(c) {
		return false
	}
	if in.shutDown(c) {
		c.Close()
		return true
	}
	in.keep(ctx, c)
	return false
}

// keep takes back a keeper that was released, and that is followed still. The
// caller holds ops.
func (in *instance) keep(ctx context.Context, c *keeper.Client) {
	in.mu.Lock()
	in.client = c
	in.mu.Unlock()
	if err := in.ask(ctx, c); err != nil {
		in.engine.cfg.Log.Warn("keeper does not answer", "instance", in.id, "error", err)
	}
	select {
	case <-c.Done():
		// Who followed it may have found it released.
		in.engine.spawn(func() { in.bereaved(c) })
	default:
	}
}

// shutDown asks a keeper to end, also while the engine closes. It reports
// whether it does.
func (in *instance) shutDown(c *keeper.Client) bool {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	err := c.Shutdown(ctx, false)
	return err == nil || errors.Is(err, keeper.ErrGone)
}

// farewell is how long an idle keeper may take to end before it is left to the
// next engine.
const farewell = 2 * time.Second

// bereaved deals with a keeper that is gone.
func (in *instance) bereaved(c *keeper.Client) {
	in.ops.Lock()
	defer in.ops.Unlock()
	if !in.release(c) {
		return
	}
	defer c.Close()
	in.mu.Lock()
	old, removed := in.kept.Keeper, in.removed
	in.mu.Unlock()
	if removed || in.engine.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(in.engine.ctx, operation)
	defer cancel()
	if old.Alive() {
		if again, err := keeper.Dial(ctx, in.dir); err == nil {
			in.hold(again)
			in.ask(ctx, again)
			return
		}
		// It lets nobody in any more. Wait for its end rather than fight it.
		if !awaitGone(ctx, old) {
			in.engine.notice(in.id, backend.LevelError, "its keeper lives and does not answer")
			return
		}
	}
	st, err := keeper.ReadState(in.dir)
	if err == nil && !st.Phase.AtRest() {
		in.engine.notice(in.id, backend.LevelWarn, "its keeper died; another one takes over")
	}
	in.takeOver(ctx, st, err, c.Pipes())
}

// awaitGone waits for the end of a process.
func awaitGone(ctx context.Context, p keeper.Proc) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for p.Alive() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// detach lets go of the keeper for good.
func (in *instance) detach() {
	in.mu.Lock()
	in.endHealth()
	c := in.client
	in.mu.Unlock()
	if c != nil && in.release(c) {
		in.letGo(c)
	}
}

// letGo leaves a keeper at work; one that has none ends.
func (in *instance) letGo(c *keeper.Client) {
	in.mu.Lock()
	idle := in.kept.Phase.AtRest()
	in.mu.Unlock()
	if idle {
		in.shutDown(c)
	}
	c.Close()
}
