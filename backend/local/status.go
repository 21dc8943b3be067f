package local

import (
	"context"
	"fmt"
	"time"

	"pitwall/backend"
	"pitwall/backend/engine"
)

// lastLines is how many lines of output are kept with a run.
const lastLines = 10

// follow takes in what the engine says, for as long as the Backend lives.
func (b *Backend) follow(ctx context.Context) {
	b.registerEnded(ctx)
	for ctx.Err() == nil {
		err := b.followOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		b.log.Error("follow the engine", "err", err)
		if !sleep(ctx, time.Second) {
			return
		}
	}
}

func (b *Backend) followOnce(ctx context.Context) error {
	feed, err := b.eng.Watch(ctx)
	if err != nil {
		return fmt.Errorf("watch the engine: %w", err)
	}
	defer feed.Close()
	// The feed of an engine that knows nothing says nothing, so what is there
	// is asked for; the feed was opened before, and misses nothing.
	known, err := b.eng.List(ctx)
	if err != nil {
		return fmt.Errorf("list the engine's instances: %w", err)
	}
	changes := make([]engine.Change, len(known))
	for i := range known {
		changes[i] = engine.Change{ID: known[i].ID, Status: &known[i], Logged: true}
	}
	for !b.take(ctx, changes, true) {
		if !sleep(ctx, time.Second) {
			return ctx.Err()
		}
	}
	for {
		changes, err := feed.Next(ctx)
		if backend.CodeOf(err) == backend.Lagged {
			continue
		}
		if err != nil {
			return fmt.Errorf("watch the engine: %w", err)
		}
		for !b.take(ctx, changes, false) {
			if !sleep(ctx, time.Second) {
				return ctx.Err()
			}
		}
	}
}

// news is what a status says of an instance, with the records of the runs
// that are new.
type news struct {
	status engine.Status
	runs   []engine.RunRecord
	lines  map[int][]string // last lines by run
}

// take writes one batch of the engine's changes. It reports false when that
// could not be written and must be tried again.
func (b *Backend) take(ctx context.Context, changes []engine.Change, first bool) bool {
	latest := make(map[string]int)
	var all []news
	for _, ch := range changes {
		if ch.Logged && b.cfg.Logs != nil {
			b.cfg.Logs.Notify(ch.ID)
		}
		if ch.Status == nil {
			continue
		}
		if at, ok := latest[ch.ID]; ok {
			all[at].status = *ch.Status
			continue
		}
		latest[ch.ID] = len(all)
		all = append(all, news{status: *ch.Status})
	}
	for i := range all {
		b.registerLog(all[i].status)
		b.readRuns(ctx, &all[i])
	}
	err := b.change(ctx, cause{}, func(c *change) error {
		for _, n := range all {
			if err := c.status(n); err != nil {
				return err
			}
		}
		for _, ch := range changes {
			c.notice(ch)
		}
		if first {
			return c.adopt(latest)
		}
		return nil
	})
	if err != nil {
		b.log.Error("write what the engine says", "err", err)
		return ctx.Err() != nil
	}
	if first {
		b.afterAdoption(all)
	}
	for _, n := range all {
		b.settleLater(n.status)
		if n.status.State.Final() && b.cfg.Logs != nil {
			b.cfg.Logs.Notify(n.status.ID)
		}
	}
	return true
}

// afterAdoption lets convergence begin.
func (b *Backend) afterAdoption(all []news) {
	b.mu.Lock()
	b.adopted = true
	owners := make([]string, 0, len(b.apps)+len(b.jobs))
	for id := range b.apps {
		owners = append(owners, id)
	}
	for id := range b.jobs {
		owners = append(owners, id)
	}
	b.wakeAll()
	b.mu.Unlock()
	for _, id := range owners {
		b.converge(id)
	}
	for _, n := range all {
		b.stopStranger(n.status)
	}
}

// settleLater looks at an app again when the time has passed in which a crash
// of the instance still counts.
func (b *Backend) settleLater(st engine.Status) {
	if st.State != backend.InstanceRunning || st.Restarts == 0 || st.Spec.AppID == "" {
		return
	}
	wait := st.Since.Add(settled).Sub(b.cfg.Now())
	if wait <= 0 || st.LastExit == nil || clean(*st.LastExit) {
		return
	}
	b.timers.after(wait+time.Millisecond, func() {
		b.spawn(func(ctx context.Context) {
			err := b.change(ctx, cause{}, func(c *change) error {
				c.app(st.Spec.AppID)
				return nil
			})
			if err != nil && ctx.Err() == nil {
				b.log.Error("settle an app", "app", st.Spec.AppID, "err", err)
			}
		})
	})
}

