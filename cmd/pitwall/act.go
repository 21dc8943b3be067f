package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pitwall/backend"
	"pitwall/ui/safe"
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

func (a *action) intent() backend.Intent {
	return backend.Intent{Reason: a.reason, Key: a.key, Source: source, NoQueue: a.noQueue}
}

func (a *action) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVarP(&a.wait, "wait", "w", false, "print the steps as they end and exit by the outcome")
	f.StringVar(&a.reason, "reason", "", "why, in your `words`; kept with the operation")
	f.StringVar(&a.key, "key", "", "an idempotency `key`: asking again with it is the same operation")
	f.BoolVar(&a.noQueue, "no-queue", false, "fail with a conflict instead of waiting for another operation")
}

func (a *action) targetFlags(c *cli, cmd *cobra.Command, instances bool) {
	a.flags(cmd)
	cmd.Flags().BoolVar(&a.all, "all", false, "every app")
	if instances {
		cmd.Flags().StringVar(&a.instance, "instance", "", "only the `instance` with this id, place (main.0) or index")
		_ = cmd.RegisterFlagCompletionFunc("instance", c.complete(completeInstances))
	}
}

// verb is an action on apps.
type verb struct {
	use, short, long string
	instance         bool // can act on one instance
	make             func(app, instance string, i backend.Intent) backend.Command
}

