package backendtest

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"pitwall/backend"
)

// Apps implements [backend.Backend].
func (f *Fake) Apps(ctx context.Context, q backend.AppQuery) (backend.List[backend.App], error) {
	return list(ctx, f, "apps", q.Page, &f.apps, func(a backend.App) bool {
		return q.Contains(a.Scope) && among(q.IDs, a.ID) && among(q.Names, a.Name) && among(q.States, a.State)
	}, func(a, b backend.App) int {
		return cmp.Or(cmp.Compare(a.State.Severity(), b.State.Severity()), cmp.Compare(a.Name, b.Name))
	})
}

// Instances implements [backend.Backend].
func (f *Fake) Instances(ctx context.Context, q backend.InstanceQuery) (backend.List[backend.Instance], error) {
	return list(ctx, f, "instances", q.Page, &f.instances, func(i backend.Instance) bool {
		return q.Contains(i.Scope) && owned(q.Apps, q.Jobs, i.AppID, i.JobID) && among(q.IDs, i.ID) && among(q.States, i.State)
	}, func(a, b backend.Instance) int {
		return cmp.Or(cmp.Compare(a.App+a.Job, b.App+b.Job), cmp.Compare(a.Process, b.Process), cmp.Compare(a.Index, b.Index))
	})
}

// Jobs implements [backend.Backend].
func (f *Fake) Jobs(ctx context.Context, q backend.JobQuery) (backend.List[backend.Job], error) {
	return list(ctx, f, "jobs", q.Page, &f.jobs, func(j backend.Job) bool {
		return q.Contains(j.Scope) && among(q.IDs, j.ID) && among(q.Names, j.Name)
	}, func(a, b backend.Job) int { return cmp.Compare(a.Name, b.Name) })
}

// Runs implements [backend.Backend].
func (f *Fake) Runs(ctx context.Context, q backend.RunQuery) (backend.List[backend.Run], error) {
	return list(ctx, f, "runs", q.Page, &f.runs, func(r backend.Run) bool {
		return q.Contains(r.Scope) && owned(q.Apps, q.Jobs, r.AppID, r.JobID) && among(q.Instances, r.Instance) &&
			among(q.IDs, r.ID) && among(q.States, r.State)
	}, nil)
}

// Releases implements [backend.Backend].
func (f *Fake) Releases(ctx context.Context, q backend.ReleaseQuery) (backend.List[backend.Release], error) {
	if err := f.known(ctx, "releases", q.App); err != nil {
		return backend.List[backend.Release]{}, err
	}
	return list(ctx, f, "releases", q.Page, &f.releases, func(r backend.Release) bool { return r.AppID == q.App }, nil)
}

// Loggers implements [backend.Backend].
func (f *Fake) Loggers(ctx context.Context, q backend.LoggerQuery) (backend.List[backend.Logger], error) {
	if err := f.known(ctx, "loggers", q.App); err != nil {
		return backend.List[backend.Logger]{}, err
	}
	return list(ctx, f, "loggers", q.Page, &f.loggers, func(l backend.Logger) bool { return l.AppID == q.App },
		func(a, b backend.Logger) int { return cmp.Compare(a.Name, b.Name) })
}

// Operations implements [backend.Backend].
func (f *Fake) Operations(ctx context.Context, q backend.OperationQuery) (backend.List[backend.Operation], error) {
	return list(ctx, f, "operations", q.Page, &f.operations, func(o backend.Operation) bool {
		return q.Contains(o.Scope) && among(q.IDs, o.ID) && (q.Target == "" || o.Ref.ID == q.Target) &&
			among(q.Kinds, o.Kind) && among(q.States, o.State)
	}, nil)
}

// Events implements [backend.Backend].
func (f *Fake) Events(ctx context.Context, q backend.EventQuery) (backend.List[backend.Event], error) {
	return list(ctx, f, "events", q.Page, &f.events, func(e backend.Event) bool {
		return q.Contains(e.Scope) && among(q.Kinds, e.Ref.Kind) && (q.Owner == "" || e.OwnerID == q.Owner) &&
			(q.Quiet || e.Message != "") && (q.Level == "" || e.Level.AtLeast(q.Level)) &&
			(q.Since.IsZero() || !e.Time.Before(q.Since)) && (q.Until.IsZero() || e.Time.Before(q.Until))
	}, nil)
}

// Nodes implements [backend.Backend].
func (f *Fake) Nodes(ctx context.Context, q backend.NodeQuery) (backend.List[backend.Node], error) {
	return list(ctx, f, "nodes", q.Page, &f.nodes, func(backend.Node) bool { return true },
		func(backend.Node, backend.Node) int { return 0 })
}

// Documents implements [backend.Backend].
func (f *Fake) Documents(ctx context.Context, q backend.DocumentQuery) (backend.List[backend.Document], error) {
	if q.Kind == "" {
		return backend.List[backend.Document]{}, backend.Errorf(backend.Invalid, "a query for documents names their kind")
	}
	return list(ctx, f, "documents", q.Page, &f.documents, func(d backend.Document) bool {
		return q.Contains(d.Scope) && d.Kind == q.Kind && among(q.Names, d.Name)
	}, func(a, b backend.Document) int { return cmp.Compare(a.Name, b.Name) })
}

// known fails with NotFound when there is no app of that id.
func (f *Fake) known(ctx context.Context, op, app string) error {
	if err := f.enter(ctx, op); err != nil {
		return err
	}
	defer f.mu.Unlock()
	if !slices.ContainsFunc(f.apps, func(a backend.App) bool { return a.ID == app }) {
		return notFound(op, backend.Ref{Kind: backend.KindApp, ID: app})
	}
	return nil
}

func notFound(op string, ref backend.Ref) error {
	e := backend.Errorf(backend.NotFound, "there is no %s %q", ref.Kind, cmp.Or(ref.Name, ref.ID))
	e.Op, e.Ref = op, ref
	return e
}

// list makes one page of what match selects. Without compare, what came last
// is first.
func list[T any](ctx context.Context, f *Fake, name string, page backend.Page, all *[]T, match func(T) bool, compare func(a, b T) int) (backend.List[T], error) {
	if err := f.enter(ctx, name); err != nil {
		return backend.List[T]{}, err
	}
	defer f.mu.Unlock()
	out := backend.List[T]{Items: []T{}, Index: f.index}
	for _, item := range *all {
		if match(item) {
			out.Items = append(out.Items, item)
		}
	}
	if compare == nil {
		slices.Reverse(out.Items)
	} else {
		slices.SortStableFunc(out.Items, compare)
	}
	from := 0
	if page.After != "" {
		n, err := strconv.Atoi(string(page.After))
		if err != nil || n < 0 {
			return backend.List[T]{}, backend.Errorf(backend.Invalid, "%q is not a cursor of this listing", page.After)
		}
		from = min(n, len(out.Items))
	}
	out.Items = out.Items[from:]
	if page.Limit > 0 && len(out.Items) > page.Limit {
		out.Items = out.Items[:page.Limit]
		out.Next = backend.Cursor(strconv.Itoa(from + page.Limit))
	}
	return out, nil
}

// among reports whether v is one of those asked for; none asked for is any.
func among[T comparable](asked []T, v T) bool {
	return len(asked) == 0 || slices.Contains(asked, v)
}

// owned reports whether a thing belongs to one of the apps or jobs.
func owned(apps, jobs []string, app, job string) bool {
	if len(apps) == 0 && len(jobs) == 0 {
		return true
	}
	return (app != "" && slices.Contains(apps, app)) || (job != "" && slices.Contains(jobs, job))
}
