package local

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"pitwall/backend"
	"pitwall/backend/sqlite"
)

var _ backend.Backend = (*Backend)(nil)

// maxItems is the most items of one page.
const maxItems = 10_000

// enter refuses a call whose context has ended, and every call after Close.
func (b *Backend) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.closed()
}

// keyed is an item with the text that it is sorted by, which is a page's
// cursor too: a listing goes on behind it, even when the item has gone.
type keyed[T any] struct {
	key  string
	item T
}

// paged sorts items by key and cuts the page that was asked for.
func paged[T any](items []keyed[T], p backend.Page, index uint64) (backend.List[T], error) {
	slices.SortFunc(items, func(a, b keyed[T]) int { return strings.Compare(a.key, b.key) })
	if p.After != "" {
		after, err := base64.RawURLEncoding.DecodeString(string(p.After))
		if err != nil {
			return backend.List[T]{}, backend.Errorf(backend.Invalid, "%q is not a page of this list", p.After)
		}
		from, found := slices.BinarySearchFunc(items, string(after), func(k keyed[T], key string) int { return strings.Compare(k.key, key) })
		if found {
			from++
		}
		items = items[from:]
	}
	list := backend.List[T]{Index: index}
	limit := maxItems
	if p.Limit > 0 {
		limit = min(limit, p.Limit)
	}
	if len(items) > limit {
		items = items[:limit]
		list.Next = backend.Cursor(base64.RawURLEncoding.EncodeToString([]byte(items[limit-1].key)))
	}
	list.Items = make([]T, len(items))
	for i, k := range items {
		list.Items[i] = k.item
	}
	return list, nil
}

