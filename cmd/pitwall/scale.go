package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"pitwall/backend"
)

func (c *cli) scaleCommand() *cobra.Command {
	var a action
	cmd := &cobra.Command{
		Use: "scale APP [PROCESS=]N...", Short: "Set how many instances run",
		Long:    "Sets the number of instances of a process; of the first one when no PROCESS is named.",
		Example: "  pitwall scale web 3\n  pitwall scale web main=3 worker=2",
		Args:    names(2, -1, "an app and a number"), ValidArgsFunction: c.complete(completeScale),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, b backend.Backend) error {
				app, err := resolveApp(ctx, b, args[0])
				if err != nil {
					return err
				}
				var cmds []named
				for _, arg := range args[1:] {
					process, count, found := strings.Cut(arg, "=")
					if !found {
						process, count = "", arg
					}
					n, err := strconv.Atoi(count)
					if err != nil || n < 0 {
						return usagef("%q is not a number of instances: write N or PROCESS=N", arg)
					}
					if _, ok := app.Spec.Process(process); !ok {
						return backend.Errorf(backend.NotFound, "%s has no process %q", app.Name, process)
					}
					cmds = append(cmds, named{app.Name, backend.Scale{App: app.ID, Process: process, Instances: n, Intent: a.intent()}})
				}
				return c.do(ctx, b, &a, cmds)
			})
		},
	}
	a.flags(cmd)
	return cmd
}
