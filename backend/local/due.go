package local

import (
	"context"
	"time"
)

// whenDue calls act each time that something is due, until ctx ends: one timer
// for the next, none when there is none. Next returns when that is, or the zero
// time; it is asked with mu held for reading, after every change.
func (b *Backend) whenDue(ctx context.Context, next func() time.Time, act func(ctx context.Context)) {
	for ctx.Err() == nil {
		b.mu.RLock()
		wake, due := b.wake, next()
		b.mu.RUnlock()
		var fire <-chan time.Time
		var timer *time.Timer
		if !due.IsZero() {
			timer = time.NewTimer(due.Sub(b.cfg.Now()))
			fire = timer.C
		}
		select {
		case <-wake:
		case <-fire:
			act(ctx)
		case <-ctx.Done():
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

// sooner returns the earlier of two times; a zero one never comes.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