func verbs() []verb {
	return []verb{
		{
			use: "start", short: "Start apps", instance: true,
			long: "Starts apps that are stopped, or have failed, and puts them back on the edge.",
			make: func(app, in string, i backend.Intent) backend.Command {
				return backend.Start{App: app, Instance: in, Intent: i}
			},
		},
		{
			use: "stop", short: "Stop apps", instance: true,
			long: "Stops every instance with its signal and grace; what is left then is killed.",
			make: func(app, in string, i backend.Intent) backend.Command {
				return backend.Stop{App: app, Instance: in, Intent: i}
			},
		},
		{
			use: "restart", short: "Restart apps, one instance after the other", instance: true,
			long: "For each instance, a new one must be ready before the old one is drained and stopped.\nThe first that does not become ready stops the roll and leaves the rest alone.",
			make: func(app, in string, i backend.Intent) backend.Command {
				return backend.Restart{App: app, Instance: in, Intent: i}
			},
		},
		{
			use: "force-restart", short: "Restart apps at once, without grace", instance: true,
			long: "Kills every instance and starts it again. Cancels what runs on the app.",
			make: func(app, in string, i backend.Intent) backend.Command {
				return backend.ForceRestart{App: app, Instance: in, Intent: i}
			},
		},
		{
			use: "block", short: "Refuse new connections at the edge", instance: true,
			long: "New requests get 503 and new connections are reset; open ones live on, and so do the\ninstances. Holds over a restart of the server. Connections made past the edge are not seen.",
			make: func(app, in string, i backend.Intent) backend.Command {
				return backend.Block{App: app, Instance: in, Intent: i}
			},
		},
		{
			use: "unblock", short: "Accept new connections again", instance: true,
			make: func(app, in string, i backend.Intent) backend.Command {
				return backend.Unblock{App: app, Instance: in, Intent: i}
			},
		},
		{
			use: "kick", short: "Close open connections and leave the edge", instance: true,
			long: "Closes every connection through the edge at once; the app stays off the edge until\nattach, start or a restart. Connections made past the edge are not seen.",
			make: func(app, in string, i backend.Intent) backend.Command {
				return backend.Kick{App: app, Instance: in, Intent: i}
			},
		},
		{
			use: "attach", short: "Put kicked apps back on the edge", instance: true,
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
	a.targetFlags(c, cmd, v.instance)
	return cmd
}

// named is a command and the name of what it acts on.
type named struct {
	name string
	cmd  backend.Command
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
	var cmds []named
	for _, app := range apps {
		instance := ""
		if a.instance != "" {
			in, err := resolveInstance(ctx, b, backend.InstanceQuery{Apps: []string{app.ID}}, a.instance)
			if err != nil {
				return nil, err
			}
			instance = in.ID
		}
		cmds = append(cmds, named{app.Name, v.make(app.ID, instance, a.intent())})
	}
	return cmds, nil
}

// do confirms and carries out commands, and prints their operations.
func (c *cli) do(ctx context.Context, b backend.Backend, a *action, cmds []named) error {
	if err := c.confirm(cmds, a.all); err != nil {
		return err
	}
	if !a.wait {
		var failed error
		for _, n := range cmds {
			res, err := b.Do(ctx, n.cmd)
			if err != nil {
				failed = c.oneFailed(failed, n, err, len(cmds) > 1)
				continue
			}
			if err := c.printOperation(res.Operation); err != nil {
				return err
			}
		}
		return failed
	}
	return c.doAndWait(ctx, b, cmds)
}

// oneFailed tells of one failure among several and keeps the first.
func (c *cli) oneFailed(first error, n named, err error, several bool) error {
	if !several {
		return err
	}
	fmt.Fprintf(c.err, "pitwall: %s: %s\n", n.name, safe.Clean(err.Error()))
	if first == nil {
		return silent{err}
	}
	return first
}

// doAndWait starts all, then follows them together until the last has ended.
func (c *cli) doAndWait(ctx context.Context, b backend.Backend, cmds []named) error {
	feed, err := b.Watch(ctx, backend.WatchQuery{Kinds: []backend.Kind{backend.KindOperation}})
	if err != nil {
		return err
	}
	defer feed.Close()
	open := map[string]backend.Operation{}
	var failed error
	for _, n := range cmds {
		res, err := b.Do(ctx, n.cmd)
		if err != nil {
			failed = c.oneFailed(failed, n, err, len(cmds) > 1)
			continue
		}
		open[res.Operation.ID] = backend.Operation{}
		if ended, err := c.progress(open, res.Operation); ended {
			failed = firstError(failed, err)
		}
	}
	if len(open) == 0 {
		return failed
	}
	err = follows(ctx, feed, func(events []backend.Event) error {
		for _, e := range events {
			if e.Op == nil {
				continue
			}
			if ended, err := c.progress(open, *e.Op); ended {
				failed = firstError(failed, err)
			}
		}
		if len(open) == 0 {
			return errDone
		}
		return nil
	})
	return firstError(failed, err)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// progress prints what is new of an operation that is waited for. It reports
// whether the operation has ended, and its failure.
func (c *cli) progress(open map[string]backend.Operation, op backend.Operation) (bool, error) {
	old, waited := open[op.ID]
	if !waited {
		return false, nil
	}
	open[op.ID] = op
	if c.output == "table" || c.output == "wide" {
		c.printSteps(old, op)
	}
	if !op.State.Ended() {
		return false, nil
	}
	delete(open, op.ID)
	if err := c.printOperation(op); err != nil {
		return true, err
	}
	if op.State == backend.OperationSucceeded {
		return true, nil
	}
	code := op.Code
	switch {
	case op.State == backend.OperationCanceled:
		code = backend.Canceled
	case code == "":
		code = backend.Internal
	}
	// The operation has been printed with its error; only the exit code is left.
	return true, silent{&backend.Error{Code: outcomeCode(code), Err: errors.New(op.Error)}}
}

// outcomeCode keeps the exit code of a failed operation 1, whatever failed in
// it: the command line itself was right.
func outcomeCode(code backend.Code) backend.Code {
	if code == backend.Timeout || code == backend.Denied {
		return code
	}
	return backend.Internal
}

func (c *cli) printSteps(old, op backend.Operation) {
	for i, s := range op.Steps {
		if i < len(old.Steps) && old.Steps[i].State == s.State || !s.State.Ended() {
			continue
		}
		mark := map[backend.OperationState]string{
			backend.OperationSucceeded: "✓", backend.OperationFailed: "✗", backend.OperationCanceled: "–",
		}[s.State]
		line := fmt.Sprintf("  %s %s", mark, s.Name)
		if s.Detail != "" {
			line += ": " + s.Detail
		}
		if d := s.Ended.Sub(s.Started); !s.Started.IsZero() && d >= 50*time.Millisecond {
			line += fmt.Sprintf(" (%.1fs)", d.Seconds())
		}
		c.println(line)
	}
}

func (c *cli) printOperation(op backend.Operation) error {
	switch c.output {
	case "json":
		return c.printJSON(op)
	case "yaml":
		return c.printYAML(op)
	case "name":
		c.println(op.ID)
		return nil
	}
	line := fmt.Sprintf("%s %s: %s", op.Kind, op.Target, op.State)
	if op.State == backend.OperationSucceeded && !op.Started.IsZero() {
		line += fmt.Sprintf(" in %.1fs", op.Ended.Sub(op.Started).Seconds())
	}
	if op.Error != "" {
		line += ": " + op.Error
	}
	c.println(line + "  (operation " + op.ID + ")")
	return nil
}

// println prints a line with nothing in it that a terminal would obey.
func (c *cli) println(s string) { fmt.Fprintln(c.out, safe.Clean(s)) }

// confirm asks before what loses work. Without a terminal it wants --yes.
func (c *cli) confirm(cmds []named, all bool) error {
	risk := backend.RiskNone
	for _, n := range cmds {
		risk = max(risk, backend.RiskOf(n.cmd))
	}
	if all && risk > backend.RiskNone {
		risk++
	}
	if risk < backend.RiskMedium || c.yes || len(cmds) == 0 {
		return nil
	}
	question := cmds[0].cmd.Verb() + " " + listed(cmds)
	if !c.terminal {
		return usagef("%s asks for a confirm and there is no terminal: add --yes", question)
	}
	fmt.Fprintf(c.err, "%s? [y/N] ", safe.Clean(question))
	line, _ := bufio.NewReader(c.in).ReadString('\n')
	if a := strings.ToLower(strings.TrimSpace(line)); a != "y" && a != "yes" {
		return backend.Errorf(backend.Canceled, "nothing was done")
	}
	return nil
}

// listed names what commands act on: up to five names, then a number.
func listed(cmds []named) string {
	var names []string
	for i, n := range cmds {
		if i == 5 {
			names = append(names, fmt.Sprintf("and %d more", len(cmds)-5))
			break
		}
		names = append(names, n.name)
	}
	return strings.Join(names, ", ")
}

func (c *cli) scaleCommand() *cobra.Command {
	var a action
	cmd := &cobra.Command{
		Use: "scale APP [PROCESS=]N...", Short: "Set how many instances run",
		Long:    "Sets the number of instances of a process; of the first one when no PROCESS is named.",
		Example: "  pitwall scale web 3\n  pitwall scale web main=3 worker=2",
		Args:    names(2, -1, "an app and a number"), ValidArgsFunction: c.complete(completeApps),
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
	a.targetFlags(c, cmd, false)
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

func (c *cli) loglevelCommand() *cobra.Command {
	var a action
	var fuse time.Duration
	cmd := &cobra.Command{
		Use: "loglevel APP [LOGGER LEVEL]", Short: "Show or set log levels",
		Long:    "Without LOGGER and LEVEL lists the loggers. The logger `default` is the level of all that have none;\nthe level `inherit` removes a logger's own.",
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
	a.targetFlags(c, cmd, true)
	_ = cmd.Flags().MarkHidden("all")
	cmd.Flags().DurationVar(&fuse, "for", 0, "go back to the old level after this `time`")
	return cmd
}

func (c *cli) rollbackCommand() *cobra.Command {
	var a action
	cmd := &cobra.Command{
		Use: "rollback APP [RELEASE]", Short: "Make an earlier release the present one", Args: names(1, 2, "an app"), ValidArgsFunction: c.complete(completeApps),
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

func (c *cli) signalCommand() *cobra.Command {
	var a action
	cmd := &cobra.Command{
		Use: "signal SIGNAL APP... | --all", Short: "Send a signal to the main process of instances", Args: names(1, -1, "a signal and an app"),
		Example: "  pitwall signal HUP web\n  pitwall signal USR1 web --instance main.0",
		RunE: func(cmd *cobra.Command, args []string) error {
			sig := strings.TrimPrefix(strings.ToUpper(args[0]), "SIG")
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
	a.targetFlags(c, cmd, true)
	return cmd
}
