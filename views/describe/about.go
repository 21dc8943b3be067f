package describe

import (
	"context"
	"fmt"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/action"
	"pitwall/ui/present"

	tea "charm.land/bubbletea/v2"
)

// about is what was read of a thing. One of the pointers is set.
type about struct {
	app       *backend.App
	instance  *backend.Instance
	job       *backend.Job
	run       *backend.Run
	operation *backend.Operation

	instances  []backend.Instance
	releases   []backend.Release
	operations []backend.Operation
	events     []backend.Event
	runs       []backend.Run
}

// few is how many of the latest operations, events and runs a page shows.
const few = 8

// read reads all that a page shows.
func read(ctx context.Context, b backend.Backend, p ui.Place) (about, error) {
	switch p.Ref.Kind {
	case backend.KindApp:
		return readApp(ctx, b, p.Ref)
	case backend.KindInstance:
		return readInstance(ctx, b, p.Ref)
	case backend.KindJob:
		return readJob(ctx, b, p.Ref)
	case backend.KindRun:
		l, err := b.Runs(ctx, backend.RunQuery{IDs: []string{p.Ref.ID}})
		r, err := only(l, err, p.Ref)
		return about{run: r}, err
	case backend.KindOperation:
		l, err := b.Operations(ctx, backend.OperationQuery{IDs: []string{p.Ref.ID}})
		o, err := only(l, err, p.Ref)
		return about{operation: o}, err
	}
	return about{}, backend.Errorf(backend.Unsupported, "a %s cannot be described", p.Ref.Kind)
}

// only returns the one thing that was asked for.
func only[T any](l backend.List[T], err error, ref backend.Ref) (*T, error) {
	if err != nil {
		return nil, err
	}
	if len(l.Items) == 0 {
		return nil, backend.Errorf(backend.NotFound, "there is no %s", ref)
	}
	return &l.Items[0], nil
}

func readApp(ctx context.Context, b backend.Backend, ref backend.Ref) (about, error) {
	var a about
	l, err := b.Apps(ctx, backend.AppQuery{IDs: []string{ref.ID}})
	if a.app, err = only(l, err, ref); err != nil {
		return a, err
	}
	instances, err := b.Instances(ctx, backend.InstanceQuery{Apps: []string{ref.ID}})
	if err != nil {
		return a, fmt.Errorf("read instances: %w", err)
	}
	a.instances = instances.Items
	a.measure()
	releases, err := b.Releases(ctx, backend.ReleaseQuery{App: ref.ID, Page: backend.Page{Limit: few}})
	if err != nil {
		return a, fmt.Errorf("read releases: %w", err)
	}
	a.releases = releases.Items
	return a, a.history(ctx, b, ref.ID, backend.RunQuery{Apps: []string{ref.ID}})
}

// measure sums what the instances use, where the app itself was not measured.
func (a *about) measure() {
	if a.app.RSS > 0 || a.app.CPU > 0 {
		return
	}
	connections := 0
	for _, i := range a.instances {
		a.app.CPU += i.CPU
		a.app.RSS += i.RSS
		connections += i.Connections
	}
	a.app.Connections = max(a.app.Connections, connections)
}

func readInstance(ctx context.Context, b backend.Backend, ref backend.Ref) (about, error) {
	var a about
	l, err := b.Instances(ctx, backend.InstanceQuery{IDs: []string{ref.ID}, Ended: true})
	if a.instance, err = only(l, err, ref); err != nil {
		return a, err
	}
	runs, err := b.Runs(ctx, backend.RunQuery{Instances: []string{ref.ID}, Page: backend.Page{Limit: few}})
	if err != nil {
		return a, fmt.Errorf("read runs: %w", err)
	}
	a.runs = runs.Items
	return a, nil
}

func readJob(ctx context.Context, b backend.Backend, ref backend.Ref) (about, error) {
	var a about
	l, err := b.Jobs(ctx, backend.JobQuery{IDs: []string{ref.ID}})
	if a.job, err = only(l, err, ref); err != nil {
		return a, err
	}
	return a, a.history(ctx, b, ref.ID, backend.RunQuery{Jobs: []string{ref.ID}})
}

// history reads the latest of what happened to an app or a job.
func (a *about) history(ctx context.Context, b backend.Backend, id string, q backend.RunQuery) error {
	latest := backend.Page{Limit: few}
	operations, err := b.Operations(ctx, backend.OperationQuery{Target: id, Page: latest})
	if err != nil {
		return fmt.Errorf("read operations: %w", err)
	}
	events, err := b.Events(ctx, backend.EventQuery{Owner: id, Page: latest})
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	q.Page = latest
	runs, err := b.Runs(ctx, q)
	if err != nil {
		return fmt.Errorf("read runs: %w", err)
	}
	a.operations, a.events, a.runs = operations.Items, events.Items, runs.Items
	return nil
}

// actions are the verbs of the thing, and the places that lead on from it.
func (a about) actions(d ui.Deps) []action.Action {
	switch {
	case a.app != nil:
		return append(present.AppVerbs(d, []backend.App{*a.app}), present.AppPlaces(d, *a.app, true)[:7]...)
	case a.instance != nil:
		list := present.InstanceVerbs(d, []backend.Instance{*a.instance})
		return append(list, present.InstancePlaces(d, *a.instance, true)[:2]...)
	case a.job != nil:
		return append(present.JobVerbs(d, []backend.Job{*a.job}), present.JobPlaces(d, *a.job, true)[:2]...)
	case a.run != nil:
		list := present.RunPlaces(d, *a.run, true)
		return append(list[:1:1], list[2:]...)
	case a.operation != nil:
		list := []action.Action{present.Undo(d, *a.operation), present.Cancel(d, *a.operation)}
		if p, ok := present.Of(a.operation.Ref); ok {
			list = append(list, action.Action{
				ID: "operation.target", Title: present.Text("go to %s", a.operation.Target),
				Label: present.Text("go to %s", a.operation.Target),
				Run:   func(action.Input) tea.Cmd { return d.Go(p) },
			})
		}
		return list
	}
	return nil
}
