package present

import (
	"strconv"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/action"
	"pitwall/ui/safe"
)

// Open is the action of the enter key: it goes to a place.
func Open(d ui.Deps, title safe.Text, p ui.Place, ok bool) action.Action {
	a := action.Action{ID: "list.open", Title: title, Label: safe.Literal("open"), Run: func(action.Input) tea.Cmd { return d.Go(p) }}
	if !ok {
		a.Enabled = func() (bool, safe.Text) { return no(safe.Literal("no row is selected")) }
	}
	return a
}

// InstanceRef names an instance as people do, "web main.0", not by its id.
func InstanceRef(i backend.Instance) backend.Ref {
	return backend.Ref{Kind: backend.KindInstance, ID: i.ID, Name: i.App + i.Job + " " + i.Name()}
}

// RunLog is the place of the log of one run.
func RunLog(r backend.Run) ui.Place {
	ref := backend.Ref{Kind: backend.KindJob, ID: r.JobID, Name: r.Job}
	if r.JobID == "" {
		ref = InstanceRef(backend.Instance{ID: r.Instance, App: r.App, Process: r.Process, Index: r.Index})
	}
	return ui.Place{View: "logs", Ref: ref, Arg: strconv.Itoa(r.Number)}
}

// Of is the place to look at what a reference names, and whether there is one.
func Of(ref backend.Ref) (ui.Place, bool) {
	switch ref.Kind {
	case backend.KindApp:
		return ui.Place{View: "instances", Ref: ref}, true
	case backend.KindInstance:
		return ui.Place{View: "logs", Ref: ref}, true
	case backend.KindJob:
		return ui.Place{View: "runs", Ref: ref}, true
	case backend.KindRun, backend.KindOperation:
		return ui.Place{View: "describe", Ref: ref}, true
	case backend.KindNode:
		return ui.Place{View: "nodes"}, true
	}
	return ui.Place{}, false
}

// JobVerbs lists what can be done to jobs: the one selected or all marked.
func JobVerbs(d ui.Deps, jobs []backend.Job) []action.Action {
	names := make([]target, len(jobs))
	for i, j := range jobs {
		names[i] = target{app: j.ID, name: j.Name}
	}
	none := func() (bool, safe.Text) { return len(jobs) > 0, safe.Literal("no job is selected") }
	what := whom(names, "job")
	start := action.Action{
		ID: "job.run", Title: safe.Clean("run " + what + " now"), Label: safe.Literal("run now"),
		Risk: action.Medium, Enabled: none,
		Ask: func() action.Ask {
			return action.Ask{
				Question: safe.Clean("Run " + what + " now?"), Name: what, Reason: true,
				Effect: []safe.Text{safe.Literal("It is run once, beside its schedule. What happens while it runs already is for its concurrency policy to say.")},
			}
		},
		Run: each(d, jobs, func(j backend.Job) backend.Command { return backend.RunJob{Job: j.ID} }),
	}
	remove := action.Action{
		ID: "job.delete", Title: safe.Clean("delete " + what), Enabled: none,
		Risk: action.High,
		Ask: func() action.Ask {
			return action.Ask{
				Question: safe.Clean("Delete " + what + "?"), Name: what, Reason: true,
				Effect: []safe.Text{safe.Literal("It is not run again, and its runs are forgotten. Its log is kept until retention removes it.")},
			}
		},
		Run: each(d, jobs, func(j backend.Job) backend.Command { return backend.Delete{Job: j.ID} }),
	}
	return d.Keymap.Bind([]action.Action{start, cancelJob(d, jobs), remove})
}

// each gives one command for each thing.
func each[T any](d ui.Deps, things []T, command func(T) backend.Command) func(action.Input) tea.Cmd {
	return func(in action.Input) tea.Cmd {
		commands := make([]backend.Command, len(things))
		for i, t := range things {
			commands[i] = given(command(t), in)
		}
		if len(commands) == 0 {
			return nil
		}
		return d.Do(commands...)
	}
}

