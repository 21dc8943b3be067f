package main

import (
	"context"

	"github.com/spf13/cobra"

	"pitwall/backend"
)

func (c *cli) waitCommand() *cobra.Command {
	var state string
	cmd := c.reader("wait APP...", "Wait until apps have come to a state", names(1, -1, "an app"), completeApps, func(ctx context.Context, b backend.Backend, args []string) error {
		return c.waitFor(ctx, b, args, backend.AppState(state))
	})
	cmd.Flags().StringVar(&state, "for", string(backend.AppRunning), "the `state`: running, stopped, failed …")
	return cmd
}

func (c *cli) waitFor(ctx context.Context, b backend.Backend, args []string, state backend.AppState) error {
	if state.Severity() > backend.AppStopped.Severity() {
		return usagef("--for %q is not a state of an app", state)
	}
	open := map[string]bool{}
	for _, name := range args {
		app, err := resolveApp(ctx, b, name)
		if err != nil {
			return err
		}
		open[app.ID] = true
	}
	var ids []string
	for id := range open {
		ids = append(ids, id)
	}
	list, err := b.Apps(ctx, backend.AppQuery{IDs: ids})
	if err != nil {
		return err
	}
	for _, a := range list.Items {
		if a.State == state {
			delete(open, a.ID)
		}
	}
	if len(open) == 0 {
		return nil
	}
	feed, err := b.Watch(ctx, backend.WatchQuery{Since: list.Index, Kinds: []backend.Kind{backend.KindApp}})
	if err != nil {
		return err
	}
	defer feed.Close()
	return follows(ctx, feed, func(events []backend.Event) error {
		for _, e := range events {
			switch {
			case e.App == nil || !open[e.App.ID]:
			case e.Kind == backend.EventDeleted:
				return backend.Errorf(backend.NotFound, "%s was deleted", e.App.Name)
			case e.App.State == state:
				delete(open, e.App.ID)
			}
		}
		if len(open) == 0 {
			return errDone
		}
		return nil
	})
}
