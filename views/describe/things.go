package describe

import (
	"strconv"

	"pitwall/backend"
	"pitwall/ui/present"
	"pitwall/ui/safe"
)

func (v *view) instance(p *page, i backend.Instance) {
	l := safe.Literal
	p.title(safe.Clean(i.App+i.Job+" "+i.Name()), present.Instance(i))
	p.field(l("why"), present.Reason(i, v.deps.Now()))
	p.field(l("since"), v.ago(i.Since))
	if i.LastExit != nil {
		p.styled(l("last exit"), present.Text("%s, %s", i.LastExit, v.ago(i.LastExit.Time)), p.th.Bad)
	}
	p.styled(l("last error"), safe.Clean(i.LastError), p.th.Bad)
	p.field(l("process"), present.Number(i.PID))
	p.field(l("port"), present.Number(i.Port))
	p.field(l("run"), present.Text("%d, started again by itself %s", i.Run, times(i.Restarts)))
	p.field(l("release"), present.Number(i.Release))
	p.field(l("uses"), usage(i.CPU, i.RSS, i.Connections))
	limits(p, i.MemoryLimit, 0)
	p.field(l("open files"), present.Number(i.FDs))
	p.field(l("node"), safe.Clean(i.Node))
	p.field(l("made"), v.ago(i.Created))
	p.field(l("environment"), safe.Clean(i.EnvHash))
	p.field(l("id"), safe.Clean(i.ID))
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

func (v *view) job(p *page, j backend.Job) {
	l := safe.Literal
	w := present.Word{Text: l("never ran")}
	if j.Last != nil {
		w = present.Run(*j.Last)
	}
	p.title(safe.Clean(j.Qualify(j.Name)), w)
	p.field(l("about"), safe.Clean(j.Spec.Description))
	schedule := l("by hand alone")
	if j.Schedule != "" {
		schedule = safe.Clean(j.Schedule + " " + j.Spec.Timezone)
	}
	p.field(l("schedule"), schedule)
	p.field(l("next"), present.Until(j.Next, v.deps.Now()))
	p.field(l("running"), present.Number(j.Running))
	v.command(p, j.Spec.Command, j.Spec.Dir, j.Spec.User)
	if j.Spec.Deadline > 0 {
		p.field(l("deadline"), present.Text("%s", j.Spec.Deadline))
	}
	p.field(l("while it runs"), concurrency(j.Spec.Concurrency))
	limits(p, j.Spec.Memory, j.Spec.CPU)
	p.field(l("keeps"), present.Text("%d runs", keeps(j.Spec.Keep)))
	p.field(l("id"), safe.Clean(j.ID))
	v.env(p, j.Spec.Env)
}

// defaultKeep is how many runs are kept where the spec says nothing.
const defaultKeep = 10

func keeps(n int) int {
	if n == 0 {
		return defaultKeep
	}
	return n
}

func concurrency(c backend.Concurrency) safe.Text {
	switch c {
	case backend.ConcurrencyAllow:
		return safe.Literal("another run starts beside it")
	case backend.ConcurrencyReplace:
		return safe.Literal("it is canceled for the new run")
	}
	return safe.Literal("the new run is skipped")
}

// tail is how many of a run's last lines a list shows, from the telling one on.
const tail = 3

func (v *view) runs(p *page, list []backend.Run) {
	p.head(safe.Literal("LATEST RUNS"))
	if len(list) == 0 {
		p.none(safe.Literal("none"))
	}
	for n, r := range list {
		w := present.Run(r)
		m := p.th.Mark(w.State)
		name := safe.Text{}
		if r.App != "" {
			name = safe.Clean(backend.InstanceName(r.Process, r.Index))
		}
		p.line(3, word{text: m.Glyph, style: m.Style}, word{present.Text("%d", r.Number), p.th.Title, 4}, word{text: name},
			word{present.Clock(r.Started, v.deps.Now()), p.th.Dim, 8}, word{w.Text, m.Style, 9},
			word{text: present.Lasted(r.Duration(v.deps.Now())), style: p.th.Dim}, word{text: present.Exit(r)})
		if n > 0 && r.State != backend.RunFailed {
			continue
		}
		from := max(0, min(present.Telling(r.LastLines), len(r.LastLines)-tail))
		for _, s := range r.LastLines[from:min(from+tail, len(r.LastLines))] {
			p.line(7, word{text: safe.Clean(s), style: p.th.Dim})
		}
	}
}

func (v *view) run(p *page, r backend.Run) {
	l := safe.Literal
	p.title(safe.Clean(r.Ref().Name), present.Run(r))
	p.field(l("exit"), present.Exit(r))
	p.field(l("started"), v.ago(r.Started))
	p.field(l("ended"), v.ago(r.Ended))
	p.field(l("lasted"), present.Lasted(r.Duration(v.deps.Now())))
	p.field(l("trigger"), safe.Clean(r.Trigger))
	p.field(l("by"), safe.Clean(r.Author))
	p.field(l("release"), present.Number(r.Release))
	p.field(l("process"), present.Number(r.PID))
	p.field(l("environment"), safe.Clean(r.EnvHash))
	p.field(l("instance"), safe.Clean(r.Instance))
	p.field(l("id"), safe.Clean(r.ID))
	p.head(l("LAST LINES"))
	switch {
	case len(r.LastLines) > 0:
	case r.State == backend.RunRunning || r.State == backend.RunPending:
		p.none(l("it still runs: its log has them"))
	default:
		p.none(l("none"))
	}
	for _, s := range r.LastLines {
		p.line(3, word{text: safe.CleanSGR(s)})
	}
}

func (v *view) operation(p *page, o backend.Operation) {
	l := safe.Literal
	p.title(safe.Clean(o.Kind+" "+o.Target), present.Operation(o))
	p.styled(l("error"), safe.Clean(o.Error), p.th.Bad)
	p.field(l("by"), safe.Clean(o.Author))
	p.field(l("from"), safe.Clean(o.Source))
	p.field(l("why"), reason(o.Reason))
	p.field(l("asked for"), v.ago(o.Created))
	p.field(l("started"), v.ago(o.Started))
	p.field(l("ended"), v.ago(o.Ended))
	p.field(l("took"), present.Took(o, v.deps.Now()))
	p.field(l("on"), safe.Clean(o.Ref.String()))
	p.field(l("undone by"), safe.Clean(o.Undo))
	p.field(l("id"), safe.Clean(o.ID))
	p.head(l("STEPS"))
	if len(o.Steps) == 0 {
		p.none(l("none"))
	}
	for _, s := range o.Steps {
		w := present.Step(s.State)
		m := p.th.Mark(w.State)
		p.line(3, word{text: m.Glyph, style: m.Style}, word{safe.Clean(s.Name), p.th.Title, 20}, word{w.Text, m.Style, 9},
			word{text: present.StepTook(s, v.deps.Now()), style: p.th.Dim}, word{text: safe.Clean(s.Detail)})
	}
}
