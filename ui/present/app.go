package present

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/action"
	"pitwall/ui/dialog"
	"pitwall/ui/line"
	"pitwall/ui/safe"
)

// maxInstances is more than a person means to type.
const maxInstances = 10_000

// scale asks for a number, which is the confirmation.
func scale(d ui.Deps, apps []backend.App) action.Action {
	a := action.Action{ID: "app.scale", Title: safe.Literal("scale: how many instances are wanted")}
	a.Enabled = func() (bool, safe.Text) { return len(apps) > 0, safe.Literal("no app is selected") }
	a.Run = func(action.Input) tea.Cmd {
		if len(apps) == 0 {
			return nil
		}
		return d.Open(scalePrompt(d, apps))
	}
	return a
}

func scalePrompt(d ui.Deps, apps []backend.App) *dialog.Prompt {
	first, _ := apps[0].Spec.Process("")
	p := &dialog.Prompt{
		Title: Text("Scale %s", apps[0].Name),
		Label: safe.Literal("instances:"),
		Verb:  safe.Literal("scale"),
		Help:  Text("%s now. 0 stops them and keeps the app.", thereAre(first.Instances)),
		Field: line.New(strconv.Itoa(first.Instances)),
	}
	switch {
	case len(apps) > 1:
		p.Title = Text("Scale %d apps", len(apps))
		p.Help = safe.Literal("This many instances of the first process of each.")
	case len(apps[0].Spec.Processes) > 1:
		p.Help = Text("A number is for %s. For another process write NAME=NUMBER: %s.", first.Name, processes(apps[0]))
	}
	p.Check = func(s string) error {
		process, _, err := parseScale(s)
		if err != nil {
			return err
		}
		for _, a := range apps {
			if _, ok := a.Spec.Process(process); !ok {
				return fmt.Errorf("%s has no process %q: it has %s", a.Name, process, processes(a))
			}
		}
		return nil
	}
	p.Done = func(s string) tea.Cmd {
		process, n, _ := parseScale(s)
		commands := make([]backend.Command, len(apps))
		for i, a := range apps {
			commands[i] = backend.Scale{App: a.ID, Process: process, Instances: n}
		}
		return d.Do(commands...)
	}
	return p
}

func thereAre(n int) string {
	if n == 1 {
		return "There is 1"
	}
	return fmt.Sprintf("There are %d", n)
}

func processes(a backend.App) string {
	parts := make([]string, len(a.Spec.Processes))
	for i, p := range a.Spec.Processes {
		parts[i] = fmt.Sprintf("%s=%d", p.Name, p.Instances)
	}
	return strings.Join(parts, " ")
}

// parseScale reads "3" or "web=3".
func parseScale(s string) (process string, n int, err error) {
	number := strings.TrimSpace(s)
	if name, rest, ok := strings.Cut(number, "="); ok {
		process, number = strings.TrimSpace(name), strings.TrimSpace(rest)
	}
	n, err = strconv.Atoi(number)
	if err != nil || n < 0 || n > maxInstances {
		return "", 0, fmt.Errorf("%q is not a number from 0 to %d", number, maxInstances)
	}
	return process, n, nil
}

// undo looks for the latest operation of an app that can be undone, and asks
// before it is.
func undo(d ui.Deps, apps []backend.App) action.Action {
	a := action.Action{ID: "app.undo", Title: safe.Literal("undo the latest change")}
	a.Enabled = func() (bool, safe.Text) {
		return len(apps) == 1, safe.Literal("select one app, and mark none")
	}
	a.Run = func(action.Input) tea.Cmd {
		if len(apps) != 1 {
			return nil
		}
		app := apps[0]
		return func() tea.Msg {
			op, err := undoable(d.Backend, app)
			if err != nil {
				return ui.Notice{Text: safe.Clean(err.Error()), Bad: true}
			}
			return run(d.Open(dialog.NewConfirm(Undo(d, op), d.Context.Name)))
		}
	}
	return a
}

// run runs a command that is only a message.
func run(cmd tea.Cmd) tea.Msg {
	if cmd == nil {
		return nil
	}
	return cmd()
}

func undoable(b backend.Backend, app backend.App) (backend.Operation, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l, err := b.Operations(ctx, backend.OperationQuery{Target: app.ID, Page: backend.Page{Limit: 50}})
	if err != nil {
		return backend.Operation{}, fmt.Errorf("read operations of %s: %w", app.Name, err)
	}
	for _, o := range l.Items {
		if o.State == backend.OperationSucceeded && o.Undo != "" {
			return o, nil
		}
	}
	return backend.Operation{}, errors.New("nothing that was done to " + app.Name + " can be undone")
}

// AppPlaces lists where to go from an app.
func AppPlaces(d ui.Deps, a backend.App, ok bool) []action.Action {
	l := safe.Literal
	list := []action.Action{
		place(d, "app.logs", "log of ", a.Name, l("log"), ui.Place{View: "logs", Ref: a.Ref()}),
		place(d, "app.instances", "instances of ", a.Name, safe.Text{}, ui.Place{View: "instances", Ref: a.Ref()}),
		place(d, "app.loggers", "log levels of ", a.Name, safe.Text{}, ui.Place{View: "loggers", Ref: a.Ref()}),
		place(d, "app.events", "events of ", a.Name, safe.Text{}, ui.Place{View: "events", Ref: a.Ref()}),
		place(d, "app.operations", "operations on ", a.Name, safe.Text{}, ui.Place{View: "operations", Ref: a.Ref()}),
		place(d, "app.runs", "runs of ", a.Name, safe.Text{}, ui.Place{View: "runs", Ref: a.Ref()}),
		place(d, "app.releases", "releases of ", a.Name, safe.Text{}, ui.Place{View: "describe", Ref: a.Ref(), Arg: "releases"}),
		place(d, "app.describe", "describe ", a.Name, l("describe"), ui.Place{View: "describe", Ref: a.Ref()}),
	}
	if !ok {
		refuse(list, l("no app is selected"))
	}
	return d.Keymap.Bind(list)
}

// place makes the action that goes to a place.
func place(d ui.Deps, id, what, name string, label safe.Text, p ui.Place) action.Action {
	return action.Action{
		ID: id, Title: safe.Clean(what + name), Label: label,
		Run: func(action.Input) tea.Cmd { return d.Go(p) },
	}
}

// refuse disables actions with one reason.
func refuse(list []action.Action, why safe.Text) {
	for i := range list {
		list[i].Enabled = func() (bool, safe.Text) { return no(why) }
	}
}
