package logstore

import (
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"pitwall/backend"
)

const (
	// reorderWindow is how long a line that is followed waits for older ones
	// of other instances: longer than a keeper and a worker take together.
	reorderWindow = 250 * time.Millisecond
	// A batch of entries is given when it has this many, this many bytes of
	// text, or took this long: the first results come soon, many come cheap.
	batchEntries = 512
	batchBytes   = 256 << 10
	batchTime    = 50 * time.Millisecond
	// progressSpan is how often a search tells how far it is.
	progressSpan = 200 * time.Millisecond
	// joinSlack is how much older than a feed the lines of an instance that
	// joins may be: it was started while the feed was being opened.
	joinSlack = time.Second
	// beforeTail is how many lines a query before a cursor gives that does not
	// say it.
	beforeTail = 100
)

// feed merges the logs of some instances. It reads in the goroutine that calls
// Next, and holds one entry of each instance.
type feed struct {
	s      *Store
	q      backend.LogQuery
	m      *matcher
	resume *position // of After
	before *position
	until  int64
	floor  int64
	wakes  chan struct{}
	closed chan struct{}
	once   sync.Once

	joinMu sync.Mutex
	joins  []*instance

	run     sync.Mutex // held by Next, and by Close to clean up
	srcs    []*feedSource
	tailed  bool
	ended   bool
	last    key
	lines   int
	pos     position
	buf     []byte
	read    int64 // bytes scanned by sources that are closed
	total   int64
	told    time.Time // when progress was told
	matched int64
}

// Logs reads entries as the query asks. The feed ends with io.EOF unless it
// follows. What it delivers is pulled: a slow reader costs nothing but its own
// delay, and misses nothing unless the query sets MaxLag.
func (s *Store) Logs(ctx context.Context, q backend.LogQuery) (backend.Feed[backend.LogEntry], error) {
	f, err := s.newFeed(ctx, q)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (s *Store) newFeed(ctx context.Context, q backend.LogQuery) (*feed, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f := &feed{s: s, q: q, wakes: make(chan struct{}, 1), closed: make(chan struct{})}
	if err := f.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, backend.Errorf(backend.Unavailable, "the log store is closed")
	}
	ins := s.selected(&q)
	for _, in := range ins {
		f.srcs = append(f.srcs, f.source(in))
	}
	if q.Dividers {
		for _, id := range slices.Concat(q.Apps, q.Jobs) {
			f.srcs = append(f.srcs, f.markSource(id, s.marksOf(id)))
		}
	}
	s.feeds[f] = struct{}{}
	s.mu.Unlock()
	for _, src := range f.srcs {
		if src.in == nil {
			continue
		}
		if err := src.open(); err != nil {
			f.Close()
			return nil, err
		}
		if src.sc == nil && f.resume == nil && f.before == nil {
			// Its folder is not there yet: all that comes is new.
			src.begin = f.toStart
		}
		if q.Progress && src.dir != nil {
			f.total += diskBytes(src.dir)
		}
	}
	return f, nil
}

// check reads the query and refuses what makes no sense.
func (f *feed) check() (err error) {
	q := &f.q
	if f.m, err = newMatcher(*q); err != nil {
		return err
	}
	switch {
	case q.Tail < 0 || q.Limit < 0 || q.MaxLag < 0:
		return backend.Errorf(backend.Invalid, "tail, limit and max lag cannot be negative")
	case q.Before != "" && (q.Follow || q.After != ""):
		return backend.Errorf(backend.Invalid, "before a cursor goes neither with follow nor with after")
	case q.To != 0 && q.From > q.To:
		return backend.Errorf(backend.Invalid, "from %d lies after to %d", q.From, q.To)
	case !q.Until.IsZero() && q.Since.After(q.Until):
		return backend.Errorf(backend.Invalid, "since lies after until")
	}
	if !q.Until.IsZero() {
		f.until = q.Until.UnixNano()
	}
	f.floor = f.m.since
	if f.floor == 0 {
		f.floor = f.s.now().Add(-joinSlack).UnixNano()
	}
	if q.After != "" {
		if f.resume, err = parseCursor(q.After); err != nil {
			return err
		}
		f.last = f.resume.last
		if f.resume.follow {
			f.floor = f.resume.floor
		}
	}
	if q.Before != "" {
		if f.before, err = parseCursor(q.Before); err != nil {
			return err
		}
		if q.Tail == 0 {
			q.Tail = beforeTail
		}
	}
	f.tailed = f.resume != nil || q.Tail == 0
	f.told = f.s.now()
	return nil
}

// offer tells the feed of a new instance. It is called with the store's lock
// held.
func (f *feed) offer(in *instance, src Source) {
	if !f.q.Follow || !src.selectedBy(&f.q) {
		return
	}
	f.joinMu.Lock()
	f.joins = append(f.joins, in)
	f.joinMu.Unlock()
	f.poke()
}

func (f *feed) poke() {
	select {
	case f.wakes <- struct{}{}:
	default:
	}
}

// admit takes in the instances that are new.
func (f *feed) admit() error {
	f.joinMu.Lock()
	joins := f.joins
	f.joins = nil
	f.joinMu.Unlock()
	for _, in := range joins {
		if slices.ContainsFunc(f.srcs, func(s *feedSource) bool { return s.in == in }) {
			continue
		}
		f.srcs = slices.DeleteFunc(f.srcs, func(s *feedSource) bool {
			if s.in == nil || s.id != in.id {
				return false
			}
			s.close() // the instance of this id was forgotten
			s.in.unwatch(f)
			return true
		})
		s := &feedSource{id: in.id, hash: hashOf(in.id), src: in.source(), in: in}
		in.watch(f)
		if f.resume != nil {
			f.resumeAt(s)
		} else {
			f.join(s)
		}
		f.srcs = append(f.srcs, s)
		if err := s.open(); err != nil {
			return err
		}
		if len(s.prefix) > 0 {
			s.prefix[0].after = s.st
		}
	}
	return nil
}

