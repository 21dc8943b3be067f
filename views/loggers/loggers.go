// Package loggers shows the loggers of an app and sets their levels, for all
// instances or for one, for good or for a while.
package loggers

import (
	"cmp"
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/present"
	"pitwall/ui/safe"
	"pitwall/ui/table"
)

// Spec makes the view known to the Shell.
func Spec() ui.Spec {
	return ui.Spec{
		Name: "loggers", Aliases: []string{"logger", "levels", "loglevel"}, Title: safe.Literal("the log levels of an app"),
		Of:   []backend.Kind{backend.KindApp},
		Open: func(d ui.Deps, p ui.Place) ui.View { return newView(d, p) },
	}
}

// view lists the loggers of one app.
type view struct {
	*present.Listing[backend.Logger]
	deps          ui.Deps
	of            backend.Ref
	width, height int

	app       *ui.Sync[backend.App]
	instances *ui.Sync[backend.Instance]
	one       string        // id of the instance that keys are for; empty for all
	fuse      time.Duration // how long a change lasts; 0 for good
	ticks     bool
}

func newView(d ui.Deps, p ui.Place) *view {
	v := &view{deps: d, of: p.Ref}
	v.app = present.OneApp(d.Backend, p.Ref.ID)
	v.instances = present.InstancesOf(d.Backend, p.Ref.ID)
	v.Listing = present.NewListing(present.ListingOptions[backend.Logger]{
		Theme: d.Theme, What: "loggers", Columns: v.columns(), Order: order,
		Sync: ui.SyncOptions[backend.Logger]{
			List: func(ctx context.Context, page backend.Page) (backend.List[backend.Logger], error) {
				return d.Backend.Loggers(ctx, backend.LoggerQuery{App: p.Ref.ID, Page: page})
			},
			Watch: d.Backend.Watch,
			Query: backend.WatchQuery{Kinds: []backend.Kind{backend.KindLogger}, Ref: p.Ref},
			Pick:  func(e backend.Event) *backend.Logger { return e.Logger },
			Keep:  func(l backend.Logger) bool { return l.AppID == p.Ref.ID },
			Key:   func(l backend.Logger) string { return l.Name },
		},
		Empty: []safe.Text{
			present.Text("%s has named no logger yet.", p.Ref.Name),
			{},
			safe.Literal("It follows a levels file, so a level for all of it can be set:"),
			safe.Clean("    pitwall loglevel " + p.Ref.Name + " default debug"),
		},
	})
	return v
}

// order puts the default first.
func order(a, b *backend.Logger) int {
	return cmp.Or(first(a)-first(b), cmp.Compare(a.Name, b.Name))
}

func first(l *backend.Logger) int {
	if l.Name == backend.DefaultLogger {
		return 0
	}
	return 1
}

// Init reads the app, its instances and its loggers.
func (v *view) Init(ctx context.Context) tea.Cmd {
	return tea.Batch(v.Listing.Init(ctx), v.app.Init(ctx), v.instances.Init(ctx))
}

// second has a countdown drawn again.
type second struct{ of *view }

// Update keeps everything true.
func (v *view) Update(msg tea.Msg) tea.Cmd {
	if m, ok := msg.(second); ok && m.of == v {
		v.ticks = false
		return v.countdown()
	}
	_, a := v.app.Update(msg)
	_, i := v.instances.Update(msg)
	changed, l := v.Listing.Update(msg)
	if !changed {
		return tea.Batch(a, i, l)
	}
	return tea.Batch(a, i, l, v.countdown())
}

// countdown draws each second while a level is to go back.
func (v *view) countdown() tea.Cmd {
	running := slices.ContainsFunc(v.Items(), func(l backend.Logger) bool { return l.Until.After(v.deps.Now()) })
	if v.ticks || !running {
		return nil
	}
	v.ticks = true
	return tea.Tick(time.Second, func(time.Time) tea.Msg { return second{v} })
}

