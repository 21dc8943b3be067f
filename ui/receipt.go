package ui

import (
	"context"
	"strconv"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui/safe"
)

// source is what the console's operations say of where they came from.
const source = "console"

// receipts follow operations that were asked for here, from the answer of Do
// to their end.
type receipts struct {
	now func() time.Time

	open   []receipt
	asking []safe.Text // verbs that Do has not answered
	stream *Stream[backend.Event]
	tries  int
	// latest holds operations that were seen lately, because news of one can
	// come before the answer of Do.
	latest map[string]backend.Operation
	order  []string
	ticks  bool
}

// receipt is one operation on the footer's strip.
type receipt struct {
	op    backend.Operation
	since time.Time // when it was opened or, once over, when it ended here
}

// kept is how many operations of everybody are remembered.
const kept = 256

// An outcome stays at least for a glance, and a good one goes by itself.
const (
	glance  = 1500 * time.Millisecond
	success = 10 * time.Second
)

// The messages of receipts.
type (
	asked struct{ verb safe.Text }
	done  struct {
		results  []backend.Operation
		errs     []error
		commands []backend.Command
	}
	receiptTick   struct{}
	receiptReopen struct{}
	relisted      struct{ ops []backend.Operation }
)

// parallel is how many commands are given at once. The server queues them; a
// few at a time keep a thousand marked apps from opening as many requests.
const parallel = 8

// do gives commands to the backend.
func do(ctx context.Context, b backend.Backend, commands []backend.Command) tea.Cmd {
	return func() tea.Msg {
		d := done{commands: commands, results: make([]backend.Operation, len(commands)), errs: make([]error, len(commands))}
		var wg sync.WaitGroup
		slots := make(chan struct{}, parallel)
		for i, c := range commands {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				in := backend.IntentOf(c)
				if in.Source == "" {
					in.Source = source
				}
				r, err := b.Do(ctx, backend.WithIntent(c, in))
				d.results[i], d.errs[i] = r.Operation, err
			})
		}
		wg.Wait()
		return d
	}
}

// follow watches the operations of everybody.
func (r *receipts) follow(ctx context.Context, b backend.Backend) tea.Cmd {
	var cmd tea.Cmd
	r.stream, cmd = Follow(ctx, watching(b.Watch, backend.WatchQuery{Kinds: []backend.Kind{backend.KindOperation}}))
	return cmd
}

