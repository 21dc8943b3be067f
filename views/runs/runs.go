// Package runs lists runs, the newest first: those of a job, or the history of
// starts and crashes of an app or an instance.
package runs

import (
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
)

// Spec makes the view known to the Shell.
func Spec() ui.Spec {
	return ui.Spec{
		Name: "runs", Aliases: []string{"run", "r"}, Title: safe.Literal("every start of an instance and every run of a job"),
		Alone: true, Of: []backend.Kind{backend.KindJob, backend.KindApp, backend.KindInstance},
		Open: func(d ui.Deps, p ui.Place) ui.View { return newView(d, p) },
	}
}

// view lists runs.
type view struct {
	*present.Listing[backend.Run]
	deps ui.Deps
	of   backend.Ref
	ctx  context.Context
}

// most is how many runs are read; a full list is read anew when it has grown
// to twice that.
const most = 2000

func newView(d ui.Deps, p ui.Place) *view {
	v := &view{deps: d, of: p.Ref}
	q := backend.RunQuery{Page: backend.Page{Limit: most}}
	watch := backend.WatchQuery{Kinds: []backend.Kind{backend.KindRun}}
	keep := func(backend.Run) bool { return true }
	switch p.Ref.Kind {
	case backend.KindApp:
		q.Apps, watch.Ref = []string{p.Ref.ID}, p.Ref
	case backend.KindJob:
		q.Jobs, watch.Ref = []string{p.Ref.ID}, p.Ref
	case backend.KindInstance:
		q.Instances = []string{p.Ref.ID}
		keep = func(r backend.Run) bool { return r.Instance == p.Ref.ID }
	}
	v.Listing = present.NewListing(present.ListingOptions[backend.Run]{
		Theme: d.Theme, What: "runs", Columns: v.columns(), Order: newest,
		Sync: ui.SyncOptions[backend.Run]{
			List: func(ctx context.Context, _ backend.Page) (backend.List[backend.Run], error) {
				l, err := d.Backend.Runs(ctx, q)
				l.Next = "" // the newest are enough
				return l, err
			},
			Watch: d.Backend.Watch, Query: watch, Keep: keep,
			Pick: func(e backend.Event) *backend.Run { return e.Run },
			Key:  func(r backend.Run) string { return r.ID },
		},
		Empty: []safe.Text{v.empty()},
	})
	return v
}

func (v *view) empty() safe.Text {
	if v.of.Kind == backend.KindJob {
		return present.Text("%s has not run yet; run it now from the list of jobs.", v.of.Name)
	}
	return safe.Literal("Nothing has run yet.")
}

// newest orders by start, the latest first.
func newest(a, b *backend.Run) int {
	at, bt := a.Started, b.Started
	if at.IsZero() {
		at = a.Scheduled
	}
	if bt.IsZero() {
		bt = b.Scheduled
	}
	if !at.Equal(bt) {
		return bt.Compare(at)
	}
	return b.Number - a.Number
}

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

func (v *view) columns() []table.Column[*backend.Run] {
	th, l := v.deps.Theme, safe.Literal
	type row = *backend.Run
	list := []table.Column[row]{
		{Min: 1, Max: 1, Cell: func(r row) table.Cell {
			m := th.Mark(present.Run(*r).State)
			return table.Cell{Text: m.Glyph, Style: m.Style}
		}},
		{
			Title: l("RUN"), Min: 3, Right: true, Less: func(a, b row) bool { return a.Number > b.Number },
			Cell: func(r row) table.Cell { return table.Cell{Text: safe.Clean(strconv.Itoa(r.Number)), Style: th.Title} },
		},
	}
	if v.of.Kind != backend.KindJob && v.of.Kind != backend.KindInstance {
		least := len("main.0")
		if v.of.Kind == "" {
			least = len("flaky main.0")
		}
		list = append(list, table.Column[row]{
			Title: l("OF"), Min: least, Max: 28, Less: func(a, b row) bool { return v.owner(a) < v.owner(b) },
			Cell: func(r row) table.Cell { return table.Cell{Text: safe.Clean(v.owner(r))} },
		})
	}
	return append(
		list,
		table.Column[row]{Title: l("STATE"), Min: 9, Max: 12, Cell: func(r row) table.Cell {
			w := present.Run(*r)
			return table.Cell{Text: w.Text, Style: th.Mark(w.State).Style}
		}},
		table.Column[row]{Title: l("EXIT"), Min: 8, Flex: true, Priority: 1, Cell: func(r row) table.Cell {
			return table.Cell{Text: v.exit(r)}
		}},
		table.Column[row]{Title: l("TRIGGER"), Min: 8, Max: 12, Priority: 4, Cell: func(r row) table.Cell {
			return table.Cell{Text: safe.Clean(r.Trigger), Style: th.Dim}
		}},
		table.Column[row]{Title: l("STARTED"), Min: 8, Priority: 3, Cell: func(r row) table.Cell {
			return table.Cell{Text: present.Clock(r.Started, v.deps.Now()), Style: th.Dim}
		}},
		table.Column[row]{
			Title: l("LASTED"), Min: 6, Right: true, Priority: 2,
			Less: func(a, b row) bool { return a.Duration(v.deps.Now()) > b.Duration(v.deps.Now()) },
			Cell: func(r row) table.Cell { return table.Cell{Text: present.Lasted(r.Duration(v.deps.Now()))} },
		},
	)
}

// owner names the job or the instance that ran.
func (v *view) owner(r *backend.Run) string {
	name := backend.InstanceName(r.Process, r.Index)
	switch {
	case r.Job != "":
		return r.Job
	case v.of.Kind == backend.KindApp:
		return name
	}
	return r.App + " " + name
}

// exit says how it ended; of a failure, with the line that tells most.
func (v *view) exit(r *backend.Run) safe.Text {
	end := present.Exit(*r)
	if r.State != backend.RunFailed || len(r.LastLines) == 0 {
		return end
	}
	last := strings.TrimSpace(r.LastLines[present.Telling(r.LastLines)])
	return safe.Join(safe.Literal(" "), end, safe.Clean("\""+last+"\""))
}

// Title is what ran.
func (v *view) Title() safe.Text {
	if v.of.Kind == "" {
		return safe.Literal("runs")
	}
	return safe.Join(safe.Literal(" "), safe.Clean(v.of.Name), safe.Literal("runs"))
}

// Actions lead to the run's log and to what is known of it.
func (v *view) Actions() []action.Action {
	r, ok := v.Table.Selected()
	if !ok {
		r = &backend.Run{}
	}
	places := present.RunPlaces(v.deps, *r, ok)
	list := make([]action.Action, 0, 24)
	list = append(list, present.Open(v.deps, safe.Literal("log of the run"), present.RunLog(*r), ok))
	if v.of.Kind == backend.KindJob {
		job := backend.Job{ID: v.of.ID, Name: v.of.Name}
		list = append(list, present.JobVerbs(v.deps, []backend.Job{job})[0])
	}
	list = append(list, v.Table.Actions()...)
	return append(list, places...)
}

// Companion is the log of the selected run.
func (v *view) Companion() (ui.Place, bool) {
	r, ok := v.Table.Selected()
	if !ok {
		return ui.Place{}, false
	}
	return present.RunLog(*r), true
}

var (
	_ ui.View      = (*view)(nil)
	_ ui.Companion = (*view)(nil)
	_ ui.Escaper   = (*view)(nil)
	_ ui.Staler    = (*view)(nil)
	_ ui.Statused  = (*view)(nil)
)
