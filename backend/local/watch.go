package local

import (
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"pitwall/backend"
)

const (
	// ringSize is how many events are at hand in memory: a watcher that is
	// further behind reads the store.
	ringSize = 4096

	// watchBatch bounds what one Next reads from the store, so that a reader
	// far behind gets its first events soon.
	watchBatch = 1000

	// bookmarkEvery is how long a filtered watcher may go without hearing
	// how far it is, while things change that it does not want.
	bookmarkEvery = time.Second
)

// ring has the latest events, without a gap up to the last one. Its fields are
// guarded by the Backend's mu.
type ring struct {
	events [ringSize]backend.Event
	first  uint64 // index of the oldest event at hand
	next   uint64 // index of the next event
}

func (r *ring) start(index uint64) { r.first, r.next = index+1, index+1 }

func (r *ring) add(events []backend.Event) {
	for _, e := range events {
		r.events[e.Index%ringSize] = e
		r.next = e.Index + 1
	}
	if r.next-r.first > ringSize {
		r.first = r.next - ringSize
	}
}

// since returns what is at hand after an index, and whether that is all.
func (r *ring) since(index uint64, limit int) ([]backend.Event, bool) {
	if index+1 < r.first {
		return nil, false
	}
	if index+1 >= r.next { // a list may be as of a change that is being shown
		return nil, true
	}
	n := min(int(r.next-index-1), limit)
	out := make([]backend.Event, 0, n)
	for i := range uint64(n) {
		out = append(out, r.events[(index+1+i)%ringSize])
	}
	return out, true
}

// watch is a place in the row of events. It holds nothing but its index, so a
// slow reader costs nothing and misses nothing that is still kept.
type watch struct {
	b      *Backend
	query  backend.WatchQuery
	after  uint64 // the last index looked at
	told   uint64 // the last index that the reader knows of
	toldAt time.Time

	closing sync.Once
	closed  chan struct{}
}

// Watch follows changes after the query's index.
func (b *Backend) Watch(ctx context.Context, q backend.WatchQuery) (backend.Feed[backend.Event], error) {
	if err := b.enter(ctx); err != nil {
		return nil, err
	}
	b.mu.RLock()
	index := b.index
	b.mu.RUnlock()
	after := q.Since
	switch {
	case after == 0:
		after = index
	case after > b.committed():
		return nil, backend.Errorf(backend.Compacted, "change %d is not known here: list again", after)
	case after < b.store.Compacted():
		return nil, backend.Errorf(backend.Compacted, "changes up to %d are no longer kept: list again", b.store.Compacted())
	}
	q.Kinds = slices.Clone(q.Kinds)
	return &watch{b: b, query: q, after: after, told: after, toldAt: b.cfg.Now(), closed: make(chan struct{})}, nil
}

// Next returns the changes that the query wants, or a bookmark.
func (w *watch) Next(ctx context.Context) ([]backend.Event, error) {
	var bookmark *time.Timer
	defer func() {
		if bookmark != nil {
			bookmark.Stop()
		}
	}()
	for {
		select {
		case <-w.closed:
			return nil, io.EOF
		default:
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		events, wake, err := w.read(ctx)
		if err != nil {
			return nil, err
		}
		if len(events) > 0 {
			w.told, w.toldAt = events[len(events)-1].Index, w.b.cfg.Now()
			return events, nil
		}
		if wake == nil { // there is more to look at
			continue
		}
		var due <-chan time.Time
		if w.after > w.told {
			wait := bookmarkEvery - w.b.cfg.Now().Sub(w.toldAt)
			if wait <= 0 {
				return w.bookmark(), nil
			}
			if bookmark == nil {
				bookmark = time.NewTimer(wait)
			}
			due = bookmark.C
		}
		select {
		case <-wake:
		case <-due:
			return w.bookmark(), nil
		case <-w.closed:
			return nil, io.EOF
		case <-w.b.ctx.Done():
			return nil, backend.Errorf(backend.Unavailable, "%w", errClosing)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// committed is the last index that a list can be as of. It waits for a commit
// that is under way.
func (b *Backend) committed() uint64 {
	b.changing.Lock()
	defer b.changing.Unlock()
	return b.store.Index()
}

func (w *watch) bookmark() []backend.Event {
	w.told, w.toldAt = w.after, w.b.cfg.Now()
	return []backend.Event{{Index: w.after, Time: w.toldAt.UTC(), Kind: backend.EventBookmark}}
}

// read looks at what comes next. The channel is nil when it did not get to the
// end.
func (w *watch) read(ctx context.Context) ([]backend.Event, chan struct{}, error) {
	w.b.mu.RLock()
	wake, index := w.b.wake, w.b.index
	events, ok := w.b.ring.since(w.after, ringSize)
	w.b.mu.RUnlock()
	if !ok {
		var err error
		if events, err = w.b.store.EventsAfter(ctx, w.after, watchBatch); err != nil {
			return nil, nil, err
		}
	}
	if len(events) > 0 {
		w.after = events[len(events)-1].Index
	}
	if w.after < index {
		wake = nil
	}
	return slices.DeleteFunc(events, func(e backend.Event) bool { return !matches(w.query, e) }), wake, nil
}

// Close ends the feed and wakes Next.
func (w *watch) Close() error {
	w.closing.Do(func() { close(w.closed) })
	return nil
}

// matches reports whether a watcher wants an event.
func matches(q backend.WatchQuery, e backend.Event) bool {
	if !wants(q.Kinds, e.Ref.Kind) || !q.Scope.Contains(e.Scope) {
		return false
	}
	switch {
	case q.Ref == backend.Ref{} || q.Ref.ID == e.Ref.ID && q.Ref.Kind == e.Ref.Kind:
		return true
	case q.Ref.Kind != backend.KindApp && q.Ref.Kind != backend.KindJob:
		return false
	case q.Ref.ID == e.OwnerID:
		return true
	}
	return e.Op != nil && slices.ContainsFunc(e.Op.Also, func(r backend.Ref) bool { return r.ID == q.Ref.ID })
}
