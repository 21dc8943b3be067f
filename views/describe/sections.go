package describe

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/present"
	"pitwall/ui/safe"
)

// rows draws the whole page; a screen shows a part of it.
func (v *view) rows() []string {
	p := &page{th: v.deps.Theme, width: v.width, stale: v.cut || v.err != nil}
	a := v.about
	switch {
	case a.app != nil && v.place.Arg == "releases":
		v.releases(p, a.releases)
	case a.app != nil:
		v.app(p, *a.app)
		v.spec(p, a.app.Spec)
		v.instances(p, a.instances)
		v.releases(p, a.releases)
		v.history(p)
	case a.instance != nil:
		v.instance(p, *a.instance)
		v.runs(p, a.runs)
	case a.job != nil:
		v.job(p, *a.job)
		v.history(p)
	case a.run != nil:
		v.run(p, *a.run)
	case a.operation != nil:
		v.operation(p, *a.operation)
	}
	return p.rows
}

// ago writes a time of the day and how long ago it was.
func (v *view) ago(t backend.Time) safe.Text {
	if t.IsZero() {
		return safe.Text{}
	}
	return present.Text("%s, %s ago", present.Clock(t, v.deps.Now()), v.deps.Age(t))
}

func (v *view) app(p *page, a backend.App) {
	l := safe.Literal
	w := present.App(a, v.deps.Now())
	p.title(safe.Clean(a.Qualify(a.Name)), w)
	p.field(l("about"), safe.Clean(a.Spec.Description))
	p.styled(l("last words"), present.LastWords(backend.App{LastError: a.LastError, Attached: true}), p.th.Bad)
	p.field(l("since"), v.ago(a.Since))
	p.field(l("ready"), present.Text("%d of %d instances, %s", a.Ready, a.Instances, ui.Plural(a.Restarts, "restart")))
	if a.Blocked {
		p.styled(l("blocked"), safe.Join(safe.Literal(" "), present.LastWords(a), v.ago(a.BlockedAt)), p.th.Blocked)
	}
	if !a.Attached && a.State != backend.AppStopped {
		p.styled(l("kicked"), l("no connection comes in until attach, start or a restart"), p.th.Blocked)
	}
	p.field(l("errors"), present.Text("%d in the last minute", a.ErrorsPerMinute))
	p.field(l("uses"), safe.Join(l(" "), usage(a.CPU, a.RSS, a.Connections), present.Text("· %s of log kept", ui.Bytes(a.LogBytes))))
	p.field(l("release"), present.Number(a.Release))
	p.field(l("operation"), safe.Clean(a.Operation))
	p.field(l("id"), safe.Clean(a.ID))
	p.head(l("ROUTES"))
	if len(a.Routes) == 0 {
		p.none(l("none: nothing reaches it through the edge"))
	}
	for _, r := range a.Routes {
		p.line(3, word{text: safe.Clean(r.String())}, word{text: safe.Clean(r.Process), style: p.th.Dim})
	}
}

func usage(cpu float64, rss int64, connections int) safe.Text {
	c := present.CPU(cpu)
	if c.Empty() {
		c = safe.Literal("0%")
	}
	return present.Text("%s of a core, %s of memory, %s", c, ui.Bytes(rss), ui.Plural(connections, "connection"))
}

// spec is what was declared of an app.
func (v *view) spec(p *page, s backend.AppSpec) {
	l := safe.Literal
	for _, proc := range s.Processes {
		p.head(present.Text("PROCESS %s", proc.Name))
		v.command(p, proc.Command, proc.Dir, proc.User)
		p.field(l("instances"), present.Text("%d", proc.Instances))
		limits(p, proc.Memory, proc.CPU)
		r := proc.Restart.OrDefault()
		p.field(l("restart"), present.Text("%s, at most %d times in %s", r.Policy, r.Budget, present.Lasted(r.Window.Std())))
		check(p, l("health"), proc.Health, "or it is restarted")
		check(p, l("ready"), proc.Ready, "or it is taken off the edge")
		st := proc.Stop.OrDefault()
		p.field(l("stop"), present.Text("SIG%s, killed after %s", st.Signal, present.Lasted(st.Grace.Std())))
	}
	v.env(p, s.Env)
	if s.Levels == backend.LevelsFile {
		p.head(l("LOG LEVELS"))
		p.none(l("follow $PITWALL_LOGGERS"))
	}
}

func (v *view) command(p *page, c backend.CommandLine, dir, user string) {
	l := safe.Literal
	if c.Shell != "" {
		p.field(l("shell"), safe.Clean(c.Shell))
	} else {
		p.field(l("command"), safe.Clean(quoted(c.Args)))
	}
	p.field(l("folder"), safe.Clean(dir))
	p.field(l("user"), safe.Clean(user))
}

