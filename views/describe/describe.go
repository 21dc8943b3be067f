// Package describe is a page of all that is known of one thing: an app, an
// instance, a job, a run or an operation. It stays true while it is shown.
package describe

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/action"
	"pitwall/ui/present"
	"pitwall/ui/safe"
)

// Spec makes the view known to the Shell.
func Spec() ui.Spec {
	return ui.Spec{
		Name: "describe", Aliases: []string{"about"}, Title: safe.Literal("all that is known of one thing"),
		Of: []backend.Kind{
			backend.KindApp, backend.KindInstance, backend.KindJob, backend.KindRun, backend.KindOperation,
		},
		Open: func(d ui.Deps, p ui.Place) ui.View { return newView(d, p) },
	}
}

// reload is the least time between two readings of a thing that changes a lot.
const reload = 500 * time.Millisecond

// view is one page.
type view struct {
	deps          ui.Deps
	place         ui.Place
	width, height int
	top           int // the first row on the screen

	ctx    context.Context
	stream *ui.Stream[backend.Event]
	watch  present.Retry // of the stream
	read   present.Retry // of the page

	about   about
	loaded  bool
	err     error
	cut     bool // the link is down
	waiting bool // a reading is to come
}

// The messages of one view.
type (
	got struct {
		of    *view
		about about
		err   error
	}
	due struct{ of *view }
)

func newView(d ui.Deps, p ui.Place) *view { return &view{deps: d, place: p} }

// Init reads and watches.
func (v *view) Init(ctx context.Context) tea.Cmd {
	v.ctx = ctx
	return tea.Batch(v.load(), v.follow())
}

func (v *view) load() tea.Cmd {
	b, ctx, place := v.deps.Backend, v.ctx, v.place
	return func() tea.Msg {
		a, err := read(ctx, b, place)
		return got{v, a, err}
	}
}

func (v *view) follow() tea.Cmd {
	q := backend.WatchQuery{Ref: v.place.Ref}
	b := v.deps.Backend
	var cmd tea.Cmd
	v.stream, cmd = ui.Follow(v.ctx, func(ctx context.Context) (backend.Feed[backend.Event], error) {
		return b.Watch(ctx, q)
	})
	return cmd
}

// Update takes what was read, and has it read again when it changes.
func (v *view) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case got:
		if msg.of != v {
			return nil
		}
		return v.took(msg)
	case due:
		if msg.of != v {
			return nil
		}
		v.waiting = false
		return v.load()
	case ui.Batch[backend.Event]:
		if msg.From != v.stream {
			return nil
		}
		if msg.Err != nil {
			return v.watch.Again()
		}
		v.watch.Reset()
		return tea.Batch(v.soon(), v.stream.Next())
	case present.RetryMsg:
		switch {
		case v.watch.Mine(msg):
			return tea.Batch(v.soon(), v.follow())
		case v.read.Mine(msg):
			return v.load()
		}
	case tea.MouseWheelMsg:
		switch msg.Button {
		case tea.MouseWheelUp:
			v.scroll(-3)
		case tea.MouseWheelDown:
			v.scroll(3)
		}
	}
	return nil
}

func (v *view) took(msg got) tea.Cmd {
	if v.err = msg.err; msg.err != nil {
		if backend.CodeOf(msg.err) == backend.NotFound {
			return nil
		}
		return v.read.Again()
	}
	v.read.Reset()
	v.about, v.loaded = msg.about, true
	return nil
}

// soon has the page read again, once for all that changes meanwhile.
func (v *view) soon() tea.Cmd {
	if v.waiting {
		return nil
	}
	v.waiting = true
	return tea.Tick(reload, func(time.Time) tea.Msg { return due{v} })
}

// SetSize tells the cells there are.
func (v *view) SetSize(width, height int) { v.width, v.height = max(width, 0), max(height, 0) }

// SetStale draws the page in grey, because it may no longer be true.
func (v *view) SetStale(stale bool) { v.cut = stale }

// Capturing is never the case.
func (v *view) Capturing() bool { return false }

// Close does nothing: what Init started ends with its context.
func (v *view) Close() {}

// Title is what the page is about.
func (v *view) Title() safe.Text { return safe.Clean(v.place.Ref.Name) }

// Status says what is wrong with the page, or which part of it is shown.
func (v *view) Status() safe.Text {
	if v.err != nil && v.loaded {
		return present.Why("read "+v.place.Ref.Name, v.err)
	}
	if v.place.Arg != "" {
		return safe.Clean(v.place.Arg)
	}
	return safe.Clean("describe " + string(v.place.Ref.Kind))
}

// Render draws the rows on the screen.
func (v *view) Render() ui.Frame {
	th := v.deps.Theme
	switch {
	case !v.loaded && v.err != nil:
		why := present.Why("read "+v.place.Ref.Name, v.err)
		return ui.Frame{Lines: present.Said(th.Bad, []safe.Text{why}, v.width, v.height)}
	case !v.loaded:
		loading := safe.Join(safe.Text{}, safe.Literal("loading"), th.Glyphs.Ellipsis)
		return ui.Frame{Lines: present.Said(th.Dim, []safe.Text{loading}, v.width, v.height)}
	}
	rows := v.rows()
	top := min(v.top, max(0, len(rows)-v.height))
	return ui.Frame{Lines: rows[top:min(len(rows), top+v.height)]}
}

// Copied is the whole page.
func (v *view) Copied() (safe.Text, []string) {
	if !v.loaded {
		return safe.Text{}, nil
	}
	rows := v.rows()
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = ansi.Strip(r)
	}
	return safe.Literal("the page"), lines
}

func (v *view) scroll(n int) { v.to(min(v.top, v.most()) + n) }

func (v *view) to(row int) { v.top = max(0, min(row, v.most())) }

// most is the first row of the last screen.
func (v *view) most() int { return max(0, len(v.rows())-v.height) }

// Actions are the verbs of the thing, then movement.
func (v *view) Actions() []action.Action {
	list := make([]action.Action, 0, 40)
	list = append(list, v.about.actions(v.deps)...)
	move := func(id string, title safe.Text, f func()) action.Action {
		return action.Action{ID: id, Title: title, Hidden: true, Run: func(action.Input) tea.Cmd { f(); return nil }}
	}
	l := safe.Literal
	list = append(
		list,
		move("text.up", l("up"), func() { v.scroll(-1) }),
		move("text.down", l("down"), func() { v.scroll(1) }),
		move("text.page-up", l("a page up"), func() { v.scroll(1 - v.height) }),
		move("text.page-down", l("a page down"), func() { v.scroll(v.height - 1) }),
		move("text.top", l("to the top"), func() { v.to(0) }),
		move("text.bottom", l("to the end"), func() { v.to(v.most()) }),
	)
	return v.deps.Keymap.Bind(list)
}

var (
	_ ui.View     = (*view)(nil)
	_ ui.Staler   = (*view)(nil)
	_ ui.Statused = (*view)(nil)
)
