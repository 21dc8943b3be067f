package proxy

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// coolOff is how long a target that could not be dialled is tried last. Without
// it a dead instance, having the least connections, would be tried first each
// time.
const coolOff = time.Second

// closeChunk is how many connections one goroutine ends in a kick. To close a socket is
// to wait for its reader to let go of it; the waits overlap, so that thousands
// of connections end within a tenth of a second.
const closeChunk = 128

// pool is one declared app.
type pool struct {
	id     string
	totals counters
	claims map[Route]struct{} // guarded by the edge's mu

	mu       sync.Mutex
	name     string
	process  string // what a route without a process means
	blocked  bool
	attached bool
	retired  bool                // the app was removed
	order    []*target           // as declared
	targets  map[string]*target  // and those that still have something open
	flows    map[*flow]struct{}  // what is open
	idle     map[*client]*target // HTTP/1 connections whose last request was ours
	requests int                 // flows that are HTTP
	turn     uint64              // grows with each choice
	changed  chan struct{}       // closed when a flow ends, if anyone waits
}

// target is one instance. Its fields but totals are guarded by the pool's mu.
type target struct {
	id        string
	totals    counters
	declared  Target
	listed    bool // in the latest declaration
	transport *http.Transport

	drains   int  // calls of Drain under way
	drained  bool // by a Drain since the last declaration
	open     int  // flows
	requests int  // flows that are HTTP
	idle     int  // clients resting after a request to it
	turn     uint64
	cool     time.Time // tried last until then
}

// refusal is why a flow is not admitted.
type refusal int

const (
	admitted refusal = iota
	notAttached
	blocked
	noneReady
)

func newPool(id string) *pool {
	return &pool{
		id:      id,
		claims:  make(map[Route]struct{}),
		targets: make(map[string]*target),
		flows:   make(map[*flow]struct{}),
		idle:    make(map[*client]*target),
	}
}

// declare puts a declaration in force.
func (p *pool) declare(a App) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.name, p.blocked, p.attached = a.label(), a.Blocked, a.Attached
	p.process = a.Process
	if p.process == "" && len(a.Targets) > 0 {
		p.process = a.Targets[0].Process
	}
	for _, t := range p.order {
		t.listed = false
	}
	before := p.order
	p.order = make([]*target, 0, len(a.Targets))
	for _, d := range a.Targets {
		p.order = append(p.order, p.declareTarget(d))
	}
	for _, t := range before {
		p.forget(t)
	}
}

func (p *pool) declareTarget(d Target) *target {
	t := p.targets[d.ID]
	if t == nil {
		t = &target{id: d.ID}
		p.targets[d.ID] = t
	}
	if t.declared.Addr != d.Addr || t.transport == nil {
		if t.transport != nil {
			t.transport.CloseIdleConnections()
		}
		t.transport = newTransport()
		t.cool = time.Time{}
	}
	if !d.Draining && t.drains == 0 {
		t.drained = false
	}
	t.declared, t.listed = d, true
	return t
}

// forget lets go of a target that is no longer declared when nothing is open to
// it. The caller holds mu.
func (p *pool) forget(t *target) {
	if t.listed || p.targets[t.id] != t {
		return
	}
	t.transport.CloseIdleConnections()
	if t.open == 0 && t.idle == 0 && t.drains == 0 {
		delete(p.targets, t.id)
	}
}

func (p *pool) label() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.name
}

func (p *pool) target(id string) *target {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.targets[id]
}

// retire refuses everything from now on and lets the targets go.
func (p *pool) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = true
	for _, t := range p.order {
		t.listed = false
		p.forget(t)
	}
	p.order = nil
}

// admit gives the flow a target, or says why not. An admitted flow is kicked
// with the rest, and must be released.
func (p *pool) admit(f *flow) refusal {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.retired || !p.attached:
		p.totals.refused.Add(1)
		return notAttached
	case p.blocked:
		p.totals.refused.Add(1)
		return blocked
	}
	t := p.choose(f, time.Now())
	if t == nil {
		p.totals.unserved.Add(1)
		return noneReady
	}
	p.flows[f] = struct{}{}
	if f.http {
		p.requests++
	}
	p.assign(f, t)
	return admitted
}

// retry gives a flow whose target could not be dialled another one. It is false
// where there is none, or the flow was kicked.
func (p *pool) retry(f *flow) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.flows[f]; !ok {
		return false
	}
	now := time.Now()
	f.target.cool = now.Add(coolOff)
	f.tried = append(f.tried, f.target)
	t := p.choose(f, now)
	if t == nil {
		p.totals.unserved.Add(1)
		return false
	}
	p.unassign(f)
	p.assign(f, t)
	return true
}

