package local

import (
	"context"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"sync"
	"time"

	"pitwall/backend"
	"pitwall/backend/engine"
)

const (
	// sampleEvery is how often something is measured unless asked otherwise,
	// sampleLeast the shortest that can be asked: measuring walks /proc.
	sampleEvery = 2 * time.Second
	sampleLeast = 200 * time.Millisecond
)

// sampler measures for those who watch, and not at all when nobody does.
type sampler struct {
	mu    sync.Mutex
	feeds map[*sampleFeed]bool
	stop  context.CancelFunc // of the goroutine that measures
	round chan struct{}      // asks for a round now

	measuring sync.Mutex           // one listing at a time measures
	measured  map[string]time.Time // when, by instance
}

// sampleFeed is one who watches. It has the latest sample of each resource
// that was not read yet.
type sampleFeed struct {
	b     *Backend
	query backend.SampleQuery
	every time.Duration

	mu     sync.Mutex
	due    time.Time // of the next round
	fresh  map[string]backend.Sample
	sent   map[string]backend.Sample // what the reader has seen
	ready  chan struct{}
	ended  chan struct{}
	closed bool
}

// Samples follows measurements, latest value only.
func (b *Backend) Samples(ctx context.Context, q backend.SampleQuery) (backend.Feed[backend.Sample], error) {
	if err := b.enter(ctx); err != nil {
		return nil, err
	}
	every := q.Interval.Std()
	if every <= 0 {
		every = sampleEvery
	}
	q.Apps, q.InstanceIDs = slices.Clone(q.Apps), slices.Clone(q.InstanceIDs)
	f := &sampleFeed{
		b: b, query: q, every: max(every, sampleLeast), fresh: make(map[string]backend.Sample), sent: make(map[string]backend.Sample),
		ready: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	f.offer(b.samplesFor(q))
	s := &b.sampler
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feeds == nil {
		s.feeds, s.round = make(map[*sampleFeed]bool), make(chan struct{}, 1)
	}
	s.feeds[f] = true
	if s.stop == nil {
		var ctx context.Context
		ctx, s.stop = context.WithCancel(b.ctx)
		b.spawn(func(context.Context) { b.measure(ctx) })
		b.spawn(func(context.Context) { b.followCounters(ctx) })
	} else {
		nudge(s.round)
	}
	return f, nil
}

func nudge(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Next waits for a sample and returns the latest of each resource.
func (f *sampleFeed) Next(ctx context.Context) ([]backend.Sample, error) {
	for {
		f.mu.Lock()
		if f.closed {
			f.mu.Unlock()
			return nil, io.EOF
		}
		if len(f.fresh) > 0 {
			out := slices.SortedFunc(maps.Values(f.fresh), func(a, b backend.Sample) int { return compareRefs(a.Ref, b.Ref) })
			for _, s := range out {
				f.sent[s.Ref.ID] = s
			}
			clear(f.fresh)
			f.mu.Unlock()
			return out, nil
		}
		f.mu.Unlock()
		select {
		case <-f.ready:
		case <-f.ended:
		case <-f.b.ctx.Done():
			return nil, backend.Errorf(backend.Unavailable, "%w", errClosing)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func compareRefs(a, b backend.Ref) int {
	switch {
	case a.Kind != b.Kind && a.Kind < b.Kind, a.Kind == b.Kind && a.ID < b.ID:
		return -1
	case a == b:
		return 0
	}
	return 1
}

// Close ends the feed. The last one to go ends the measuring.
func (f *sampleFeed) Close() error {
	f.mu.Lock()
	if !f.closed {
		f.closed = true
		close(f.ended)
	}
	f.mu.Unlock()
	s := &f.b.sampler
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.feeds, f)
	if len(s.feeds) == 0 && s.stop != nil {
		s.stop()
		s.stop = nil
	}
	return nil
}

// offer gives the reader what differs from what it has seen.
func (f *sampleFeed) offer(samples []backend.Sample) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range samples {
		seen, ok := f.sent[s.Ref.ID]
		seen.Time = s.Time
		if ok && reflect.DeepEqual(seen, s) {
			delete(f.fresh, s.Ref.ID)
			continue
		}
		f.fresh[s.Ref.ID] = s
	}
	if len(f.fresh) > 0 {
		nudge(f.ready)
	}
}

// watchers lists who watches now.
func (s *sampler) watchers() []*sampleFeed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.feeds))
}

