// Package hub fans out values from one publisher to many feeds without ever
// waiting for a reader.
//
// All subscribers share one ring of the latest values and each has a place in
// it, so that publishing costs the same however many there are. A reader that
// falls behind by more than it asked for loses the oldest values and is told
// how many, once, with a [backend.LaggedError].
package hub

import (
	"io"
	"math/bits"
	"slices"
	"sync"
)

// smallRing is how many values a ring holds at first; it grows while a
// subscriber that may be further behind needs more.
const smallRing = 64

// Hub publishes values to its subscribers. The zero value is ready for use. A
// Hub is safe for concurrent use and must not be copied.
type Hub[T any] struct {
	mu    sync.Mutex
	subs  map[*Sub[T]]struct{}
	ring  []T    // length is a power of two, or 0
	limit int    // how long the ring may grow
	next  uint64 // number of the next value; the ring has those before it
	first uint64 // number of the oldest value in the ring
	wake  chan struct{}
	err   error // why the hub is closed, nil while it is open
}

// Publish gives items to every subscriber. It never waits for one. Publishing
// to a closed hub does nothing.
func (h *Hub[T]) Publish(items ...T) {
	if len(items) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil || len(h.subs) == 0 {
		return
	}
	for _, item := range items {
		h.push(item)
	}
	h.wakeAll()
}

// Subscribe returns a feed of what is published from now on. It may be behind
// by size values, at least one. A closed hub gives a feed that has ended.
func (h *Hub[T]) Subscribe(size int) *Sub[T] {
	size = max(size, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &Sub[T]{hub: h, size: size, place: h.next, done: make(chan struct{})}
	if h.subs == nil {
		h.subs = make(map[*Sub[T]]struct{})
	}
	h.subs[s] = struct{}{}
	h.limit = max(h.limit, ceil(max(size, smallRing)))
	return s
}

// Close ends every feed, now and later, with err, or with io.EOF when err is
// nil. What was published before is read first. Only the first call counts.
func (h *Hub[T]) Close(err error) {
	if err == nil {
		err = io.EOF
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return
	}
	h.err = err
	h.wakeAll()
}

// push puts one value into the ring, over the oldest one when it is full.
func (h *Hub[T]) push(item T) {
	if int(h.next-h.first) == len(h.ring) {
		if len(h.ring) < h.limit {
			h.grow()
		} else {
			h.first++
		}
	}
	h.ring[h.next&uint64(len(h.ring)-1)] = item
	h.next++
}

func (h *Hub[T]) grow() {
	ring := make([]T, max(smallRing, 2*len(h.ring)))
	for n := h.first; n < h.next; n++ {
		ring[n&uint64(len(ring)-1)] = h.ring[n&uint64(len(h.ring)-1)]
	}
	h.ring = ring
}

// since returns a copy of the values from number n on. All of them are in the
// ring.
func (h *Hub[T]) since(n uint64) []T {
	if n >= h.next {
		return nil
	}
	mask := uint64(len(h.ring) - 1)
	from, to := n&mask, h.next&mask
	if from < to {
		return slices.Clone(h.ring[from:to])
	}
	return slices.Concat(h.ring[from:], h.ring[:to])
}

func (h *Hub[T]) wakeAll() {
	if h.wake != nil {
		close(h.wake)
		h.wake = nil
	}
}

// waiter returns a channel that is closed at the next change.
func (h *Hub[T]) waiter() <-chan struct{} {
	if h.wake == nil {
		h.wake = make(chan struct{})
	}
	return h.wake
}

func (h *Hub[T]) remove(s *Sub[T]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, s)
	if len(h.subs) == 0 {
		h.ring, h.limit, h.first = nil, 0, h.next
	}
}

// ceil returns the smallest power of two that is not below n.
func ceil(n int) int { return 1 << bits.Len(uint(n-1)) }
