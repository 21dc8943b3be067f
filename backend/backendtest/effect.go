package backendtest

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"pitwall/backend"
)

// effect changes the state as a command asks and announces the changes. It
// returns what else the operation is about.
func (f *Fake) effect(c backend.Command, o backend.Operation) []backend.Ref {
	switch c := c.(type) {
	case backend.Apply:
		f.apply(c, o)
	case backend.Start:
		f.startApp(c.App, c.Instance)
	case backend.Stop:
		f.stopApp(c.App, c.Instance)
	case backend.Restart:
		f.restartApp(c.App, c.Instance)
	case backend.ForceRestart:
		f.restartApp(c.App, c.Instance)
	case backend.Block:
		f.flag(c.App, c.Instance, "blocked", func(a *backend.App) {
			a.Blocked, a.BlockedBy, a.BlockedReason, a.BlockedAt = true, o.Author, o.Reason, f.now
		}, func(i *backend.Instance) { i.Blocked = true })
	case backend.Unblock:
		f.flag(c.App, c.Instance, "unblocked", func(a *backend.App) {
			a.Blocked, a.BlockedBy, a.BlockedReason, a.BlockedAt = false, "", "", backend.Time{}
		}, func(i *backend.Instance) { i.Blocked = false })
	case backend.Kick:
		f.flag(c.App, c.Instance, "kicked", func(a *backend.App) { a.Attached, a.Connections = false, 0 },
			func(i *backend.Instance) { i.Attached, i.Connections = false, 0 })
	case backend.Attach:
		f.flag(c.App, c.Instance, "attached", func(a *backend.App) { a.Attached = true },
			func(i *backend.Instance) { i.Attached = true })
	case backend.Scale:
		f.scale(c)
	case backend.Delete:
		f.remove(cmp.Or(c.App, c.Job))
	case backend.RunJob:
		r := f.addRun(backend.Run{JobID: c.Job, State: backend.RunSucceeded, Trigger: "manual", Author: o.Author, Exit: &backend.Exit{Time: f.now}})
		return []backend.Ref{r.Ref()}
	case backend.Cancel:
		if held := f.findOperation(c.Operation); held != nil && !held.State.Ended() {
			f.end(held, backend.OperationCanceled, backend.Errorf(backend.Canceled, "canceled by %s", o.Author))
		}
	case backend.Undo:
		inverse := f.undo[c.Operation]
		delete(f.undo, c.Operation)
		return f.effect(inverse, o)
	case backend.SetLevel:
		f.setLevel(c)
	case backend.Rollback:
		if from, err := f.rollbackTo(c); err == nil {
			f.addRelease(backend.Release{AppID: c.App, Spec: from.Spec, From: from.Number, Current: true, Author: o.Author, Reason: o.Reason})
			f.restartApp(c.App, "")
		}
	case backend.PutDocument:
		f.putDocument(c.Document, o.Author)
	case backend.DeleteDocument:
		if at := f.document(c.Scope, c.Kind, c.Name); at >= 0 {
			d := f.documents[at]
			f.documents = slices.Delete(f.documents, at, at+1)
			f.announce(backend.Event{Kind: backend.EventDeleted, Ref: d.Ref(), Scope: d.Scope, Document: &d})
		}
	}
	return nil
}

// inverse returns the command that undoes c as things stand, or nil.
func (f *Fake) inverse(c backend.Command) backend.Command {
	switch c := c.(type) {
	case backend.Block:
		return backend.Unblock{App: c.App, Instance: c.Instance}
	case backend.Unblock:
		return backend.Block{App: c.App, Instance: c.Instance}
	case backend.Kick:
		return backend.Attach{App: c.App, Instance: c.Instance}
	case backend.Start:
		return backend.Stop{App: c.App, Instance: c.Instance}
	case backend.Stop:
		return backend.Start{App: c.App, Instance: c.Instance}
	case backend.Scale:
		p, _ := f.findApp(c.App).Spec.Process(c.Process)
		return backend.Scale{App: c.App, Process: c.Process, Instances: p.Instances}
	case backend.SetLevel:
		was := backend.SetLevel{App: c.App, Instance: c.Instance, Logger: c.Logger}
		if l := f.logger(c.App, c.Logger); l != nil {
			was.Level = l.Level
			if c.Instance != "" {
				was.Level = l.Instances[c.Instance]
			}
		}
		return was
	}
	return nil
}

