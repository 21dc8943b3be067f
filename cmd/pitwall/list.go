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

// reader is a command that connects, reads and prints.
func (c *cli) reader(use, short string, args cobra.PositionalArgs, complete completion, read func(context.Context, backend.Backend, []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args, ValidArgsFunction: c.complete(complete),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, b backend.Backend) error { return read(ctx, b, args) })
		},
	}
}

func (c *cli) readCommands() []*cobra.Command {
	return []*cobra.Command{
		c.appsCommand(), c.instancesCommand(), c.jobsCommand(), c.runsCommand(), c.logsCommand(),
		c.loggersCommand(), c.eventsCommand(), c.operationsCommand(), c.releasesCommand(), c.routesCommand(),
		c.nodesCommand(), c.describeCommand(), c.envCommand(), c.waitCommand(), c.versionCommand(),
	}
}

func (c *cli) appsCommand() *cobra.Command {
	return c.reader("apps [NAME...]", "List apps, the worst first", names(0, -1, ""), completeApps, func(ctx context.Context, b backend.Backend, args []string) error {
		apps, err := listApps(ctx, b, args)
		if err != nil {
			return err
		}
		now := time.Now()
		return printList(c, apps, shortest(apps, scopeOfApp), []column[backend.App]{
			{title: "APP", cell: func(a backend.App) string { return a.Name }},
			{title: "TEAM", cell: func(a backend.App) string { return a.Team }},
			{title: "SPACE", wide: true, cell: func(a backend.App) string { return a.Space }},
			{title: "STATE", cell: appState},
			{title: "READY", right: true, cell: func(a backend.App) string { return fmt.Sprintf("%d/%d", a.Ready, a.Instances) }},
			{title: "RESTARTS", right: true, cell: func(a backend.App) string { return strconv.Itoa(a.Restarts) }},
			{title: "ERR/MIN", right: true, cell: func(a backend.App) string { return strconv.Itoa(a.ErrorsPerMinute) }},
			{title: "CPU", wide: true, right: true, cell: func(a backend.App) string { return fmt.Sprintf("%.2f", a.CPU) }},
			{title: "RSS", wide: true, right: true, cell: func(a backend.App) string { return size(a.RSS) }},
			{title: "CONNS", wide: true, right: true, cell: func(a backend.App) string { return strconv.Itoa(a.Connections) }},
			{title: "LOG", wide: true, right: true, cell: func(a backend.App) string { return size(a.LogBytes) }},
			{title: "RELEASE", wide: true, right: true, cell: func(a backend.App) string { return strconv.Itoa(a.Release) }},
			{title: "ROUTES", wide: true, cell: func(a backend.App) string { return routes(a.Routes) }},
			{title: "SINCE", right: true, cell: func(a backend.App) string { return age(a.Since, now) }},
			{title: "LAST WORDS", cell: func(a backend.App) string { return a.LastError }},
		})
	})
}

// listApps returns every app, or those named, each once; a name that is
// unknown is an error and nothing is returned.
func listApps(ctx context.Context, b backend.Backend, args []string) ([]backend.App, error) {
	if len(args) == 0 {
		return all(func(p backend.Page) (backend.List[backend.App], error) {
			return b.Apps(ctx, backend.AppQuery{Page: p})
		})
	}
	var apps []backend.App
	for _, name := range args {
		a, err := resolveApp(ctx, b, name)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(apps, func(b backend.App) bool { return b.ID == a.ID }) {
			apps = append(apps, a)
		}
	}
	return apps, nil
}

func appState(a backend.App) string {
	state := string(a.State)
	if a.Blocked {
		state += ", blocked"
	}
	if !a.Attached && a.Desired == backend.DesiredStarted {
		state += ", kicked"
	}
	return state
}

func routes(rs []backend.Route) string {
	var all []string
	for _, r := range rs {
		all = append(all, r.String())
	}
	return strings.Join(all, " ")
}

