package present

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/action"
	"pitwall/ui/dialog"
	"pitwall/ui/safe"
)

// RunPlaces lists where to go from a run and what can be done to it.
func RunPlaces(d ui.Deps, r backend.Run, ok bool) []action.Action {
	name := r.Ref().Name
	list := []action.Action{
		place(d, "run.logs", "log of ", name, safe.Literal("log"), RunLog(r)),
		place(d, "run.describe", "describe ", name, safe.Literal("describe"), ui.Place{View: "describe", Ref: r.Ref()}),
	}
	if !ok {
		refuse(list, safe.Literal("no run is selected"))
	}
	return d.Keymap.Bind(append(list, cancelRun(d, r, ok)))
}

// cancelRun looks for the operation that a run of a job belongs to, and asks
// before it is canceled.
func cancelRun(d ui.Deps, r backend.Run, ok bool) action.Action {
	return action.Action{
		ID: "run.cancel", Title: safe.Clean("cancel " + r.Ref().Name), Label: safe.Literal("cancel"),
		Enabled: func() (bool, safe.Text) {
			switch {
			case !ok:
				return no(safe.Literal("no run is selected"))
			case r.State.Ended():
				return no(safe.Literal("it has ended"))
			}
			return r.JobID != "", safe.Literal("it is a run of an app: stop or restart its instance")
		},
		Run: func(action.Input) tea.Cmd {
			return cancelFound(d, r.JobID, r.Ref().Name, func(o backend.Operation) bool {
				return slices.ContainsFunc(o.Also, func(ref backend.Ref) bool { return ref.ID == r.ID })
			})
		},
	}
}

// cancelJob does the same for the latest run of a job that has not ended.
func cancelJob(d ui.Deps, jobs []backend.Job) action.Action {
	a := action.Action{ID: "job.cancel", Title: safe.Literal("cancel the run of the job")}
	a.Enabled = func() (bool, safe.Text) {
		if len(jobs) != 1 {
			return no(safe.Literal("select one job, and mark none"))
		}
		return jobs[0].Running > 0, safe.Literal("it does not run now")
	}
	a.Run = func(action.Input) tea.Cmd {
		if len(jobs) != 1 {
			return nil
		}
		return cancelFound(d, jobs[0].ID, jobs[0].Name, func(o backend.Operation) bool { return o.Kind == "run" })
	}
	return a
}

// cancelFound looks for an operation on a job and asks before it is canceled.
func cancelFound(d ui.Deps, job, name string, is func(backend.Operation) bool) tea.Cmd {
	return func() tea.Msg {
		op, err := operationOf(d.Backend, job, name, is)
		if err != nil {
			return ui.Notice{Text: safe.Clean(err.Error()), Bad: true}
		}
		return run(d.Open(dialog.NewConfirm(Cancel(d, op), d.Context.Name)))
	}
}

// patience bounds a read that an action needs before it can ask.
const patience = 5 * time.Second

func operationOf(b backend.Backend, job, name string, is func(backend.Operation) bool) (backend.Operation, error) {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	l, err := b.Operations(ctx, backend.OperationQuery{
		Target: job, States: []backend.OperationState{backend.OperationQueued, backend.OperationRunning},
	})
	if err != nil {
		return backend.Operation{}, fmt.Errorf("read operations of %s: %w", name, err)
	}
	for _, o := range l.Items {
		if is(o) {
			return o, nil
		}
	}
	return backend.Operation{}, errors.New("no operation holds " + name + ": it has just ended, or nobody may cancel it")
}
