package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"pitwall/backend"
)

func (c *cli) signalCommand() *cobra.Command {
	var a action
	cmd := &cobra.Command{
		Use: "signal SIGNAL APP... | --all", Short: "Send a signal to the main process of instances", Args: names(1, -1, "a signal and an app"), ValidArgsFunction: c.complete(completeSignal),
		Example: "  pitwall signal HUP web\n  pitwall signal USR1 web --instance main.0",
		RunE: func(cmd *cobra.Command, args []string) error {
			sig := strings.TrimPrefix(strings.ToUpper(args[0]), "SIG")
			if unix.SignalNum("SIG"+sig) == 0 {
				return usagef("%q is not a signal: write a name such as HUP, USR1 or TERM, then the app", args[0])
			}
			return c.with(cmd.Context(), func(ctx context.Context, b backend.Backend) error {
				cmds, err := c.forApps(ctx, b, &a, args[1:], verb{use: "signal", make: func(app, in string, i backend.Intent) backend.Command {
					return backend.Signal{App: app, Instance: in, Signal: sig, Intent: i}
				}})
				if err != nil {
					return err
				}
				return c.do(ctx, b, &a, cmds)
			})
		},
	}
	a.targetFlags(c, cmd)
	return cmd
}
