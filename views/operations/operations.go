// Package operations lists what was done, by whom and how it went, the newest
// first.
package operations

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/action"
	"pitwall/ui/present"
	"pitwall/ui/safe"
	"pitwall/ui/table"
)

// Spec makes the view known to the Shell.
func Spec() ui.Spec {
	return ui.Spec{
		Name: "operations", Aliases: []string{"operation", "ops", "o"}, Title: safe.Literal("what was done, by whom, and how it went"),
		Alone: true, Of: []backend.Kind{backend.KindApp, backend.KindJob},
		Open: func(d ui.Deps, p ui.Place) ui.View { return newView(d, p) },
	}
}

// view lists operations.
type view struct {
	*present.Listing[backend.Operation]
	deps ui.Deps
	of   backend.Ref
	ctx  context.Context
}

// most is how many operations are read; a full list is read anew when it has
// grown to twice that.
const most = 1000

func newView(d ui.Deps, p ui.Place) *view {
	v := &view{deps: d, of: p.Ref}
	keep := func(o backend.Operation) bool { return p.Ref.ID == "" || o.Ref.ID == p.Ref.ID }
	v.Listing = present.NewListing(present.ListingOptions[backend.Operation]{
		Theme: d.Theme, What: "operations", Columns: v.columns(), Order: newest,
		Sync: ui.SyncOptions[backend.Operation]{
			List: func(ctx context.Context, _ backend.Page) (backend.List[backend.Operation], error) {
				l, err := d.Backend.Operations(ctx, backend.OperationQuery{Target: p.Ref.ID, Page: backend.Page{Limit: most}})
				l.Next = "" // the newest are enough
				return l, err
			},
			Watch: d.Backend.Watch, Keep: keep,
			Query: backend.WatchQuery{Kinds: []backend.Kind{backend.KindOperation}},
			Pick:  func(e backend.Event) *backend.Operation { return e.Op },
			Key:   func(o backend.Operation) string { return o.ID },
		},
		Empty: []safe.Text{safe.Literal("Nothing was done yet.")},
	})
	return v
}

// newest orders by when it was asked for, the latest first.
func newest(a, b *backend.Operation) int { return b.Created.Compare(a.Created) }

// Init lists and watches.
func (v *view) Init(ctx context.Context) tea.Cmd {
	v.ctx = ctx
	return v.Listing.Init(ctx)
}

// Update keeps the rows true.
func (v *view) Update(msg tea.Msg) tea.Cmd {
	_, cmd := v.Listing.Update(msg)
	if len(v.Items()) > 2*most {
		return v.Listing.Init(v.ctx)
	}
	return cmd
}

func (v *view) columns() []table.Column[*backend.Operation] {
	th, l := v.deps.Theme, safe.Literal
	type row = *backend.Operation
	return []table.Column[row]{
		{Min: 1, Max: 1, Cell: func(o row) table.Cell {
			m := th.Mark(present.Operation(*o).State)
			return table.Cell{Text: m.Glyph, Style: m.Style}
		}},
		{Title: l("TIME"), Min: 8, Priority: 3, Cell: func(o row) table.Cell {
			return table.Cell{Text: present.Clock(o.Created, v.deps.Now()), Style: th.Dim}
		}},
		{
			Title: l("WHAT"), Min: 7, Max: 14, Less: func(a, b row) bool { return a.Kind < b.Kind },
			Cell: func(o row) table.Cell { return table.Cell{Text: safe.Clean(o.Kind), Style: th.Title} },
		},
		{
			Title: l("ON"), Min: 6, Max: 24, Less: func(a, b row) bool { return a.Target < b.Target },
			Cell: func(o row) table.Cell { return table.Cell{Text: safe.Clean(o.Target)} },
		},
		{Title: l("STATE"), Min: 9, Max: 10, Cell: func(o row) table.Cell {
			w := present.Operation(*o)
			return table.Cell{Text: w.Text, Style: th.Mark(w.State).Style}
		}},
		{Title: l("HOW IT WENT"), Min: 10, Flex: true, Priority: 1, Cell: func(o row) table.Cell { return v.outcome(o) }},
		{
			Title: l("BY"), Min: 8, Max: 14, Priority: 2, Less: func(a, b row) bool { return a.Author < b.Author },
			Cell: func(o row) table.Cell { return table.Cell{Text: safe.Clean(o.Author)} },
		},
		{Title: l("FROM"), Min: 7, Max: 10, Priority: 5, Cell: func(o row) table.Cell {
			return table.Cell{Text: safe.Clean(o.Source), Style: th.Dim}
		}},
		{Title: l("TOOK"), Min: 5, Right: true, Priority: 4, Cell: func(o row) table.Cell {
			return table.Cell{Text: present.Took(*o, v.deps.Now()), Style: th.Dim}
		}},
	}
}

// outcome is the error, the step that runs, or the reason it was done for.
func (v *view) outcome(o *backend.Operation) table.Cell {
	th := v.deps.Theme
	if o.Error != "" {
		return table.Cell{Text: safe.Clean(o.Error), Style: th.Bad}
	}
	if o.State == backend.OperationRunning {
		for _, s := range o.Steps {
			if s.State == backend.OperationRunning {
				return table.Cell{Text: safe.Join(safe.Text{}, safe.Clean(s.Name), th.Glyphs.Ellipsis), Style: th.Busy}
			}
		}
	}
	if o.Reason != "" {
		return table.Cell{Text: present.Text("%q", o.Reason)}
	}
	return table.Cell{}
}

// Title is what was operated on.
func (v *view) Title() safe.Text {
	if v.of.Kind == "" {
		return safe.Literal("operations")
	}
	return safe.Join(safe.Literal(" "), safe.Clean(v.of.Name), safe.Literal("operations"))
}

// Actions undo and cancel, and lead to what is known of an operation.
func (v *view) Actions() []action.Action {
	o, ok := v.Table.Selected()
	if !ok {
		o = &backend.Operation{}
	}
	about := ui.Place{View: "describe", Ref: o.AsRef()}
	list := make([]action.Action, 0, 24)
	list = append(
		list,
		present.Open(v.deps, safe.Literal("steps and outcome"), about, ok),
		present.Undo(v.deps, *o), present.Cancel(v.deps, *o),
	)
	list = append(list, v.Table.Actions()...)
	if p, there := present.Of(o.Ref); there {
		list = append(list, action.Action{
			ID: "operation.target", Title: safe.Clean("go to " + o.Target),
			Run: func(action.Input) tea.Cmd { return v.deps.Go(p) },
		})
	}
	return v.deps.Keymap.Bind(list)
}

var (
	_ ui.View     = (*view)(nil)
	_ ui.Escaper  = (*view)(nil)
	_ ui.Staler   = (*view)(nil)
	_ ui.Statused = (*view)(nil)
)
