// Package logs shows a log: of an app over all its instances, of one of them,
// of a job, of a run. It follows the end, goes back as far as anything is
// kept, and shows every gap.
package logs

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/logview"
	"pitwall/ui/present"
	"pitwall/ui/safe"
)

// Spec makes the view known to the Shell.
func Spec() ui.Spec {
	return ui.Spec{
		Name: "logs", Aliases: []string{"log", "l"}, Title: safe.Literal("the log of everything"), Alone: true,
		Of:   []backend.Kind{backend.KindApp, backend.KindInstance, backend.KindJob},
		Open: func(d ui.Deps, p ui.Place) ui.View { return newView(d, p) },
	}
}

const (
	// page is how many lines are read at once: some screens.
	page = 500
	// maxLag is how far behind a reader may be: more than a person reads, and
	// less than it takes a terminal a second to draw.
	maxLag = 20_000
	// patience is how long a log without a line is "loading" before it is
	// said to be empty.
	patience = 700 * time.Millisecond
)

// view shows one log.
type view struct {
	deps  ui.Deps
	place ui.Place
	run   int  // the only run to show; 0 for all
	raw   bool // lines are shown as they were written
	log   *logview.Model

	app      *ui.Sync[backend.App]      // for the verbs; nil where there are none
	instance *ui.Sync[backend.Instance] // the same, of an instance

	ctx    context.Context
	cancel context.CancelFunc // of the stream
	query  backend.LogQuery   // that the lines held are the answer to
	stream *ui.Stream[backend.LogEntry]
	fresh  bool // the stream has given nothing yet, and replaces what is held
	opened time.Time
	last   backend.Cursor // of the latest entry of the stream
	retry  present.Retry

	ended bool
	err   error
	cut   bool // the link is down

	gaps    map[string]gap
	madeGap int
	lag     time.Duration
	skipped uint64
	scanned safe.Text // progress of a search
}

// gap is what a gap on the screen stands for.
type gap struct {
	backend.LogGap
	cursor backend.Cursor
}

// asked is a message for one view, about one state of its stream.
type (
	loaded struct {
		of     *view
		stream *ui.Stream[backend.LogEntry]
	}
	older struct {
		of      *view
		stream  *ui.Stream[backend.LogEntry]
		entries []backend.LogEntry
		err     error
	}
	newer  older
	oldest older
	filled struct {
		of      *view
		id      string
		entries []backend.LogEntry
		err     error
	}
)

func newView(d ui.Deps, p ui.Place) *view {
	v := &view{deps: d, place: p, cancel: func() {}, gaps: map[string]gap{}}
	v.run, _ = strconv.Atoi(p.Arg)
	switch p.Ref.Kind {
	case backend.KindApp:
		v.app = present.OneApp(d.Backend, p.Ref.ID)
	case backend.KindInstance:
		v.instance = present.OneInstance(d.Backend, p.Ref.ID)
	}
	v.log = logview.New(logview.Options{
		Theme: d.Theme, Older: v.older, Oldest: v.oldest, Newer: v.newer, Latest: v.latest, Empty: v.empty(),
	})
	return v
}

// base is the query without what the operator narrows it by.
func (v *view) base() backend.LogQuery {
	q := backend.LogQuery{Run: v.run, Dividers: true}
	switch ref := v.place.Ref; ref.Kind {
	case backend.KindApp:
		q.Apps = []string{ref.ID}
	case backend.KindInstance:
		q.Instances = []string{ref.ID}
	case backend.KindJob:
		q.Jobs = []string{ref.ID}
	}
	return q
}

// wanted is the query that the operator's filters ask for. The search runs
// where the log is, so that it finds what is not held here.
func (v *view) wanted() backend.LogQuery {
	q := v.base()
	if l := v.log.Level(); l > logview.Unknown {
		q.Level = backend.Levels()[l-1]
	}
	if text := v.log.Filter(); text != "" {
		q.Regexp = "(?i)" + regexp.QuoteMeta(text)
		q.Dividers = false // they would hide the few lines that match
	}
	return q
}

// Init opens the log.
func (v *view) Init(ctx context.Context) tea.Cmd {
	v.ctx = ctx
	cmds := []tea.Cmd{v.latest()}
	if v.app != nil {
		cmds = append(cmds, v.app.Init(ctx))
	}
	if v.instance != nil {
		cmds = append(cmds, v.instance.Init(ctx))
	}
	return tea.Batch(cmds...)
}

// latest shows the end of the log, by the filters of now, and follows it.
func (v *view) latest() tea.Cmd {
	v.query = v.wanted()
	q := v.query
	q.Tail = page
	return v.follow(q, true)
}

// follow follows a query. Fresh is set where its answer replaces what is held.
func (v *view) follow(q backend.LogQuery, fresh bool) tea.Cmd {
	v.cancel()
	ctx, cancel := context.WithCancel(v.ctx)
	v.cancel = cancel
	q.Follow, q.MaxLag = true, maxLag
	q.Progress = q.Regexp != "" || q.Level != ""
	v.fresh, v.opened, v.ended, v.err, v.scanned = fresh, v.deps.Now(), false, nil, safe.Text{}
	b := v.deps.Backend
	var cmd tea.Cmd
	v.stream, cmd = ui.Follow(ctx, func(ctx context.Context) (backend.Feed[backend.LogEntry], error) {
		return b.Logs(ctx, q)
	})
	if !fresh {
		return cmd
	}
	done := loaded{v, v.stream}
	return tea.Batch(cmd, tea.Tick(patience, func(time.Time) tea.Msg { return done }))
}