// relist reads the operations that are still open here, since news of them
// may have been missed.
func (r *receipts) relist(ctx context.Context, b backend.Backend) tea.Cmd {
	var ids []string
	for _, o := range r.open {
		if !o.op.State.Ended() && o.op.ID != "" {
			ids = append(ids, o.op.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return func() tea.Msg {
		l, err := b.Operations(ctx, backend.OperationQuery{IDs: ids})
		if err != nil {
			return nil
		}
		return relisted{l.Items}
	}
}

// add opens receipts for what Do has answered, and returns the errors.
func (r *receipts) add(d done) []error {
	var errs []error
	// The answer may overtake the note that it was asked; then that note is
	// of no one, and the next answer takes it.
	if len(r.asking) > 0 {
		r.asking = r.asking[1:]
	}
	for i, op := range d.results {
		if d.errs[i] != nil {
			errs = append(errs, d.errs[i])
			continue
		}
		if seen, ok := r.latest[op.ID]; ok && len(seen.Steps) >= len(op.Steps) && !op.State.Ended() {
			op = seen
		}
		r.open = append(r.open, receipt{op, r.now()})
	}
	return errs
}

// see takes news of an operation.
func (r *receipts) see(op backend.Operation) {
	if r.latest == nil {
		r.latest = map[string]backend.Operation{}
	}
	if _, ok := r.latest[op.ID]; !ok {
		r.order = append(r.order, op.ID)
	}
	r.latest[op.ID] = op
	if len(r.order) > kept {
		delete(r.latest, r.order[0])
		r.order = r.order[1:]
	}
	for i := range r.open {
		o := &r.open[i]
		if o.op.ID != op.ID || o.op.State.Ended() {
			continue
		}
		o.op = op
		if op.State.Ended() {
			o.since = r.now()
		}
	}
}

// sweep removes outcomes: on a key those that were there for a glance, else
// good ones that were there for long.
func (r *receipts) sweep(key bool) {
	open := r.open[:0]
	for _, o := range r.open {
		age := r.now().Sub(o.since)
		over := o.op.State.Ended()
		if over && (key && age > glance || o.op.State == backend.OperationSucceeded && age >= success) {
			continue
		}
		open = append(open, o)
	}
	r.open = open
}

// tick asks for the next second while the strip has something to count or to
// take away; at rest there is none.
func (r *receipts) tick() tea.Cmd {
	if r.ticks {
		return nil
	}
	for _, o := range r.open {
		if !o.op.State.Ended() || o.op.State == backend.OperationSucceeded {
			r.ticks = true
			return tea.Tick(time.Second, func(time.Time) tea.Msg { return receiptTick{} })
		}
	}
	return nil
}

// strip is what the footer says of the receipts, in at most width cells.
func (s *Shell) strip(width int) string {
	open := s.receipts.open
	switch len(open) {
	case 0:
		if n := len(s.receipts.asking); n > 0 {
			verb := s.receipts.asking[n-1]
			return s.theme.Busy.Render(safe.Join(safe.Text{}, verb, s.theme.Glyphs.Ellipsis).Truncate(width, safe.Text{}).String())
		}
		return ""
	case 1:
		return s.one(open[0], width)
	}
	return s.several(open, width)
}

// one draws a receipt: "restart flaky: stop ✓ start ✓ ready… 2s".
func (s *Shell) one(r receipt, width int) string {
	th, g, op := s.theme, s.theme.Glyphs, r.op
	head := safe.Clean(op.Kind + " " + op.Target + ":")
	out := newPieces(width, g.Ellipsis)
	out.add(th.Title, head)
	switch op.State {
	case backend.OperationSucceeded:
		out.add(th.OK, safe.Join(safe.Literal(" "), g.OK, safe.Literal("PASS")))
		out.add(th.Dim, took(op))
	case backend.OperationFailed:
		out.add(th.Bad, safe.Join(safe.Literal(" "), g.Bad, safe.Literal("FAIL")))
		out.add(th.Text, safe.Clean(op.Error))
	case backend.OperationCanceled:
		out.add(th.Warn, safe.Join(safe.Literal(" "), g.Off, safe.Literal("canceled")))
		out.add(th.Text, safe.Clean(op.Error))
	default:
		s.steps(out, op)
		out.add(th.Dim, Age(s.now().Sub(r.since)))
	}
	return out.String()
}

// maxSteps is how many steps are named; of more, the last ones are.
const maxSteps = 3

func (s *Shell) steps(out *pieces, op backend.Operation) {
	th, g := s.theme, s.theme.Glyphs
	steps := op.Steps
	for len(steps) > 0 && steps[len(steps)-1].State != backend.OperationRunning && !steps[len(steps)-1].State.Ended() {
		steps = steps[:len(steps)-1] // not begun
	}
	if len(steps) == 0 {
		out.add(th.Busy, safe.Join(safe.Text{}, safe.Clean(string(op.State)), g.Ellipsis))
		return
	}
	if len(steps) > maxSteps {
		out.add(th.Dim, safe.Clean(strconv.Itoa(len(steps))+"/"+strconv.Itoa(len(op.Steps))))
		steps = steps[len(steps)-2:]
	}
	for _, st := range steps {
		name := safe.Clean(st.Name)
		switch st.State {
		case backend.OperationSucceeded:
			out.add(th.OK, safe.Join(safe.Literal(" "), name, g.OK))
		case backend.OperationFailed:
			out.add(th.Bad, safe.Join(safe.Literal(" "), name, g.Bad))
		default:
			out.add(th.Busy, safe.Join(safe.Text{}, name, g.Ellipsis))
		}
	}
}

// several draws many receipts as counts, with the first that failed.
func (s *Shell) several(open []receipt, width int) string {
	th, g := s.theme, s.theme.Glyphs
	var good, bad, canceled, running int
	var failed backend.Operation
	for _, o := range open {
		switch {
		case o.op.State == backend.OperationSucceeded:
			good++
		case o.op.State == backend.OperationCanceled:
			canceled++
		case o.op.State.Ended():
			bad++
			failed = o.op
		default:
			running++
		}
	}
	out := newPieces(width, g.Ellipsis)
	out.add(th.Title, safe.Clean(Plural(len(open), "operation")+":"))
	if good > 0 {
		out.add(th.OK, safe.Join(safe.Literal(" "), safe.Clean(strconv.Itoa(good)), g.OK))
	}
	if bad > 0 {
		out.add(th.Bad, safe.Join(safe.Literal(" "), safe.Clean(strconv.Itoa(bad)), g.Bad))
	}
	if canceled > 0 {
		out.add(th.Warn, safe.Clean(strconv.Itoa(canceled)+" canceled"))
	}
	if running > 0 {
		out.add(th.Busy, safe.Join(safe.Text{}, safe.Clean(strconv.Itoa(running)+" running"), g.Ellipsis))
	}
	if bad > 0 {
		out.add(th.Text, safe.Clean(failed.Kind+" "+failed.Target+": "+failed.Error))
	}
	return out.String()
}

func took(op backend.Operation) safe.Text {
	if op.Started.IsZero() || op.Ended.IsZero() {
		return safe.Text{}
	}
	d := op.Ended.Sub(op.Started)
	if d < 50*time.Millisecond {
		return safe.Text{}
	}
	if d < 10*time.Second {
		return safe.Clean("in " + d.Round(100*time.Millisecond).String())
	}
	return safe.Clean("in " + d.Round(time.Second).String())
}