// JobPlaces lists where to go from a job.
func JobPlaces(d ui.Deps, j backend.Job, ok bool) []action.Action {
	l := safe.Literal
	list := []action.Action{
		place(d, "job.runs", "runs of ", j.Name, safe.Text{}, ui.Place{View: "runs", Ref: j.Ref()}),
		place(d, "job.logs", "log of ", j.Name, l("log"), ui.Place{View: "logs", Ref: j.Ref()}),
		place(d, "job.describe", "describe ", j.Name, l("describe"), ui.Place{View: "describe", Ref: j.Ref()}),
		place(d, "job.events", "events of ", j.Name, safe.Text{}, ui.Place{View: "events", Ref: j.Ref()}),
	}
	if !ok {
		refuse(list, l("no job is selected"))
	}
	return d.Keymap.Bind(list)
}

// Undo is the action that undoes an operation.
func Undo(d ui.Deps, o backend.Operation) action.Action {
	what := o.Kind + " " + o.Target
	return action.Action{
		ID: "operation.undo", Title: safe.Clean("undo " + what), Label: safe.Literal("undo"), Risk: action.Medium,
		Enabled: func() (bool, safe.Text) {
			switch {
			case o.ID == "":
				return no(safe.Literal("no operation is selected"))
			case !o.State.Ended():
				return no(safe.Literal("it has not ended: cancel it"))
			}
			return o.Undo != "", safe.Literal("nothing undoes it")
		},
		Ask: func() action.Ask {
			return action.Ask{
				Question: safe.Clean("Undo " + what + "?"), Name: what, Reason: true,
				Effect: []safe.Text{Text("It is undone by %s. That is refused when what it changed has been changed since.", o.Undo)},
			}
		},
		Run: func(in action.Input) tea.Cmd { return d.Do(given(backend.Undo{Operation: o.ID}, in)) },
	}
}

// Cancel is the action that calls an operation off.
func Cancel(d ui.Deps, o backend.Operation) action.Action {
	what := o.Kind + " " + o.Target
	return action.Action{
		ID: "operation.cancel", Title: safe.Clean("cancel " + what), Label: safe.Literal("cancel"), Risk: action.Medium,
		Enabled: func() (bool, safe.Text) {
			switch {
			case o.ID == "":
				return no(safe.Literal("no operation is selected"))
			case o.State.Ended():
				return no(safe.Literal("it has ended"))
			}
			return o.Cancelable, safe.Literal("it cannot be canceled any more")
		},
		Ask: func() action.Ask {
			return action.Ask{
				Question: safe.Clean("Cancel " + what + "?"), Name: what, Reason: true,
				Effect: []safe.Text{safe.Literal("What it has done so far is not undone.")},
			}
		},
		Run: func(in action.Input) tea.Cmd { return d.Do(given(backend.Cancel{Operation: o.ID}, in)) },
	}
}

// InstancePlaces lists where to go from an instance.
func InstancePlaces(d ui.Deps, i backend.Instance, ok bool) []action.Action {
	l := safe.Literal
	name := i.Name()
	app := backend.Ref{Kind: backend.KindApp, ID: i.AppID, Name: i.App}
	list := []action.Action{
		place(d, "app.logs", "log of ", name, l("log"), ui.Place{View: "logs", Ref: InstanceRef(i)}),
		place(d, "app.runs", "runs of ", name, l("runs"), ui.Place{View: "runs", Ref: InstanceRef(i)}),
		place(d, "app.describe", "describe ", name, l("describe"), ui.Place{View: "describe", Ref: InstanceRef(i)}),
	}
	if i.AppID != "" {
		list = append(
			list,
			place(d, "app.loggers", "log levels of ", i.App, safe.Text{}, ui.Place{View: "loggers", Ref: app}),
			place(d, "app.events", "events of ", i.App, safe.Text{}, ui.Place{View: "events", Ref: app}),
			place(d, "app.operations", "operations on ", i.App, safe.Text{}, ui.Place{View: "operations", Ref: app}),
		)
	}
	if !ok {
		refuse(list, l("no instance is selected"))
	}
	return d.Keymap.Bind(list)
}