// choose is the target that a new flow goes to, or nil. The caller holds mu.
func (p *pool) choose(f *flow, now time.Time) *target {
	process := f.process
	if process == "" {
		process = p.process
	}
	var best *target
	for _, t := range p.order {
		if !t.takes(process) || slices.Contains(f.tried, t) {
			continue
		}
		if best == nil || t.before(best, now) {
			best = t
		}
	}
	if best != nil {
		p.turn++
		best.turn = p.turn
	}
	return best
}

// takes is whether new flows for the process may go to the target.
func (t *target) takes(process string) bool {
	d := t.declared
	return d.Process == process && d.Ready && !d.Blocked && !d.Draining && !t.drained && t.drains == 0
}

// before is whether a new flow had better go to t than to u.
func (t *target) before(u *target, now time.Time) bool {
	if a, b := now.Before(t.cool), now.Before(u.cool); a != b {
		return b
	}
	if t.open != u.open {
		return t.open < u.open
	}
	return t.turn < u.turn
}

// assign makes the flow count as open to the target. The caller holds mu.
func (p *pool) assign(f *flow, t *target) {
	f.target, f.addr, f.transport = t, t.declared.Addr, t.transport
	t.open++
	if f.http {
		t.requests++
	}
}

func (p *pool) unassign(f *flow) {
	t := f.target
	t.open--
	if f.http {
		t.requests--
	}
	p.forget(t)
}

// release ends a flow's being open. The client, if any, rests in the pool.
func (p *pool) release(f *flow, c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.drop(f) {
		return // kicked, and its client with it
	}
	if c != nil && c.rest(p) {
		p.idle[c] = f.target
		f.target.idle++
	}
}

// drop takes a flow out of what is open; false if it is not in. The caller
// holds mu.
func (p *pool) drop(f *flow) bool {
	if _, ok := p.flows[f]; !ok {
		return false
	}
	delete(p.flows, f)
	if f.http {
		p.requests--
	}
	p.unassign(f)
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
	return true
}

// rest keeps a client whose request was refused, so that a kick closes it.
func (p *pool) rest(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.retired && c.rest(p) {
		p.idle[c] = nil
	}
}

// wake takes a client out of those that rest.
func (p *pool) wake(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropIdle(c)
}

func (p *pool) dropIdle(c *client) {
	t, ok := p.idle[c]
	if !ok {
		return
	}
	delete(p.idle, c)
	if t != nil {
		t.idle--
		p.forget(t)
	}
}

// kick closes all that is open to the target, or to any, and says how many
// connections that were.
func (p *pool) kick(t *target) int {
	p.mu.Lock()
	flows := make([]*flow, 0, len(p.flows))
	for f := range p.flows {
		if t == nil || f.target == t {
			flows = append(flows, f)
		}
	}
	clients := make([]*client, 0, len(p.idle))
	for c, at := range p.idle {
		if t == nil || at == t {
			clients = append(clients, c)
		}
	}
	for _, f := range flows {
		p.drop(f)
	}
	for _, c := range clients {
		p.dropIdle(c)
	}
	p.mu.Unlock()
	inParallel(flows, func(f *flow) { f.end() })
	inParallel(clients, func(c *client) { c.Close() })
	return len(flows) + len(clients)
}

// inParallel closes each and returns when all are closed.
func inParallel[T any](all []T, closeOne func(T)) {
	var work sync.WaitGroup
	for part := range slices.Chunk(all, closeChunk) {
		work.Go(func() {
			for _, v := range part {
				closeOne(v)
			}
		})
	}
	work.Wait()
}

func (p *pool) startDrain(t *target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.drains++
	t.drained = true
	t.transport.CloseIdleConnections()
}

func (p *pool) endDrain(t *target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.drains--
	t.transport.CloseIdleConnections()
	p.forget(t)
}

// hasClients is whether an HTTP connection is idle or has a request in flight.
func (p *pool) hasClients() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) > 0 {
		return true
	}
	for f := range p.flows {
		if f.http {
			return true
		}
	}
	return false
}

// wait returns when no flow is open to the target, or to any where it is nil;
// or how many are when ctx ends.
func (p *pool) wait(ctx context.Context, t *target) (int, error) {
	for {
		n, changed := p.remaining(t)
		if n == 0 {
			return 0, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			n, _ := p.remaining(t)
			if n == 0 {
				return 0, nil
			}
			return n, ctx.Err()
		}
	}
}

func (p *pool) remaining(t *target) (int, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	if t != nil {
		return t.open, p.changed
	}
	return len(p.flows), p.changed
}

// closeIdle closes the kept connections to all targets.
func (p *pool) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.targets {
		t.transport.CloseIdleConnections()
	}
}

// newTransport is one target's way in: its own, so that it can be closed with
// the target.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		DisableCompression:    true, // what passes is not ours to change
		MaxIdleConnsPerHost:   64,   // a burst is served again without new connections
		IdleConnTimeout:       30 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}
