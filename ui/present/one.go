package present

import (
	"context"

	"pitwall/backend"
	"pitwall/ui"
)

// OneApp keeps one app true.
func OneApp(b backend.Backend, id string) *ui.Sync[backend.App] {
	return ui.NewSync(ui.SyncOptions[backend.App]{
		List: func(ctx context.Context, p backend.Page) (backend.List[backend.App], error) {
			return b.Apps(ctx, backend.AppQuery{IDs: []string{id}, Page: p})
		},
		Watch: b.Watch,
		Query: backend.WatchQuery{Kinds: []backend.Kind{backend.KindApp}, Ref: backend.Ref{Kind: backend.KindApp, ID: id}},
		Pick:  func(e backend.Event) *backend.App { return e.App },
		Keep:  func(a backend.App) bool { return a.ID == id },
		Key:   func(a backend.App) string { return a.ID },
	})
}

// OneInstance keeps one instance true.
func OneInstance(b backend.Backend, id string) *ui.Sync[backend.Instance] {
	return ui.NewSync(ui.SyncOptions[backend.Instance]{
		List: func(ctx context.Context, p backend.Page) (backend.List[backend.Instance], error) {
			return b.Instances(ctx, backend.InstanceQuery{IDs: []string{id}, Page: p})
		},
		Watch: b.Watch,
		Query: backend.WatchQuery{Kinds: []backend.Kind{backend.KindInstance}, Ref: backend.Ref{Kind: backend.KindInstance, ID: id}},
		Pick:  func(e backend.Event) *backend.Instance { return e.Instance },
		Keep:  func(i backend.Instance) bool { return i.ID == id },
		Key:   func(i backend.Instance) string { return i.ID },
	})
}

// InstancesOf keeps the instances of an app true.
func InstancesOf(b backend.Backend, app string) *ui.Sync[backend.Instance] {
	return ui.NewSync(ui.SyncOptions[backend.Instance]{
		List: func(ctx context.Context, p backend.Page) (backend.List[backend.Instance], error) {
			return b.Instances(ctx, backend.InstanceQuery{Apps: []string{app}, Page: p})
		},
		Watch: b.Watch,
		Query: backend.WatchQuery{Kinds: []backend.Kind{backend.KindInstance}, Ref: backend.Ref{Kind: backend.KindApp, ID: app}},
		Pick:  func(e backend.Event) *backend.Instance { return e.Instance },
		Key:   func(i backend.Instance) string { return i.ID },
	})
}
