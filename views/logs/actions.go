package logs

import (
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/action"
	"pitwall/ui/present"
	"pitwall/ui/safe"
)

// empty says why there are no lines.
func (v *view) empty() safe.Text {
	switch {
	case v.run > 0:
		return present.Text("Run %d of %s wrote nothing that is kept.", v.run, v.place.Ref.Name)
	case v.place.Ref.Kind == "":
		return safe.Literal("Nothing has written a line yet.")
	}
	return present.Text("%s has not written a line yet.", v.place.Ref.Name)
}

// nothingPasses says that the whole log has been searched in vain.
func (v *view) nothingPasses() []safe.Text {
	what := []safe.Text{safe.Literal("No line")}
	if v.query.Level != "" {
		what = append(what, present.Text("of level %s or above", v.query.Level))
	}
	if f := v.log.Filter(); f != "" {
		what = append(what, present.Text("with %q", f))
	}
	what = append(what, safe.Literal("is in what is kept of this log. New ones will be shown."))
	said := safe.Join(safe.Literal(" "), what...)
	if key := v.deps.Keymap.Keys("log.all"); v.query.Level != "" && len(key) > 0 {
		return []safe.Text{said, present.Text("%s shows all levels.", key[0])}
	}
	return []safe.Text{said}
}

// Title is what the log is of.
func (v *view) Title() safe.Text {
	switch {
	case v.place.Ref.Kind == "":
		return safe.Literal("logs")
	case v.run > 0:
		return present.Text("%s run %d", v.place.Ref.Name, v.run)
	}
	return safe.Clean(v.place.Ref.Name)
}

// Status says which lines are shown: "all instances · info and above ·
// following".
func (v *view) Status() safe.Text {
	parts := make([]safe.Text, 0, 5)
	if v.place.Ref.Kind == backend.KindApp {
		parts = append(parts, safe.Literal("all instances"))
	}
	parts = append(parts, v.log.Status())
	if v.raw {
		parts = append(parts, safe.Literal("as written"))
	}
	switch {
	case v.err != nil:
		parts = append(parts, present.Why("the log is cut off", v.err))
	case v.ended:
		parts = append(parts, safe.Literal("the log ends here"))
	case !v.scanned.Empty():
		parts = append(parts, v.scanned)
	}
	dot := v.deps.Theme.Glyphs.Dot
	return safe.Join(safe.Join(safe.Literal(" "), safe.Text{}, dot, safe.Text{}), parts...)
}

// Report says how far behind the end this reader is.
func (v *view) Report() ui.Report { return ui.Report{Lag: v.lag, Skipped: v.skipped} }

// Copied are the lines on the screen, as long as they are.
func (v *view) Copied() (safe.Text, []string) {
	entries := v.log.OnScreen()
	lines := make([]string, len(entries))
	for i, e := range entries {
		lines[i] = strings.Join(strings.Fields(e.Time.UTC().Format("2006-01-02T15:04:05.000Z")+" "+e.Label.String()), " ") + " " + e.Text.Plain().String()
	}
	return safe.Clean(ui.Plural(len(lines), "line")), lines
}

// Actions are the verbs of whose log it is, then what can be done with it.
func (v *view) Actions() []action.Action {
	list := make([]action.Action, 0, 48)
	verbs, places := v.verbs()
	list = append(list, verbs[:min(len(verbs), present.Urgent)]...)
	list = append(list, v.log.Actions()...)
	list = append(list, v.refetchAction(), v.rawAction())
	list = append(list, v.otherRuns()...)
	list = append(list, verbs[min(len(verbs), present.Urgent):]...)
	list = append(list, places...)
	for i := range list {
		list[i].Run = v.settled(list[i].Run)
	}
	return v.deps.Keymap.Bind(list)
}

// settled has the query follow what an action changed, such as the level.
func (v *view) settled(run func(action.Input) tea.Cmd) func(action.Input) tea.Cmd {
	return func(in action.Input) tea.Cmd {
		var cmd tea.Cmd
		if run != nil {
			cmd = run(in)
		}
		return tea.Batch(cmd, v.settle())
	}
}

// verbs are those of the app or the instance.
func (v *view) verbs() (verbs, places []action.Action) {
	switch {
	case v.app != nil:
		a, ok := v.app.Find(v.place.Ref.ID)
		if !ok && v.app.Loaded() {
			return nil, nil
		}
		if !ok { // A key that comes before the answer counts; the server judges it.
			ref := v.place.Ref
			a = backend.App{ID: ref.ID, Name: ref.Name, State: backend.AppRunning, Desired: backend.DesiredStarted, Attached: true}
		}
		return present.AppVerbs(v.deps, []backend.App{a}), present.AppPlaces(v.deps, a, true)[1:]
	case v.instance != nil:
		i, ok := v.instance.Find(v.place.Ref.ID)
		if !ok {
			return nil, nil
		}
		return present.InstanceVerbs(v.deps, []backend.Instance{i}), present.InstancePlaces(v.deps, i, true)[1:]
	}
	return nil, nil
}

func (v *view) refetchAction() action.Action {
	return action.Action{
		ID: "log.refetch", Title: safe.Literal("fetch the lines of the gap on the screen"),
		Enabled: func() (bool, safe.Text) {
			_, ok := v.log.GapOnScreen()
			return ok, safe.Literal("there is no gap on the screen")
		},
		Run: func(action.Input) tea.Cmd { return v.refetch() },
	}
}

// rawAction shows lines as they were written, or without what stands before
// them anyway.
func (v *view) rawAction() action.Action {
	return action.Action{
		ID: "log.raw", Title: safe.Literal("lines as they were written, or without the time and level that stand before them"),
		Run: func(action.Input) tea.Cmd {
			v.raw = !v.raw
			return v.latest()
		},
	}
}

// otherRuns lead from the log of a run to those of its neighbours.
func (v *view) otherRuns() []action.Action {
	to := func(id string, title safe.Text, n int) action.Action {
		p := v.place
		p.Arg = strconv.Itoa(n)
		return action.Action{
			ID: id, Title: title, Hidden: v.run == 0,
			Enabled: func() (bool, safe.Text) {
				if v.run == 0 {
					return false, safe.Literal("this is the log of all runs")
				}
				return n > 0, safe.Literal("there is none")
			},
			Run: func(action.Input) tea.Cmd { return v.deps.Go(p) },
		}
	}
	return []action.Action{
		to("log.run-previous", safe.Literal("log of the run before"), v.run-1),
		to("log.run-next", safe.Literal("log of the run after"), v.run+1),
	}
}
