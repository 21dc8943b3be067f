// Package events shows what happened, the newest first, and goes on as it
// happens.
package events

import (
	"cmp"
	"context"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/action"
	"pitwall/ui/present"
	"pitwall/ui/safe"
	"pitwall/ui/table"
	"pitwall/ui/theme"
)

// Spec makes the view known to the Shell.
func Spec() ui.Spec {
	return ui.Spec{
		Name: "events", Aliases: []string{"event", "e"}, Title: safe.Literal("what happened, the newest first"),
		Alone: true, Of: []backend.Kind{backend.KindApp, backend.KindJob},
		Open: func(d ui.Deps, p ui.Place) ui.View { return newView(d, p) },
	}
}

// view lists events.
type view struct {
	*present.Listing[backend.Event]
	deps  ui.Deps
	of    backend.Ref
	level backend.Level
	ctx   context.Context
}

// most is how many events are read; a full list is read anew when it has grown
// to twice that.
const most = 1000

func newView(d ui.Deps, p ui.Place) *view {
	v := &view{deps: d, of: p.Ref}
	empty := safe.Literal("Nothing has happened yet.")
	if p.Ref.Kind != "" {
		empty = present.Text("Nothing has happened to %s yet, as far as it is kept.", p.Ref.Name)
	}
	v.Listing = present.NewListing(present.ListingOptions[backend.Event]{
		Theme: d.Theme, What: "events", Columns: v.columns(), Order: newest, Sync: v.sync(), Empty: []safe.Text{empty},
	})
	return v
}

// sync reads and follows events with a message, of the level that is chosen.
func (v *view) sync() ui.SyncOptions[backend.Event] {
	b, ref, level := v.deps.Backend, v.of, v.level
	return ui.SyncOptions[backend.Event]{
		List: func(ctx context.Context, _ backend.Page) (backend.List[backend.Event], error) {
			l, err := b.Events(ctx, backend.EventQuery{Owner: ref.ID, Level: level, Page: backend.Page{Limit: most}})
			l.Next = "" // the newest are enough
			return l, err
		},
		Watch: func(ctx context.Context, q backend.WatchQuery) (backend.Feed[backend.Event], error) {
			f, err := b.Watch(ctx, q)
			if err != nil {
				return nil, err
			}
			return kept{f}, nil
		},
		Query: backend.WatchQuery{Ref: ref},
		Pick: func(e backend.Event) *backend.Event {
			if e.Message == "" || !e.Level.AtLeast(level) {
				return nil
			}
			bare(&e)
			return &e
		},
		Key: func(e backend.Event) string { return strconv.FormatUint(e.Index, 10) },
	}
}

// kept hides from the Sync that an event is about something that was deleted:
// the event itself is still there.
type kept struct{ backend.Feed[backend.Event] }

// Next returns the events, none of which deletes a row.
func (k kept) Next(ctx context.Context) ([]backend.Event, error) {
	items, err := k.Feed.Next(ctx)
	for i := range items {
		if items[i].Kind == backend.EventDeleted {
			items[i].Kind = backend.EventUpdated
		}
	}
	return items, err
}

// bare drops the resources, which a row does not show and which are large.
func bare(e *backend.Event) {
	e.App, e.Instance, e.Job, e.Run, e.Release = nil, nil, nil, nil, nil
	e.Op, e.Logger, e.Node, e.Document = nil, nil, nil, nil
}

// newest orders by index, the latest first.
func newest(a, b *backend.Event) int { return cmp.Compare(b.Index, a.Index) }

// Init lists and follows.
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

func (v *view) columns() []table.Column[*backend.Event] {
	th, l := v.deps.Theme, safe.Literal
	type row = *backend.Event
	list := []table.Column[row]{
		{Min: 1, Max: 1, Cell: func(e row) table.Cell {
			return mark(th, e.Level)
		}},
		{Title: l("TIME"), Min: 8, Priority: 2, Cell: func(e row) table.Cell {
			return table.Cell{Text: present.Clock(e.Time, v.deps.Now()), Style: th.Dim}
		}},
		{Title: l("LEVEL"), Min: 5, Max: 5, Priority: 4, Cell: func(e row) table.Cell {
			return table.Cell{Text: safe.Clean(string(e.Level)), Style: th.Levels[e.Level.Rank()]}
		}},
	}
	if v.of.Kind == "" {
		list = append(list, table.Column[row]{
			Title: l("OF"), Min: 6, Max: 20, Less: func(a, b row) bool { return owner(a) < owner(b) },
			Cell: func(e row) table.Cell { return table.Cell{Text: safe.Clean(owner(e)), Style: th.Title} },
		})
	}
	return append(list, table.Column[row]{
		Title: l("WHAT HAPPENED"), Min: 16, Flex: true, Cell: func(e row) table.Cell { return table.Cell{Text: safe.Clean(what(e))} },
	}, table.Column[row]{
		Title: l("BY"), Min: 8, Max: 14, Priority: 5,
		Cell: func(e row) table.Cell { return table.Cell{Text: safe.Clean(e.Author), Style: th.Dim} },
	})
}