// quoted writes arguments so that each can be told from the next.
func quoted(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = a
		if a == "" || strings.ContainsAny(a, " \t\n\"'\\") {
			out[i] = present.Text("%q", a).String()
		}
	}
	return strings.Join(out, " ")
}

func limits(p *page, memory int64, cpu int) {
	if memory > 0 {
		p.field(safe.Literal("memory"), present.Text("%s at most", ui.Bytes(memory)))
	}
	if cpu > 0 {
		p.field(safe.Literal("cpu"), present.Text("%d%% of a core at most", cpu/10))
	}
}

func check(p *page, name safe.Text, c *backend.Check, otherwise string) {
	if c == nil {
		return
	}
	d := c.OrDefault()
	what := "a TCP connection"
	switch {
	case c.HTTP != "":
		what = "GET " + c.HTTP
	case len(c.Exec) > 0:
		what = quoted(c.Exec)
	}
	p.field(name, present.Text("%s each %s, within %s, %d failures in a row %s", what, d.Interval, d.Timeout, d.Failures, otherwise))
}

// env lists names alone: values may be secrets.
func (v *view) env(p *page, env map[string]string) {
	if len(env) == 0 {
		return
	}
	p.head(safe.Literal("ENVIRONMENT (names)"))
	names := slices.Sorted(maps.Keys(env))
	p.field(safe.Text{}, safe.Clean(strings.Join(names, "  ")))
}

func (v *view) instances(p *page, list []backend.Instance) {
	p.head(safe.Literal("INSTANCES"))
	if len(list) == 0 {
		p.none(safe.Literal("none"))
	}
	for _, i := range list {
		w := present.Instance(i)
		m := p.th.Mark(w.State)
		p.line(3, word{text: m.Glyph, style: m.Style}, word{safe.Clean(i.Name()), p.th.Instance(i.Name()), 10},
			word{w.Text, m.Style, 9}, word{text: present.Text("run %d", i.Run), style: p.th.Dim},
			word{text: v.deps.Age(i.Since), style: p.th.Dim}, word{text: present.Reason(i, v.deps.Now())})
	}
}

func (v *view) releases(p *page, list []backend.Release) {
	p.head(safe.Literal("RELEASES"))
	if len(list) == 0 {
		p.none(safe.Literal("none"))
	}
	for _, r := range list {
		current := safe.Text{}
		if r.Current {
			current = safe.Literal("current")
		}
		from := safe.Text{}
		if r.From > 0 {
			from = present.Text("rolled back to %d", r.From)
		}
		p.line(3, word{present.Text("%d", r.Number), p.th.Title, 3}, word{text: v.ago(r.Created), style: p.th.Dim},
			word{text: safe.Clean(r.Author)}, word{text: current, style: p.th.OK}, word{text: from}, word{text: reason(r.Reason)})
		for _, d := range r.Diff {
			p.line(7, word{text: safe.Clean(d.Path), style: p.th.Dim},
				word{text: safe.Clean(cmp.Or(d.Old, "none")), style: p.th.Bad}, word{text: p.th.Glyphs.Crumb, style: p.th.Dim},
				word{text: safe.Clean(cmp.Or(d.New, "none")), style: p.th.OK})
		}
	}
}

func reason(s string) safe.Text {
	if s == "" {
		return safe.Text{}
	}
	return present.Text("%q", s)
}

// history is what happened to an app or a job lately.
func (v *view) history(p *page) {
	v.runs(p, v.about.runs)
	p.head(safe.Literal("LATEST OPERATIONS"))
	if len(v.about.operations) == 0 {
		p.none(safe.Literal("none"))
	}
	for _, o := range v.about.operations {
		w := present.Operation(o)
		m := p.th.Mark(w.State)
		p.line(3, word{text: m.Glyph, style: m.Style}, word{present.Clock(o.Created, v.deps.Now()), p.th.Dim, 8},
			word{safe.Clean(o.Kind), p.th.Title, 8}, word{text: w.Text, style: m.Style},
			word{text: present.Text("by %s", o.Author)}, word{text: safe.Clean(o.Error), style: p.th.Bad}, word{text: reason(o.Reason)})
	}
	p.head(safe.Literal("LATEST EVENTS"))
	if len(v.about.events) == 0 {
		p.none(safe.Literal("none"))
	}
	for _, e := range v.about.events {
		p.line(3, word{present.Clock(e.Time, v.deps.Now()), p.th.Dim, 8},
			word{safe.Clean(string(e.Level)), p.th.Levels[e.Level.Rank()], 5}, word{text: safe.Clean(e.Message)})
	}
}
