package local

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"pitwall/backend"
	"pitwall/backend/sqlite"
)

func (b *Backend) planRestart(cmd backend.Restart) (plan, error) {
	r, err := b.target(cmd.App, cmd.Instance)
	if err != nil {
		return plan{}, err
	}
	p := appPlan("restart", r, cmd.Instance)
	p.cancelable = true
	p.begin = func(c *change, op *operation) error { return c.beginRestart(cmd.App, cmd.Instance, op) }
	p.work = func(ctx context.Context, op *operation) error {
		return b.roll(ctx, op, cmd.App, "", func(m sqlite.Instance) bool {
			return cmd.Instance == "" || cmd.Instance == m.Instance.ID
		})
	}
	return p, nil
}

// beginRestart wants an app started and attached. A block stays.
func (c *change) beginRestart(app, instance string, op *operation) error {
	d, err := c.theApp(app)
	if err != nil {
		return err
	}
	want(d, backend.DesiredStarted, op.id)
	c.attach(d, instance, op.id)
	for _, m := range c.membersOf(app) {
		if m.Held && (instance == "" || instance == m.Instance.ID) {
			c.instance(m.Instance.ID).now.Held = false
		}
	}
	return nil
}

// roll replaces those of an app's instances that which picks, one by one, by
// new ones of the present release. The first that does not become ready ends
// it, and the rest is left as it is.
func (b *Backend) roll(ctx context.Context, op *operation, app, prefix string, which func(m sqlite.Instance) bool) error {
	if err := b.settlePlaces(ctx, app); err != nil {
		return err
	}
	b.mu.RLock()
	var all []sqlite.Instance
	for _, m := range slices.SortedFunc(b.membersOf(app), byPlace) {
		if !m.Retired && which(m) {
			all = append(all, m)
		}
	}
	b.mu.RUnlock()
	if len(all) == 0 {
		return op.step(prefix+"start", func() (string, error) {
			return "", b.awaitApp(ctx, app, attempt{from: b.fromNow(app), forgiven: 1})
		})
	}
	op.expect(len(all) * 3)
	for _, m := range all {
		b.mu.RLock()
		m, ok := b.instances[m.Instance.ID]
		b.mu.RUnlock()
		if !ok || m.Retired {
			continue // scaled away meanwhile
		}
		replace := b.inPlace
		if s := m.Instance.State; s == backend.InstanceRunning || s == backend.InstanceUnready {
			replace = b.rollOne
		}
		if err := replace(ctx, op, m, prefix); err != nil {
			return err
		}
	}
	return nil
}

// rollOne starts a new instance in the place of one that runs, and ends that
// one when the new one is ready.
func (b *Backend) rollOne(ctx context.Context, op *operation, old sqlite.Instance, prefix string) error {
	in := old.Instance
	var fresh string
	err := op.step(prefix+"start "+in.Name(), func() (string, error) {
		var err error
		if fresh, err = b.tryInstead(ctx, op, old); err != nil {
			return "", err
		}
		if err = b.awaitInstance(ctx, fresh, attempt{}); err != nil && !errors.Is(err, errClosing) {
			b.giveUp(op, fresh)
			return "", fmt.Errorf("the new instance did not become ready, the others are as they were: %w", err)
		}
		return "ready", err
	})
	if err != nil {
		return err
	}
	b.mu.RLock()
	grace := b.graceOf(old)
	b.mu.RUnlock()
	if b.cfg.Edge != nil {
		if err := op.step(prefix+"drain "+in.Name(), func() (string, error) { return b.drain(ctx, old, grace), nil }); err != nil {
			return err
		}
	}
	return op.step(prefix+"stop "+in.Name(), func() (string, error) {
		if err := b.retire(op, in.ID); err != nil {
			return "", err
		}
		err := b.awaitEnd(ctx, []string{in.ID})
		return b.howEnded(in.ID), err
	})
}

// tryInstead makes an instance in the place of another.
func (b *Backend) tryInstead(ctx context.Context, op *operation, old sqlite.Instance) (string, error) {
	var id string
	err := b.change(ctx, op.cause(), func(c *change) error {
		in := old.Instance
		d, err := c.theApp(in.AppID)
		if err != nil {
			return err
		}
		if id, err = c.newInstance(*d.now, in.Process, in.Index, in.ID); err != nil {
			return err
		}
		c.instances[id].now.Instance.Blocked = in.Blocked
		return nil
	})
	return id, err
}

