package backendtest

import (
	"cmp"
	"fmt"
	"slices"

	"pitwall/backend"
)

// The methods of this file are called with the Fake locked.

func (f *Fake) findApp(idOrName string) *backend.App {
	at := slices.IndexFunc(f.apps, func(a backend.App) bool { return idOrName != "" && a.ID == idOrName })
	if at < 0 {
		at = slices.IndexFunc(f.apps, func(a backend.App) bool { return idOrName != "" && a.Name == idOrName })
	}
	if at < 0 {
		return nil
	}
	return &f.apps[at]
}

func (f *Fake) findInstance(id string) *backend.Instance {
	at := slices.IndexFunc(f.instances, func(i backend.Instance) bool { return i.ID == id })
	if at < 0 {
		return nil
	}
	return &f.instances[at]
}

func (f *Fake) findJob(idOrName string) *backend.Job {
	at := slices.IndexFunc(f.jobs, func(j backend.Job) bool {
		return idOrName != "" && (j.ID == idOrName || j.Name == idOrName)
	})
	if at < 0 {
		return nil
	}
	return &f.jobs[at]
}

func (f *Fake) findOperation(id string) *backend.Operation {
	at := slices.IndexFunc(f.operations, func(o backend.Operation) bool { return o.ID == id })
	if at < 0 {
		return nil
	}
	return &f.operations[at]
}

// instancesOf returns the places of an app's instances, or of the one that is
// named.
func (f *Fake) instancesOf(app, one string) []*backend.Instance {
	var out []*backend.Instance
	for n := range f.instances {
		if i := &f.instances[n]; i.AppID == app && (one == "" || i.ID == one) {
			out = append(out, i)
		}
	}
	return out
}

func (f *Fake) fillApp(a *backend.App) {
	if a.ID == "" {
		a.ID = f.id("app " + a.Name)
	}
	a.Scope = a.OrDefault()
	a.State = cmp.Or(a.State, backend.AppRunning)
	if a.Desired == "" {
		a.Desired = backend.DesiredStarted
		if a.State == backend.AppStopped || a.State == backend.AppStopping {
			a.Desired = backend.DesiredStopped
		}
	}
	if a.State != backend.AppStopped {
		a.Attached = true
	}
	a.Release = max(a.Release, 1)
	for _, t := range []*backend.Time{&a.Since, &a.Created, &a.Updated} {
		if t.IsZero() {
			*t = f.now
		}
	}
	if len(a.Spec.Processes) == 0 {
		a.Spec.Processes = []backend.ProcessSpec{{
			Name: "main", Command: backend.CommandLine{Args: []string{"./" + a.Name}}, Instances: a.Instances,
		}}
	}
	a.Spec.Name, a.Spec.Scope = a.Name, a.Scope
	if a.Spec.Levels == backend.LevelsFile {
		a.Levels = true
	}
	if a.Routes == nil {
		a.Routes = append([]backend.Route{}, a.Spec.Routes...)
	}
}

func (f *Fake) fillInstance(i *backend.Instance, app *backend.App) {
	if app != nil {
		i.AppID, i.App, i.Scope = app.ID, app.Name, app.Scope
		i.Release = cmp.Or(i.Release, app.Release)
	}
	i.Process = cmp.Or(i.Process, "main")
	i.Scope = i.OrDefault()
	if i.ID == "" {
		f.made++
		i.ID = fmt.Sprintf("%s-%s-%d-%04d", cmp.Or(i.App, i.Job, "none"), i.Process, i.Index, f.made)
	}
	if i.State == "" {
		i.State, i.Ready = backend.InstanceRunning, true
	}
	if i.State.Live() {
		i.Attached = true
		if i.PID == 0 {
			i.PID = 4000 + len(f.instances)
		}
		if i.Port == 0 {
			i.Port = 41000 + len(f.instances)
		}
	}
	i.Run = max(i.Run, 1)
	i.Node = cmp.Or(i.Node, f.nodes[0].Name)
	for _, t := range []*backend.Time{&i.Since, &i.Created} {
		if t.IsZero() {
			*t = f.now
		}
	}
}

func (f *Fake) fillJob(j *backend.Job) {
	if j.ID == "" {
		j.ID = f.id("job " + j.Name)
	}
	j.Scope = j.OrDefault()
	j.Schedule = cmp.Or(j.Schedule, j.Spec.Schedule)
	j.Spec.Name, j.Spec.Scope, j.Spec.Schedule = j.Name, j.Scope, j.Schedule
	for _, t := range []*backend.Time{&j.Created, &j.Updated} {
		if t.IsZero() {
			*t = f.now
		}
	}
}

