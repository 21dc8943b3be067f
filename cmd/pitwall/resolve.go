package main

import (
	"context"
	"strconv"
	"strings"

	"pitwall/backend"
)

// target is an app or a job that a command line named.
type target struct {
	app *backend.App
	job *backend.Job
}

func (t target) name() string {
	if t.job != nil {
		return t.job.Name
	}
	return t.app.Name
}

func (t target) ref() backend.Ref {
	if t.job != nil {
		return t.job.Ref()
	}
	return t.app.Ref()
}

// resolveIDs finds the apps and the jobs with these names, as queries take them.
func resolveIDs(ctx context.Context, b backend.Backend, names []string) (apps, jobs []string, err error) {
	for _, name := range names {
		t, err := resolve(ctx, b, name)
		if err != nil {
			return nil, nil, err
		}
		if t.job != nil {
			jobs = append(jobs, t.job.ID)
		} else {
			apps = append(apps, t.app.ID)
		}
	}
	return apps, jobs, nil
}

// resolveApp finds the app with a name, or with team/space/name where that
// would mean several.
func resolveApp(ctx context.Context, b backend.Backend, name string) (backend.App, error) {
	apps, err := matchApps(ctx, b, name)
	if err != nil {
		return backend.App{}, err
	}
	switch len(apps) {
	case 0:
		return backend.App{}, backend.Errorf(backend.NotFound, "there is no app %q; pitwall apps lists them", name)
	case 1:
		return apps[0], nil
	}
	return backend.App{}, ambiguous(name, apps, nil)
}

// resolveJob finds the job with a name.
func resolveJob(ctx context.Context, b backend.Backend, name string) (backend.Job, error) {
	jobs, err := matchJobs(ctx, b, name)
	if err != nil {
		return backend.Job{}, err
	}
	switch len(jobs) {
	case 0:
		return backend.Job{}, backend.Errorf(backend.NotFound, "there is no job %q; pitwall jobs lists them", name)
	case 1:
		return jobs[0], nil
	}
	return backend.Job{}, ambiguous(name, nil, jobs)
}

// resolve finds the app or the job with a name.
func resolve(ctx context.Context, b backend.Backend, name string) (target, error) {
	apps, err := matchApps(ctx, b, name)
	if err != nil {
		return target{}, err
	}
	jobs, err := matchJobs(ctx, b, name)
	if err != nil {
		return target{}, err
	}
	switch {
	case len(apps)+len(jobs) == 0:
		return target{}, backend.Errorf(backend.NotFound, "there is no app or job %q; pitwall apps and pitwall jobs list them", name)
	case len(apps)+len(jobs) > 1:
		return target{}, ambiguous(name, apps, jobs)
	case len(apps) == 1:
		return target{app: &apps[0]}, nil
	}
	return target{job: &jobs[0]}, nil
}

func matchApps(ctx context.Context, b backend.Backend, name string) ([]backend.App, error) {
	scope, bare, err := backend.ParseName(name)
	if err != nil {
		return nil, err
	}
	list, err := b.Apps(ctx, backend.AppQuery{Scope: scope, Names: []string{bare}})
	return list.Items, err
}

func matchJobs(ctx context.Context, b backend.Backend, name string) ([]backend.Job, error) {
	scope, bare, err := backend.ParseName(name)
	if err != nil {
		return nil, err
	}
	list, err := b.Jobs(ctx, backend.JobQuery{Scope: scope, Names: []string{bare}})
	return list.Items, err
}

func ambiguous(name string, apps []backend.App, jobs []backend.Job) error {
	var all []string
	for _, a := range apps {
		all = append(all, "app "+a.Qualify(a.Name))
	}
	for _, j := range jobs {
		all = append(all, "job "+j.Qualify(j.Name))
	}
	return backend.Errorf(backend.Ambiguous, "%q means several: %s", name, strings.Join(all, ", "))
}

// shortest names items so that a command line finds each again: by the bare
// name, or by team/space/name where several have it.
func shortest[T any](items []T, of func(T) (backend.Scope, string)) func(T) string {
	count := map[string]int{}
	for _, it := range items {
		_, name := of(it)
		count[name]++
	}
	return func(it T) string {
		scope, name := of(it)
		if count[name] > 1 {
			return scope.Qualify(name)
		}
		return name
	}
}

func scopeOfApp(a backend.App) (backend.Scope, string) { return a.Scope, a.Name }
func scopeOfJob(j backend.Job) (backend.Scope, string) { return j.Scope, j.Name }

// resolveInstance finds an instance by its id, a unique start of it, its
// place such as main.0, or its index in the app's first process.
func resolveInstance(ctx context.Context, b backend.Backend, q backend.InstanceQuery, name string) (backend.Instance, error) {
	list, err := b.Instances(ctx, q)
	if err != nil {
		return backend.Instance{}, err
	}
	var found []backend.Instance
	for _, in := range list.Items {
		switch {
		case in.ID == name:
			return in, nil
		case in.Name() == name, strconv.Itoa(in.Index) == name, len(name) > 2 && strings.HasPrefix(in.ID, name):
			found = append(found, in)
		}
	}
	switch len(found) {
	case 0:
		return backend.Instance{}, noInstance(name)
	case 1:
		return found[0], nil
	}
	var ids []string
	for _, in := range found {
		ids = append(ids, in.ID)
	}
	return backend.Instance{}, backend.Errorf(backend.Ambiguous, "%q means several instances: %s", name, strings.Join(ids, ", "))
}

func noInstance(name string) error {
	return backend.Errorf(backend.NotFound, "there is no instance %q; pitwall instances lists them", name)
}

// all reads every page of a listing.
func all[T any](page func(backend.Page) (backend.List[T], error)) ([]T, error) {
	var items []T
	var p backend.Page
	for {
		list, err := page(p)
		if err != nil {
			return nil, err
		}
		items = append(items, list.Items...)
		if list.Next == "" {
			return items, nil
		}
		p.After = list.Next
	}
}