func (v *view) columns() []table.Column[*backend.Logger] {
	th, l := v.deps.Theme, safe.Literal
	type row = *backend.Logger
	return []table.Column[row]{
		{
			Title: l("LOGGER"), Min: 8, Max: 40, Less: func(a, b row) bool { return a.Name < b.Name },
			Cell: func(g row) table.Cell { return table.Cell{Text: safe.Clean(g.Name), Style: th.Title} },
		},
		{
			Title: l("LEVEL"), Min: 7, Max: 20, Less: func(a, b row) bool { return a.Level.Rank() < b.Level.Rank() },
			Cell: func(g row) table.Cell { return v.level(g.Level) },
		},
		{Title: l("DIFFERS ON"), Min: 10, Flex: true, Priority: 2, Cell: func(g row) table.Cell {
			return table.Cell{Text: v.differs(g)}
		}},
		{Title: l("BACK"), Min: 6, Priority: 1, Cell: func(g row) table.Cell { return v.back(g) }},
	}
}

// level draws a level, or the one that is inherited.
func (v *view) level(l backend.Level) table.Cell {
	th := v.deps.Theme
	if l != "" {
		return table.Cell{Text: present.Level(l), Style: th.Levels[l.Rank()]}
	}
	if d, ok := v.Find(backend.DefaultLogger); ok && d.Level != "" {
		return table.Cell{Text: present.Text("%s (default)", d.Level), Style: th.Dim}
	}
	return table.Cell{Text: safe.Literal("inherits"), Style: th.Dim}
}

// differs names the instances that have a level of their own.
func (v *view) differs(g *backend.Logger) safe.Text {
	var parts []safe.Text
	for id, l := range g.Instances {
		parts = append(parts, present.Text("%s %s", v.name(id), l))
	}
	slices.SortFunc(parts, func(a, b safe.Text) int { return cmp.Compare(a.String(), b.String()) })
	return safe.Join(safe.Literal(", "), parts...)
}

// name is how people write an instance.
func (v *view) name(id string) string {
	if i, ok := v.instances.Find(id); ok {
		return i.Name()
	}
	return id
}

// back says when a level goes back, and to what.
func (v *view) back(g *backend.Logger) table.Cell {
	now := v.deps.Now()
	if !g.Until.After(now) {
		return table.Cell{}
	}
	was := safe.Literal("inherited")
	if g.Was != "" {
		was = present.Level(g.Was)
	}
	text := safe.Join(safe.Literal(" "), safe.Literal("to"), was, present.Until(g.Until, now))
	return table.Cell{Text: text, Style: v.deps.Theme.Busy}
}

// Title is the app.
func (v *view) Title() safe.Text {
	return safe.Join(safe.Literal(" "), safe.Clean(v.of.Name), safe.Literal("log levels"))
}

// Status says whom a key changes, and for how long.
func (v *view) Status() safe.Text {
	if t := v.Trouble(); !t.Empty() {
		return t
	}
	if a, ok := v.app.Find(v.of.ID); ok && !a.Levels {
		return safe.Text{} // no key sets anything
	}
	whom := safe.Literal("all instances")
	if v.one != "" {
		whom = present.Text("%s alone", v.name(v.one))
	}
	long := safe.Literal("for good")
	if v.fuse > 0 {
		long = present.Text("for %s", present.Lasted(v.fuse))
	}
	return safe.Join(safe.Literal(" "), safe.Literal("a key sets"), whom, long)
}

// SetSize tells the cells there are.
func (v *view) SetSize(width, height int) {
	v.width, v.height = width, height
	v.Listing.SetSize(width, height)
}

// Render draws the loggers or, for an app without levels, how to get them.
func (v *view) Render() ui.Frame {
	if a, ok := v.app.Find(v.of.ID); ok && !a.Levels {
		return ui.Frame{Lines: present.Said(v.deps.Theme.Text, v.without(), v.width, v.height)}
	}
	return v.Listing.Render()
}

func (v *view) without() []safe.Text {
	l := safe.Literal
	return []safe.Text{
		present.Text("%s has no log levels that can be changed while it runs.", v.of.Name),
		{},
		l("In its log a level is only a filter: it hides lines, and makes none."),
		{},
		l("To get levels, have the program follow the file that $PITWALL_LOGGERS names, and declare it in the manifest:    levels: file"),
		l("A Go program gets that from the package api/loglevel."),
	}
}

var (
	_ ui.View     = (*view)(nil)
	_ ui.Escaper  = (*view)(nil)
	_ ui.Staler   = (*view)(nil)
	_ ui.Statused = (*view)(nil)
)
