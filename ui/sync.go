package ui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
)

// SyncOptions say what a [Sync] keeps.
type SyncOptions[T any] struct {
	// List reads a page.
	List func(context.Context, backend.Page) (backend.List[T], error)
	// Watch follows the changes; its Since is set by the Sync.
	Watch func(context.Context, backend.WatchQuery) (backend.Feed[backend.Event], error)
	Query backend.WatchQuery
	// Pick takes the resource out of an event; nil for an event that is
	// about something else.
	Pick func(backend.Event) *T
	// Key identifies a resource.
	Key func(T) string
	// Keep drops what does not belong in the list; nil keeps all.
	Keep func(T) bool
}

// Sync keeps a list of resources true: it lists, watches from the list's index
// on, and lists again when it must. On an error it keeps what it has and tries
// again, less and less often.
type Sync[T any] struct {
	o      SyncOptions[T]
	ctx    context.Context
	cancel context.CancelFunc // of the stream
	stream *Stream[backend.Event]

	items  []T
	at     map[string]int
	loaded bool
	err    error
	tries  int
	latest time.Time
}

// synced is the answer of a list; retry asks for another.
type (
	synced[T any] struct {
		from *Sync[T]
		list backend.List[T]
		err  error
	}
	retry[T any] struct{ from *Sync[T] }
)

// NewSync returns a Sync that has not begun.
func NewSync[T any](o SyncOptions[T]) *Sync[T] {
	return &Sync[T]{o: o, cancel: func() {}, at: map[string]int{}}
}

// Init begins; it ends with ctx.
func (s *Sync[T]) Init(ctx context.Context) tea.Cmd {
	s.ctx = ctx
	return s.list()
}

// Items returns the resources, in no order that matters. The slice is good
// until the next Update; values in it may change then.
func (s *Sync[T]) Items() []T { return s.items }

// Find returns the resource with a key.
func (s *Sync[T]) Find(key string) (T, bool) {
	i, ok := s.at[key]
	if !ok {
		var zero T
		return zero, false
	}
	return s.items[i], true
}

// Loaded reports whether there has been a first list.
func (s *Sync[T]) Loaded() bool { return s.loaded }

// Err is why the last attempt failed; nil when all is well.
func (s *Sync[T]) Err() error { return s.err }

// Latest is the time of the latest change that was seen.
func (s *Sync[T]) Latest() time.Time { return s.latest }

// Update takes any message. It reports whether the items or the error may have
// changed, which is false for messages of others.
func (s *Sync[T]) Update(msg tea.Msg) (changed bool, cmd tea.Cmd) {
	switch msg := msg.(type) {
	case synced[T]:
		if msg.from != s {
			return false, nil
		}
		return true, s.listed(msg)
	case retry[T]:
		if msg.from != s {
			return false, nil
		}
		return false, s.list()
	case Batch[backend.Event]:
		if msg.From != s.stream || s.stream == nil {
			return false, nil
		}
		return s.batch(msg)
	}
	return false, nil
}

// maxPages bounds a listing against a cursor that never ends.
const maxPages = 100

func (s *Sync[T]) list() tea.Cmd {
	ctx, read := s.ctx, s.o.List
	return func() tea.Msg {
		var all backend.List[T]
		var page backend.Page
		for range maxPages {
			l, err := read(ctx, page)
			if err != nil {
				return synced[T]{from: s, err: err}
			}
			all.Items = append(all.Items, l.Items...)
			if all.Index == 0 || l.Index < all.Index {
				all.Index = l.Index
			}
			if page.After = l.Next; l.Next == "" {
				break
			}
		}
		return synced[T]{from: s, list: all}
	}
}

func (s *Sync[T]) listed(msg synced[T]) tea.Cmd {
	if s.ctx.Err() != nil {
		return nil
	}
	if s.err = msg.err; msg.err != nil {
		return s.again()
	}
	s.loaded, s.tries = true, 0
	s.items = s.items[:0:0]
	clear(s.at)
	for _, it := range msg.list.Items {
		s.put(it)
	}
	s.cancel()
	ctx, cancel := context.WithCancel(s.ctx)
	s.cancel = cancel
	query := s.o.Query
	query.Since = msg.list.Index
	var cmd tea.Cmd
	s.stream, cmd = Follow(ctx, watching(s.o.Watch, query))
	return cmd
}

func (s *Sync[T]) put(it T) {
	if s.o.Keep != nil && !s.o.Keep(it) {
		return
	}
	k := s.o.Key(it)
	if i, ok := s.at[k]; ok {
		s.items[i] = it
		return
	}
	s.at[k] = len(s.items)
	s.items = append(s.items, it)
}

func (s *Sync[T]) batch(msg Batch[backend.Event]) (bool, tea.Cmd) {
	if msg.Missed != nil {
		s.cancel()
		return false, s.list()
	}
	if msg.Err != nil {
		s.cancel()
		switch backend.CodeOf(msg.Err) {
		case backend.Compacted, backend.Reset, backend.Lagged:
			return false, s.list()
		}
		s.err = msg.Err
		return true, s.again()
	}
	changed := s.apply(msg.Items)
	return changed, s.stream.Next()
}

// apply takes events in order. Items that go away are taken out in one pass,
// into a new slice, since a table may hold the old one.
func (s *Sync[T]) apply(events []backend.Event) bool {
	changed := false
	gone := map[string]bool{}
	for _, e := range events {
		it := s.o.Pick(e)
		if it == nil {
			continue
		}
		changed = true
		if e.Time.After(s.latest) {
			s.latest = e.Time
		}
		k := s.o.Key(*it)
		if e.Kind == backend.EventDeleted {
			gone[k] = true
			continue
		}
		delete(gone, k)
		s.put(*it)
	}
	if len(gone) > 0 {
		s.remove(gone)
	}
	return changed
}

func (s *Sync[T]) remove(gone map[string]bool) {
	kept := make([]T, 0, len(s.items))
	clear(s.at)
	for _, it := range s.items {
		if k := s.o.Key(it); !gone[k] {
			s.at[k] = len(kept)
			kept = append(kept, it)
		}
	}
	s.items = kept
}

// The pauses between attempts grow from the first to the last.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 15 * time.Second
)

func (s *Sync[T]) again() tea.Cmd {
	d := backoff(s.tries)
	s.tries++
	return tea.Tick(d, func(time.Time) tea.Msg { return retry[T]{s} })
}

// backoff is the pause after so many failed tries.
func backoff(tries int) time.Duration {
	return min(firstRetry<<min(tries, 10), lastRetry)
}