// measure asks the engine for what the watchers want, when the first of them
// is due.
func (b *Backend) measure(ctx context.Context) {
	for ctx.Err() == nil {
		now := b.cfg.Now()
		var due []*sampleFeed
		next := now.Add(time.Hour)
		for _, f := range b.sampler.watchers() {
			f.mu.Lock()
			if !f.due.After(now) {
				due = append(due, f)
				f.due = now.Add(f.every)
			}
			if f.due.Before(next) {
				next = f.due
			}
			f.mu.Unlock()
		}
		if len(due) > 0 {
			b.measureFor(ctx, due)
		}
		t := time.NewTimer(next.Sub(b.cfg.Now()))
		select {
		case <-t.C:
		case <-b.sampler.round:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

func (b *Backend) measureFor(ctx context.Context, due []*sampleFeed) {
	ids := make(map[string]bool)
	b.mu.RLock()
	for _, f := range due {
		b.eachAsked(f.query, func(instance string) { ids[instance] = b.instances[instance].Instance.State.Live() })
	}
	b.mu.RUnlock()
	maps.DeleteFunc(ids, func(_ string, live bool) bool { return !live })
	if !b.takeUsage(ctx, ids) {
		return
	}
	for _, f := range due {
		f.offer(b.samplesFor(f.query))
	}
}

// measureAtOnce is how many instances a listing waits for to be measured: to
// read the process table for them takes some tens of milliseconds.
const measureAtOnce = 500

// remeasure makes the figures of a listing true where nobody watches: it
// measures the instances of a query that were not for sampleEvery. Where they
// are too many to wait for, the listing has what was measured last.
func (b *Backend) remeasure(ctx context.Context, q backend.SampleQuery) {
	ids := make(map[string]bool)
	b.mu.RLock()
	b.eachAsked(q, func(id string) {
		if b.instances[id].Instance.State.Live() {
			ids[id] = true
		}
	})
	b.mu.RUnlock()
	if len(ids) > measureAtOnce {
		b.spawn(func(ctx context.Context) { b.measureStale(ctx, ids) })
		return
	}
	b.measureStale(ctx, ids)
}

// measureStale measures those of the instances that were not for sampleEvery.
func (b *Backend) measureStale(ctx context.Context, ids map[string]bool) {
	s := &b.sampler
	s.measuring.Lock()
	defer s.measuring.Unlock()
	old := b.cfg.Now().Add(-sampleEvery)
	s.mu.Lock()
	maps.DeleteFunc(ids, func(id string, _ bool) bool { return s.measured[id].After(old) })
	s.mu.Unlock()
	b.takeUsage(ctx, ids)
}

// takeUsage has the engine measure instances, and reports whether it could.
func (b *Backend) takeUsage(ctx context.Context, ids map[string]bool) bool {
	if len(ids) == 0 {
		return true
	}
	usage, err := b.eng.Usage(ctx, slices.Sorted(maps.Keys(ids)))
	if err != nil {
		if ctx.Err() == nil {
			b.log.Warn("measure instances", "err", err)
		}
		return false
	}
	b.keepUsage(ids, usage)
	return true
}

// keepUsage remembers what was measured last, and when.
func (b *Backend) keepUsage(asked map[string]bool, usage map[string]engine.Usage) {
	s := &b.sampler
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.measured == nil {
		s.measured = make(map[string]time.Time)
	}
	now := b.cfg.Now()
	maps.DeleteFunc(s.measured, func(_ string, at time.Time) bool { return now.Sub(at) > sampleEvery })
	for id := range asked {
		s.measured[id] = now
	}
	next := maps.Clone(*b.usage.Load())
	b.mu.RLock()
	maps.DeleteFunc(next, func(id string, _ engine.Usage) bool {
		_, known := b.instances[id]
		return !known || asked[id]
	})
	b.mu.RUnlock()
	for id, u := range usage {
		u.CPU = math.Round(u.CPU*1000) / 1000
		next[id] = u
	}
	b.usage.Store(&next)
}

// eachAsked calls fn for every instance that matters for a query. The caller
// holds mu.
func (b *Backend) eachAsked(q backend.SampleQuery, fn func(instance string)) {
	for _, id := range q.InstanceIDs {
		if _, ok := b.instances[id]; ok {
			fn(id)
		}
	}
	for _, app := range b.appsAsked(q) {
		for id := range b.members[app] {
			fn(id)
		}
	}
}

// appsAsked lists the apps that a query wants. The caller holds mu.
func (b *Backend) appsAsked(q backend.SampleQuery) []string {
	if len(q.Apps) == 0 && len(q.InstanceIDs) == 0 {
		return slices.Collect(maps.Keys(b.apps))
	}
	return q.Apps
}

// samplesFor makes samples of what is known.
func (b *Backend) samplesFor(q backend.SampleQuery) []backend.Sample {
	now := b.cfg.Now().UTC()
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []backend.Sample
	for _, id := range b.appsAsked(q) {
		r, ok := b.apps[id]
		if !ok {
			continue
		}
		out = append(out, b.appSample(b.presentApp(r, b.membersOf(id)), now))
		if q.Instances {
			for m := range b.members[id] {
				out = append(out, b.instanceSample(m, now))
			}
		}
	}
	for _, id := range q.InstanceIDs {
		if _, ok := b.instances[id]; ok {
			out = append(out, b.instanceSample(id, now))
		}
	}
	return out
}

func (b *Backend) appSample(a backend.App, now time.Time) backend.Sample {
	s := backend.Sample{
		Ref: a.Ref(), Time: now, CPU: a.CPU, RSS: a.RSS, Connections: a.Connections, ErrorsPerMinute: a.ErrorsPerMinute,
		ErrorTrend: a.ErrorTrend, LastError: a.LastError, LastErrorAt: a.LastErrorAt, LogBytes: a.LogBytes,
		LinesPerSecond: b.counters("", a.ID).LinesPerSecond,
	}
	usage := *b.usage.Load()
	for id := range b.members[a.ID] {
		s.FDs += usage[id].FDs
		s.Processes += usage[id].Processes
	}
	if b.cfg.Edge != nil {
		if n, ok := b.cfg.Edge.CountsOf(a.ID); ok {
			s.Requests = n.Requests
		}
	}
	return s
}

func (b *Backend) instanceSample(id string, now time.Time) backend.Sample {
	in := b.presentInstance(b.instances[id])
	n := b.counters(id, "")
	return backend.Sample{
		Ref: in.Ref(), Time: now, CPU: in.CPU, RSS: in.RSS, FDs: in.FDs, Processes: (*b.usage.Load())[id].Processes,
		Connections: in.Connections, ErrorsPerMinute: in.ErrorsPerMinute, ErrorTrend: n.ErrorTrend, LastError: in.LastError,
		LastErrorAt: n.LastErrorAt, LinesPerSecond: n.LinesPerSecond, LogBytes: n.Bytes,
	}
}

// followCounters passes on at once what the logs count.
func (b *Backend) followCounters(ctx context.Context) {
	if b.cfg.Logs == nil {
		return
	}
	feed, err := b.cfg.Logs.Changed(ctx)
	if err != nil {
		b.log.Warn("follow the log's counters", "err", err)
		return
	}
	defer feed.Close()
	for {
		changed, err := feed.Next(ctx)
		if backend.CodeOf(err) == backend.Lagged {
			continue
		}
		if err != nil {
			return
		}
		apps := make(map[string]bool)
		b.mu.RLock()
		for _, id := range changed {
			apps[b.instances[id].Instance.AppID] = true
		}
		b.mu.RUnlock()
		for _, f := range b.sampler.watchers() {
			f.offer(slices.DeleteFunc(b.samplesFor(b.narrowed(f.query, apps, changed)), func(s backend.Sample) bool {
				return s.Ref.Kind == backend.KindInstance && !slices.Contains(changed, s.Ref.ID)
			}))
		}
	}
}

// narrowed is a query for what has changed alone.
func (b *Backend) narrowed(q backend.SampleQuery, apps map[string]bool, instances []string) backend.SampleQuery {
	b.mu.RLock()
	asked := b.appsAsked(q)
	b.mu.RUnlock()
	out := backend.SampleQuery{Instances: q.Instances, Apps: []string{}}
	for _, id := range asked {
		if apps[id] {
			out.Apps = append(out.Apps, id)
		}
	}
	for _, id := range q.InstanceIDs {
		if slices.Contains(instances, id) {
			out.InstanceIDs = append(out.InstanceIDs, id)
		}
	}
	if len(out.Apps)+len(out.InstanceIDs) == 0 {
		out.Apps = []string{""} // none, which is not all
	}
	return out
}