// any or one of them.
func wants[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

// Apps lists apps, worst first: by state, then errors a minute, then name.
func (b *Backend) Apps(ctx context.Context, q backend.AppQuery) (backend.List[backend.App], error) {
	if err := b.enter(ctx); err != nil {
		return backend.List[backend.App]{}, err
	}
	asked := func(a backend.App) bool {
		return q.Contains(a.Scope) && wants(q.IDs, a.ID) && wants(q.Names, a.Name) && wants(q.States, a.State)
	}
	b.remeasure(ctx, b.samplesOf(asked))
	b.mu.RLock()
	var items []keyed[backend.App]
	for _, r := range b.apps {
		a := r.App
		if asked(a) {
			app := b.presentApp(r, b.membersOf(a.ID))
			key := fmt.Sprintf("%d %010d %s %s", app.State.Severity(), 1_000_000_000-app.ErrorsPerMinute, app.Name, app.Qualify(""))
			items = append(items, keyed[backend.App]{key, app})
		}
	}
	index := b.index
	b.mu.RUnlock()
	return paged(items, q.Page, index)
}

// samplesOf asks for the measurements of the apps that are asked for.
func (b *Backend) samplesOf(asked func(backend.App) bool) backend.SampleQuery {
	q := backend.SampleQuery{Apps: []string{""}} // none, which is not all
	b.mu.RLock()
	defer b.mu.RUnlock()
	for id, r := range b.apps {
		if asked(r.App) {
			q.Apps = append(q.Apps, id)
		}
	}
	return q
}

// Instances lists instances by app, process and index.
func (b *Backend) Instances(ctx context.Context, q backend.InstanceQuery) (backend.List[backend.Instance], error) {
	if err := b.enter(ctx); err != nil {
		return backend.List[backend.Instance]{}, err
	}
	var ended []sqlite.Instance
	if q.Ended {
		var err error
		if ended, err = b.store.EndedInstances(ctx, ""); err != nil {
			return backend.List[backend.Instance]{}, err
		}
	}
	b.mu.RLock()
	present := b.candidates(q)
	b.mu.RUnlock()
	b.remeasure(ctx, backend.SampleQuery{Apps: []string{""}, InstanceIDs: present})
	var items []keyed[backend.Instance]
	add := func(r sqlite.Instance) {
		in := r.Instance
		if gone := r.Ended || r.Retired && in.State.Final(); gone && !q.Ended {
			return
		}
		if !q.Contains(in.Scope) || !wants(q.IDs, in.ID) || !wants(q.States, in.State) {
			return
		}
		if len(q.Apps)+len(q.Jobs) > 0 && !slices.Contains(q.Apps, in.AppID) && !slices.Contains(q.Jobs, in.JobID) {
			return
		}
		key := fmt.Sprintf("%s %s %s %06d %020d %s", in.App+in.Job, r.Owner(), in.Process, in.Index, in.Created.UnixNano(), in.ID)
		items = append(items, keyed[backend.Instance]{key, b.presentInstance(r)})
	}
	b.mu.RLock()
	for _, id := range b.candidates(q) {
		add(b.instances[id])
	}
	for _, r := range ended {
		if _, present := b.instances[r.Instance.ID]; !present {
			add(r)
		}
	}
	index := b.index
	b.mu.RUnlock()
	return paged(items, q.Page, index)
}

// candidates lists the ids of instances that a query may want. The caller
// holds mu.
func (b *Backend) candidates(q backend.InstanceQuery) []string {
	var ids []string
	switch {
	case len(q.IDs) > 0:
		for _, id := range q.IDs {
			if _, ok := b.instances[id]; ok && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	case len(q.Apps)+len(q.Jobs) > 0:
		for _, owner := range slices.Concat(q.Apps, q.Jobs) {
			for id := range b.members[owner] {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		ids = slices.Compact(ids)
	default:
		for id := range b.instances {
			ids = append(ids, id)
		}
	}
	return ids
}

// Jobs lists jobs by name.
func (b *Backend) Jobs(ctx context.Context, q backend.JobQuery) (backend.List[backend.Job], error) {
	if err := b.enter(ctx); err != nil {
		return backend.List[backend.Job]{}, err
	}
	b.mu.RLock()
	var items []keyed[backend.Job]
	for _, r := range b.jobs {
		j := r.Job
		if q.Contains(j.Scope) && wants(q.IDs, j.ID) && wants(q.Names, j.Name) {
			items = append(items, keyed[backend.Job]{j.Name + " " + j.Qualify(""), j})
		}
	}
	index := b.index
	b.mu.RUnlock()
	return paged(items, q.Page, index)
}

// Runs lists runs of instances and jobs, newest first.
func (b *Backend) Runs(ctx context.Context, q backend.RunQuery) (backend.List[backend.Run], error) {
	if err := b.enter(ctx); err != nil {
		return backend.List[backend.Run]{}, err
	}
	return b.store.Runs(ctx, q)
}

// Releases lists an app's releases, newest first.
func (b *Backend) Releases(ctx context.Context, q backend.ReleaseQuery) (backend.List[backend.Release], error) {
	if err := b.enter(ctx); err != nil {
		return backend.List[backend.Release]{}, err
	}
	if _, err := b.appOf(q.App); err != nil {
		return backend.List[backend.Release]{}, err
	}
	return b.store.Releases(ctx, q)
}

// Operations lists operations, newest first.
func (b *Backend) Operations(ctx context.Context, q backend.OperationQuery) (backend.List[backend.Operation], error) {
	if err := b.enter(ctx); err != nil {
		return backend.List[backend.Operation]{}, err
	}
	list, err := b.store.Operations(ctx, q)
	if err != nil {
		return backend.List[backend.Operation]{}, err
	}
	out := backend.List[backend.Operation]{Index: list.Index, Next: list.Next, Items: make([]backend.Operation, len(list.Items))}
	for i, r := range list.Items {
		out.Items[i] = r.Op
	}
	return out, nil
}

// Events lists events that are still kept, newest first.
func (b *Backend) Events(ctx context.Context, q backend.EventQuery) (backend.List[backend.Event], error) {
	if err := b.enter(ctx); err != nil {
		return backend.List[backend.Event]{}, err
	}
	return b.store.Events(ctx, q)
}

// Documents lists stored documents of a kind.
func (b *Backend) Documents(ctx context.Context, q backend.DocumentQuery) (backend.List[backend.Document], error) {
	if err := b.enter(ctx); err != nil {
		return backend.List[backend.Document]{}, err
	}
	if q.Kind == "" {
		return backend.List[backend.Document]{}, backend.Errorf(backend.Invalid, "a kind of document must be given")
	}
	return b.store.Documents(ctx, q)
}

// appOf returns an app by id.
func (b *Backend) appOf(id string) (sqlite.App, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	a, ok := b.apps[id]
	if !ok {
		return sqlite.App{}, noApp(id)
	}
	return a, nil
}

func noApp(id string) error {
	if id == "" {
		return backend.Errorf(backend.Invalid, "an app must be given")
	}
	return &backend.Error{Code: backend.NotFound, Ref: backend.Ref{Kind: backend.KindApp, ID: id}, Err: fmt.Errorf("there is no app with the id %s", id)}
}

func noJob(id string) error {
	if id == "" {
		return backend.Errorf(backend.Invalid, "a job must be given")
	}
	return &backend.Error{Code: backend.NotFound, Ref: backend.Ref{Kind: backend.KindJob, ID: id}, Err: fmt.Errorf("there is no job with the id %s", id)}
}

func noInstance(app, id string) error {
	return &backend.Error{Code: backend.NotFound, Ref: backend.Ref{Kind: backend.KindInstance, ID: id, Name: id}, Err: fmt.Errorf("%s has no instance %s", app, id)}
}

func releaseRef(r backend.Release) backend.Ref {
	return backend.Ref{Kind: backend.KindRelease, ID: fmt.Sprintf("%s/%d", r.AppID, r.Number), Name: fmt.Sprintf("%s release %d", r.App, r.Number)}
}
