package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"pitwall/backend"
)

func (c *cli) rollbackCommand() *cobra.Command {
	var a action
	cmd := &cobra.Command{
		Use: "rollback APP [RELEASE]", Short: "Make an earlier release the present one", Args: names(1, 2, "an app"), ValidArgsFunction: c.complete(completeRollback),
		Long: "Makes a new release of what an earlier one was, the one before the present when none is named.",
		RunE: func(cmd *cobra.Command, args []string) error {
			release := 0
			if len(args) == 2 {
				n, err := strconv.Atoi(strings.TrimPrefix(args[1], "v"))
				if err != nil || n < 1 {
					return usagef("%q is not the number of a release; pitwall releases %s lists them", args[1], args[0])
				}
				release = n
			}
			return c.with(cmd.Context(), func(ctx context.Context, b backend.Backend) error {
				app, err := resolveApp(ctx, b, args[0])
				if err != nil {
					return err
				}
				return c.do(ctx, b, &a, []named{{app.Name, backend.Rollback{App: app.ID, Release: release, Intent: a.intent()}}})
			})
		},
	}
	a.flags(cmd)
	return cmd
}
