package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pitwall/backend"
)

// describeCommand prints all that is known of one app or job.
func (c *cli) describeCommand() *cobra.Command {
	return c.reader("describe APP|JOB", "Print all that is known of an app or a job", names(1, 1, "one app or job"), completeTargets, func(ctx context.Context, b backend.Backend, args []string) error {
		t, err := resolve(ctx, b, args[0])
		if err != nil {
			return err
		}
		if t.job != nil {
			return c.describeJob(ctx, b, *t.job)
		}
		return c.describeApp(ctx, b, *t.app)
	})
}

// description is what describe gives of an app.
type description struct {
	App        backend.App        `json:"app"`
	Instances  []backend.Instance `json:"instances"`
	Releases   []backend.Release  `json:"releases"`
	Operations []operationOut     `json:"operations"`
	Events     []backend.Event    `json:"events"`
}

func (c *cli) describeApp(ctx context.Context, b backend.Backend, a backend.App) error {
	instances, err := b.Instances(ctx, backend.InstanceQuery{Apps: []string{a.ID}})
	if err != nil {
		return err
	}
	releases, err := b.Releases(ctx, backend.ReleaseQuery{App: a.ID, Page: backend.Page{Limit: 5}})
	if err != nil {
		return err
	}
	ops, err := b.Operations(ctx, backend.OperationQuery{Target: a.ID, Page: backend.Page{Limit: 5}})
	if err != nil {
		return err
	}
	events, err := b.Events(ctx, backend.EventQuery{Owner: a.ID, Page: backend.Page{Limit: 10}})
	if err != nil {
		return err
	}
	d := description{
		outApp(a), list(instances.Items), list(releases.Items), each(ops.Items, outOperation), list(events.Items),
	}
	switch {
	case c.structured():
		return c.printStructured(d)
	case c.output == "name":
		c.println(a.Name)
		return nil
	}
	c.printDescription(d)
	return nil
}

func (c *cli) printDescription(d description) {
	a, now := d.App, time.Now()
	c.field("app", a.Qualify(a.Name)+"  "+a.ID)
	c.field("state", fmt.Sprintf("%s for %s, %d/%d ready", appState(a), age(a.Since, now), a.Ready, a.Instances))
	if a.Blocked {
		c.field("blocked", fmt.Sprintf("by %s %s ago: %s", orDash(a.BlockedBy), age(a.BlockedAt, now), orDash(a.BlockedReason)))
	}
	c.field("errors", fmt.Sprintf("%d a minute", a.ErrorsPerMinute))
	if a.LastError != "" {
		words := a.LastError
		if !a.LastErrorAt.IsZero() {
			words += fmt.Sprintf(" (%s ago)", age(a.LastErrorAt, now))
		}
		c.field("last words", words)
	}
	c.field("routes", orDash(routes(a.Routes)))
	for _, p := range a.Spec.Processes {
		c.field("process", fmt.Sprintf("%s × %d: %s", p.Name, p.Instances, commandLine(p.Command)))
	}
	for _, i := range d.Instances {
		c.field("instance", fmt.Sprintf("%s %s run %d pid %s port %s %s", i.ID, instanceState(i), i.Run, positive(i.PID), positive(i.Port), i.Reason))
	}
	for _, r := range d.Releases {
		c.field("release", fmt.Sprintf("%d %s by %s: %s", r.Number, stamp(r.Created), orDash(r.Author), fieldChanges(r.Diff)))
	}
	for _, o := range d.Operations {
		c.field("operation", fmt.Sprintf("%s %s %s by %s: %s", stamp(o.Created), o.Kind, o.State, o.Author, outcome(o.Operation)))
	}
	for _, e := range slices.Backward(d.Events) {
		c.field("event", fmt.Sprintf("%s %s", stamp(e.Time), e.Message))
	}
}

func (c *cli) field(name, value string) { c.println(fmt.Sprintf("%-11s %s", name, value)) }

func commandLine(l backend.CommandLine) string {
	if l.Shell != "" {
		return "sh -c " + strconv.Quote(l.Shell)
	}
	var words []string
	for _, a := range l.Args {
		if a == "" || strings.ContainsAny(a, " \t\n\"'\\$") {
			a = strconv.Quote(a)
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

func (c *cli) describeJob(ctx context.Context, b backend.Backend, j backend.Job) error {
	runs, err := b.Runs(ctx, backend.RunQuery{Jobs: []string{j.ID}, Page: backend.Page{Limit: 10}})
	if err != nil {
		return err
	}
	d := struct {
		Job  backend.Job   `json:"job"`
		Runs []backend.Run `json:"runs"`
	}{j, list(runs.Items)}
	switch {
	case c.structured():
		return c.printStructured(d)
	case c.output == "name":
		c.println(j.Name)
		return nil
	}
	now := time.Now()
	c.field("job", j.Qualify(j.Name)+"  "+j.ID)
	c.field("schedule", orDash(j.Schedule))
	c.field("next", stamp(j.Next))
	c.field("command", commandLine(j.Spec.Command))
	for _, r := range runs.Items {
		exit := "-"
		if r.Exit != nil {
			exit = r.Exit.String()
		}
		c.field("run", fmt.Sprintf("%d %s %s, lasted %s: %s", r.Number, r.State, stamp(r.Started), short(r.Duration(now)), exit))
	}
	return nil
}

func (c *cli) envCommand() *cobra.Command {
	return c.reader("env APP", "Print the environment that an app declares", names(1, 1, "one app"), completeApps, func(ctx context.Context, b backend.Backend, args []string) error {
		app, err := resolveApp(ctx, b, args[0])
		if err != nil {
			return err
		}
		keys := slices.Sorted(maps.Keys(app.Spec.Env))
		switch {
		case c.structured():
			env := map[string]string{} // never null
			maps.Copy(env, app.Spec.Env)
			return c.printStructured(env)
		case c.output == "name":
			for _, k := range keys {
				c.println(k)
			}
			return nil
		}
		for _, k := range keys {
			c.println(k + "=" + app.Spec.Env[k])
		}
		return nil
	})
}
