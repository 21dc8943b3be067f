package local

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"pitwall/backend"
	"pitwall/backend/hub"
)

const (
	// watchQueue is how many events wait in memory for a slow watcher: what it
	// has not read beyond that, it reads from the store.
	watchQueue = 1024

	// watchBatch bounds what one Next reads from the store, so that a reader
	// far behind gets its first events soon.
	watchBatch = 1000

	// bookmarkEvery is how long a filtered watcher may go without hearing
	// how far it is, while things change that it does not want.
	bookmarkEvery = time.Second
)

// watch is a place in the row of events. The store has the whole row, and live
// what is added to it, so a slow reader costs a bounded queue and misses
// nothing that is still kept.
type watch struct {
	b      *Backend
	query  backend.WatchQuery
	live   *hub.Sub[backend.Event]
	closed atomic.Bool

	// Only Next touches these.
	after  uint64          // the last index looked at
	stored uint64          // what comes up to here is read from the store,
	queued []backend.Event // then these, then live
	told   uint64          // the last index that the reader knows of
	toldAt time.Time
}

// Watch follows changes after the query's index.
func (b *Backend) Watch(ctx context.Context, q backend.WatchQuery) (backend.Feed[backend.Event], error) {
	if err := b.enter(ctx); err != nil {
		return nil, err
	}
	if q.Since > 0 && q.Since > b.committed() {
		return nil, backend.Errorf(backend.Compacted, "change %d is not known here: list again", q.Since)
	}
	if kept := b.store.Compacted(); q.Since > 0 && q.Since < kept {
		return nil, backend.Errorf(backend.Compacted, "changes up to %d are no longer kept: list again", kept)
	}
	q.Kinds = slices.Clone(q.Kinds)
	w := &watch{b: b, query: q, after: q.Since, toldAt: b.cfg.Now()}
	b.mu.RLock() // no event comes between the index and the subscription
	w.stored, w.live = b.index, b.events.Subscribe(watchQueue)
	b.mu.RUnlock()
	if w.after == 0 {
		w.after = w.stored
	}
	w.told = w.after
	return w, nil
}

// committed is the last index that a list can be as of. It waits for a commit
// that is under way.
func (b *Backend) committed() uint64 {
	b.changing.Lock()
	defer b.changing.Unlock()
	return b.store.Index()
}

// Next returns the changes that the query wants, or a bookmark.
func (w *watch) Next(ctx context.Context) ([]backend.Event, error) {
	for {
		events, err := w.read(ctx)
		switch {
		case errors.Is(err, errBookmark):
			return w.bookmark(), nil
		case err != nil:
			return nil, err
		}
		w.after = events[len(events)-1].Index
		events = slices.DeleteFunc(events, func(e backend.Event) bool { return !matches(w.query, e) })
		if len(events) > 0 {
			w.told, w.toldAt = events[len(events)-1].Index, w.b.cfg.Now()
			return events, nil
		}
	}
}

// errBookmark says that the reader is to hear how far it is.
var errBookmark = errors.New("a bookmark is due")

func (w *watch) bookmark() []backend.Event {
	w.told, w.toldAt = w.after, w.b.cfg.Now()
	return []backend.Event{{Index: w.after, Time: w.toldAt.UTC(), Kind: backend.EventBookmark}}
}

// read waits for the events that come next, wanted or not.
func (w *watch) read(ctx context.Context) ([]backend.Event, error) {
	for {
		switch {
		case w.closed.Load():
			return nil, io.EOF
		case w.after < w.stored:
			return w.fromStore(ctx)
		case len(w.queued) > 0:
			events := w.queued
			w.queued = nil
			return events, nil
		}
		events, err := w.wait(ctx)
		if backend.CodeOf(err) == backend.Lagged {
			continue // what comes next says from where on
		}
		if err != nil {
			return nil, err
		}
		w.queued, w.stored = events, events[0].Index-1
	}
}

// fromStore reads what is before queued and live, which is not nothing.
func (w *watch) fromStore(ctx context.Context) ([]backend.Event, error) {
	events, err := w.b.store.EventsAfter(ctx, w.after, int(min(w.stored-w.after, watchBatch)))
	if err == nil && len(events) == 0 {
		err = backend.Errorf(backend.Compacted, "changes after %d are no longer kept: list again", w.after)
	}
	return events, err
}

// wait waits for live, and no longer than until a bookmark is due.
func (w *watch) wait(ctx context.Context) ([]backend.Event, error) {
	if w.after == w.told {
		return w.live.Next(ctx)
	}
	due := bookmarkEvery - w.b.cfg.Now().Sub(w.toldAt)
	bounded, cancel := context.WithTimeout(ctx, due)
	defer cancel()
	events, err := w.live.Next(bounded)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return nil, errBookmark
	}
	return events, err
}

// Close ends the feed and wakes Next.
func (w *watch) Close() error {
	w.closed.Store(true)
	return w.live.Close()
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
