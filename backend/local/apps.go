package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"pitwall/backend"
	"pitwall/backend/sqlite"
)

// stepsEach is up to how many instances an operation has a step for each one;
// above it has one for all.
const stepsEach = 20

// The aspects of an app that an undo looks after.
const (
	aspectDesired = "desired"
	aspectBlock   = "block"
	aspectAttach  = "attach"
)

func aspectScale(process string) string { return "scale/" + process }

// target returns an app and, when one is asked for, checks its instance.
func (b *Backend) target(app, instance string) (sqlite.App, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	r, ok := b.apps[app]
	if !ok {
		return sqlite.App{}, noApp(app)
	}
	if instance == "" {
		return r, nil
	}
	if m, ok := b.instances[instance]; !ok || m.Instance.AppID != app || m.Retired {
		return sqlite.App{}, noInstance(r.App.Name, instance)
	}
	return r, nil
}

// appPlan is what all plans for one app have in common.
func appPlan(verb string, r sqlite.App, instance string) plan {
	p := plan{kind: verb, target: r.App.Ref(), scope: r.App.Scope}
	if backend.Exclusive(verb) {
		p.holds = []string{r.App.Qualify(r.App.Name)}
	}
	if instance != "" {
		p.also = []backend.Ref{{Kind: backend.KindInstance, ID: instance, Name: instance}}
	}
	return p
}

// theApp drafts the app of a plan that begins.
func (c *change) theApp(id string) (*draft[sqlite.App], error) {
	d := c.app(id)
	if d == nil || d.now.Deleting {
		return nil, noApp(id)
	}
	return d, nil
}

// touched notes which operation changed an aspect of an app.
func touched(d *draft[sqlite.App], aspect, operation string) {
	last := maps.Clone(d.now.Last)
	if last == nil {
		last = make(map[string]string)
	}
	last[aspect] = operation
	d.now.Last = last
}

// want sets what is wanted of an app.
func want(d *draft[sqlite.App], desired backend.Desired, operation string) {
	if d.now.App.Desired != desired {
		d.now.App.Desired = desired
		touched(d, aspectDesired, operation)
	}
}

// attach puts an app, and one or all of its instances, back on the edge.
func (c *change) attach(d *draft[sqlite.App], instance, operation string) {
	if instance == "" && !d.now.App.Attached {
		d.now.App.Attached = true
		touched(d, aspectAttach, operation)
	}
	for _, m := range c.membersOf(d.now.App.ID) {
		if (instance == "" || instance == m.Instance.ID) && !m.Instance.Attached {
			c.instance(m.Instance.ID).now.Instance.Attached = true
		}
	}
}

func (b *Backend) planStart(cmd backend.Start) (plan, error) {
	r, err := b.target(cmd.App, cmd.Instance)
	if err != nil {
		return plan{}, err
	}
	p := appPlan("start", r, cmd.Instance)
	p.cancelable = true
	if cmd.Instance == "" && r.App.Desired == backend.DesiredStopped {
		p.inverse, p.aspects = backend.Stop{App: cmd.App}, []string{aspectDesired}
	}
	p.begin = func(c *change, op *operation) error {
		d, err := c.theApp(cmd.App)
		if err != nil {
			return err
		}
		want(d, backend.DesiredStarted, op.id)
		c.attach(d, cmd.Instance, op.id)
		for _, m := range c.membersOf(cmd.App) {
			if cmd.Instance == "" || cmd.Instance == m.Instance.ID {
				c.again(m)
			}
		}
		return nil
	}
	p.work = func(ctx context.Context, op *operation) error {
		return b.bringUp(ctx, op, cmd.App, cmd.Instance)
	}
	return p, nil
}

// again asks for a start of an instance that has ended.
func (c *change) again(m sqlite.Instance) {
	if m.Retired {
		return
	}
	d := c.instance(m.Instance.ID)
	d.now.Held = false
	d.now.Again = m.Instance.State.Final() && !c.b.launched(m.Instance.ID)
}

