package backendtest

import (
	"context"
	"io"
	"slices"
	"sync"

	"pitwall/backend"
)

// feed polls the Fake's state at each change. Step is called with the Fake
// locked; nothing from it means wait.
type feed[T any] struct {
	fake *Fake
	step func() ([]T, error)
	once sync.Once
	done chan struct{}
	end  error
}

func newFeed[T any](f *Fake, step func() ([]T, error)) *feed[T] {
	return &feed[T]{fake: f, step: step, done: make(chan struct{})}
}

func (d *feed[T]) Next(ctx context.Context) ([]T, error) {
	for {
		items, wait, err := d.poll(ctx)
		if err != nil || len(items) > 0 {
			return items, err
		}
		select {
		case <-wait:
		case <-d.done:
		case <-ctx.Done():
		}
	}
}

func (d *feed[T]) poll(ctx context.Context) ([]T, <-chan struct{}, error) {
	d.fake.mu.Lock()
	defer d.fake.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	select {
	case <-d.done:
		return nil, nil, io.EOF
	default:
	}
	if d.end != nil {
		return nil, nil, d.end
	}
	items, err := d.step()
	if len(items) > 0 {
		return items, nil, nil
	}
	if err == nil && d.fake.closed {
		err = io.EOF
	}
	if err != nil && backend.CodeOf(err) != backend.Lagged {
		d.end = err
	}
	return nil, d.fake.changed, err
}

func (d *feed[T]) Close() error {
	d.once.Do(func() { close(d.done) })
	return nil
}

// Watch implements [backend.Backend].
func (f *Fake) Watch(ctx context.Context, q backend.WatchQuery) (backend.Feed[backend.Event], error) {
	if err := f.enter(ctx, "watch"); err != nil {
		return nil, err
	}
	defer f.mu.Unlock()
	w := &watch{fake: f, query: q, place: q.Since, resets: f.resets}
	if q.Since == 0 {
		w.place = f.index
	}
	if w.place > f.index {
		return nil, backend.Errorf(backend.Compacted, "index %d is ahead of this server's %d: list again", w.place, f.index)
	}
	if w.compacted() {
		return nil, backend.Errorf(backend.Compacted, "index %d is older than what is kept: list again", q.Since)
	}
	return newFeed(f, w.step), nil
}

// markEvery is after how many events of no interest a watcher is told how far
// it is.
const markEvery = 16

// watch is the place of one watcher in the events.
type watch struct {
	fake   *Fake
	query  backend.WatchQuery
	place  uint64 // index of the last event it is past
	passed int    // events of no interest since the last mark
	resets int
}

func (w *watch) compacted() bool {
	f := w.fake
	first := f.index + 1
	if len(f.events) > 0 {
		first = f.events[0].Index
	}
	return w.place+1 < first
}

func (w *watch) step() ([]backend.Event, error) {
	f := w.fake
	switch {
	case w.resets != f.resets:
		return nil, backend.Errorf(backend.Reset, "what the caller may see has changed: list again")
	case w.place >= f.index:
		return nil, nil
	case w.compacted():
		return nil, backend.Errorf(backend.Compacted, "index %d is older than what is kept: list again", w.place)
	}
	at, _ := slices.BinarySearchFunc(f.events, w.place+1, func(e backend.Event, index uint64) int {
		return int(int64(e.Index) - int64(index))
	})
	fresh := f.events[at:]
	if missed := len(fresh) - f.buffer; missed > 0 {
		lag := &backend.LaggedError{Missed: uint64(missed), From: fresh[0].Index, To: fresh[missed-1].Index}
		w.place = lag.To
		return nil, lag
	}
	var out []backend.Event
	last := backend.Event{}
	for _, e := range fresh {
		if matches(w.query, e) {
			out, last = append(out, e), backend.Event{}
			w.passed = 0
			continue
		}
		last = e
		w.passed++
	}
	w.place = f.index
	if last.Index != 0 && (len(out) > 0 || w.passed >= markEvery) {
		out = append(out, backend.Event{Index: last.Index, Time: last.Time, Kind: backend.EventBookmark})
		w.passed = 0
	}
	return out, nil
}

func matches(q backend.WatchQuery, e backend.Event) bool {
	if !among(q.Kinds, e.Ref.Kind) || !q.Scope.Contains(e.Scope) {
		return false
	}
	if q.Ref == (backend.Ref{}) {
		return true
	}
	own := e.Ref.Kind == q.Ref.Kind && e.Ref.ID == q.Ref.ID
	belongs := (q.Ref.Kind == backend.KindApp || q.Ref.Kind == backend.KindJob) && e.OwnerID == q.Ref.ID
	return own || belongs
}

// Samples implements [backend.Backend].
func (f *Fake) Samples(ctx context.Context, q backend.SampleQuery) (backend.Feed[backend.Sample], error) {
	if err := f.enter(ctx, "samples"); err != nil {
		return nil, err
	}
	defer f.mu.Unlock()
	var seen uint64
	return newFeed(f, func() ([]backend.Sample, error) {
		var out []backend.Sample
		for n, s := range f.samples {
			if f.sampled[n] > seen && f.asks(q, s.Ref) {
				out = append(out, s)
			}
		}
		seen = f.tick
		return out, nil
	}), nil
}

// asks reports whether q wants the samples of ref.
func (f *Fake) asks(q backend.SampleQuery, ref backend.Ref) bool {
	switch ref.Kind {
	case backend.KindApp:
		return slices.Contains(q.Apps, ref.ID) || (len(q.Apps) == 0 && len(q.InstanceIDs) == 0)
	case backend.KindInstance:
		if slices.Contains(q.InstanceIDs, ref.ID) {
			return true
		}
		i := f.findInstance(ref.ID)
		return i != nil && q.Instances && among(q.Apps, i.AppID)
	}
	return false
}

// Link implements [backend.LinkReporter].
func (f *Fake) Link(ctx context.Context) (backend.Feed[backend.LinkState], error) {
	if err := f.enter(ctx, "link"); err != nil {
		return nil, err
	}
	defer f.mu.Unlock()
	first, seen := true, f.links
	return newFeed(f, func() ([]backend.LinkState, error) {
		if !first && seen == f.links {
			return nil, nil
		}
		first, seen = false, f.links
		return []backend.LinkState{f.link}, nil
	}), nil
}
