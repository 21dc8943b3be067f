package local

import (
	"context"
	"fmt"

	"pitwall/backend"
)

// planBlock refuses new connections to an app or an instance, or takes them
// again.
func (b *Backend) planBlock(app, instance, reason string, block bool) (plan, error) {
	r, err := b.target(app, instance)
	if err != nil {
		return plan{}, err
	}
	verb := "unblock"
	if block {
		verb = "block"
	}
	p := appPlan(verb, r, instance)
	p.atOnce = true
	aspect := aspectBlock
	if instance != "" {
		aspect += "/" + instance
	}
	p.aspects = []string{aspect}
	if block {
		p.inverse = backend.Unblock{App: app, Instance: instance}
	} else {
		p.inverse = backend.Block{App: app, Instance: instance}
	}
	p.begin = func(c *change, op *operation) error {
		d, err := c.theApp(app)
		if err != nil {
			return err
		}
		touched(d, aspect, op.id)
		if instance != "" {
			i := c.instance(instance)
			if i == nil {
				return noInstance(d.now.App.Name, instance)
			}
			i.now.Instance.Blocked = block
			i.say(flagMessage(nameOf(*i.now), op.author, reason, block))
			return nil
		}
		a := &d.now.App
		a.Blocked, a.BlockedBy, a.BlockedReason, a.BlockedAt = block, op.author, reason, c.now
		if !block {
			a.BlockedBy, a.BlockedReason, a.BlockedAt = "", "", backend.Time{}
		}
		d.say(flagMessage(a.Name, op.author, reason, block))
		return nil
	}
	p.work = func(_ context.Context, op *operation) error {
		name := "take new connections"
		if block {
			name = "refuse new connections"
		}
		return op.step(name, func() (string, error) { return b.openConnections(app, instance), nil })
	}
	return p, nil
}

func flagMessage(name, author, reason string, block bool) (backend.Level, string) {
	if !block {
		return backend.LevelInfo, fmt.Sprintf("%s was unblocked by %s", name, author)
	}
	text := fmt.Sprintf("%s was blocked by %s", name, author)
	if reason != "" {
		text += fmt.Sprintf(": %q", reason)
	}
	return backend.LevelWarn, text
}

// openConnections says what runs on.
func (b *Backend) openConnections(app, instance string) string {
	if b.cfg.Edge == nil {
		return "there is no edge"
	}
	counts, ok := b.cfg.Edge.CountsOf(app)
	if !ok {
		return "it has no route"
	}
	n := counts.Connections
	if instance != "" {
		n = counts.Instances[instance].Connections
	}
	return fmt.Sprintf("%d open", n)
}

func (b *Backend) planKick(cmd backend.Kick) (plan, error) {
	r, err := b.target(cmd.App, cmd.Instance)
	if err != nil {
		return plan{}, err
	}
	p := appPlan("kick", r, cmd.Instance)
	p.atOnce = true
	p.inverse, p.aspects = backend.Attach{App: cmd.App, Instance: cmd.Instance}, []string{aspectAttach}
	p.begin = func(c *change, op *operation) error {
		d, err := c.theApp(cmd.App)
		if err != nil {
			return err
		}
		touched(d, aspectAttach, op.id)
		if cmd.Instance == "" {
			d.now.App.Attached = false
			d.say(backend.LevelWarn, fmt.Sprintf("%s was kicked off the edge by %s", d.now.App.Name, op.author))
			return nil
		}
		i := c.instance(cmd.Instance)
		if i == nil {
			return noInstance(d.now.App.Name, cmd.Instance)
		}
		i.now.Instance.Attached = false
		i.say(backend.LevelWarn, fmt.Sprintf("%s was kicked off the edge by %s", nameOf(*i.now), op.author))
		return nil
	}
	p.work = func(_ context.Context, op *operation) error {
		return op.step("close connections", func() (string, error) {
			switch {
			case b.cfg.Edge == nil:
				return "there is no edge", nil
			case cmd.Instance != "":
				return fmt.Sprintf("%d closed", b.cfg.Edge.KickInstance(cmd.App, cmd.Instance)), nil
			}
			return fmt.Sprintf("%d closed", b.cfg.Edge.Kick(cmd.App)), nil
		})
	}
	return p, nil
}

func (b *Backend) planAttach(cmd backend.Attach) (plan, error) {
	r, err := b.target(cmd.App, cmd.Instance)
	if err != nil {
		return plan{}, err
	}
	p := appPlan("attach", r, cmd.Instance)
	p.atOnce = true
	p.inverse, p.aspects = backend.Kick{App: cmd.App, Instance: cmd.Instance}, []string{aspectAttach}
	p.begin = func(c *change, op *operation) error {
		d, err := c.theApp(cmd.App)
		if err != nil {
			return err
		}
		c.attach(d, cmd.Instance, op.id)
		touched(d, aspectAttach, op.id)
		d.say(backend.LevelInfo, fmt.Sprintf("%s was put back on the edge by %s", d.now.App.Name, op.author))
		return nil
	}
	p.work = func(_ context.Context, op *operation) error {
		return op.step("take connections", func() (string, error) { return b.openConnections(cmd.App, cmd.Instance), nil })
	}
	return p, nil
}

func (b *Backend) planSignal(cmd backend.Signal) (plan, error) {
	r, err := b.target(cmd.App, cmd.Instance)
	if err != nil {
		return plan{}, err
	}
	if err := validSignal(cmd.Signal); err != nil {
		return plan{}, err
	}
	if cmd.Signal == "" {
		return plan{}, backend.Errorf(backend.Invalid, "a signal must be given, for example HUP")
	}
	p := appPlan("signal", r, cmd.Instance)
	p.atOnce = true
	p.work = func(ctx context.Context, op *operation) error {
		ids := b.living(cmd.App, cmd.Instance)
		if len(ids) == 0 {
			return backend.Errorf(backend.Conflict, "nothing of %s runs", r.App.Name)
		}
		for _, id := range ids {
			err := op.step(fmt.Sprintf("send %s to %s", cmd.Signal, b.nameIn(id)), func() (string, error) {
				return "", b.eng.Signal(ctx, id, cmd.Signal)
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	return p, nil
}

// living lists the instances of an app, or the one, that have a process.
func (b *Backend) living(app, instance string) []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var ids []string
	for m := range b.membersOf(app) {
		if m.Instance.State.Live() && (instance == "" || instance == m.Instance.ID) {
			ids = append(ids, m.Instance.ID)
		}
	}
	return ids
}