// giveUp retires an instance that was tried and waits until it has ended, also
// when the operation was called off.
func (b *Backend) giveUp(op *operation, id string) {
	if err := b.retire(op, id); err != nil {
		b.log.Error("retire an instance", "instance", id, "err", err)
		return
	}
	if err := b.awaitEnd(b.ctx, []string{id}); err != nil {
		b.log.Warn("end an instance", "instance", id, "err", err)
	}
}

// retire says that an instance is no longer wanted.
func (b *Backend) retire(op *operation, id string) error {
	return b.change(context.Background(), op.cause(), func(c *change) error {
		if d := c.instance(id); d != nil {
			d.now.Retired = true
		}
		return nil
	})
}

// inPlace stops an instance that is not well, if it runs at all, and starts it
// again.
func (b *Backend) inPlace(ctx context.Context, op *operation, m sqlite.Instance, prefix string) error {
	in := m.Instance
	if !in.State.Final() && in.State != backend.InstancePending {
		err := op.step(prefix+"stop "+in.Name(), func() (string, error) {
			return "", b.endHeld(ctx, []sqlite.Instance{m}, stopGraceful)
		})
		if err != nil {
			b.setHold(in.AppID, []string{in.ID}, stopNot)
			return err
		}
	}
	return op.step(prefix+"start "+in.Name(), func() (string, error) {
		a, err := b.startAgain(op, []sqlite.Instance{m})
		if err != nil {
			return "", err
		}
		return "", b.awaitInstance(ctx, in.ID, a)
	})
}

// endHeld stops instances of one app and holds them there.
func (b *Backend) endHeld(ctx context.Context, all []sqlite.Instance, mode stopMode) error {
	ids := make([]string, len(all))
	for i, m := range all {
		ids[i] = m.Instance.ID
	}
	b.setHold(all[0].Instance.AppID, ids, mode)
	return b.awaitEnd(ctx, ids)
}

// startAgain lets held instances go and asks for their next run.
func (b *Backend) startAgain(op *operation, all []sqlite.Instance) (attempt, error) {
	a := attempt{from: make(map[string]int)}
	err := b.change(context.Background(), op.cause(), func(c *change) error {
		for _, m := range all {
			d := c.instance(m.Instance.ID)
			if d == nil || d.now.Retired {
				continue
			}
			a.from[m.Instance.ID] = max(d.now.Instance.Run+1, d.now.FirstRun)
			if d.now.Instance.State.Final() {
				d.now.Again = !b.launched(m.Instance.ID)
				d.now.Trigger = c.trigger()
			} else if d.now.Instance.Run > 0 {
				a.from[m.Instance.ID] = d.now.Instance.Run
			}
		}
		c.settle = append(c.settle, func() {
			for _, m := range all {
				if _, ok := b.instances[m.Instance.ID]; ok {
					b.controlOf(m.Instance.ID).hold = stopNot
				}
			}
		})
		return nil
	})
	return a, err
}

// launched reports whether the engine was told to start an instance and has
// not said yet what became of it.
func (b *Backend) launched(id string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	ctl := b.control[id]
	return ctl != nil && ctl.launched
}

func (b *Backend) planForceRestart(cmd backend.ForceRestart) (plan, error) {
	r, err := b.target(cmd.App, cmd.Instance)
	if err != nil {
		return plan{}, err
	}
	p := appPlan("force-restart", r, cmd.Instance)
	p.preempt = true
	p.begin = func(c *change, op *operation) error { return c.beginRestart(cmd.App, cmd.Instance, op) }
	p.work = func(ctx context.Context, op *operation) error {
		return b.forceRestart(ctx, op, cmd.App, cmd.Instance)
	}
	return p, nil
}

// forceRestart kills all at once and starts all at once.
func (b *Backend) forceRestart(ctx context.Context, op *operation, app, instance string) error {
	b.mu.RLock()
	var all []sqlite.Instance
	var ids []string
	for _, m := range slices.SortedFunc(b.membersOf(app), byPlace) {
		if !m.Retired && (instance == "" || instance == m.Instance.ID) {
			all = append(all, m)
			ids = append(ids, m.Instance.ID)
		}
	}
	b.mu.RUnlock()
	op.expect(2)
	a := attempt{forgiven: 1}
	if len(all) > 0 {
		defer b.setHold(app, ids, stopNot)
		err := op.step("kill "+instances(len(all)), func() (string, error) { return "", b.endHeld(ctx, all, stopForced) })
		if err != nil {
			return err
		}
		if a, err = b.startAgain(op, all); err != nil {
			return err
		}
		a.forgiven = 1
	}
	return op.step("start "+instances(len(all)), func() (string, error) {
		if instance != "" {
			return "", b.awaitInstance(ctx, instance, a)
		}
		return "", b.awaitApp(ctx, app, a)
	})
}