func (f *Fake) addRun(r backend.Run) backend.Run {
	owner := ""
	if app := f.findApp(cmp.Or(r.AppID, r.App)); app != nil {
		r.AppID, r.App, r.Scope, owner = app.ID, app.Name, app.Scope, app.ID
		r.Process = cmp.Or(r.Process, "main")
	}
	if job := f.findJob(cmp.Or(r.JobID, r.Job)); job != nil {
		r.JobID, r.Job, r.Scope, owner = job.ID, job.Name, job.Scope, job.ID
	}
	if r.Number == 0 {
		for _, o := range f.runs {
			if o.AppID == r.AppID && o.JobID == r.JobID && o.Process == r.Process && o.Index == r.Index {
				r.Number = max(r.Number, o.Number)
			}
		}
		r.Number++
	}
	if r.ID == "" {
		r.ID = f.id("run " + owner)
	}
	r.State = cmp.Or(r.State, backend.RunSucceeded)
	if r.Started.IsZero() {
		r.Started = f.now
	}
	if r.Ended.IsZero() && r.State.Ended() {
		r.Ended = f.now
	}
	f.runs = append(f.runs, r)
	f.announce(backend.Event{
		Kind: backend.EventCreated, Ref: r.Ref(), Scope: r.Scope, OwnerID: owner, Owner: cmp.Or(r.App, r.Job), Run: &r,
	})
	if job := f.findJob(r.JobID); job != nil {
		last := r
		job.Last = &last
		f.announceJob(backend.EventUpdated, *job)
	}
	return r
}

func (f *Fake) addRelease(r backend.Release) backend.Release {
	app := f.findApp(cmp.Or(r.AppID, r.App))
	if app != nil {
		r.AppID, r.App = app.ID, app.Name
		if len(r.Spec.Processes) == 0 {
			r.Spec = app.Spec
		}
	}
	if r.Number == 0 {
		for _, o := range f.releases {
			if o.AppID == r.AppID {
				r.Number = max(r.Number, o.Number)
			}
		}
		r.Number++
	}
	if r.Created.IsZero() {
		r.Created = f.now
	}
	r.Author = cmp.Or(r.Author, Author)
	if r.Current {
		for n := range f.releases {
			if f.releases[n].AppID == r.AppID {
				f.releases[n].Current = false
			}
		}
		if app != nil {
			app.Release = r.Number
		}
	}
	f.releases = append(f.releases, r)
	f.announce(backend.Event{
		Kind: backend.EventCreated, Ref: releaseRef(r), OwnerID: r.AppID, Owner: r.App, Release: &r,
	})
	return r
}

func releaseRef(r backend.Release) backend.Ref {
	return backend.Ref{
		Kind: backend.KindRelease, ID: fmt.Sprintf("%s/%d", r.AppID, r.Number), Name: fmt.Sprintf("%s release %d", r.App, r.Number),
	}
}

func (f *Fake) removeInstance(id string) bool {
	at := slices.IndexFunc(f.instances, func(i backend.Instance) bool { return i.ID == id })
	if at < 0 {
		return false
	}
	i := f.instances[at]
	f.instances = slices.Delete(f.instances, at, at+1)
	f.announceInstance(backend.EventDeleted, i, "")
	return true
}

// recount makes an app's counts follow its instances, once all that it wants
// are known.
func (f *Fake) recount(app *backend.App) {
	known, ready := 0, 0
	for _, i := range f.instancesOf(app.ID, "") {
		known++
		if i.Ready {
			ready++
		}
	}
	app.Instances = max(app.Instances, known)
	if known == app.Instances {
		app.Ready = ready
	}
}

// announce numbers an event, keeps it and wakes the watchers.
func (f *Fake) announce(e backend.Event) backend.Event {
	f.index++
	e.Index = f.index
	if e.Time.IsZero() {
		e.Time = f.now
	}
	if e.Kind == "" {
		e.Kind = backend.EventUpdated
	}
	if app := f.findApp(e.OwnerID); app != nil && e.Scope == (backend.Scope{}) {
		e.Scope = app.Scope
	}
	f.events = append(f.events, e)
	f.wake()
	return e
}

func (f *Fake) announceApp(kind backend.EventKind, a backend.App, message string) {
	f.announce(backend.Event{
		Kind: kind, Ref: a.Ref(), Scope: a.Scope, OwnerID: a.ID, Owner: a.Name, Message: message, App: &a,
	})
}

func (f *Fake) announceInstance(kind backend.EventKind, i backend.Instance, message string) {
	f.announce(backend.Event{
		Kind: kind, Ref: i.Ref(), Scope: i.Scope, OwnerID: cmp.Or(i.AppID, i.JobID), Owner: cmp.Or(i.App, i.Job),
		Message: message, Instance: &i,
	})
}

func (f *Fake) announceJob(kind backend.EventKind, j backend.Job) {
	f.announce(backend.Event{Kind: kind, Ref: j.Ref(), Scope: j.Scope, OwnerID: j.ID, Owner: j.Name, Job: &j})
}

func (f *Fake) announceOperation(kind backend.EventKind, o backend.Operation) {
	o.Steps = slices.Clone(o.Steps)
	f.announce(backend.Event{
		Kind: kind, Ref: o.AsRef(), Scope: o.Scope, OwnerID: o.Ref.ID, Owner: o.Ref.Name,
		Operation: o.ID, Author: o.Author, Op: &o,
	})
}
