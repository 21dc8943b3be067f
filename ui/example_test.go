package ui_test

import (
	"context"
	"strings"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/action"
	"pitwall/ui/safe"
	"pitwall/ui/table"
	"pitwall/ui/theme"
)

// This is the smallest view there is use for: a list of apps that restarts
// them, with what belongs to the selected one beside it.

type appsView struct {
	deps  ui.Deps
	apps  *ui.Sync[backend.App]
	table *table.Model[backend.App]
}

func appsSpec() ui.Spec {
	return ui.Spec{
		Name: "apps", Aliases: []string{"app", "a"}, Title: safe.Literal("every app, worst first"), Alone: true,
		Open: func(d ui.Deps, _ ui.Place) ui.View { return newAppsView(d) },
	}
}

func newAppsView(d ui.Deps) *appsView {
	v := &appsView{deps: d}
	v.apps = ui.NewSync(ui.SyncOptions[backend.App]{
		List: func(ctx context.Context, p backend.Page) (backend.List[backend.App], error) {
			return d.Backend.Apps(ctx, backend.AppQuery{Page: p})
		},
		Watch: d.Backend.Watch,
		Query: backend.WatchQuery{Kinds: []backend.Kind{backend.KindApp}},
		Pick:  func(e backend.Event) *backend.App { return e.App },
		Key:   func(a backend.App) string { return a.ID },
	})
	v.table = table.New(table.Options[backend.App]{
		Theme: d.Theme,
		Key:   func(a backend.App) string { return a.ID },
		Less:  func(a, b backend.App) bool { return a.State.Severity() < b.State.Severity() },
		Empty: safe.Literal("No apps."),
		Columns: []table.Column[backend.App]{
			{Min: 1, Max: 1, Cell: v.glyph},
			{Title: safe.Literal("APP"), Min: 8, Max: 24, Cell: func(a backend.App) table.Cell { return table.Cell{Text: safe.Clean(a.Name)} }},
			{Title: safe.Literal("STATE"), Min: 8, Cell: func(a backend.App) table.Cell { return table.Cell{Text: safe.Clean(string(a.State))} }},
			{Title: safe.Literal("LAST WORDS"), Flex: true, Priority: 3, Cell: func(a backend.App) table.Cell { return table.Cell{Text: safe.Clean(a.LastError)} }},
			{Title: safe.Literal("SINCE"), Min: 4, Right: true, Priority: 1, Cell: func(a backend.App) table.Cell { return table.Cell{Text: d.Age(a.Since), Style: d.Theme.Dim} }},
		},
	})
	return v
}

func (v *appsView) glyph(a backend.App) table.Cell {
	m := v.deps.Theme.Mark(map[backend.AppState]theme.State{
		backend.AppRunning: theme.Running, backend.AppCrashing: theme.Failed, backend.AppStopped: theme.Stopped,
	}[a.State])
	return table.Cell{Text: m.Glyph, Style: m.Style}
}

func (v *appsView) Init(ctx context.Context) tea.Cmd { return v.apps.Init(ctx) }

func (v *appsView) Update(msg tea.Msg) tea.Cmd {
	changed, cmd := v.apps.Update(msg)
	if changed {
		v.table.SetRows(v.apps.Items())
	}
	v.table.Update(msg)
	return cmd
}

func (v *appsView) SetSize(w, h int) { v.table.SetSize(w, h) }

func (v *appsView) Render() ui.Frame {
	f := ui.Frame{Lines: v.table.View()}
	if x, y, ok := v.table.Cursor(); ok {
		f.Cursor = tea.NewCursor(x, y)
	}
	return f
}

func (v *appsView) Actions() []action.Action {
	list := []action.Action{{
		ID: "list.open", Title: safe.Literal("open"), Label: safe.Literal("open"),
		Run: func(action.Input) tea.Cmd {
			a, ok := v.table.Selected()
			if !ok {
				return nil
			}
			return v.deps.Go(ui.Place{View: "about", Ref: a.Ref()})
		},
	}}
	if a, ok := v.table.Selected(); ok {
		list = append(list, v.restart(a), v.delete(a))
	}
	return append(list, v.table.Actions()...)
}

func (v *appsView) restart(a backend.App) action.Action {
	return action.Action{
		ID: "app.restart", Title: safe.Clean("restart " + a.Name), Label: safe.Literal("restart"),
		Risk: ui.RiskOf(backend.Restart{}),
		Ask: func() action.Ask {
			return action.Ask{Question: safe.Clean("Restart " + a.Name + "?"), Effect: []safe.Text{safe.Literal("One instance after the other is replaced.")}, Name: a.Name, Reason: true}
		},
		Enabled: func() (bool, safe.Text) { return a.State != backend.AppStopped, safe.Literal("it is stopped") },
		Run: func(in action.Input) tea.Cmd {
			return v.deps.Do(backend.Restart{App: a.ID, Intent: backend.Intent{Reason: in.Reason}})
		},
	}
}

func (v *appsView) delete(a backend.App) action.Action {
	return action.Action{
		ID: "app.delete", Title: safe.Clean("delete " + a.Name), Risk: ui.RiskOf(backend.Delete{}),
		Ask: func() action.Ask { return action.Ask{Question: safe.Clean("Delete " + a.Name + "?"), Name: a.Name} },
		Run: func(in action.Input) tea.Cmd { return v.deps.Do(backend.Delete{App: a.ID}) },
	}
}

func (v *appsView) Companion() (ui.Place, bool) {
	a, ok := v.table.Selected()
	return ui.Place{View: "about", Ref: a.Ref(), Arg: "beside"}, ok
}

func (v *appsView) Title() safe.Text    { return safe.Literal("apps") }
func (v *appsView) Capturing() bool     { return v.table.Capturing() }
func (v *appsView) Escape() bool        { return v.table.Escape() }
func (v *appsView) SetStale(stale bool) { v.table.SetStale(stale) }
func (v *appsView) Close()              {}

// aboutView says what it is about, and whether it was closed.
type aboutView struct {
	deps   ui.Deps
	place  ui.Place
	closed *[]ui.Place
	focus  bool
}

func aboutSpec(closed *[]ui.Place) ui.Spec {
	return ui.Spec{
		Name: "about", Of: []backend.Kind{backend.KindApp},
		Open: func(d ui.Deps, p ui.Place) ui.View { return &aboutView{deps: d, place: p, closed: closed} },
	}
}

func (v *aboutView) Init(context.Context) tea.Cmd { return nil }
func (v *aboutView) Update(tea.Msg) tea.Cmd       { return nil }
func (v *aboutView) SetSize(int, int)             {}
func (v *aboutView) Render() ui.Frame {
	words := " about " + safe.Clean(v.place.Ref.Name).String()
	if v.focus {
		words += ", focused"
	}
	return ui.Frame{Lines: []string{words, strings.Repeat("x", 300)}}
}

func (v *aboutView) Actions() []action.Action {
	return []action.Action{{ID: "list.open", Title: safe.Literal("deeper"), Label: safe.Literal("deeper"), Run: func(action.Input) tea.Cmd {
		p := v.place
		p.Arg += "+"
		return v.deps.Go(p)
	}}}
}
func (v *aboutView) Title() safe.Text  { return safe.Clean(v.place.Ref.Name) }
func (v *aboutView) Status() safe.Text { return safe.Literal("all instances") }
func (v *aboutView) Capturing() bool   { return false }
func (v *aboutView) SetFocus(on bool)  { v.focus = on }
func (v *aboutView) Close() {
	if v.closed != nil {
		*v.closed = append(*v.closed, v.place)
	}
}
