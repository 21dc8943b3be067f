package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"pitwall/backend"
	"pitwall/backend/sqlite"
)

// effect is what declaring an app does to its instances.
type effect int

const (
	effectNone    effect = iota
	effectCreate         // start all
	effectReplace        // a new release: replace all, one by one
	effectAround         // a new release that runs the same program
	effectScale          // counts alone
	effectDelete
)

// appChange is one app of a declaration and what becomes of it.
type appChange struct {
	id     string // empty until it is made
	name   string // qualified
	spec   backend.AppSpec
	effect effect
	fields []backend.FieldChange
}

// jobChange is one job of a declaration.
type jobChange struct {
	id     string
	name   string
	spec   backend.JobSpec
	kind   backend.ChangeKind
	fields []backend.FieldChange
}

// declaration is what an Apply comes to, by the state of one moment.
type declaration struct {
	apps []appChange
	jobs []jobChange
}

// normal checks an Apply by itself and fills in what it leaves out.
func normal(a backend.Apply) (backend.Apply, error) {
	if a.Prune && a.Set == "" {
		return a, backend.Errorf(backend.Invalid, "prune needs a set: what an apply without one declared is not known")
	}
	a.Apps, a.Jobs = slices.Clone(a.Apps), slices.Clone(a.Jobs)
	seen := make(map[string]bool)
	once := func(what string, s backend.Scope, name string) error {
		key := s.Qualify(name)
		if seen[key] {
			return invalid(what+" "+name, "the name %s is declared twice", key)
		}
		seen[key] = true
		return nil
	}
	for i := range a.Apps {
		a.Apps[i] = normalApp(a.Apps[i])
		if err := validApp(a.Apps[i]); err != nil {
			return a, err
		}
		if err := once("app", a.Apps[i].Scope, a.Apps[i].Name); err != nil {
			return a, err
		}
	}
	for i := range a.Jobs {
		a.Jobs[i] = normalJob(a.Jobs[i])
		if err := validJob(a.Jobs[i]); err != nil {
			return a, err
		}
		if err := once("job", a.Jobs[i].Scope, a.Jobs[i].Name); err != nil {
			return a, err
		}
	}
	return a, nil
}

// declare compares an Apply with what is. The caller holds mu or changing.
func (b *Backend) declare(a backend.Apply) (declaration, error) {
	var d declaration
	named := make(map[string]bool)
	var world []backend.AppSpec // as it would be
	for _, spec := range a.Apps {
		name := spec.Qualify(spec.Name)
		named[name] = true
		c := appChange{name: name, spec: spec, effect: effectCreate, id: b.names[name]}
		if _, isJob := b.jobs[c.id]; isJob {
			return d, invalid("app "+spec.Name, "there is a job of that name")
		}
		if r, ok := b.apps[c.id]; ok {
			if r.Deleting {
				return d, backend.Errorf(backend.Conflict, "%s is being deleted: apply again when it is gone", spec.Name)
			}
			c.effect, c.fields = compareApp(r.App.Spec, spec)
		}
		d.apps = append(d.apps, c)
		world = append(world, spec)
	}
	for _, spec := range a.Jobs {
		name := spec.Qualify(spec.Name)
		named[name] = true
		c := jobChange{name: name, spec: spec, kind: backend.ChangeCreate, id: b.names[name]}
		if _, isApp := b.apps[c.id]; isApp {
			return d, invalid("job "+spec.Name, "there is an app of that name")
		}
		if r, ok := b.jobs[c.id]; ok {
			c.kind = backend.ChangeNone
			if c.fields = diff(r.Job.Spec, spec); len(c.fields) > 0 {
				c.kind = backend.ChangeUpdate
			}
		}
		d.jobs = append(d.jobs, c)
	}
	for id, r := range b.apps {
		name := r.App.Qualify(r.App.Name)
		switch {
		case named[name]:
		case a.Prune && r.Set == a.Set && !r.Deleting:
			d.apps = append(d.apps, appChange{id: id, name: name, spec: r.App.Spec, effect: effectDelete})
		default:
			world = append([]backend.AppSpec{r.App.Spec}, world...)
		}
	}
	for id, r := range b.jobs {
		name := r.Job.Qualify(r.Job.Name)
		if a.Prune && r.Set == a.Set && !named[name] {
			d.jobs = append(d.jobs, jobChange{id: id, name: name, spec: r.Job.Spec, kind: backend.ChangeDelete})
		}
	}
	d.sort()
	return d, routeClash(world)
}

// sort puts what is pruned into a fixed order behind what is declared.
func (d *declaration) sort() {
	slices.SortStableFunc(d.apps, func(x, y appChange) int {
		if x.effect == effectDelete && y.effect == effectDelete {
			return strings.Compare(x.name, y.name)
		}
		return 0
	})
	slices.SortStableFunc(d.jobs, func(x, y jobChange) int {
		if x.kind == backend.ChangeDelete && y.kind == backend.ChangeDelete {
			return strings.Compare(x.name, y.name)
		}
		return 0
	})
}