func (c *cli) instancesCommand() *cobra.Command {
	var ended bool
	cmd := c.reader("instances [APP|JOB...]", "List instances", names(0, -1, ""), completeTargets, func(ctx context.Context, b backend.Backend, args []string) error {
		apps, jobs, err := resolveIDs(ctx, b, args)
		if err != nil {
			return err
		}
		q := backend.InstanceQuery{Apps: apps, Jobs: jobs, Ended: ended}
		list, err := all(func(p backend.Page) (backend.List[backend.Instance], error) {
			q.Page = p
			return b.Instances(ctx, q)
		})
		if err != nil {
			return err
		}
		now := time.Now()
		return printList(c, list, func(i backend.Instance) string { return i.ID }, []column[backend.Instance]{
			{title: "INSTANCE", cell: func(i backend.Instance) string { return i.ID }},
			{title: "APP", wide: true, cell: func(i backend.Instance) string { return i.App + i.Job }},
			{title: "PLACE", cell: backend.Instance.Name},
			{title: "STATE", cell: func(i backend.Instance) string { return instanceState(i) }},
			{title: "READY", cell: func(i backend.Instance) string { return yesNo(i.Ready) }},
			{title: "PID", right: true, cell: func(i backend.Instance) string { return positive(i.PID) }},
			{title: "PORT", right: true, cell: func(i backend.Instance) string { return positive(i.Port) }},
			{title: "RUN", right: true, cell: func(i backend.Instance) string { return strconv.Itoa(i.Run) }},
			{title: "RESTARTS", right: true, cell: func(i backend.Instance) string { return strconv.Itoa(i.Restarts) }},
			{title: "CPU", right: true, cell: func(i backend.Instance) string { return fmt.Sprintf("%.2f", i.CPU) }},
			{title: "RSS", right: true, cell: func(i backend.Instance) string { return size(i.RSS) }},
			{title: "RELEASE", wide: true, right: true, cell: func(i backend.Instance) string { return strconv.Itoa(i.Release) }},
			{title: "CONNS", wide: true, right: true, cell: func(i backend.Instance) string { return strconv.Itoa(i.Connections) }},
			{title: "FDS", wide: true, right: true, cell: func(i backend.Instance) string { return strconv.Itoa(i.FDs) }},
			{title: "SINCE", right: true, cell: func(i backend.Instance) string { return age(i.Since, now) }},
			{title: "REASON", cell: func(i backend.Instance) string { return i.Reason }},
		})
	})
	cmd.Flags().BoolVar(&ended, "ended", false, "also those that were replaced and are still kept")
	return cmd
}

