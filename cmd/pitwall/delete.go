package main

import (
	"context"

	"github.com/spf13/cobra"

	"pitwall/backend"
)

func (c *cli) deleteCommand() *cobra.Command {
	var a action
	cmd := &cobra.Command{
		Use: "delete APP|JOB... | --all", Short: "Stop and remove apps and jobs",
		Long: "Stops and removes apps and jobs. Their logs are kept until retention removes them.", ValidArgsFunction: c.complete(completeTargets),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.all == (len(args) > 0) {
				return usagef("delete needs the name of an app or a job, or --all")
			}
			return c.with(cmd.Context(), func(ctx context.Context, b backend.Backend) error {
				targets, err := targetsOf(ctx, b, args)
				if err != nil {
					return err
				}
				var cmds []named
				for _, t := range targets {
					d := backend.Delete{Intent: a.intent()}
					if t.job != nil {
						d.Job = t.job.ID
					} else {
						d.App = t.app.ID
					}
					cmds = append(cmds, named{t.name(), d})
				}
				return c.do(ctx, b, &a, cmds)
			})
		},
	}
	a.flags(cmd)
	cmd.Flags().BoolVar(&a.all, "all", false, "every app and job")
	return cmd
}

// targetsOf resolves names, or, without any, returns every app and job.
func targetsOf(ctx context.Context, b backend.Backend, args []string) ([]target, error) {
	var targets []target
	for _, name := range args {
		t, err := resolve(ctx, b, name)
		if err != nil {
			return nil, err
		}
		targets = append(targets, t)
	}
	if len(args) > 0 {
		return targets, nil
	}
	apps, err := listApps(ctx, b, nil)
	if err != nil {
		return nil, err
	}
	for i := range apps {
		targets = append(targets, target{app: &apps[i]})
	}
	jobs, err := all(func(p backend.Page) (backend.List[backend.Job], error) { return b.Jobs(ctx, backend.JobQuery{Page: p}) })
	for i := range jobs {
		targets = append(targets, target{job: &jobs[i]})
	}
	return targets, err
}
