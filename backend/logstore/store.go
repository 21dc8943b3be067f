package logstore

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"pitwall/backend"
)

// Config sets up a [Store]; the zero value is good.
type Config struct {
	Now     func() time.Time // default time.Now
	Log     *slog.Logger     // default none
	Workers int              // goroutines that read what is new; default one a core, 4 at most

	// IndexDir is where state may be kept that can be made anew. Nothing
	// is kept there yet.
	IndexDir string
}

// Store reads the logs of the instances that were registered. Its methods may
// be called from several goroutines.
type Store struct {
	now     func() time.Time
	log     *slog.Logger
	workers sync.WaitGroup
	// tailBytes is how much text of a tail is kept in memory.
	tailBytes int

	mu        sync.Mutex
	work      sync.Cond // the queue has grown, or the store is closed
	closed    bool
	instances map[string]*instance
	queue     []*instance
	open      []*instance // whose scanners are kept open, the latest used last
	feeds     map[*feed]struct{}
	changes   map[*changes]struct{}
	marks     map[string]*marks
}

// New returns a store that knows no instance yet. Close it after use.
func New(c Config) *Store {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Workers <= 0 {
		c.Workers = min(4, runtime.GOMAXPROCS(0))
	}
	s := &Store{
		now: c.Now, log: c.Log, tailBytes: tailBytes, instances: map[string]*instance{},
		feeds: map[*feed]struct{}{}, changes: map[*changes]struct{}{}, marks: map[string]*marks{},
	}
	s.work.L = &s.mu
	for range c.Workers {
		s.workers.Go(s.ingest)
	}
	return s
}

// Register tells of an instance and where its log is. Registering it again
// replaces what is known of it; its log stays where it is. A new instance joins
// the merged feeds that follow its app.
func (s *Store) Register(src Source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	in := s.instances[src.Instance]
	if in == nil {
		in = &instance{id: src.Instance}
		s.instances[src.Instance] = in
	}
	fresh := in.describe(src)
	s.enqueue(in)
	if !fresh {
		return
	}
	for f := range s.feeds {
		f.offer(in, src)
	}
}

// Notify says that an instance has new output. It never blocks and is cheap,
// also when nothing is new.
func (s *Store) Notify(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in := s.instances[id]; in != nil && !s.closed {
		s.enqueue(in)
	}
}

// End says that no more output of an instance comes, until it is registered
// as live again.
func (s *Store) End(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in := s.instances[id]; in != nil && !s.closed {
		in.end()
		s.enqueue(in)
	}
}

// Forget removes an instance and its files.
func (s *Store) Forget(id string) error {
	s.mu.Lock()
	in := s.instances[id]
	delete(s.instances, id)
	if in == nil {
		s.mu.Unlock()
		return nil
	}
	in.forget()
	if !in.running {
		in.closeFiles()
	}
	s.open = slices.DeleteFunc(s.open, func(o *instance) bool { return o == in })
	s.mu.Unlock()
	if err := removeLog(in.source().Dir); err != nil {
		return fmt.Errorf("remove log of %s: %w", id, err)
	}
	return nil
}

// Close ends every feed and waits for the workers. What is on disk stays.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.work.Broadcast()
	feeds, changed, instances := s.feeds, s.changes, s.instances
	s.feeds, s.changes = map[*feed]struct{}{}, map[*changes]struct{}{}
	s.mu.Unlock()
	s.workers.Wait()
	for f := range feeds {
		f.Close()
	}
	for c := range changed {
		c.Close()
	}
	for _, in := range instances {
		in.closeFiles()
	}
	return nil
}

// InstanceCounters returns what the log says of an instance now; zero counts
// for one that is not known.
func (s *Store) InstanceCounters(id string) Counters {
	s.mu.Lock()
	in := s.instances[id]
	s.mu.Unlock()
	if in == nil {
		return sumOf(s.now(), nil)
	}
	return sumOf(s.now(), []*instance{in})
}

// AppCounters returns the sum over the instances of an app or of a job, by its
// id. LastSeq is the highest of them.
func (s *Store) AppCounters(id string) Counters {
	s.mu.Lock()
	var ins []*instance
	for _, in := range s.instances {
		if src := in.source(); id != "" && (src.AppID == id || src.JobID == id) {
			ins = append(ins, in)
		}
	}
	s.mu.Unlock()
	return sumOf(s.now(), ins)
}

func sumOf(now time.Time, ins []*instance) Counters {
	sum := Counters{ErrorTrend: make([]int, trendSize)}
	for _, in := range ins {
		in.count(&sum, now)
	}
	return sum
}

// LastLines returns the last n lines of a run of an instance, or of any run
// where run is 0.
func (s *Store) LastLines(id string, run, n int) []string {
	if n <= 0 {
		return nil
	}
	s.mu.Lock()
	known := s.instances[id] != nil
	s.mu.Unlock()
	if !known {
		return nil
	}
	ctx := context.Background()
	feed, err := s.Logs(ctx, backend.LogQuery{Instances: []string{id}, Run: run, Tail: n})
	if err != nil {
		s.log.Warn("read last lines", "instance", id, "err", err)
		return nil
	}
	defer feed.Close()
	var lines []string
	for {
		entries, err := feed.Next(ctx)
		if err != nil {
			return lines
		}
		for _, e := range entries {
			if e.Gap == nil && e.Divider == nil && e.Progress == nil {
				lines = append(lines, e.Text)
			}
		}
	}
}

// selected returns the instances that a query selects, by id. It is called
// with the lock held.
func (s *Store) selected(q *backend.LogQuery) []*instance {
	var ins []*instance
	for _, in := range s.instances {
		if src := in.source(); src.selectedBy(q) {
			ins = append(ins, in)
		}
	}
	slices.SortFunc(ins, func(a, b *instance) int { return cmp.Compare(a.id, b.id) })
	return ins
}
