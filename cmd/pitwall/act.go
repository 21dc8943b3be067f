package main

import (
	"context"

	"github.com/spf13/cobra"

	"pitwall/backend"
)

// action holds the flags that every acting command has.
type action struct {
	wait     bool
	reason   string
	key      string
	noQueue  bool
	all      bool
	instance string
}

// source is what operations asked on the command line say of their door.
const source = "cli"

// intent goes with every command of one command line. It always has a key, so
// that asking again, where a server went away, is no second operation.
func (a *action) intent() backend.Intent {
	if a.key == "" {
		a.key = randomHex(16)
	}
	return backend.Intent{Reason: a.reason, Key: a.key, Source: source, NoQueue: a.noQueue}
}

func (a *action) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVarP(&a.wait, "wait", "w", false, "print the steps as they end and exit by the outcome")
	f.StringVar(&a.reason, "reason", "", "why, in your `words`; kept with the operation")
	f.StringVar(&a.key, "key", "", "an idempotency `key`: asking again with it is the same operation")
	f.BoolVar(&a.noQueue, "no-queue", false, "fail with a conflict instead of waiting for another operation")
}

func (a *action) targetFlags(c *cli, cmd *cobra.Command) {
	a.flags(cmd)
	cmd.Flags().BoolVar(&a.all, "all", false, "every app")
	a.instanceFlag(c, cmd)
}

func (a *action) instanceFlag(c *cli, cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.instance, "instance", "", "only the `instance` with this id, place (main.0) or index")
	_ = cmd.RegisterFlagCompletionFunc("instance", c.complete(completeInstances)) // fails for an unknown flag only
}

// verb is an action on apps.
type verb struct {
	use, short, long string
	make             func(app, instance string, i backend.Intent) backend.Command
}

func verbs() []verb {
	return []verb{
		{
			use: "start", short: "Start apps",
			long: "Starts apps that are stopped, or have failed, and puts them back on the edge.",
			make: func(app, in string, i backend.Intent) backend.Command {
				return backend.Start{App: app, Instance: in, Intent: i}
			},
		},
		{
			use: "stop", short: "Stop apps",
			long: "Stops every instance with its signal and grace; what is left then is killed.",
			make: func(app, in string, i backend.Intent) backend.Command {
				return backend.Stop{App: app, Instance: in, Intent: i}
			},
		},
		{
			use: "restart", short: "Restart apps, one instance after the other",
			long: "For each instance, a new one must be ready before the old one is drained and stopped. The first that does not become ready stops the roll and leaves the rest alone.",
			make: func(app, in string, i backend.Intent) backend.Command {
				return backend.Restart{App: app, Instance: in, Intent: i}
			},
		},
		{
			use: "force-restart", short: "Restart apps at once, without grace",
			long: "Kills every instance and starts it again. Cancels what runs on the app.",
			make: func(app, in string, i backend.Intent) backend.Command {
				return backend.ForceRestart{App: app, Instance: in, Intent: i}
			},
		},
		{
			use: "block", short: "Refuse new connections at the edge",
			long: "New requests get 503 and new connections are reset; open ones live on, and so do the instances. Holds over a restart of the server. Connections made past the edge are not seen.",
			make: func(app, in string, i backend.Intent) backend.Command {
				return backend.Block{App: app, Instance: in, Intent: i}
			},
		},
		{
			use: "unblock", short: "Accept new connections again",
			make: func(app, in string, i backend.Intent) backend.Command {
				return backend.Unblock{App: app, Instance: in, Intent: i}
			},
		},
		{
			use: "kick", short: "Close open connections and leave the edge",
			long: "Closes every connection through the edge at once; the app stays off the edge until attach, start or a restart. Connections made past the edge are not seen.",
			make: func(app, in string, i backend.Intent) backend.Command {
				return backend.Kick{App: app, Instance: in, Intent: i}
			},
		},
		{
			use: "attach", short: "Put kicked apps back on the edge",
			make: func(app, in string, i backend.Intent) backend.Command {
				return backend.Attach{App: app, Instance: in, Intent: i}
			},
		},
	}
}

func (c *cli) actCommands() []*cobra.Command {
	var cmds []*cobra.Command
	for _, v := range verbs() {
		cmds = append(cmds, c.verbCommand(v))
	}
	return append(cmds, c.applyCommand(), c.scaleCommand(), c.deleteCommand(), c.runCommand(), c.cancelCommand(),
		c.undoCommand(), c.loglevelCommand(), c.rollbackCommand(), c.signalCommand(), c.execCommand(), c.shellCommand())
}

func (c *cli) verbCommand(v verb) *cobra.Command {
	var a action
	cmd := &cobra.Command{
		Use: v.use + " APP... | --all", Short: v.short, Long: v.long, ValidArgsFunction: c.complete(completeApps),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, b backend.Backend) error {
				cmds, err := c.forApps(ctx, b, &a, args, v)
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

// forApps makes the commands for the apps that a command line names. Nothing
// is done when one of the names is unknown.
func (c *cli) forApps(ctx context.Context, b backend.Backend, a *action, args []string, v verb) ([]named, error) {
	switch {
	case a.all && len(args) > 0:
		return nil, usagef("give names or --all, not both")
	case !a.all && len(args) == 0:
		return nil, usagef("%s needs the name of an app, or --all", v.use)
	case a.instance != "" && len(args) != 1:
		return nil, usagef("--instance goes with one app")
	}
	apps, err := listApps(ctx, b, args)
	if err != nil {
		return nil, err
	}
	instance := ""
	if a.instance != "" {
		in, err := resolveInstance(ctx, b, backend.InstanceQuery{Apps: []string{apps[0].ID}}, a.instance)
		if err != nil {
			return nil, err
		}
		instance = in.ID
	}
	name := shortest(apps, scopeOfApp)
	var cmds []named
	for _, app := range apps {
		cmds = append(cmds, named{name(app), v.make(app.ID, instance, a.intent())})
	}
	return cmds, nil
}
