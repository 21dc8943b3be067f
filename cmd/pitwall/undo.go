package main

import (
	"context"

	"github.com/spf13/cobra"

	"pitwall/backend"
)

func (c *cli) cancelCommand() *cobra.Command {
	return c.operationVerb("cancel OPERATION", "Call off an operation", func(id string, i backend.Intent) backend.Command {
		return backend.Cancel{Operation: id, Intent: i}
	})
}

func (c *cli) undoCommand() *cobra.Command {
	return c.operationVerb("undo OPERATION", "Do the inverse of an operation", func(id string, i backend.Intent) backend.Command {
		return backend.Undo{Operation: id, Intent: i}
	})
}

func (c *cli) operationVerb(use, short string, make func(string, backend.Intent) backend.Command) *cobra.Command {
	var a action
	cmd := &cobra.Command{
		Use: use, Short: short, Args: names(1, -1, "an operation"), ValidArgsFunction: c.complete(completeOperations),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, b backend.Backend) error {
				var cmds []named
				for _, id := range args {
					cmds = append(cmds, named{id, make(id, a.intent())})
				}
				return c.do(ctx, b, &a, cmds)
			})
		},
	}
	a.flags(cmd)
	return cmd
}