// what is the message without the name that stands before it anyway, in the
// column or in the title.
func what(e *backend.Event) string { return strings.TrimPrefix(e.Message, owner(e)+" ") }

// owner names the app or job that an event belongs to.
func owner(e *backend.Event) string { return cmp.Or(e.Owner, e.Ref.Name, string(e.Ref.Kind)) }

// mark draws a level: what is wrong like a state that is, the rest as a dot.
func mark(th *theme.Theme, l backend.Level) table.Cell {
	state := theme.Failed
	switch {
	case l == backend.LevelWarn:
		state = theme.Degraded
	case l.Rank() < backend.LevelWarn.Rank():
		return table.Cell{Text: th.Glyphs.Dot, Style: th.Dim}
	}
	m := th.Mark(state)
	return table.Cell{Text: m.Glyph, Style: m.Style}
}

// Title is what the events are about.
func (v *view) Title() safe.Text {
	if v.of.Kind == "" {
		return safe.Literal("events")
	}
	return safe.Join(safe.Literal(" "), safe.Clean(v.of.Name), safe.Literal("events"))
}

// Status says which levels are shown.
func (v *view) Status() safe.Text {
	if t := v.Trouble(); !t.Empty() {
		return t
	}
	if v.level == "" {
		return safe.Literal("all levels")
	}
	return safe.Join(safe.Literal(" "), present.Level(v.level), safe.Literal("and above"))
}

// Actions lead to what an event is about, and choose levels.
func (v *view) Actions() []action.Action {
	list := make([]action.Action, 0, 24)
	e, ok := v.Table.Selected()
	if !ok {
		e = &backend.Event{}
	}
	p, there := present.Of(subject(e))
	open := present.Open(v.deps, safe.Literal("what the event is about"), p, ok)
	if ok && !there {
		open.Enabled = func() (bool, safe.Text) { return false, safe.Literal("there is nothing more to see of it") }
	}
	list = append(list, open)
	list = append(list, v.Table.Actions()...)
	target := open
	target.ID, target.Label, target.Hidden = "event.target", safe.Text{}, true
	about := action.Action{
		ID: "event.describe", Title: safe.Literal("the operation that caused it"),
		Run: func(action.Input) tea.Cmd {
			ref := backend.Ref{Kind: backend.KindOperation, ID: e.Operation, Name: owner(e)}
			return v.deps.Go(ui.Place{View: "describe", Ref: ref})
		},
		Enabled: func() (bool, safe.Text) { return e.Operation != "", safe.Literal("no operation caused it") },
	}
	list = append(list, target, about)
	return v.deps.Keymap.Bind(append(list, v.levels()...))
}

// subject is what an event leads to: its resource, or the app it belongs to.
func subject(e *backend.Event) backend.Ref {
	switch e.Ref.Kind {
	case backend.KindRelease, backend.KindLogger:
		return backend.Ref{Kind: backend.KindApp, ID: e.OwnerID, Name: e.Owner}
	}
	return e.Ref
}

// levels are the actions that choose the lowest level to show.
func (v *view) levels() []action.Action {
	choice := func(id string, title safe.Text, l backend.Level) action.Action {
		return action.Action{
			ID: id, Title: title, Hidden: true,
			Run: func(action.Input) tea.Cmd { return v.choose(l) },
		}
	}
	return []action.Action{
		choice("event.all", safe.Literal("events of all levels"), ""),
		choice("event.info", safe.Literal("info and above"), backend.LevelInfo),
		choice("event.warn", safe.Literal("warnings and above"), backend.LevelWarn),
		choice("event.error", safe.Literal("errors and fatal ones"), backend.LevelError),
	}
}

func (v *view) choose(l backend.Level) tea.Cmd {
	v.level = l
	return v.Replace(v.ctx, v.sync())
}

var (
	_ ui.View     = (*view)(nil)
	_ ui.Escaper  = (*view)(nil)
	_ ui.Staler   = (*view)(nil)
	_ ui.Statused = (*view)(nil)
)