func compareApp(old, now backend.AppSpec) (effect, []backend.FieldChange) {
	fields := diff(old, now)
	switch {
	case len(fields) == 0:
		return effectNone, nil
	case sameSpec(old, now):
		return effectScale, fields
	case sameProgram(old, now):
		return effectAround, fields
	}
	return effectReplace, fields
}

// changes is the difference as callers see it.
func (d declaration) changes() []backend.Change {
	out := make([]backend.Change, 0, len(d.apps)+len(d.jobs))
	for _, a := range d.apps {
		kind := backend.ChangeUpdate
		switch a.effect {
		case effectNone:
			kind = backend.ChangeNone
		case effectCreate:
			kind = backend.ChangeCreate
		case effectDelete:
			kind = backend.ChangeDelete
		}
		out = append(out, backend.Change{Kind: kind, Ref: backend.Ref{Kind: backend.KindApp, ID: a.id, Name: a.spec.Name}, Fields: a.fields})
	}
	for _, j := range d.jobs {
		out = append(out, backend.Change{Kind: j.kind, Ref: backend.Ref{Kind: backend.KindJob, ID: j.id, Name: j.spec.Name}, Fields: j.fields})
	}
	return out
}

func (b *Backend) dryRun(cmd backend.Apply) ([]backend.Change, error) {
	a, err := normal(cmd)
	if err != nil {
		return nil, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	d, err := b.declare(a)
	return d.changes(), err
}

func (b *Backend) planApply(cmd backend.Apply) (plan, error) {
	a, err := normal(cmd)
	if err != nil {
		return plan{}, err
	}
	b.mu.RLock()
	d, err := b.declare(a)
	b.mu.RUnlock()
	if err != nil {
		return plan{}, err
	}
	p := plan{kind: "apply", cancelable: true, changes: d.changes()}
	for _, c := range d.apps {
		p.holds = append(p.holds, c.name)
	}
	for _, c := range d.jobs {
		p.holds = append(p.holds, c.name)
	}
	p.target.Name = summary(d)
	if len(p.changes) == 1 {
		p.target = p.changes[0].Ref
		if len(d.apps) == 1 {
			p.scope = d.apps[0].spec.Scope
		} else {
			p.scope = d.jobs[0].spec.Scope
		}
	}
	var made declaration
	p.begin = func(c *change, op *operation) error {
		var err error
		if made, err = b.declare(a); err != nil {
			return err
		}
		return c.apply(op, &made, cmd)
	}
	p.work = func(ctx context.Context, op *operation) error { return b.applied(ctx, op, made) }
	return p, nil
}

func summary(d declaration) string {
	var parts []string
	if n := len(d.apps); n == 1 {
		parts = append(parts, d.apps[0].spec.Name)
	} else if n > 1 {
		parts = append(parts, fmt.Sprintf("%d apps", n))
	}
	if n := len(d.jobs); n == 1 {
		parts = append(parts, d.jobs[0].spec.Name)
	} else if n > 1 {
		parts = append(parts, fmt.Sprintf("%d jobs", n))
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, " and ")
}

// apply drafts all of a declaration.
func (c *change) apply(op *operation, d *declaration, cmd backend.Apply) error {
	for i := range d.apps {
		if err := c.applyApp(op, &d.apps[i], cmd); err != nil {
			return err
		}
	}
	for i := range d.jobs {
		if err := c.applyJob(&d.jobs[i], cmd.Set); err != nil {
			return err
		}
	}
	changes := d.changes()
	for i := range changes {
		if changes[i].Ref.ID == "" {
			continue
		}
		r := c.op(op.id).now
		if len(changes) == 1 {
			r.Op.Ref = changes[i].Ref
			op.plan.target = changes[i].Ref
		} else {
			r.Op.Also = append(slices.Clip(r.Op.Also), changes[i].Ref)
		}
	}
	op.plan.changes = changes
	return nil
}

func (c *change) applyApp(op *operation, a *appChange, cmd backend.Apply) error {
	switch a.effect {
	case effectCreate:
		return c.createApp(op, a, cmd)
	case effectDelete:
		d := c.app(a.id)
		want(d, backend.DesiredStopped, op.id)
		d.now.Deleting = true
		return nil
	}
	d := c.app(a.id)
	d.now.Set = cmd.Set
	before := d.now.App.Spec
	if a.effect == effectNone {
		return nil
	}
	d.now.App.Spec, d.now.App.Routes, d.now.App.Levels = a.spec, a.spec.Routes, a.spec.Levels == backend.LevelsFile
	for _, p := range a.spec.Processes {
		if old, ok := before.Process(p.Name); !ok || old.Instances != p.Instances {
			touched(d, aspectScale(p.Name), op.id)
		}
	}
	if a.effect == effectScale {
		return nil
	}
	if err := c.release(op, d, before, 0, cmd.Reason); err != nil {
		return err
	}
	if a.effect == effectAround {
		for _, m := range c.membersOf(a.id) {
			if m.Instance.Release == d.now.App.Release-1 {
				c.instance(m.Instance.ID).now.Instance.Release = d.now.App.Release
			}
		}
	}
	return nil
}

func (c *change) createApp(op *operation, a *appChange, cmd backend.Apply) error {
	id, err := c.b.newID()
	if err != nil {
		return err
	}
	a.id = id
	d := add(c, c.apps, id, sqlite.App{
		App: backend.App{
			ID: id, Name: a.spec.Name, Scope: a.spec.Scope, Desired: backend.DesiredStarted, Attached: true, Routes: a.spec.Routes,
			Levels: a.spec.Levels == backend.LevelsFile, Since: c.now, Created: c.now, Spec: a.spec,
		},
		Set: cmd.Set,
	}, c.flushApp)
	d.say(backend.LevelInfo, fmt.Sprintf("%s was declared by %s", a.spec.Name, op.author))
	return c.release(op, d, backend.AppSpec{}, 0, cmd.Reason)
}

// release makes the present spec of an app its next release.
func (c *change) release(op *operation, d *draft[sqlite.App], before backend.AppSpec, from int, reason string) error {
	app := &d.now.App
	if app.Release > 0 {
		old, err := c.b.releaseOf(app.ID, app.Release)
		if err != nil {
			return err
		}
		old.Current = false
		if err := c.putRelease(backend.EventUpdated, old, app.Scope); err != nil {
			return err
		}
	}
	app.Release++
	r := backend.Release{
		AppID: app.ID, App: app.Name, Number: app.Release, Current: true, Spec: withoutCounts(app.Spec), From: from,
		Author: op.author, Reason: reason, Created: c.now,
	}
	if app.Release > 1 {
		r.Diff = diff(withoutCounts(before), withoutCounts(app.Spec))
		d.say(backend.LevelInfo, fmt.Sprintf("%s has release %d by %s", app.Name, r.Number, op.author))
	}
	return c.putRelease(backend.EventCreated, r, app.Scope)
}

// releaseOf reads one release.
func (b *Backend) releaseOf(app string, number int) (backend.Release, error) {
	list, err := b.store.Releases(context.Background(), backend.ReleaseQuery{App: app})
	if err != nil {
		return backend.Release{}, err
	}
	for _, r := range list.Items {
		if r.Number == number {
			return r, nil
		}
	}
	return backend.Release{}, backend.Errorf(backend.NotFound, "there is no release %d", number)
}

// applied waits until everything is as it was declared. The apps come up side
// by side; the first in order that does not is the one that is named.
func (b *Backend) applied(ctx context.Context, op *operation, d declaration) error {
	errs := make([]error, len(d.apps))
	var wg sync.WaitGroup
	for i, a := range d.apps {
		prefix := ""
		if len(d.apps)+len(d.jobs) > 1 {
			prefix = a.spec.Name + ": "
		}
		wg.Go(func() {
			if err := b.appliedApp(ctx, op, a, prefix); err != nil {
				errs[i] = fmt.Errorf("%s: %w", a.spec.Name, err)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *Backend) appliedApp(ctx context.Context, op *operation, a appChange, prefix string) error {
	switch a.effect {
	case effectNone, effectAround:
		return b.reachable(op, a.id, prefix)
	case effectDelete:
		return b.deleteApp(ctx, op, a.id)
	}
	r, err := b.appOf(a.id)
	if err != nil {
		return err
	}
	if r.App.Desired == backend.DesiredStopped {
		return nil
	}
	if a.effect == effectReplace {
		err := b.roll(ctx, op, a.id, prefix, func(m sqlite.Instance) bool { return m.Instance.Release != r.App.Release })
		if err != nil {
			return err
		}
	}
	return op.step(prefix+"ready", func() (string, error) {
		if a.effect == effectScale {
			if err := b.awaitSurplus(ctx, a.id); err != nil {
				return "", err
			}
		}
		return instances(r.App.Instances), b.awaitApp(ctx, a.id, attempt{from: b.fromNow(a.id), forgiven: 1})
	})
}

// settlePlaces waits until an app has the instances that it should have, ready
// or not.
func (b *Backend) settlePlaces(ctx context.Context, app string) error {
	return b.until(ctx, func() (bool, error) {
		r, ok := b.apps[app]
		if !ok {
			return false, errors.New("it was deleted meanwhile")
		}
		missing, surplus := b.misplaced(r, slices.SortedFunc(b.membersOf(app), byPlace))
		return !b.adopted || len(missing)+len(surplus) == 0, nil
	})
}

// reachable fails when the edge cannot serve a route of the app.
func (b *Backend) reachable(op *operation, app, prefix string) error {
	r, err := b.appOf(app)
	if err != nil || r.EdgeError == "" {
		return err
	}
	return op.step(prefix+"routes", func() (string, error) { return "", errors.New(r.EdgeError) })
}
