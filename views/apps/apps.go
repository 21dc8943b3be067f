// Package apps is the first screen: every app, the worst first, with what it
// said last.
package apps

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/action"
	"pitwall/ui/present"
	"pitwall/ui/safe"
)

// Spec makes the view known to the Shell.
func Spec() ui.Spec {
	return ui.Spec{
		Name: "apps", Aliases: []string{"app", "a"}, Title: safe.Literal("every app, the worst first"),
		Alone: true,
		Open:  func(d ui.Deps, p ui.Place) ui.View { return newView(d) },
	}
}

// view lists the apps.
type view struct {
	*present.Listing[backend.App]
	deps    ui.Deps
	ctx     context.Context
	samples *ui.Stream[backend.Sample]
	latest  map[string]backend.Sample // by app
	retry   present.Retry
}

func newView(d ui.Deps) *view {
	v := &view{deps: d, latest: map[string]backend.Sample{}}
	v.Listing = present.NewListing(present.ListingOptions[backend.App]{
		Theme: d.Theme, What: "apps", Columns: v.columns(), Sort: v.sort, Text: text,
		Words: 4, // they say why, figures only how much
		Sync: ui.SyncOptions[backend.App]{
			List: func(ctx context.Context, p backend.Page) (backend.List[backend.App], error) {
				return d.Backend.Apps(ctx, backend.AppQuery{Page: p})
			},
			Watch: d.Backend.Watch,
			Query: backend.WatchQuery{Kinds: []backend.Kind{backend.KindApp}},
			Pick:  func(e backend.Event) *backend.App { return e.App },
			Key:   func(a backend.App) string { return a.ID },
		},
		Empty: []safe.Text{
			safe.Literal("There are no apps yet."),
			{},
			safe.Literal("Declare some:      pitwall apply -f FILE"),
			safe.Literal("Or look around:    pitwall --demo"),
		},
	})
	return v
}

// Init lists, watches and measures.
func (v *view) Init(ctx context.Context) tea.Cmd {
	v.ctx = ctx
	return tea.Batch(v.Listing.Init(ctx), v.measure())
}

func (v *view) measure() tea.Cmd {
	var cmd tea.Cmd
	b := v.deps.Backend
	v.samples, cmd = ui.Follow(v.ctx, func(ctx context.Context) (backend.Feed[backend.Sample], error) {
		return b.Samples(ctx, backend.SampleQuery{})
	})
	return cmd
}

// Update keeps rows and measurements true.
func (v *view) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case ui.Batch[backend.Sample]:
		if msg.From != v.samples {
			return nil
		}
		return v.measured(msg)
	case present.RetryMsg:
		if !v.retry.Mine(msg) {
			return nil
		}
		return v.measure()
	}
	_, cmd := v.Listing.Update(msg)
	return cmd
}

func (v *view) measured(msg ui.Batch[backend.Sample]) tea.Cmd {
	if msg.Err != nil {
		return v.retry.Again()
	}
	v.retry.Reset()
	for _, s := range msg.Items {
		v.latest[s.Ref.ID] = s
	}
	if len(msg.Items) > 0 {
		v.Arrange()
	}
	return v.samples.Next()
}

// now is the app with what was measured of it since.
func (v *view) now(a *backend.App) backend.App {
	s, ok := v.latest[a.ID]
	if !ok {
		return *a
	}
	return present.Measured(*a, s)
}

// sort puts the worst first. What is wrong with each row is found out once, not
// at each comparison.
func (v *view) sort(rows []*backend.App) {
	now := v.deps.Now()
	keys := make([]key, len(rows))
	for i, a := range rows {
		keys[i] = v.key(a, now)
	}
	slices.SortFunc(keys, compare)
	for i, k := range keys {
		rows[i] = k.app
	}
}

// key is what an app is ordered by: what is wrong with it. Errors count by
// their magnitude, so that rows do not change places all the time.
type key struct {
	app          *backend.App
	rank, errors int
}

func (v *view) key(a *backend.App, now time.Time) key {
	n := v.errors(a)
	return key{a, rank(a, n, now), magnitude(n)}
}

func compare(a, b key) int {
	switch {
	case a.rank != b.rank:
		return a.rank - b.rank
	case a.errors != b.errors:
		return b.errors - a.errors
	case a.app.Name != b.app.Name:
		return cmp.Compare(a.app.Name, b.app.Name)
	}
	return cmp.Compare(a.app.ID, b.app.ID)
}

func (v *view) worseThan(a, b *backend.App) bool {
	now := v.deps.Now()
	return compare(v.key(a, now), v.key(b, now)) < 0
}

func (v *view) errors(a *backend.App) int {
	if s, ok := v.latest[a.ID]; ok {
		return s.ErrorsPerMinute
	}
	return a.ErrorsPerMinute
}

// rank is the severity of the state; of the apps that run, first those with
// errors, then those that take no work.
func rank(a *backend.App, errors int, now time.Time) int {
	n := 4 * a.State.Severity()
	if a.State != backend.AppRunning {
		return n
	}
	switch {
	case a.Blocked || !a.Attached:
		return n + 1
	case errors > 0, present.Troubled(a, now):
		return n
	}
	return n + 2
}

func magnitude(n int) int {
	if n <= 0 {
		return 0
	}
	return len(strconv.Itoa(n))
}

// text is what the filter searches.
func text(a *backend.App) string {
	s := a.Name + " " + a.Team + " " + a.Space + " " + string(a.State) + " " + a.LastError
	if a.Blocked {
		s += " blocked " + a.BlockedBy
	}
	if !a.Attached && a.State != backend.AppStopped {
		s += " kicked"
	}
	if a.State == backend.AppCrashing {
		s += " crash loop"
	}
	return s
}

// Title is the view's name.
func (v *view) Title() safe.Text { return safe.Literal("apps") }

// Actions are the verbs of the marked apps or the selected one, and the places
// that lead on from that.
func (v *view) Actions() []action.Action {
	one, ok := v.Table.Selected()
	var app backend.App
	if ok {
		app = *one
	}
	targets := v.Table.Targets()
	apps := make([]backend.App, len(targets))
	for i, a := range targets {
		apps[i] = *a
	}
	verbs := present.AppVerbs(v.deps, apps)
	places := present.AppPlaces(v.deps, app, ok)
	open := present.Open(v.deps, safe.Literal("instances of the app"), ui.Place{View: "instances", Ref: app.Ref()}, ok)
	list := make([]action.Action, 0, 40)
	list = append(list, verbs[:present.Urgent]...)
	list = append(list, places[0], open)
	list = append(list, v.Table.Actions()...)
	list = append(list, verbs[present.Urgent:]...)
	return append(list, places[1:]...)
}

// Companion is the log of the selected app.
func (v *view) Companion() (ui.Place, bool) {
	a, ok := v.Table.Selected()
	if !ok {
		return ui.Place{}, false
	}
	return ui.Place{View: "logs", Ref: a.Ref()}, true
}
