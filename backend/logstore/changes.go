package logstore

import (
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"pitwall/backend"
)

// changeSpan is the least time between two batches of changed instances: four
// a second is as often as a screen needs it.
const changeSpan = 250 * time.Millisecond

// changes is a feed of instances whose counters changed.
type changes struct {
	s    *Store
	wake chan struct{}

	mu     sync.Mutex
	ids    map[string]struct{}
	closed bool
	last   time.Time // when a batch was given
	swept  time.Time // up to when changes by time alone were given
}

// Changed follows which instances' counters change, by new lines or by time
// alone, each named once a batch and batches at least 250 ms apart.
func (s *Store) Changed(ctx context.Context) (backend.Feed[string], error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := &changes{s: s, wake: make(chan struct{}, 1), ids: map[string]struct{}{}, swept: s.now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, backend.Errorf(backend.Unavailable, "the log store is closed")
	}
	s.changes[c] = struct{}{}
	return c, nil
}

// changed tells the feeds of an instance. It is called with the lock held.
func (s *Store) changed(id string) {
	for c := range s.changes {
		c.add(id)
	}
}

func (c *changes) add(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids[id] = struct{}{}
	c.poke()
}

func (c *changes) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Next waits for instances that changed.
func (c *changes) Next(ctx context.Context) ([]string, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		now := c.s.now()
		due := c.sweep(now)
		ids, wait, err := c.take(now)
		if err != nil || len(ids) > 0 {
			return ids, err
		}
		if wait == 0 && !due.IsZero() {
			wait = max(due.Sub(now), time.Millisecond)
		}
		if err := c.pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// pause waits for news, or for some time where it is not 0.
func (c *changes) pause(ctx context.Context, wait time.Duration) error {
	var after <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		after = t.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.wake:
	case <-after:
	}
	return nil
}

// take returns what has changed, or how long to wait before it may be given.
func (c *changes) take(now time.Time) ([]string, time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, 0, io.EOF
	}
	if len(c.ids) == 0 {
		return nil, 0, nil
	}
	if early := changeSpan - now.Sub(c.last); early > 0 && early <= changeSpan {
		return nil, early, nil
	}
	ids := make([]string, 0, len(c.ids))
	for id := range c.ids {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	clear(c.ids)
	c.last = now
	return ids, 0, nil
}

// sweep notes the instances whose counters changed since the last sweep because
// time passed, and returns when the next one will.
func (c *changes) sweep(now time.Time) time.Time {
	c.s.mu.Lock()
	ins := make([]*instance, 0, len(c.s.instances))
	for _, in := range c.s.instances {
		ins = append(ins, in)
	}
	c.s.mu.Unlock()
	var next time.Time
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, in := range ins {
		in.mu.Lock()
		passed := in.counter.changes(c.swept)
		due := in.counter.changes(now)
		in.mu.Unlock()
		if !passed.IsZero() && !passed.After(now) {
			c.ids[in.id] = struct{}{}
		}
		if !due.IsZero() && (next.IsZero() || due.Before(next)) {
			next = due
		}
	}
	c.swept = now
	return next
}

// Close ends the feed and wakes Next.
func (c *changes) Close() error {
	c.s.mu.Lock()
	delete(c.s.changes, c)
	c.s.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.poke()
	return nil
}