// flag changes an app, or the one instance that is named.
func (f *Fake) flag(app, one, word string, onApp func(*backend.App), onInstance func(*backend.Instance)) {
	if one != "" {
		i := f.findInstance(one)
		if i == nil {
			return
		}
		onInstance(i)
		f.announceInstance(backend.EventUpdated, *i, fmt.Sprintf("%s %s was %s", i.App, i.Name(), word))
		return
	}
	a := f.findApp(app)
	if a == nil {
		return
	}
	onApp(a)
	a.Updated = f.now
	f.announceApp(backend.EventUpdated, *a, fmt.Sprintf("%s was %s", a.Name, word))
}

func (f *Fake) startApp(app, one string) {
	for _, i := range f.instancesOf(app, one) {
		if i.State.Live() {
			continue
		}
		f.run(i)
	}
	f.settle(app, one == "", backend.DesiredStarted, "started")
}

func (f *Fake) stopApp(app, one string) {
	for _, i := range f.instancesOf(app, one) {
		i.State, i.Ready, i.PID, i.Since = backend.InstanceStopped, false, 0, f.now
		i.Reason = "stopped on request"
		f.announceInstance(backend.EventUpdated, *i, "")
	}
	desired := backend.DesiredStopped
	f.settle(app, one == "", desired, "stopped")
}

func (f *Fake) restartApp(app, one string) {
	for _, i := range f.instancesOf(app, one) {
		i.Attached = true
		f.run(i)
	}
	f.settle(app, true, backend.DesiredStarted, "restarted")
}

// run starts the next run of an instance.
func (f *Fake) run(i *backend.Instance) {
	f.made++
	i.State, i.Ready, i.Attached, i.Reason, i.Since = backend.InstanceRunning, true, true, "", f.now
	i.Run++
	i.PID = 5000 + f.made
	f.announceInstance(backend.EventUpdated, *i, "")
}

// settle gives an app the state that its instances have, and, when all of it
// was meant, what is wanted of it.
func (f *Fake) settle(app string, all bool, desired backend.Desired, word string) {
	a := f.findApp(app)
	if a == nil {
		return
	}
	if all {
		a.Desired = desired
	}
	live, ready, known := 0, 0, f.instancesOf(app, "")
	for _, i := range known {
		if i.State.Live() {
			live++
		}
		if i.Ready {
			ready++
		}
	}
	a.Ready = ready
	switch {
	case len(known) == 0 && a.Desired == backend.DesiredStarted, live > 0 && ready == len(known):
		a.State = backend.AppRunning
	case live == 0:
		a.State = backend.AppStopped
	default:
		a.State = backend.AppDegraded
	}
	if a.Desired == backend.DesiredStarted && all {
		a.Attached = true
	}
	a.Since, a.Updated = f.now, f.now
	f.announceApp(backend.EventUpdated, *a, fmt.Sprintf("%s was %s", a.Name, word))
}

func (f *Fake) scale(c backend.Scale) {
	a := f.findApp(c.App)
	if a == nil {
		return
	}
	a.Spec.Processes = slices.Clone(a.Spec.Processes)
	at := max(0, slices.IndexFunc(a.Spec.Processes, func(p backend.ProcessSpec) bool { return p.Name == c.Process }))
	p := &a.Spec.Processes[at]
	p.Instances = c.Instances
	var known []*backend.Instance
	for _, i := range f.instancesOf(a.ID, "") {
		if i.Process == p.Name {
			known = append(known, i)
		}
	}
	var extra []string
	for _, i := range known[min(len(known), c.Instances):] {
		extra = append(extra, i.ID)
	}
	for _, id := range extra {
		f.removeInstance(id)
	}
	for n := len(known); n < c.Instances; n++ {
		i := backend.Instance{AppID: a.ID, Process: p.Name, Index: n}
		f.fillInstance(&i, a)
		f.instances = append(f.instances, i)
		f.announceInstance(backend.EventCreated, i, "")
	}
	a.Instances = 0
	for _, p := range a.Spec.Processes {
		a.Instances += p.Instances
	}
	f.settle(a.ID, false, "", fmt.Sprintf("scaled to %d", c.Instances))
}

