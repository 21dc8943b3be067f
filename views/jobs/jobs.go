// Package jobs lists the programs that run to their end: when each runs next,
// and how it went last.
package jobs

import (
	"cmp"
	"context"

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
		Name: "jobs", Aliases: []string{"job", "j", "cron"}, Title: safe.Literal("every job: when it runs next, how it went last"),
		Alone: true,
		Open:  func(d ui.Deps, p ui.Place) ui.View { return newView(d) },
	}
}

// view lists the jobs.
type view struct {
	*present.Listing[backend.Job]
	deps ui.Deps
}

func newView(d ui.Deps) *view {
	v := &view{deps: d}
	v.Listing = present.NewListing(present.ListingOptions[backend.Job]{
		Theme: d.Theme, What: "jobs", Columns: v.columns(), Order: order,
		Sync: ui.SyncOptions[backend.Job]{
			List: func(ctx context.Context, p backend.Page) (backend.List[backend.Job], error) {
				return d.Backend.Jobs(ctx, backend.JobQuery{Page: p})
			},
			Watch: d.Backend.Watch,
			Query: backend.WatchQuery{Kinds: []backend.Kind{backend.KindJob}},
			Pick:  func(e backend.Event) *backend.Job { return e.Job },
			Key:   func(j backend.Job) string { return j.ID },
		},
		Empty: []safe.Text{
			safe.Literal("There are no jobs yet."),
			{},
			safe.Literal("Declare some under \"jobs:\" of a manifest:    pitwall apply -f FILE"),
		},
	})
	return v
}

// Init lists and watches.
func (v *view) Init(ctx context.Context) tea.Cmd { return v.Listing.Init(ctx) }

// Update keeps the rows true.
func (v *view) Update(msg tea.Msg) tea.Cmd {
	_, cmd := v.Listing.Update(msg)
	return cmd
}

// order puts jobs that failed last time first, then those that run.
func order(a, b *backend.Job) int {
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
}

func rank(j *backend.Job) int {
	switch state(j) {
	case theme.Failed:
		return 0
	case theme.Starting:
		return 1
	}
	return 2
}

// state is that of the job as a whole.
func state(j *backend.Job) theme.State {
	switch {
	case j.Last != nil && (j.Last.State == backend.RunFailed || j.Last.State == backend.RunLost):
		return theme.Failed
	case j.Running > 0:
		return theme.Starting
	case j.Last == nil:
		return theme.Stopped
	}
	return present.Run(*j.Last).State
}

func (v *view) columns() []table.Column[*backend.Job] {
	th, l := v.deps.Theme, safe.Literal
	type row = *backend.Job
	return []table.Column[row]{
		{Min: 1, Max: 1, Cell: func(j row) table.Cell {
			m := th.Mark(state(j))
			return table.Cell{Text: m.Glyph, Style: m.Style}
		}},
		{
			Title: l("JOB"), Min: 6, Max: 28, Less: func(a, b row) bool { return a.Name < b.Name },
			Cell: func(j row) table.Cell { return table.Cell{Text: safe.Clean(j.Name), Style: th.Title} },
		},
		{
			Title: l("TEAM"), Max: 14, Priority: 6, Less: func(a, b row) bool { return a.Team < b.Team },
			Cell: func(j row) table.Cell { return table.Cell{Text: safe.Clean(j.Team), Style: th.Dim} },
		},
		{Title: l("SCHEDULE"), Max: 20, Priority: 3, Cell: func(j row) table.Cell {
			if j.Schedule == "" {
				return table.Cell{Text: l("by hand"), Style: th.Dim}
			}
			return table.Cell{Text: safe.Clean(j.Schedule)}
		}},
		{Title: l("NEXT"), Min: 6, Priority: 2, Less: sooner, Cell: func(j row) table.Cell {
			return table.Cell{Text: present.Until(j.Next, v.deps.Now())}
		}},
		{
			Title: l("RUNNING"), Right: true, Priority: 4, Less: func(a, b row) bool { return a.Running > b.Running },
			Cell: func(j row) table.Cell { return table.Cell{Text: present.Number(j.Running), Style: th.Busy} },
		},
		{Title: l("LAST"), Min: 10, Flex: true, Priority: 1, Cell: func(j row) table.Cell { return v.last(j) }},
		{Title: l("LASTED"), Right: true, Priority: 5, Cell: func(j row) table.Cell {
			if j.Last == nil {
				return table.Cell{}
			}
			return table.Cell{Text: present.Lasted(j.Last.Duration(v.deps.Now())), Style: th.Dim}
		}},
		{Title: l("AGO"), Min: 4, Right: true, Priority: 2, Cell: func(j row) table.Cell {
			if j.Last == nil {
				return table.Cell{}
			}
			return table.Cell{Text: v.deps.Age(j.Last.Started), Style: th.Dim}
		}},
	}
}

// last says how the last run went.
func (v *view) last(j *backend.Job) table.Cell {
	th := v.deps.Theme
	if j.Last == nil {
		return table.Cell{Text: safe.Literal("never ran"), Style: th.Dim}
	}
	w := present.Run(*j.Last)
	text := w.Text
	if end := present.Exit(*j.Last); !end.Empty() && j.Last.State != backend.RunSucceeded {
		text = safe.Join(safe.Literal(": "), text, end)
	}
	return table.Cell{Text: text, Style: th.Mark(w.State).Style}
}

func sooner(a, b *backend.Job) bool {
	if a.Next.IsZero() || b.Next.IsZero() {
		return !a.Next.IsZero()
	}
	return a.Next.Before(b.Next)
}

// Title is the view's name.
func (v *view) Title() safe.Text { return safe.Literal("jobs") }

// Actions are the verbs of the marked jobs or the selected one.
func (v *view) Actions() []action.Action {
	j, ok := v.Table.Selected()
	if !ok {
		j = &backend.Job{}
	}
	targets := v.Table.Targets()
	hit := make([]backend.Job, len(targets))
	for i, t := range targets {
		hit[i] = *t
	}
	verbs, places := present.JobVerbs(v.deps, hit), present.JobPlaces(v.deps, *j, ok)
	list := make([]action.Action, 0, 30)
	list = append(list, verbs[0], places[1])
	list = append(list, present.Open(v.deps, safe.Literal("runs of the job"), ui.Place{View: "runs", Ref: j.Ref()}, ok))
	list = append(list, v.Table.Actions()...)
	list = append(list, places[0], places[2], places[3])
	return append(list, verbs[1:]...)
}

// Companion is the log of the selected job.
func (v *view) Companion() (ui.Place, bool) {
	j, ok := v.Table.Selected()
	if !ok {
		return ui.Place{}, false
	}
	return ui.Place{View: "logs", Ref: j.Ref()}, true
}

var (
	_ ui.View      = (*view)(nil)
	_ ui.Companion = (*view)(nil)
	_ ui.Escaper   = (*view)(nil)
	_ ui.Staler    = (*view)(nil)
	_ ui.Statused  = (*view)(nil)
)
