// Package instances lists the running copies of an app, of a job or of
// everything, with why each is in its state.
package instances

import (
	"cmp"
	"context"

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
		Name: "instances", Aliases: []string{"instance", "i"}, Title: safe.Literal("every instance of every app, the worst first"),
		Alone: true, Of: []backend.Kind{backend.KindApp},
		Open: func(d ui.Deps, p ui.Place) ui.View { return newView(d, p) },
	}
}

// view lists instances.
type view struct {
	*present.Listing[backend.Instance]
	deps    ui.Deps
	of      backend.Ref
	ctx     context.Context
	samples *ui.Stream[backend.Sample]
	latest  map[string]backend.Sample // by instance
	retry   present.Retry
}

func newView(d ui.Deps, p ui.Place) *view {
	v := &view{deps: d, of: p.Ref, latest: map[string]backend.Sample{}}
	q := backend.InstanceQuery{}
	empty := []safe.Text{safe.Literal("No instance runs.")}
	switch p.Ref.Kind {
	case backend.KindApp:
		q.Apps = []string{p.Ref.ID}
		empty = []safe.Text{
			present.Text("%s has no instances.", p.Ref.Name),
			{},
			safe.Literal("It may be stopped, or scaled to 0: go back, and start or scale it."),
		}
	case backend.KindJob:
		q.Jobs = []string{p.Ref.ID}
		empty = []safe.Text{present.Text("%s does not run now.", p.Ref.Name)}
	}
	v.Listing = present.NewListing(present.ListingOptions[backend.Instance]{
		Theme: d.Theme, What: "instances", Columns: v.columns(), Order: v.order, Text: text, Empty: empty,
		Sync: ui.SyncOptions[backend.Instance]{
			List: func(ctx context.Context, page backend.Page) (backend.List[backend.Instance], error) {
				q := q
				q.Page = page
				return d.Backend.Instances(ctx, q)
			},
			Watch: d.Backend.Watch,
			Query: backend.WatchQuery{Kinds: []backend.Kind{backend.KindInstance}, Ref: p.Ref},
			Pick:  func(e backend.Event) *backend.Instance { return e.Instance },
			Key:   func(i backend.Instance) string { return i.ID },
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
	q := backend.SampleQuery{Instances: true}
	if v.of.Kind == backend.KindApp {
		q.Apps = []string{v.of.ID}
	}
	var cmd tea.Cmd
	b := v.deps.Backend
	v.samples, cmd = ui.Follow(v.ctx, func(ctx context.Context) (backend.Feed[backend.Sample], error) {
		return b.Samples(ctx, q)
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
		if msg.Err != nil {
			return v.retry.Again()
		}
		v.retry.Reset()
		for _, s := range msg.Items {
			v.latest[s.Ref.ID] = s
		}
		return v.samples.Next()
	case present.RetryMsg:
		if !v.retry.Mine(msg) {
			return nil
		}
		return v.measure()
	}
	_, cmd := v.Listing.Update(msg)
	return cmd
}

// order is by app, process and index, so that instances keep their places;
// among those of every app the worst come first.
func (v *view) order(a, b *backend.Instance) int {
	worst := 0
	if !v.one() {
		worst = cmp.Compare(severity(*b), severity(*a))
	}
	return cmp.Or(
		worst,
		cmp.Compare(a.App, b.App),
		cmp.Compare(a.Job, b.Job),
		cmp.Compare(a.Process, b.Process),
		cmp.Compare(a.Index, b.Index),
		cmp.Compare(a.ID, b.ID),
	)
}

// text is what the filter searches.
func text(i *backend.Instance) string {
	s := i.App + i.Job + " " + i.Name() + " " + string(i.State) + " " + i.Reason + " " + i.ID
	if i.Blocked {
		s += " blocked"
	}
	if !i.Attached && i.State.Live() {
		s += " kicked"
	}
	return s
}

// one reports whether all rows belong to one app or job.
func (v *view) one() bool { return v.of.Kind != "" }

// Title is what the instances belong to.
func (v *view) Title() safe.Text {
	if v.one() {
		return safe.Join(safe.Literal(" "), safe.Clean(v.of.Name), safe.Literal("instances"))
	}
	return safe.Literal("instances")
}

// Actions are the verbs of the marked instances or the selected one.
func (v *view) Actions() []action.Action {
	i, ok := v.Table.Selected()
	if !ok {
		i = &backend.Instance{}
	}
	targets := v.Table.Targets()
	hit := make([]backend.Instance, len(targets))
	for n, t := range targets {
		hit[n] = *t
	}
	verbs := present.InstanceVerbs(v.deps, hit)
	places := present.InstancePlaces(v.deps, *i, ok)
	open := present.Open(v.deps, safe.Literal("log of the instance"), ui.Place{View: "logs", Ref: present.InstanceRef(*i)}, ok)
	list := make([]action.Action, 0, 40)
	list = append(list, verbs[:present.Urgent]...)
	list = append(list, places[0], open)
	list = append(list, v.Table.Actions()...)
	list = append(list, verbs[present.Urgent:]...)
	return append(list, places[1:]...)
}

// Companion is the log of the selected instance.
func (v *view) Companion() (ui.Place, bool) {
	i, ok := v.Table.Selected()
	if !ok {
		return ui.Place{}, false
	}
	return ui.Place{View: "logs", Ref: present.InstanceRef(*i)}, true
}

var (
	_ ui.View      = (*view)(nil)
	_ ui.Companion = (*view)(nil)
	_ ui.Escaper   = (*view)(nil)
	_ ui.Staler    = (*view)(nil)
	_ ui.Statused  = (*view)(nil)
)
