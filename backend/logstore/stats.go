package logstore

import (
	"context"
	"io"
	"maps"
	"slices"
	"time"

	"pitwall/backend"
	"pitwall/backend/logstore/segment"
)

const (
	// statsBuckets is the most buckets of a query's time: as many as a
	// terminal is wide.
	statsBuckets = 120
	// statsSpan is how often a following query tells what has changed.
	statsSpan = 250 * time.Millisecond
	// statsTurn is how many items are counted between looks at the context.
	statsTurn = 4096
)

// stats counts what a feed would deliver.
type stats struct {
	f       *feed
	width   time.Duration
	buckets map[int64]*backend.LogStats
	dirty   map[int64]bool
	total   backend.LogStats
	ended   bool
	given   bool
	last    time.Time // when counts were given, or the feed was made
}

// Stats counts a query's lines by time and level; Tail, Limit, Before and MaxLag
// are left out of account. Without Follow buckets come in the order of time, each
// once, then their sum with Total set and io.EOF. With Follow a bucket comes
// again when it has changed.
func (s *Store) Stats(ctx context.Context, q backend.LogQuery) (backend.Feed[backend.LogStats], error) {
	q.Tail, q.Limit, q.Before, q.MaxLag, q.Dividers, q.Progress = 0, 0, "", 0, false, false
	f, err := s.newFeed(ctx, q)
	if err != nil {
		return nil, err
	}
	st := &stats{f: f, buckets: map[int64]*backend.LogStats{}, dirty: map[int64]bool{}, last: s.now()}
	st.total = backend.LogStats{Total: true, Counts: map[backend.Level]uint64{}}
	st.width = st.choose()
	return st, nil
}

// choose picks a width that people know, so that the query's time has not too
// many buckets.
func (st *stats) choose() time.Duration {
	from, to := int64(0), st.f.s.now().UnixNano()
	if st.f.until != 0 {
		to = min(to, st.f.until)
	}
	for _, s := range st.f.srcs {
		if s.sc != nil && (from == 0 || s.sc.start.Time < from) {
			from = s.sc.start.Time
		}
	}
	if from = max(from, st.f.m.since); from == 0 {
		from = to
	}
	widths := []time.Duration{
		time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute,
		10 * time.Minute, 30 * time.Minute, time.Hour, 6 * time.Hour,
	}
	for _, w := range widths {
		if (to-from)/int64(w) < statsBuckets {
			return w
		}
	}
	return 24 * time.Hour
}

// Next waits for counts.
func (st *stats) Next(ctx context.Context) ([]backend.LogStats, error) {
	f := st.f
	f.run.Lock()
	defer f.run.Unlock()
	for {
		if err := f.alive(ctx); err != nil {
			return nil, err
		}
		if st.ended {
			return nil, io.EOF
		}
		if err := f.admit(); err != nil {
			return nil, err
		}
		more, at, err := st.count()
		if err != nil {
			return nil, err
		}
		if out := st.give(more, at); len(out) > 0 {
			return out, nil
		}
		if more {
			continue
		}
		wait := time.Duration(0)
		if len(st.dirty) > 0 {
			wait = max(time.Millisecond, statsSpan-f.s.now().Sub(st.last))
		}
		if err := f.pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// count takes some items of the merged log. It reports whether there is more,
// and up to which time all was counted.
func (st *stats) count() (more bool, at int64, err error) {
	for range statsTurn {
		s := st.f.first()
		if s == nil {
			return false, at, nil
		}
		if s.head == nil {
			if err := s.step(st.f); err != nil {
				return false, at, err
			}
			if s.head == nil {
				return true, at, nil // a chunk of lines that are not wanted
			}
			continue
		}
		at = s.head.time
		st.add(s.head)
		s.st, s.head = s.head.after, nil
		s.prev = s.st
	}
	return true, at, nil
}

func (st *stats) add(it *item) {
	w := int64(st.width)
	n := it.time / w
	b := st.buckets[n]
	if b == nil {
		b = &backend.LogStats{
			From: time.Unix(0, n*w).UTC(), To: time.Unix(0, (n+1)*w).UTC(), Counts: map[backend.Level]uint64{},
		}
		st.buckets[n] = b
	}
	st.dirty[n] = true
	for _, c := range [...]*backend.LogStats{b, &st.total} {
		if it.kind == segment.Gap {
			c.Gaps += max(it.count, 1)
			continue
		}
		c.Lines++
		c.Bytes += it.length
		c.Counts[it.level.level()]++
	}
	if st.total.From.IsZero() || b.From.Before(st.total.From) {
		st.total.From = b.From
	}
	if b.To.After(st.total.To) {
		st.total.To = b.To
	}
}

// give returns the buckets that can be told now.
func (st *stats) give(more bool, at int64) []backend.LogStats {
	now := st.f.s.now()
	follow := st.f.q.Follow
	if follow && now.Sub(st.last) < statsSpan && (more || st.given) {
		return nil
	}
	var out []backend.LogStats
	for _, n := range slices.Sorted(maps.Keys(st.dirty)) {
		if !follow && more && n >= at/int64(st.width) {
			break // it may grow
		}
		out = append(out, copyStats(st.buckets[n]))
		delete(st.dirty, n)
		if !follow {
			delete(st.buckets, n)
		}
	}
	if !follow && !more {
		st.ended = true
		out = append(out, copyStats(&st.total))
	}
	if len(out) > 0 {
		st.last, st.given = now, true
	}
	return out
}

func copyStats(b *backend.LogStats) backend.LogStats {
	c := *b
	c.Counts = maps.Clone(b.Counts)
	return c
}

// Close ends the feed and wakes Next.
func (st *stats) Close() error { return st.f.Close() }