// fromNow expects of instances what comes from now on.
func (b *Backend) fromNow(app string) map[string]int {
	from := make(map[string]int)
	b.mu.RLock()
	defer b.mu.RUnlock()
	for m := range b.membersOf(app) {
		from[m.Instance.ID] = m.Instance.Run
		if m.Instance.Run == 0 {
			from[m.Instance.ID] = m.FirstRun
		}
	}
	return from
}

// bringUp waits until an app, or one of its instances, is ready.
func (b *Backend) bringUp(ctx context.Context, op *operation, app, instance string) error {
	a := attempt{from: b.fromNow(app), forgiven: 1}
	r, err := b.appOf(app)
	if err != nil {
		return err
	}
	if instance != "" {
		return op.step("start "+b.nameIn(instance), func() (string, error) { return "", b.awaitInstance(ctx, instance, a) })
	}
	return op.step("start "+instances(r.App.Instances), func() (string, error) {
		return "", b.awaitApp(ctx, app, a)
	})
}

func instances(n int) string {
	if n == 1 {
		return "1 instance"
	}
	return fmt.Sprintf("%d instances", n)
}

// nameIn is an instance's name in its app.
func (b *Backend) nameIn(id string) string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.instances[id].Instance.Name()
}

func (b *Backend) planStop(cmd backend.Stop) (plan, error) {
	r, err := b.target(cmd.App, cmd.Instance)
	if err != nil {
		return plan{}, err
	}
	p := appPlan("stop", r, cmd.Instance)
	p.preempt = true
	if cmd.Instance == "" && r.App.Desired == backend.DesiredStarted {
		p.inverse, p.aspects = backend.Start{App: cmd.App}, []string{aspectDesired}
	}
	p.begin = func(c *change, op *operation) error {
		d, err := c.theApp(cmd.App)
		if err != nil {
			return err
		}
		if cmd.Instance == "" {
			want(d, backend.DesiredStopped, op.id)
			return nil
		}
		i := c.instance(cmd.Instance)
		if i == nil {
			return noInstance(d.now.App.Name, cmd.Instance)
		}
		i.now.Held = true
		return nil
	}
	p.work = func(ctx context.Context, op *operation) error {
		ids := []string{cmd.Instance}
		if cmd.Instance == "" {
			ids = b.running(cmd.App)
		}
		return b.bringDown(ctx, op, ids)
	}
	return p, nil
}

// running lists an app's instances that have not ended, in order.
func (b *Backend) running(app string) []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var ids []string
	for _, m := range slices.SortedFunc(b.membersOf(app), byPlace) {
		if !b.over(m) {
			ids = append(ids, m.Instance.ID)
		}
	}
	return ids
}

// bringDown waits until instances have ended.
func (b *Backend) bringDown(ctx context.Context, op *operation, ids []string) error {
	if len(ids) > stepsEach {
		return op.step("stop "+instances(len(ids)), func() (string, error) { return "", b.awaitEnd(ctx, ids) })
	}
	op.expect(len(ids))
	steps := make([]int, len(ids))
	for i, id := range ids {
		steps[i] = op.begin("stop " + b.nameIn(id))
	}
	var first error
	for i, id := range ids {
		err := b.awaitEnd(ctx, []string{id})
		if errors.Is(context.Cause(ctx), errClosing) {
			return err
		}
		op.done(steps[i], b.howEnded(id), err)
		if first == nil {
			first = err
		}
	}
	return first
}

// howEnded says how an instance's last run ended.
func (b *Backend) howEnded(id string) string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if m, ok := b.instances[id]; ok && m.Instance.LastExit != nil {
		return m.Instance.LastExit.String()
	}
	return ""
}

