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
	keep func(T) bool

	once sync.Once
	done chan struct{}

	// Only Next touches these.
	place   uint64 // number of the next value to read
	lead    []T
	every   int
	mark    func(T) T
	passed  int // values dropped by keep since the last mark
	pending []T // what Next gives after it has told of a lag
	scratch []T
}

var _ backend.Feed[int] = (*Sub[int])(nil)

// Lead makes items the first that Next returns, before anything published.
// They count neither for size nor for keep. It must be called before Next.
func (s *Sub[T]) Lead(items ...T) *Sub[T] {
	s.lead = append(s.lead, items...)
	return s
}

// Mark makes a feed that drops values tell how far it is: after every values
// in a row that keep dropped, and behind a batch that ends with dropped ones,
// Next gives what mark makes of the last dropped value. It must be called
// before Next.
func (s *Sub[T]) Mark(every int, mark func(T) T) *Sub[T] {
	s.every, s.mark = max(every, 1), mark
	return s
}

// Next waits for a value and returns all that are queued. A reader that was
// behind by more than its size gets a [*backend.LaggedError] first and then
// goes on with the latest ones. Missed is exact unless the hub's ring was
// overrun; then it counts every value that is gone, also those that keep would
// have dropped. After Close, Next returns io.EOF.
func (s *Sub[T]) Next(ctx context.Context) ([]T, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if s.closed() {
			return nil, io.EOF
		}
		if len(s.lead) > 0 {
			items := s.lead
			s.lead = nil
			return items, nil
		}
		if len(s.pending) > 0 {
			items := s.pending
			s.pending = nil
			return items, nil
		}
		gone, wait, err := s.take()
		items := s.filter()
		if missed := gone + uint64(max(0, len(items)-s.size)); missed > 0 {
			s.pending = items[max(0, len(items)-s.size):]
			return nil, &backend.LaggedError{Missed: missed}
		}
		if len(items) > 0 {
			return items, nil
		}
		if err != nil {
			return nil, err
		}
		if wait == nil {
			continue
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

// take copies what is new into scratch. It returns how many values are gone,
// what to wait on when nothing is new, and the hub's end when nothing will be.
func (s *Sub[T]) take() (gone uint64, wait <-chan struct{}, err error) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.place < h.first {
		gone = h.first - s.place
		s.place = h.first
	}
	s.scratch = h.copyFrom(s.scratch[:0], s.place)
	s.place = h.next
	if len(s.scratch) > 0 || gone > 0 {
		return gone, nil, nil
	}
	if h.err != nil {
		return 0, nil, h.err
	}
	return 0, h.waiter(), nil
}

// filter returns what keep keeps of scratch, with marks, in a fresh slice.
func (s *Sub[T]) filter() []T {
	defer clear(s.scratch)
	if s.keep == nil {
		return append([]T(nil), s.scratch...)
	}
	var kept []T
	last := -1 // of the dropped, behind the last kept
	for i, item := range s.scratch {
		if s.keep(item) {
			kept = append(kept, item)
			s.passed, last = 0, -1
			continue
		}
		s.passed++
		last = i
	}
	if s.mark != nil && last >= 0 && (len(kept) > 0 || s.passed >= s.every) {
		kept = append(kept, s.mark(s.scratch[last]))
		s.passed = 0
	}
	return kept
}