// Update takes lines, and whatever has to do with the log.
func (v *view) Update(msg tea.Msg) tea.Cmd {
	cmd := v.update(msg)
	return tea.Batch(cmd, v.settle())
}

// settle asks anew when the operator has changed what is asked for. One who
// reads further up, and asks for less than is held, keeps the place: what is
// held is filtered until the end is followed again.
func (v *view) settle() tea.Cmd {
	if v.ctx == nil {
		return nil
	}
	w, q := v.wanted(), v.query
	if w.Level == q.Level && w.Regexp == q.Regexp {
		return nil
	}
	held := w.Level.Rank() >= q.Level.Rank() && q.Regexp == w.Regexp
	if held && !v.log.Following() {
		return nil
	}
	return v.latest()
}

func (v *view) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case ui.Batch[backend.LogEntry]:
		if msg.From != v.stream {
			return nil
		}
		return v.batch(msg)
	case loaded:
		if msg.of == v && msg.stream == v.stream && v.fresh && v.err == nil {
			v.begin()
		}
		return nil
	case older:
		return v.gotOlder(msg)
	case newer:
		return v.gotNewer(msg)
	case oldest:
		return v.gotOldest(msg)
	case filled:
		return v.gotFilled(msg)
	case present.RetryMsg:
		if !v.retry.Mine(msg) {
			return nil
		}
		return v.again()
	}
	return tea.Batch(v.owners(msg), v.log.Update(msg))
}

// owners keeps true what the verbs are for. The app of an instance is known
// when the instance is.
func (v *view) owners(msg tea.Msg) tea.Cmd {
	var cmds []tea.Cmd
	if v.app != nil {
		_, cmd := v.app.Update(msg)
		cmds = append(cmds, cmd)
	}
	if v.instance != nil {
		_, cmd := v.instance.Update(msg)
		cmds = append(cmds, cmd)
	}
	return tea.Batch(cmds...)
}

// begin makes room for what the stream gives.
func (v *view) begin() {
	v.fresh = false
	v.log.Reset()
	v.log.SetLoaded()
	v.gaps, v.skipped, v.last = map[string]gap{}, 0, ""
}

func (v *view) batch(msg ui.Batch[backend.LogEntry]) tea.Cmd {
	if msg.Err != nil {
		return v.failed(msg.Err)
	}
	v.retry.Reset()
	v.err = nil
	if msg.Missed != nil {
		v.skipped += msg.Missed.Missed
		v.log.Append(logview.Entry{Kind: logview.Gap, Text: present.Text("%s skipped", ui.Plural(int(msg.Missed.Missed), "line"))})
		return v.stream.Next()
	}
	if v.fresh && slices.ContainsFunc(msg.Items, func(e backend.LogEntry) bool { return e.Progress == nil }) {
		v.begin()
	}
	v.log.Append(v.entries(msg.Items)...)
	v.note(msg.Items)
	return v.stream.Next()
}

// note remembers how far the stream is, and how far behind.
func (v *view) note(items []backend.LogEntry) {
	for _, e := range slices.Backward(items) {
		if e.Cursor != "" {
			v.last = e.Cursor
			break
		}
	}
	if n := len(items); n > 0 && items[n-1].Time.After(v.opened) {
		at := items[n-1].Time
		v.lag = max(0, v.deps.Now().Sub(at))
	}
}

// failed notes why the stream has ended. It is tried again from where it was,
// unless there is nothing to try.
func (v *view) failed(err error) tea.Cmd {
	v.log.SetLoaded()
	if ui.Ended(err) {
		v.ended = true
		return nil
	}
	v.err = err
	v.settleStale()
	switch backend.CodeOf(err) {
	case backend.NotFound, backend.Denied, backend.Invalid, backend.Unsupported:
		return nil
	}
	return v.retry.Again()
}

// again goes on after the last entry that came.
func (v *view) again() tea.Cmd {
	if v.last == "" || v.fresh {
		return v.latest()
	}
	q := v.query
	q.After = v.last
	cmd := v.follow(q, false)
	v.settleStale()
	return cmd
}

// SetStale draws the lines in grey, because no new ones can come.
func (v *view) SetStale(stale bool) {
	v.cut = stale
	v.settleStale()
}

func (v *view) settleStale() { v.log.SetStale(v.cut || v.err != nil) }

// SetSize tells the cells there are.
func (v *view) SetSize(width, height int) { v.log.SetSize(width, height) }

// Capturing reports whether a search or a filter is typed.
func (v *view) Capturing() bool { return v.log.Capturing() }

// Escape takes back a search or a filter.
func (v *view) Escape() bool { return v.log.Escape() }

// Render draws the lines.
func (v *view) Render() ui.Frame {
	f := ui.Frame{}
	held, _ := v.log.Len()
	w, h := v.log.Size()
	switch {
	case held == 0 && v.err != nil:
		f.Lines = present.Said(v.deps.Theme.Bad, []safe.Text{present.Why("read the log", v.err)}, w, h)
		return f
	case held == 0 && !v.fresh && !v.Capturing() && (v.query.Level != "" || v.query.Regexp != ""):
		f.Lines = present.Said(v.deps.Theme.Dim, v.nothingPasses(), w, h)
		return f
	}
	f.Lines = v.log.View()
	if x, y, ok := v.log.Cursor(); ok {
		f.Cursor = tea.NewCursor(x, y)
	}
	return f
}

// Close ends what Init started.
func (v *view) Close() { v.cancel() }

var (
	_ ui.View     = (*view)(nil)
	_ ui.Escaper  = (*view)(nil)
	_ ui.Staler   = (*view)(nil)
	_ ui.Statused = (*view)(nil)
	_ ui.Reporter = (*view)(nil)
)
