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
			return func() tea.Msg {
				op, err := operationOf(d.Backend, r)
				if err != nil {
					return ui.Notice{Text: safe.Clean(err.Error()), Bad: true}
				}
				return run(d.Open(dialog.NewConfirm(Cancel(d, op), d.Context.Name)))
			}
		},
	}
}

// patience bounds a read that an action needs before it can ask.
const patience = 5 * time.Second

func operationOf(b backend.Backend, r backend.Run) (backend.Operation, error) {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	l, err := b.Operations(ctx, backend.OperationQuery{
		Target: r.JobID, States: []backend.OperationState{backend.OperationQueued, backend.OperationRunning},
	})
	if err != nil {
		return backend.Operation{}, fmt.Errorf("read operations of %s: %w", r.Job, err)
	}
	for _, o := range l.Items {
		if slices.ContainsFunc(o.Also, func(ref backend.Ref) bool { return ref.ID == r.ID }) {
			return o, nil
		}
	}
	return backend.Operation{}, errors.New("no operation holds " + r.Ref().Name + ": it has just ended, or nobody may cancel it")
}
