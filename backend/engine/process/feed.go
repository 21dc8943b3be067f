package process

import (
	"context"
	"io"
	"sync"

	"pitwall/backend"
	"pitwall/backend/engine"
)

// maxNotices is how many notices of one instance wait for a slow reader; the
// oldest go first. An instance that has more to say in that time is saying the
// same thing again and again.
const maxNotices = 8

// feed is one watcher's queue: the latest status of each instance, whether it
// logged, and its notices. It never holds up who adds to it, and is bounded by
// the number of instances.
type feed struct {
	wake    chan struct{}
	done    chan struct{}
	forget  func(*feed)
	closing sync.Once

	mu    sync.Mutex
	order []string
	news  map[string]*news
	ended bool // by the engine
}

// news is what a watcher has not seen of one instance.
type news struct {
	change  engine.Change // Status, Removed and Logged
	notices []engine.Change
}

func newFeed(forget func(*feed)) *feed {
	return &feed{
		wake:   make(chan struct{}, 1),
		done:   make(chan struct{}),
		forget: forget,
		news:   map[string]*news{},
	}
}

// add merges a change into what waits.
func (f *feed) add(c engine.Change) {
	f.mu.Lock()
	f.merge(c)
	f.mu.Unlock()
	f.rouse()
}

// rouse wakes the reader.
func (f *feed) rouse() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// merge is add with the lock held.
func (f *feed) merge(c engine.Change) {
	n := f.news[c.ID]
	if n == nil {
		n = &news{change: engine.Change{ID: c.ID}}
		f.news[c.ID] = n
		f.order = append(f.order, c.ID)
	}
	if c.Status != nil {
		n.change.Status, n.change.Removed = c.Status, false
	}
	if c.Removed {
		n.change.Status, n.change.Removed, n.change.Logged = nil, true, false
	}
	n.change.Logged = n.change.Logged || c.Logged
	if c.Notice != "" {
		if len(n.notices) == maxNotices {
			n.notices = n.notices[1:]
		}
		n.notices = append(n.notices, engine.Change{ID: c.ID, Notice: c.Notice, Level: c.Level})
	}
}

// take returns what waits and empties the queue. A status comes before the
// notices that explain it.
func (f *feed) take() ([]engine.Change, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []engine.Change
	for _, id := range f.order {
		n := f.news[id]
		if n.change.Status != nil || n.change.Removed || n.change.Logged {
			out = append(out, n.change)
		}
		out = append(out, n.notices...)
	}
	f.order = f.order[:0]
	clear(f.news)
	return out, f.ended
}

// Next implements [backend.Feed].
func (f *feed) Next(ctx context.Context) ([]engine.Change, error) {
	for {
		select {
		case <-f.done:
			return nil, io.EOF
		default:
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		out, ended := f.take()
		if len(out) > 0 {
			return out, nil
		}
		if ended {
			return nil, io.EOF
		}
		select {
		case <-f.wake:
		case <-f.done:
		case <-ctx.Done():
		}
	}
}

// Close implements [backend.Feed].
func (f *feed) Close() error {
	f.closing.Do(func() {
		close(f.done)
		f.forget(f)
	})
	return nil
}

// end lets the reader have what waits and then io.EOF.
func (f *feed) end() {
	f.mu.Lock()
	f.ended = true
	f.mu.Unlock()
	f.rouse()
}

// feeds are all watchers.
type feeds struct {
	mu     sync.Mutex
	open   map[*feed]struct{}
	closed bool
	early  []engine.Change // notices that came before the first watcher
	seen   bool            // by a watcher
}

// maxEarly bounds the notices of an engine that nobody watches yet: one for
// each of a thousand instances that it adopts.
const maxEarly = 1000

var _ backend.Feed[engine.Change] = (*feed)(nil)

// watch opens a feed that starts with the statuses that list returns. No
// change gets lost between the two.
func (fs *feeds) watch(list func() []engine.Status) *feed {
	f := newFeed(fs.forget)
	fs.mu.Lock()
	if fs.closed {
		f.ended = true
	}
	if fs.open == nil {
		fs.open = map[*feed]struct{}{}
	}
	fs.open[f] = struct{}{}
	for _, c := range fs.early {
		f.add(c)
	}
	fs.early, fs.seen = nil, true
	fs.mu.Unlock()
	for _, s := range list() {
		f.addOlder(s)
	}
	return f
}

// addOlder adds a status unless a newer one came meanwhile.
func (f *feed) addOlder(s engine.Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.news[s.ID]
	if n == nil || n.change.Status == nil && !n.change.Removed {
		f.merge(engine.Change{ID: s.ID, Status: &s})
	}
}

func (fs *feeds) publish(c engine.Change) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if !fs.seen && c.Notice != "" && len(fs.early) < maxEarly {
		fs.early = append(fs.early, c)
	}
	for f := range fs.open {
		f.add(c)
	}
}

func (fs *feeds) forget(f *feed) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	delete(fs.open, f)
}

func (fs *feeds) close() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.closed = true
	for f := range fs.open {
		f.end()
	}
}