// stopStranger ends an instance that nobody declared, which a server left
// that lost its state, or that was deleted while the engine could not.
func (b *Backend) stopStranger(st engine.Status) {
	b.mu.RLock()
	_, known := b.instances[st.ID]
	b.mu.RUnlock()
	if known || st.State == backend.InstanceStopping || b.ctx.Err() != nil {
		return
	}
	b.spawn(func(ctx context.Context) {
		var err error
		if st.State.Final() {
			if st.Spec.JobID != "" {
				return // a job's ended runs are kept
			}
			err = b.eng.Remove(ctx, st.ID)
		} else {
			b.log.Warn("stop an instance that is not declared", "instance", st.ID)
			err = b.eng.Stop(ctx, st.ID, engine.StopOptions{})
		}
		if err != nil && ctx.Err() == nil && backend.CodeOf(err) != backend.NotFound {
			b.log.Warn("end an instance that is not declared", "instance", st.ID, "err", err)
		}
	})
}

// readRuns asks the engine for the runs that are not recorded yet.
func (b *Backend) readRuns(ctx context.Context, n *news) {
	b.mu.RLock()
	r, ok := b.instances[n.status.ID]
	b.mu.RUnlock()
	st := n.status
	if !ok || st.Run == 0 || st.Run <= r.Recorded {
		return
	}
	ended := st.State.Final() || st.State == backend.InstanceCrashed
	if st.Run == r.Instance.Run && !ended && r.Instance.PID == st.PID {
		return
	}
	runs, err := b.eng.Runs(ctx, st.ID, r.Recorded)
	if err != nil {
		b.log.Warn("read runs", "instance", st.ID, "err", err)
		return
	}
	n.runs = runs
	if b.cfg.Logs == nil {
		return
	}
	n.lines = make(map[int][]string)
	for _, run := range runs {
		if run.Exit != nil {
			n.lines[run.Number] = b.cfg.Logs.LastLines(st.ID, run.Number, lastLines)
		}
	}
}

// status drafts what a status says.
func (c *change) status(n news) error {
	st := n.status
	d := c.instance(st.ID)
	if d == nil {
		if c.b.adopted {
			c.after = append(c.after, func() { c.b.stopStranger(st) })
		} else if !st.State.Final() {
			c.stranger(st)
		}
		return nil
	}
	if c.stale(st) {
		return nil
	}
	in := &d.now.Instance
	was := *in
	d.now.Again = d.now.Again && st.State.Final()
	in.State, in.Reason, in.Ready, in.PID, in.Port = st.State, st.Reason, st.Ready, st.PID, st.Port
	in.Run, in.Restarts, in.NextStart, in.LastExit = st.Run, st.Restarts, st.NextStart, st.LastExit
	same := was.State == st.State && was.Run == st.Run && was.PID == st.PID
	if !st.Since.IsZero() && !same { // an engine that adopts may not know since when
		in.Since = st.Since.UTC()
	}
	if st.EnvHash != "" {
		in.EnvHash = st.EnvHash
	}
	if st.Node != "" {
		in.Node = st.Node
	}
	if st.LogDir != "" {
		d.now.LogDir = st.LogDir
	}
	if err := c.runs(d, n); err != nil {
		return err
	}
	if in.State == backend.InstanceUnready && was.State != backend.InstanceUnready {
		d.say(backend.LevelWarn, sentence(nameOf(*d.now)+" is not ready", in.Reason))
	}
	if in.State == backend.InstanceRunning && was.State == backend.InstanceUnready {
		d.say(backend.LevelInfo, nameOf(*d.now)+" is ready again")
	}
	if in.State == backend.InstanceFailed && was.State != backend.InstanceFailed && in.JobID == "" {
		d.say(backend.LevelError, sentence(nameOf(*d.now)+" failed", in.Reason))
	}
	return nil
}

func sentence(text, reason string) string {
	if reason == "" {
		return text
	}
	return text + ": " + reason
}