func (f *Fake) remove(id string) {
	if a := f.findApp(id); a != nil {
		gone := *a
		var ids []string
		for _, i := range f.instancesOf(id, "") {
			ids = append(ids, i.ID)
		}
		for _, one := range ids {
			f.removeInstance(one)
		}
		f.apps = slices.DeleteFunc(f.apps, func(a backend.App) bool { return a.ID == gone.ID })
		f.announceApp(backend.EventDeleted, gone, gone.Name+" was deleted")
	}
	if j := f.findJob(id); j != nil {
		gone := *j
		f.jobs = slices.DeleteFunc(f.jobs, func(j backend.Job) bool { return j.ID == gone.ID })
		f.announceJob(backend.EventDeleted, gone)
	}
}

func (f *Fake) logger(app, name string) *backend.Logger {
	at := slices.IndexFunc(f.loggers, func(l backend.Logger) bool { return l.AppID == app && l.Name == name })
	if at < 0 {
		return nil
	}
	return &f.loggers[at]
}

func (f *Fake) setLevel(c backend.SetLevel) {
	l := f.logger(c.App, c.Logger)
	kind := backend.EventUpdated
	if l == nil {
		a := f.findApp(c.App)
		f.loggers = append(f.loggers, backend.Logger{AppID: a.ID, App: a.Name, Name: c.Logger})
		l, kind = &f.loggers[len(f.loggers)-1], backend.EventCreated
	}
	l.Was, l.Until = "", backend.Time{}
	if c.For > 0 {
		l.Was, l.Until = l.Level, f.now.Add(c.For.Std())
	}
	if c.Instance == "" {
		l.Level = c.Level
	} else {
		levels := map[string]backend.Level{c.Instance: c.Level}
		for id, level := range l.Instances {
			if id != c.Instance {
				levels[id] = level
			}
		}
		if c.Level == "" {
			delete(levels, c.Instance)
		}
		l.Instances = levels
	}
	copied := *l
	f.announce(backend.Event{Kind: kind, Ref: l.Ref(), OwnerID: l.AppID, Owner: l.App, Logger: &copied})
}

// rollbackTo returns the release whose spec a rollback makes the present one.
func (f *Fake) rollbackTo(c backend.Rollback) (backend.Release, error) {
	want := c.Release
	if want == 0 {
		want = f.findApp(c.App).Release - 1
	}
	for _, r := range f.releases {
		if r.AppID == c.App && r.Number == want {
			return r, nil
		}
	}
	return backend.Release{}, backend.Errorf(backend.NotFound, "there is no release %d of %s", want, f.findApp(c.App).Name)
}

func (f *Fake) document(scope backend.Scope, kind, name string) int {
	return slices.IndexFunc(f.documents, func(d backend.Document) bool {
		return d.Kind == kind && d.Name == name && d.Scope == scope.OrDefault()
	})
}

func (f *Fake) putDocument(d backend.Document, author string) {
	d.Scope = d.OrDefault()
	d.Version, d.Author, d.Updated = 1, author, f.now
	d.Body = slices.Clone(d.Body)
	kind := backend.EventCreated
	if at := f.document(d.Scope, d.Kind, d.Name); at >= 0 {
		d.Version, kind = f.documents[at].Version+1, backend.EventUpdated
		f.documents[at] = d
	} else {
		f.documents = append(f.documents, d)
	}
	f.announce(backend.Event{Kind: kind, Ref: d.Ref(), Scope: d.Scope, Document: &d})
}