func instanceState(i backend.Instance) string {
	state := string(i.State)
	if i.Blocked {
		state += ", blocked"
	}
	return state
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func positive(n int) string {
	if n <= 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

func (c *cli) jobsCommand() *cobra.Command {
	return c.reader("jobs [NAME...]", "List jobs", names(0, -1, ""), completeJobs, func(ctx context.Context, b backend.Backend, args []string) error {
		var jobs []backend.Job
		var err error
		if len(args) == 0 {
			jobs, err = all(func(p backend.Page) (backend.List[backend.Job], error) { return b.Jobs(ctx, backend.JobQuery{Page: p}) })
		}
		for _, name := range args {
			var j backend.Job
			if j, err = resolveJob(ctx, b, name); err != nil {
				break
			}
			jobs = append(jobs, j)
		}
		if err != nil {
			return err
		}
		now := time.Now()
		return printList(c, jobs, shortest(jobs, scopeOfJob), []column[backend.Job]{
			{title: "JOB", cell: func(j backend.Job) string { return j.Name }},
			{title: "TEAM", cell: func(j backend.Job) string { return j.Team }},
			{title: "SCHEDULE", cell: func(j backend.Job) string { return orDash(j.Schedule) }},
			{title: "NEXT", cell: func(j backend.Job) string { return stamp(j.Next) }},
			{title: "RUNNING", right: true, cell: func(j backend.Job) string { return strconv.Itoa(j.Running) }},
			{title: "LAST", cell: func(j backend.Job) string {
				if j.Last == nil {
					return "-"
				}
				return string(j.Last.State)
			}},
			{title: "ENDED", right: true, cell: func(j backend.Job) string {
				if j.Last == nil {
					return "-"
				}
				return age(j.Last.Ended, now)
			}},
		})
	})
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (c *cli) runsCommand() *cobra.Command {
	return c.reader("runs [APP|JOB...]", "List runs, newest first", names(0, -1, ""), completeTargets, func(ctx context.Context, b backend.Backend, args []string) error {
		apps, jobs, err := resolveIDs(ctx, b, args)
		if err != nil {
			return err
		}
		q := backend.RunQuery{Apps: apps, Jobs: jobs}
		runs, err := all(func(p backend.Page) (backend.List[backend.Run], error) {
			q.Page = p
			return b.Runs(ctx, q)
		})
		if err != nil {
			return err
		}
		now := time.Now()
		return printList(c, runs, func(r backend.Run) string { return r.ID }, []column[backend.Run]{
			{title: "RUN", right: true, cell: func(r backend.Run) string { return strconv.Itoa(r.Number) }},
			{title: "OF", cell: func(r backend.Run) string { return r.App + r.Job }},
			{title: "INSTANCE", cell: func(r backend.Run) string { return orDash(r.Instance) }},
			{title: "STATE", cell: func(r backend.Run) string { return string(r.State) }},
			{title: "STARTED", cell: func(r backend.Run) string { return stamp(r.Started) }},
			{title: "LASTED", right: true, cell: func(r backend.Run) string { return short(r.Duration(now)) }},
			{title: "TRIGGER", wide: true, cell: func(r backend.Run) string { return orDash(r.Trigger) }},
			{title: "EXIT", cell: func(r backend.Run) string {
				if r.Exit == nil {
					return "-"
				}
				return r.Exit.String()
			}},
		})
	})
}

func (c *cli) eventsCommand() *cobra.Command {
	var follow bool
	var level string
	cmd := c.reader("events [APP|JOB]", "List what happened", names(0, 1, "one name"), completeTargets, func(ctx context.Context, b backend.Backend, args []string) error {
		return c.events(ctx, b, args, level, follow)
	})
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens next")
	cmd.Flags().StringVar(&level, "level", "", "this `level` and above")
	fixed(cmd, "level", levelWords()...)
	return cmd
}

func (c *cli) events(ctx context.Context, b backend.Backend, args []string, level string, follow bool) error {
	q := backend.EventQuery{Page: backend.Page{Limit: 200}}
	w := backend.WatchQuery{}
	if len(args) > 0 {
		t, err := resolve(ctx, b, args[0])
		if err != nil {
			return err
		}
		q.Owner, w.Ref = t.ref().ID, t.ref()
	}
	if level != "" {
		l, err := backend.ParseLevel(level)
		if err != nil {
			return err
		}
		q.Level = l
	}
	list, err := b.Events(ctx, q)
	if err != nil {
		return err
	}
	slices.Reverse(list.Items) // newest first on the wire; a person reads downwards in time
	if !follow {
		return c.printEvents(list.Items)
	}
	if err := c.printEventLines(list.Items); err != nil {
		return err
	}
	w.Since = list.Index
	feed, err := b.Watch(ctx, w)
	if err != nil {
		return err
	}
	defer feed.Close()
	return follows(ctx, feed, func(events []backend.Event) error {
		var told []backend.Event
		for _, e := range events {
			if e.Message != "" && e.Level.AtLeast(q.Level) {
				told = append(told, e)
			}
		}
		return c.printEventLines(told)
	})
}

func (c *cli) printEvents(events []backend.Event) error {
	return printList(c, events, func(e backend.Event) string { return strconv.FormatUint(e.Index, 10) }, []column[backend.Event]{
		{title: "TIME", cell: func(e backend.Event) string { return stamp(e.Time) }},
		{title: "LEVEL", cell: func(e backend.Event) string { return string(e.Level) }},
		{title: "OF", cell: func(e backend.Event) string { return orDash(e.Owner) }},
		{title: "BY", cell: func(e backend.Event) string { return orDash(e.Author) }},
		{title: "EVENT", cell: func(e backend.Event) string { return e.Message }},
	})
}

func (c *cli) printEventLines(events []backend.Event) error {
	for _, e := range events {
		if c.structured() {
			if err := c.printDocument(e); err != nil {
				return err
			}
			continue
		}
		c.println(fmt.Sprintf("%s  %-5s  %s  %s", stamp(e.Time), e.Level, orDash(e.Owner), e.Message))
	}
	return nil
}

func (c *cli) operationsCommand() *cobra.Command {
	var id string
	cmd := c.reader("operations [APP|JOB]", "List operations, newest first", names(0, 1, "one name"), completeTargets, func(ctx context.Context, b backend.Backend, args []string) error {
		q := backend.OperationQuery{Page: backend.Page{Limit: 200}}
		if len(args) > 0 {
			t, err := resolve(ctx, b, args[0])
			if err != nil {
				return err
			}
			q.Target = t.ref().ID
		}
		if id != "" {
			q.IDs = []string{id}
		}
		list, err := b.Operations(ctx, q)
		if err != nil {
			return err
		}
		if id != "" && len(list.Items) == 0 {
			return backend.Errorf(backend.NotFound, "there is no operation %q; pitwall operations lists them", id)
		}
		now := time.Now()
		return printList(c, list.Items, func(o backend.Operation) string { return o.ID }, []column[backend.Operation]{
			{title: "OPERATION", cell: func(o backend.Operation) string { return o.ID }},
			{title: "KIND", cell: func(o backend.Operation) string { return o.Kind }},
			{title: "TARGET", cell: func(o backend.Operation) string { return o.Target }},
			{title: "STATE", cell: func(o backend.Operation) string { return string(o.State) }},
			{title: "BY", cell: func(o backend.Operation) string { return o.Author }},
			{title: "FROM", cell: func(o backend.Operation) string { return o.Source }},
			{title: "AGO", right: true, cell: func(o backend.Operation) string { return age(o.Created, now) }},
			{title: "REASON", wide: true, cell: func(o backend.Operation) string { return orDash(o.Reason) }},
			{title: "OUTCOME", cell: func(o backend.Operation) string { return outcome(o) }},
		})
	})
	cmd.Flags().StringVar(&id, "id", "", "the one with this `id`")
	return cmd
}

// outcome is an operation's error, or what it last did.
func outcome(o backend.Operation) string {
	if o.Error != "" {
		return o.Error
	}
	if n := len(o.Steps); n > 0 {
		return strings.TrimSpace(o.Steps[n-1].Name + " " + o.Steps[n-1].Detail)
	}
	return "-"
}

func (c *cli) releasesCommand() *cobra.Command {
	return c.reader("releases APP", "List an app's releases, newest first", names(1, 1, "one app"), completeApps, func(ctx context.Context, b backend.Backend, args []string) error {
		app, err := resolveApp(ctx, b, args[0])
		if err != nil {
			return err
		}
		list, err := b.Releases(ctx, backend.ReleaseQuery{App: app.ID})
		if err != nil {
			return err
		}
		return printList(c, list.Items, func(r backend.Release) string { return strconv.Itoa(r.Number) }, []column[backend.Release]{
			{title: "RELEASE", right: true, cell: func(r backend.Release) string { return strconv.Itoa(r.Number) }},
			{title: "CURRENT", cell: func(r backend.Release) string { return yesNo(r.Current) }},
			{title: "CREATED", cell: func(r backend.Release) string { return stamp(r.Created) }},
			{title: "BY", cell: func(r backend.Release) string { return orDash(r.Author) }},
			{title: "CHANGES", cell: func(r backend.Release) string {
				if r.From > 0 {
					return fmt.Sprintf("back to release %d", r.From)
				}
				return fieldChanges(r.Diff)
			}},
		})
	})
}

func fieldChanges(fs []backend.FieldChange) string {
	var all []string
	for _, f := range fs {
		all = append(all, fmt.Sprintf("%s: %s → %s", f.Path, orDash(f.Old), orDash(f.New)))
	}
	return orDash(strings.Join(all, "; "))
}

func (c *cli) routesCommand() *cobra.Command {
	type row struct {
		App string `json:"app"`
		backend.Route
		Blocked     bool `json:"blocked"`
		Attached    bool `json:"attached"`
		Ready       int  `json:"ready"`
		Connections int  `json:"connections"`
	}
	return c.reader("routes [APP...]", "List the ways in through the edge", names(0, -1, ""), completeApps, func(ctx context.Context, b backend.Backend, args []string) error {
		apps, err := listApps(ctx, b, args)
		if err != nil {
			return err
		}
		var rows []row
		for _, a := range apps {
			for _, r := range a.Routes {
				rows = append(rows, row{App: a.Name, Route: r, Blocked: a.Blocked, Attached: a.Attached, Ready: a.Ready, Connections: a.Connections})
			}
		}
		return printList(c, rows, func(r row) string { return r.Route.String() }, []column[row]{
			{title: "ROUTE", cell: func(r row) string { return r.Route.String() }},
			{title: "APP", cell: func(r row) string { return r.App }},
			{title: "PROCESS", cell: func(r row) string { return orDash(r.Process) }},
			{title: "OPEN", cell: func(r row) string { return yesNo(!r.Blocked && r.Attached && r.Ready > 0) }},
			{title: "CONNS", right: true, cell: func(r row) string { return strconv.Itoa(r.Connections) }},
		})
	})
}

func (c *cli) nodesCommand() *cobra.Command {
	return c.reader("nodes", "List the machines that run instances", noArgs, nil, func(ctx context.Context, b backend.Backend, _ []string) error {
		list, err := b.Nodes(ctx, backend.NodeQuery{})
		if err != nil {
			return err
		}
		return printList(c, list.Items, func(n backend.Node) string { return n.Name }, []column[backend.Node]{
			{title: "NODE", cell: func(n backend.Node) string { return n.Name }},
			{title: "STATE", cell: func(n backend.Node) string { return n.State }},
			{title: "ENGINE", cell: func(n backend.Node) string { return n.Engine }},
			{title: "VERSION", cell: func(n backend.Node) string { return n.Version }},
			{title: "INSTANCES", right: true, cell: func(n backend.Node) string { return strconv.Itoa(n.Instances) }},
			{title: "LOAD", right: true, cell: func(n backend.Node) string { return fmt.Sprintf("%.2f/%d", n.Load, n.CPUs) }},
			{title: "MEMORY FREE", right: true, cell: func(n backend.Node) string { return size(n.MemoryFree) + "/" + size(n.Memory) }},
			{title: "DISK FREE", right: true, cell: func(n backend.Node) string { return size(n.DiskFree) + "/" + size(n.Disk) }},
			{title: "LIMITS", cell: func(n backend.Node) string { return "cgroup " + n.Cgroup }},
			{title: "REASON", cell: func(n backend.Node) string { return orDash(n.Reason) }},
		})
	})
}

func (c *cli) loggersCommand() *cobra.Command {
	return c.reader("loggers APP", "List an app's loggers and their levels", names(1, 1, "one app"), completeApps, func(ctx context.Context, b backend.Backend, args []string) error {
		app, err := resolveApp(ctx, b, args[0])
		if err != nil {
			return err
		}
		list, err := b.Loggers(ctx, backend.LoggerQuery{App: app.ID})
		if err != nil {
			return err
		}
		if len(list.Items) == 0 && !app.Levels && c.output == "table" {
			c.println(app.Name + " has no levels: its manifest does not say `levels: file`; --level of pitwall logs filters what it wrote")
			return nil
		}
		now := time.Now()
		return printList(c, list.Items, func(l backend.Logger) string { return l.Name }, []column[backend.Logger]{
			{title: "LOGGER", cell: func(l backend.Logger) string { return l.Name }},
			{title: "LEVEL", cell: func(l backend.Logger) string {
				if l.Level == "" {
					return "(default)"
				}
				return string(l.Level)
			}},
			{title: "BACK IN", right: true, cell: func(l backend.Logger) string {
				if l.Until.IsZero() {
					return "-"
				}
				return short(l.Until.Sub(now))
			}},
			{title: "DIFFERS ON", cell: func(l backend.Logger) string { return orDash(differing(l.Instances)) }},
		})
	})
}

// differing lists levels that are not the app's: "web-main-0-7fk2q debug".
func differing(levels map[string]backend.Level) string {
	var all []string
	for _, id := range slices.Sorted(maps.Keys(levels)) {
		all = append(all, id+" "+string(levels[id]))
	}
	return strings.Join(all, ", ")
}