func (b *Backend) planScale(cmd backend.Scale) (plan, error) {
	r, err := b.target(cmd.App, "")
	if err != nil {
		return plan{}, err
	}
	proc, ok := r.App.Spec.Process(cmd.Process)
	if !ok {
		return plan{}, backend.Errorf(backend.NotFound, "%s has no process %q", r.App.Name, cmd.Process)
	}
	if err := validCount(cmd.Instances); err != nil {
		return plan{}, err
	}
	p := appPlan("scale", r, "")
	p.cancelable = true
	p.inverse = backend.Scale{App: cmd.App, Process: proc.Name, Instances: proc.Instances}
	p.aspects = []string{aspectScale(proc.Name)}
	p.begin = func(c *change, op *operation) error {
		d, err := c.theApp(cmd.App)
		if err != nil {
			return err
		}
		if !setCount(&d.now.App.Spec, proc.Name, cmd.Instances) {
			return backend.Errorf(backend.NotFound, "%s has no process %q any more", r.App.Name, proc.Name)
		}
		touched(d, aspectScale(proc.Name), op.id)
		return nil
	}
	p.work = func(ctx context.Context, op *operation) error {
		return op.step(fmt.Sprintf("scale %s to %d", proc.Name, cmd.Instances), func() (string, error) {
			if err := b.awaitSurplus(ctx, cmd.App); err != nil {
				return "", err
			}
			if now, err := b.appOf(cmd.App); err != nil || now.App.Desired == backend.DesiredStopped {
				return "the app is stopped", err
			}
			return "", b.awaitApp(ctx, cmd.App, attempt{from: b.fromNow(cmd.App), forgiven: 1})
		})
	}
	return p, nil
}

// setCount sets how many instances of a process are wanted. The spec's own
// list of processes is not touched.
func setCount(s *backend.AppSpec, process string, n int) bool {
	s.Processes = slices.Clone(s.Processes)
	for i := range s.Processes {
		if s.Processes[i].Name == process {
			s.Processes[i].Instances = n
			return true
		}
	}
	return false
}

// awaitSurplus waits until what is not wanted any more has ended.
func (b *Backend) awaitSurplus(ctx context.Context, app string) error {
	var ids []string
	err := b.until(ctx, func() (bool, error) {
		members := slices.SortedFunc(b.membersOf(app), byPlace)
		if _, surplus := b.misplaced(b.apps[app], members); len(surplus) > 0 {
			return false, nil
		}
		ids = nil
		for _, m := range members {
			if m.Retired {
				ids = append(ids, m.Instance.ID)
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	return b.awaitEnd(ctx, ids)
}

func (b *Backend) planDelete(cmd backend.Delete) (plan, error) {
	switch {
	case cmd.App != "" && cmd.Job != "":
		return plan{}, backend.Errorf(backend.Invalid, "an app or a job is deleted, not both at once")
	case cmd.Job != "":
		return b.planDeleteJob(cmd.Job)
	}
	r, err := b.target(cmd.App, "")
	if err != nil {
		return plan{}, err
	}
	p := appPlan("delete", r, "")
	p.preempt = true
	p.begin = func(c *change, op *operation) error {
		d := c.app(cmd.App)
		if d == nil {
			return noApp(cmd.App)
		}
		want(d, backend.DesiredStopped, op.id)
		d.now.Deleting = true
		return nil
	}
	p.work = func(ctx context.Context, op *operation) error {
		return b.deleteApp(ctx, op, cmd.App)
	}
	return p, nil
}

// deleteApp stops and removes an app that is marked for it.
func (b *Backend) deleteApp(ctx context.Context, op *operation, app string) error {
	if err := b.bringDown(ctx, op, b.running(app)); err != nil {
		return err
	}
	return op.step("remove", func() (string, error) {
		if err := b.until(ctx, func() (bool, error) { return len(b.members[app]) == 0, nil }); err != nil {
			return "", err
		}
		return "", b.change(ctx, op.cause(), func(c *change) error {
			if d := c.app(app); d != nil {
				d.deleted = true
				d.say(backend.LevelWarn, fmt.Sprintf("%s was deleted by %s", d.now.App.Name, op.author))
				c.after = append(c.after, func() { b.dropLevels(app) })
			}
			return nil
		})
	})
}