// diff returns what an Apply would change.
func (f *Fake) diff(c backend.Apply) []backend.Change {
	var out []backend.Change
	var declared []backend.Ref
	for _, spec := range c.Apps {
		change := backend.Change{Kind: backend.ChangeCreate, Ref: backend.Ref{Kind: backend.KindApp, Name: spec.Name}}
		if a := f.findApp(spec.Name); a != nil {
			change.Ref, change.Kind = a.Ref(), backend.ChangeNone
			spec.Scope = spec.OrDefault()
			if !reflect.DeepEqual(a.Spec, spec) {
				change.Kind = backend.ChangeUpdate
			}
		}
		out, declared = append(out, change), append(declared, change.Ref)
	}
	for _, spec := range c.Jobs {
		change := backend.Change{Kind: backend.ChangeCreate, Ref: backend.Ref{Kind: backend.KindJob, Name: spec.Name}}
		if j := f.findJob(spec.Name); j != nil {
			change.Ref, change.Kind = j.Ref(), backend.ChangeNone
			spec.Scope = spec.OrDefault()
			if !reflect.DeepEqual(j.Spec, spec) {
				change.Kind = backend.ChangeUpdate
			}
		}
		out, declared = append(out, change), append(declared, change.Ref)
	}
	if c.Prune {
		for _, old := range f.sets[c.Set] {
			named := slices.ContainsFunc(declared, func(r backend.Ref) bool { return r.Kind == old.Kind && r.Name == old.Name })
			if !named {
				out = append(out, backend.Change{Kind: backend.ChangeDelete, Ref: old})
			}
		}
	}
	return out
}

func (f *Fake) apply(c backend.Apply, o backend.Operation) {
	changes := f.diff(c)
	var declared []backend.Ref
	for _, spec := range c.Apps {
		declared = append(declared, f.applyApp(spec, o).Ref())
	}
	for _, spec := range c.Jobs {
		j := f.findJob(spec.Name)
		if j == nil {
			f.jobs = append(f.jobs, backend.Job{Name: spec.Name, Scope: spec.Scope, Spec: spec})
			j = &f.jobs[len(f.jobs)-1]
			f.fillJob(j)
			f.announceJob(backend.EventCreated, *j)
		} else {
			spec.Scope = spec.OrDefault()
			j.Spec, j.Schedule, j.Updated = spec, spec.Schedule, f.now
			f.announceJob(backend.EventUpdated, *j)
		}
		declared = append(declared, j.Ref())
	}
	for _, change := range changes {
		if change.Kind == backend.ChangeDelete {
			f.remove(change.Ref.ID)
		}
	}
	f.sets[c.Set] = declared
}

// applyApp makes or changes one app and its instances.
func (f *Fake) applyApp(spec backend.AppSpec, o backend.Operation) backend.App {
	spec.Scope = spec.OrDefault()
	a := f.findApp(spec.Name)
	fresh := a == nil
	if fresh {
		made := backend.App{Name: spec.Name, Scope: spec.Scope, Spec: spec, State: backend.AppRunning}
		f.fillApp(&made)
		f.apps = append(f.apps, made)
		a = &f.apps[len(f.apps)-1]
		f.announceApp(backend.EventCreated, *a, a.Name+" was created")
	} else if reflect.DeepEqual(a.Spec, spec) {
		return *a
	}
	a.Spec, a.Routes, a.Updated = spec, append([]backend.Route{}, spec.Routes...), f.now
	a.Levels = spec.Levels == backend.LevelsFile
	f.addRelease(backend.Release{AppID: a.ID, Spec: spec, Current: true, Author: o.Author, Reason: o.Reason})
	for _, p := range spec.Processes {
		f.scale(backend.Scale{App: a.ID, Process: p.Name, Instances: p.Instances})
	}
	return *f.findApp(a.ID)
}
