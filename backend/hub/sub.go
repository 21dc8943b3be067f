package hub

import (
	"context"
	"io"
	"sync"

	"pitwall/backend"
)

// Sub is one subscriber's feed. It implements [backend.Feed]: Next may be
// called by one goroutine at a time, Close by any at any time.
type Sub[T any] struct {
	hub  *Hub[T]
	size int

	once sync.Once
	done chan struct{}

	// Only Next touches these.
	place   uint64 // number of the next value to read
	pending []T    // what Next gives after it has told of a lag
}

var _ backend.Feed[int] = (*Sub[int])(nil)

// Next waits for a value and returns all that are queued. A reader that was
// behind by more than its size gets a [*backend.LaggedError] first and then
// goes on with the latest ones. After Close, Next returns io.EOF.
func (s *Sub[T]) Next(ctx context.Context) ([]T, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if s.closed() {
			return nil, io.EOF
		}
		if items := s.pending; len(items) > 0 {
			s.pending = nil
			return items, nil
		}
		items, missed, wait, err := s.take()
		switch {
		case missed > 0:
			s.pending = items
			return nil, &backend.LaggedError{Missed: missed}
		case len(items) > 0:
			return items, nil
		case err != nil:
			return nil, err
		}
		select {
		case <-wait:
		case <-s.done:
		case <-ctx.Done():
		}
	}
}

// Close ends the feed and wakes Next. It always returns nil.
func (s *Sub[T]) Close() error {
	s.once.Do(func() {
		close(s.done)
		s.hub.remove(s)
	})
	return nil
}

func (s *Sub[T]) closed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// take returns the latest of what is new, as many as the subscriber may be
// behind, and how many older ones it has missed. With nothing new it returns
// what to wait on, or the hub's end.
func (s *Sub[T]) take() (items []T, missed uint64, wait <-chan struct{}, err error) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.closed() { // since Next looked: the ring may be gone
		return nil, 0, nil, io.EOF
	}
	from := max(s.place, h.first)
	if behind := h.next - from; behind > uint64(s.size) {
		from = h.next - uint64(s.size)
	}
	missed = from - s.place
	s.place = h.next
	switch items = h.since(from); {
	case len(items) > 0:
	case h.err != nil:
		err = h.err
	default:
		wait = h.waiter()
	}
	return items, missed, wait, err
}