// stale reports whether a status is from before the engine was told to start
// the instance, and notes what is launched otherwise.
func (c *change) stale(st engine.Status) bool {
	b := c.b
	b.mu.Lock()
	defer b.mu.Unlock()
	ctl := b.controlOf(st.ID)
	if !st.State.Final() {
		ctl.launched = st.State != backend.InstancePending || ctl.launched || st.PID != 0
		if st.State == backend.InstanceRunning {
			ctl.failures = 0
		}
		return false
	}
	if ctl.launched && !ctl.startAt.IsZero() && st.Run <= ctl.startRun && st.Since.Before(ctl.startAt) {
		return true
	}
	if st.State == backend.InstanceLost && ctl.launched {
		ctl.retry = b.cfg.Now().Add(min(retryMin<<min(ctl.failures, 10), retryMax))
		ctl.failures++
	}
	ctl.launched, ctl.stop = false, stopNot
	return false
}

// notice tells what an operator should read.
func (c *change) notice(ch engine.Change) {
	if ch.Notice == "" {
		return
	}
	if d := c.instance(ch.ID); d != nil {
		d.say(ch.Level, nameOf(*d.now)+": "+ch.Notice)
	}
}

// adopt takes in that the engine does not know some of the instances: they are
// lost, and convergence starts again those that are wanted.
func (c *change) adopt(known map[string]int) error {
	open, err := c.b.store.OpenRuns(context.Background())
	if err != nil {
		return err
	}
	for id := range c.b.instances {
		if _, ok := known[id]; ok {
			continue
		}
		d := c.instance(id)
		if in := &d.now.Instance; in.State.Live() || in.State == backend.InstanceCrashed {
			in.State, in.Reason, in.Ready, in.PID, in.Since = backend.InstanceLost, "the engine does not know it any more", false, 0, c.now
			d.say(backend.LevelWarn, nameOf(*d.now)+" was lost")
		} else if in.JobID == "" && in.State.Final() && !d.now.Retired {
			in.State = backend.InstanceStopped
		}
	}
	for _, r := range open {
		if _, ok := known[r.Instance]; ok {
			continue
		}
		if m, ok := c.b.instances[r.Instance]; ok && m.Instance.State == backend.InstancePending {
			continue
		}
		r.State, r.Ended = backend.RunLost, c.now
		r.Exit = &backend.Exit{Unknown: true, Reason: "lost", Time: c.now}
		if err := c.putRun(backend.EventUpdated, r); err != nil {
			return err
		}
	}
	return nil
}

// stranger tells that an instance runs that nobody declared.
func (c *change) stranger(st engine.Status) {
	c.order = append(c.order, func() error {
		in := backend.Instance{ID: st.ID, App: st.Spec.Owner, Process: st.Spec.Process, Index: st.Spec.Index, State: st.State, PID: st.PID}
		return c.announce(backend.Event{Kind: backend.EventDeleted, Ref: in.Ref(), Owner: st.Spec.Owner, Instance: &in},
			[]message{{backend.LevelWarn, st.ID + " is not declared and is stopped"}})
	})
}

// registerLog tells the log store where an instance's log is.
func (b *Backend) registerLog(st engine.Status) {
	if b.cfg.Logs == nil || st.LogDir == "" {
		return
	}
	b.mu.Lock()
	r, known := b.instances[st.ID]
	if !known {
		b.mu.Unlock()
		return
	}
	ctl := b.controlOf(st.ID)
	live := !st.State.Final()
	key := fmt.Sprint(live, st.LogDir)
	done := ctl.registered == key
	ctl.registered = key
	policy := b.apps[r.Instance.AppID].App.Spec.Logs
	b.mu.Unlock()
	if done {
		return
	}
	r.LogDir = st.LogDir
	b.cfg.Logs.Register(source(r, policy, live))
}

// registerEnded tells the log store of the logs of instances that have ended.
func (b *Backend) registerEnded(ctx context.Context) {
	if b.cfg.Logs == nil {
		return
	}
	ended, err := b.store.EndedInstances(ctx, "")
	if err != nil {
		b.log.Warn("list ended instances", "err", err)
		return
	}
	for _, r := range ended {
		if r.LogDir == "" {
			continue
		}
		b.mu.RLock()
		policy := b.apps[r.Instance.AppID].App.Spec.Logs
		b.mu.RUnlock()
		b.cfg.Logs.Register(source(r, policy, false))
	}
}
