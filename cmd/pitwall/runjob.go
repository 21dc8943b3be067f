package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"pitwall/backend"
)

func (c *cli) runCommand() *cobra.Command {
	var a action
	var env []string
	cmd := &cobra.Command{
		Use: "run JOB...", Short: "Start a run of a job", Args: names(1, -1, "a job"), ValidArgsFunction: c.complete(completeJobs),
		RunE: func(cmd *cobra.Command, args []string) error {
			vars := map[string]string{}
			for _, kv := range env {
				k, v, ok := strings.Cut(kv, "=")
				if !ok || k == "" {
					return usagef("--env %q: write NAME=VALUE", kv)
				}
				vars[k] = v
			}
			return c.with(cmd.Context(), func(ctx context.Context, b backend.Backend) error {
				var cmds []named
				for _, name := range args {
					j, err := resolveJob(ctx, b, name)
					if err != nil {
						return err
					}
					cmds = append(cmds, named{j.Name, backend.RunJob{Job: j.ID, Env: vars, Intent: a.intent()}})
				}
				return c.do(ctx, b, &a, cmds)
			})
		},
	}
	a.flags(cmd)
	cmd.Flags().StringArrayVar(&env, "env", nil, "an environment variable for this run, `NAME=VALUE`")
	return cmd
}
