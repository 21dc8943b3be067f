package main

import (
	"context"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"pitwall/backend"
)

func (c *cli) waitCommand() *cobra.Command {
	var state string
	cmd := c.reader("wait APP...", "Wait until apps have come to a state", names(1, -1, "an app"), completeApps, func(ctx context.Context, b backend.Backend, args []string) error {
		return c.waitFor(ctx, b, args, backend.AppState(state))
	})
	cmd.Long = "Waits until every app that is named has come to a state. Give it --timeout, or it waits as long as it takes."
	cmd.Example = "  pitwall wait web worker --timeout 1m\n  pitwall wait web --for stopped"
	cmd.Flags().StringVar(&state, "for", string(backend.AppRunning), "the `state`: running, stopped, failed …")
	fixed(cmd, "for", "running", "stopped", "failed", "crashing", "degraded")
	return cmd
}

func (c *cli) waitFor(ctx context.Context, b backend.Backend, args []string, state backend.AppState) error {
	if state.Severity() > backend.AppStopped.Severity() {
		return usagef("--for %q is not a state of an app: use running, stopped, starting, stopping, degraded, crashing or failed", state)
	}
	apps, err := listApps(ctx, b, args)
	if err != nil {
		return err
	}
	w := waiting{state: state, open: map[string]string{}}
	for _, app := range apps {
		w.open[app.ID] = app.Name
	}
	return settle(ctx, b, backend.WatchQuery{Kinds: []backend.Kind{backend.KindApp}}, settling{
		list:    func(ctx context.Context) (uint64, error) { return w.list(ctx, b) },
		event:   w.event,
		settled: func() bool { return len(w.open) == 0 },
	})
}

// waiting is what wait waits for.
type waiting struct {
	state backend.AppState
	open  map[string]string // names of apps that have not come to it, by id
}

func (w *waiting) list(ctx context.Context, b backend.Backend) (uint64, error) {
	list, err := b.Apps(ctx, backend.AppQuery{IDs: slices.Collect(maps.Keys(w.open))})
	if err != nil {
		return 0, err
	}
	there := map[string]bool{}
	for _, a := range list.Items {
		there[a.ID] = true
	}
	for id, name := range w.open {
		if !there[id] {
			return 0, deleted(name)
		}
	}
	for _, a := range list.Items {
		w.seen(a)
	}
	return list.Index, nil
}

func (w *waiting) event(e backend.Event) error {
	if e.App == nil || w.open[e.App.ID] == "" {
		return nil
	}
	if e.Kind == backend.EventDeleted {
		return deleted(e.App.Name)
	}
	w.seen(*e.App)
	return nil
}

func (w *waiting) seen(a backend.App) {
	if a.State == w.state {
		delete(w.open, a.ID)
	}
}

func deleted(name string) error {
	return backend.Errorf(backend.NotFound, "%s was deleted", name)
}
