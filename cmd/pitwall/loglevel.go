package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"pitwall/backend"
)

func (c *cli) loglevelCommand() *cobra.Command {
	var a action
	var fuse time.Duration
	cmd := &cobra.Command{
		Use: "loglevel APP [LOGGER LEVEL]", Short: "Show or set log levels",
		Long:    "Without LOGGER and LEVEL lists the loggers. The logger `default` is the level of all that have none; the level `inherit` removes a logger's own.",
		Example: "  pitwall loglevel web http debug --for 10m\n  pitwall loglevel web default info",
		Args:    names(1, 3, "an app, or an app, a logger and a level"), ValidArgsFunction: c.complete(completeLoglevel),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				sub := c.loggersCommand()
				return sub.RunE(cmd, args)
			}
			if len(args) == 2 {
				return usagef("loglevel needs a level after the logger: trace, debug, info, warn, error, fatal or inherit")
			}
			set := backend.SetLevel{Logger: args[1], For: backend.Duration(fuse), Intent: a.intent()}
			if args[2] != "inherit" {
				level, err := backend.ParseLevel(args[2])
				if err != nil {
					return err
				}
				set.Level = level
			}
			return c.with(cmd.Context(), func(ctx context.Context, b backend.Backend) error {
				cmds, err := c.forApps(ctx, b, &a, args[:1], verb{use: "loglevel", make: func(app, in string, _ backend.Intent) backend.Command {
					set.App, set.Instance = app, in
					return set
				}})
				if err != nil {
					return err
				}
				return c.do(ctx, b, &a, cmds)
			})
		},
	}
	a.flags(cmd)
	a.instanceFlag(c, cmd)
	cmd.Flags().DurationVar(&fuse, "for", 0, "go back to the old level after this `time`")
	return cmd
}