// Next waits for entries. See [backend.Feed].
func (f *feed) Next(ctx context.Context) ([]backend.LogEntry, error) {
	f.run.Lock()
	defer f.run.Unlock()
	for {
		if err := f.alive(ctx); err != nil {
			return nil, err
		}
		if err := f.admit(); err != nil {
			return nil, err
		}
		if !f.tailed {
			if err := f.tail(ctx); err != nil {
				return nil, err
			}
			f.tailed = true
		}
		out, wait, err := f.gather(ctx)
		if err != nil || len(out) > 0 {
			return out, err
		}
		if f.ended {
			return nil, io.EOF
		}
		if err := f.pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// alive reports why the feed cannot go on.
func (f *feed) alive(ctx context.Context) error {
	select {
	case <-f.closed:
		return io.EOF
	default:
	}
	return ctx.Err()
}

// pause waits until something may have come, or for some time if wait is not 0.
func (f *feed) pause(ctx context.Context, wait time.Duration) error {
	var after <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		after = t.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-f.closed:
		return io.EOF
	case <-f.wakes:
		for _, s := range f.srcs {
			s.eof = false
		}
	case <-after:
	}
	return nil
}

// gather merges what is there into a batch. With an empty batch it says how
// long to wait, 0 meaning until something comes.
func (f *feed) gather(ctx context.Context) ([]backend.LogEntry, time.Duration, error) {
	var out []backend.LogEntry
	size := 0
	began := f.s.now()
	for n := 0; len(out) < batchEntries && size < batchBytes && !f.ended; n++ {
		if n%64 == 0 || len(out) == 0 {
			if err := f.alive(ctx); err != nil {
				return nil, 0, err
			}
			now := f.s.now()
			if len(out) > 0 && now.Sub(began) > batchTime {
				break
			}
			out = f.progress(out, now)
		}
		s := f.first()
		if s == nil {
			return f.finish(out)
		}
		if s.head == nil {
			if err := s.step(f); err != nil {
				if len(out) > 0 {
					return out, 0, nil // the error comes again
				}
				return nil, 0, err
			}
			continue
		}
		if wait := f.early(s); wait > 0 {
			return out, wait, nil
		}
		out = append(out, f.emit(s))
		size += len(out[len(out)-1].Text)
		if f.q.Limit > 0 && f.lines >= f.q.Limit {
			return f.finish(f.stop(out))
		}
	}
	return out, 0, nil
}

// stop makes every source final.
func (f *feed) stop(out []backend.LogEntry) []backend.LogEntry {
	for _, s := range f.srcs {
		s.final = true
	}
	f.q.Follow = false
	return out
}

// finish is called where no source has more.
func (f *feed) finish(out []backend.LogEntry) ([]backend.LogEntry, time.Duration, error) {
	if !f.q.Follow || f.drained() {
		f.ended = true
		if f.q.Progress {
			p := f.progressNow()
			p.Done = true
			out = append(out, backend.LogEntry{Progress: p})
		}
	}
	if f.q.Follow && f.until != 0 && !f.ended {
		return out, time.Duration(f.until - f.s.now().UnixNano() + int64(reorderWindow) + 1), nil
	}
	return out, 0, nil
}

// drained reports whether a following feed can have nothing more, because its
// time is over.
func (f *feed) drained() bool {
	return f.until != 0 && f.s.now().UnixNano() > f.until+int64(reorderWindow)
}

// first returns the source whose next entry may be the earliest, or nil when
// none has any.
func (f *feed) first() *feedSource {
	var best *feedSource
	var least key
	for _, s := range f.srcs {
		if s.head == nil && (s.eof || s.final) {
			continue
		}
		k := key{s.bound, s.id}
		if s.head != nil {
			k = s.key()
		}
		if best == nil || least.after(k) || k == least && s.head == nil {
			best, least = s, k
		}
	}
	return best
}

// early returns how long a head must wait for older entries that may yet come
// from other instances.
func (f *feed) early(s *feedSource) time.Duration {
	if !f.q.Follow || s.in == nil || s.head.kind == joinItem {
		return 0
	}
	age := time.Duration(f.s.now().UnixNano() - s.head.time)
	if age < 0 || age >= reorderWindow {
		return 0
	}
	for _, o := range f.srcs {
		if o != s && o.head == nil && o.in != nil && !o.final && !o.over() {
			return reorderWindow - age
		}
	}
	return 0
}

// over reports whether the instance of a source has ended, and all of it was
// read.
func (s *feedSource) over() bool {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	return s.in.ended && s.in.primed && s.in.st.within(s.st)
}

// Close ends the feed and wakes Next.
func (f *feed) Close() error {
	f.once.Do(func() {
		close(f.closed)
		f.s.mu.Lock()
		delete(f.s.feeds, f)
		f.s.mu.Unlock()
		f.run.Lock()
		defer f.run.Unlock()
		for _, s := range f.srcs {
			s.close()
			if s.in != nil {
				s.in.unwatch(f)
			}
		}
		f.srcs = nil
	})
	return nil
}
