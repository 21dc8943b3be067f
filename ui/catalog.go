package ui

import (
	"context"

	"pitwall/backend"
)

// newCatalog keeps the apps and jobs, for the header's counts and the
// palette's names.
func newCatalog(b backend.Backend) (*Sync[backend.App], *Sync[backend.Job]) {
	apps := NewSync(SyncOptions[backend.App]{
		List: func(ctx context.Context, p backend.Page) (backend.List[backend.App], error) {
			return b.Apps(ctx, backend.AppQuery{Page: p})
		},
		Watch: b.Watch,
		Query: backend.WatchQuery{Kinds: []backend.Kind{backend.KindApp}},
		Pick:  func(e backend.Event) *backend.App { return e.App },
		Key:   func(a backend.App) string { return a.ID },
	})
	jobs := NewSync(SyncOptions[backend.Job]{
		List: func(ctx context.Context, p backend.Page) (backend.List[backend.Job], error) {
			return b.Jobs(ctx, backend.JobQuery{Page: p})
		},
		Watch: b.Watch,
		Query: backend.WatchQuery{Kinds: []backend.Kind{backend.KindJob}},
		Pick:  func(e backend.Event) *backend.Job { return e.Job },
		Key:   func(j backend.Job) string { return j.ID },
	})
	return apps, jobs
}

// counts are the figures of the header and of the last words.
type counts struct {
	apps, failing, blocked, instances, running, ready int
}

// countApps adds up the apps. It is called when one has changed, not for each
// frame.
func countApps(apps []backend.App) counts {
	var c counts
	for i := range apps {
		a := &apps[i]
		c.apps++
		c.instances += a.Instances
		c.ready += a.Ready
		switch a.State {
		case backend.AppFailed, backend.AppCrashing, backend.AppDegraded:
			c.failing++
		}
		if a.Blocked {
			c.blocked++
		}
		if a.State != backend.AppStopped {
			c.running++
		}
	}
	return c
}
