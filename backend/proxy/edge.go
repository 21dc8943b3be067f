package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// DefaultHTTPAddr is where the edge serves HTTP routes unless told
	// otherwise.
	DefaultHTTPAddr = "127.0.0.1:7080"

	// headerTimeout is long for any client that means it, and short enough
	// that one which sends a header byte by byte holds nothing for long.
	headerTimeout = 10 * time.Second

	// idleTimeout is a little longer than common clients keep a connection,
	// so that they close it, and not the edge under their next request.
	idleTimeout = 120 * time.Second

	// dialTimeout bounds one attempt to reach an instance; instances are near.
	dialTimeout = 3 * time.Second
)

// Config is what an [Edge] is made of. Its zero value is ready to use.
type Config struct {
	// HTTPAddr is where HTTP routes are served; [DefaultHTTPAddr] where empty.
	// Nothing listens there until an app has an HTTP route.
	HTTPAddr string

	// HeaderTimeout is how long a client may take to send a request's header;
	// ten seconds where zero.
	HeaderTimeout time.Duration

	// Inherited are listening sockets of an edge before this one, by address,
	// as [Edge.Files] gave them. The edge owns them from then on. One is used
	// when a route asks for its address; see [Edge.DropInherited].
	Inherited map[string]*os.File

	// Log is told of listeners and kicks; nothing is logged where it is nil.
	Log *slog.Logger
}

// Edge forwards connections to instances. Its methods may be called from any
// goroutine. It must be ended with [Edge.Close].
type Edge struct {
	httpAddr string
	log      *slog.Logger
	server   *http.Server
	forward  http.Handler
	buffers  bufferPool

	// work counts accept loops, TCP connections, HTTP clients and requests.
	work sync.WaitGroup

	mu         sync.RWMutex // taken before a pool's lock, never after
	pools      map[string]*pool
	hosts      map[string]*hostRoute
	listeners  map[string]*listener // by address as declared
	inherited  map[string]*os.File
	handedOver bool
	closed     bool
}

// hostRoute is where a host name leads.
type hostRoute struct {
	pool    *pool
	process string
}

// New returns an edge without apps. It opens nothing.
func New(c Config) *Edge {
	if c.HTTPAddr == "" {
		c.HTTPAddr = DefaultHTTPAddr
	}
	if c.HeaderTimeout == 0 {
		c.HeaderTimeout = headerTimeout
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	e := &Edge{
		httpAddr:  c.HTTPAddr,
		log:       c.Log,
		pools:     make(map[string]*pool),
		hosts:     make(map[string]*hostRoute),
		listeners: make(map[string]*listener),
		inherited: make(map[string]*os.File),
	}
	for address, f := range c.Inherited {
		e.inherited[address] = f
	}
	e.forward = newForwarder(c.Log, &e.buffers)
	e.server = e.newServer(c.HeaderTimeout)
	return e
}

// Set declares one app whole. It may be called again with the same app at no
// cost, and tries again what did not work before.
//
// An app that makes no sense is refused and changes nothing. A route that
// cannot be served, because its port is taken or another app has claimed it, is
// a [*RouteError] in the result; all else of the app is in force, and nothing of
// any other app has changed. Connections through a route or to a target that
// are no longer declared run on until they end.
func (e *Edge) Set(a App) error {
	routes, err := a.check()
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return fmt.Errorf("declare app %s: %w", a.label(), ErrClosed)
	}
	p := e.pools[a.ID]
	if p == nil {
		p = newPool(a.ID)
		e.pools[a.ID] = p
	}
	p.declare(a)
	e.release(p, routes)
	return e.claim(p, routes)
}

// Remove forgets an app: its listeners are closed and so is everything that is
// open to it. An app that is not there is no error.
func (e *Edge) Remove(appID string) {
	e.mu.Lock()
	p := e.pools[appID]
	if p != nil {
		e.release(p, nil)
		e.closeIdleHTTP()
		delete(e.pools, appID)
	}
	e.mu.Unlock()
	if p != nil {
		p.retire()
		p.kick(nil)
	}
}

// Kick closes every open connection of the app at once and returns how many
// there were: HTTP/1 connections with a request of the app in flight or idle
// after it, the app's streams on HTTP/2 connections, upgraded and TCP
// connections. Declare the app not attached first, or clients come back.
func (e *Edge) Kick(appID string) int {
	p := e.pool(appID)
	if p == nil {
		return 0
	}
	n := p.kick(nil)
	e.log.Info("kicked app", "app", appID, "connections", n)
	return n
}

// KickInstance is [Edge.Kick] for what is open to one instance.
func (e *Edge) KickInstance(appID, targetID string) int {
	p := e.pool(appID)
	if p == nil {
		return 0
	}
	t := p.target(targetID)
	if t == nil {
		return 0
	}
	n := p.kick(t)
	e.log.Info("kicked instance", "app", appID, "instance", targetID, "connections", n)
	return n
}

// DrainError says how much was still open when [Edge.Drain] gave up.
type DrainError struct {
	App, Instance string
	Remaining     int
	Err           error // why it gave up: the context's error
}

func (e *DrainError) Error() string {
	return fmt.Sprintf("drain instance %s of app %s: %d connections remain: %v", e.Instance, e.App, e.Remaining, e.Err)
}

func (e *DrainError) Unwrap() error { return e.Err }

// Drain gives the instance nothing new and returns when nothing is open to it,
// or a [*DrainError] when ctx ends. An idle HTTP connection does not count: its
// next request goes elsewhere. The instance stays drained until a Set after
// Drain returned declares it ready and not draining. An instance that is not
// there has nothing open.
func (e *Edge) Drain(ctx context.Context, appID, targetID string) error {
	p := e.pool(appID)
	if p == nil {
		return nil
	}
	t := p.target(targetID)
	if t == nil {
		return nil
	}
	p.startDrain(t)
	defer p.endDrain(t)
	if n, err := p.wait(ctx, t); err != nil {
		return &DrainError{App: appID, Instance: targetID, Remaining: n, Err: err}
	}
	return nil
}

// partTime is how long an idle HTTP connection is kept at a shutdown, so that a
// busy client's next request is answered, and the client told to connect anew,
// rather than cut off.
const partTime = 250 * time.Millisecond

// Shutdown closes the listeners and returns when the connections that are open
// have ended, or with ctx's error and how many remain. HTTP clients are told with
// each answer to connect anew. Close must follow.
func (e *Edge) Shutdown(ctx context.Context) error {
	e.CloseListeners()
	if e.hasIdle() {
		select {
		case <-time.After(partTime):
		case <-ctx.Done():
		}
	}
	httpErr := e.server.Shutdown(ctx)
	remaining := 0
	for _, p := range e.allPools() {
		n, _ := p.wait(ctx, nil)
		remaining += n
	}
	if remaining > 0 {
		return fmt.Errorf("shut the edge down: %d connections remain: %w", remaining, ctx.Err())
	}
	if httpErr != nil {
		return fmt.Errorf("shut the edge down: %w", httpErr)
	}
	return nil
}

// Close closes every listener and connection and returns when all goroutines
// that served them have ended. It may be called more than once.
func (e *Edge) Close() error {
	e.mu.Lock()
	e.closed = true
	e.closeListeners()
	e.dropInherited()
	e.mu.Unlock()
	for _, p := range e.allPools() {
		p.retire()
		p.kick(nil)
	}
	e.server.Close() // the listeners' errors are of no use to anyone now
	e.work.Wait()
	for _, p := range e.allPools() {
		p.closeIdle()
	}
	return nil
}

// pool is the app's, or nil.
func (e *Edge) pool(appID string) *pool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.pools[appID]
}

// hasIdle is whether an HTTP client may send another request on its connection.
func (e *Edge) hasIdle() bool {
	return slices.ContainsFunc(e.allPools(), (*pool).hasClients)
}

func (e *Edge) allPools() []*pool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	all := make([]*pool, 0, len(e.pools))
	for _, p := range e.pools {
		all = append(all, p)
	}
	return all
}

// enter counts one piece of work that Close waits for; false once closed. Each
// true needs one e.work.Done.
func (e *Edge) enter() bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return false
	}
	e.work.Add(1)
	return true
}

// release gives up what the pool has claimed and routes no longer name. The
// caller holds mu.
func (e *Edge) release(p *pool, routes []Route) {
	for key := range p.claims {
		if slices.ContainsFunc(routes, func(r Route) bool { return r.key() == key }) {
			continue
		}
		delete(p.claims, key)
		if key.HTTP != "" {
			delete(e.hosts, key.HTTP)
			continue
		}
		e.closeListener(key.TCP)
	}
}

// claim takes the routes for the pool as far as that is possible. The caller
// holds mu.
func (e *Edge) claim(p *pool, routes []Route) error {
	var errs []error
	var viaHTTP *Route
	for i, r := range routes {
		var err error
		if r.HTTP != "" {
			err = e.claimHost(p, r)
			viaHTTP = &routes[i]
		} else {
			err = e.claimAddress(p, r)
		}
		if err != nil {
			errs = append(errs, &RouteError{App: p.label(), Route: r, Err: err})
		}
	}
	if viaHTTP != nil {
		if err := e.openHTTP(); err != nil {
			errs = append(errs, &RouteError{App: p.label(), Route: *viaHTTP, Err: err})
		}
	}
	e.closeIdleHTTP()
	return errors.Join(errs...)
}

func (e *Edge) claimHost(p *pool, r Route) error {
	if h := e.hosts[r.HTTP]; h != nil && h.pool != p {
		return fmt.Errorf("%w by app %s", ErrClaimed, h.pool.label())
	}
	e.hosts[r.HTTP] = &hostRoute{pool: p, process: r.Process}
	p.claims[r.key()] = struct{}{}
	return nil
}

func (e *Edge) claimAddress(p *pool, r Route) error {
	if r.TCP == e.httpAddr {
		return fmt.Errorf("%w by the HTTP routes", ErrClaimed)
	}
	if l := e.listeners[r.TCP]; l != nil {
		if l.pool != p {
			return fmt.Errorf("%w by app %s", ErrClaimed, l.pool.label())
		}
		l.process = r.Process
		return nil
	}
	l, err := e.listen(r.TCP)
	if err != nil {
		return err
	}
	l.pool, l.process = p, r.Process
	p.claims[r.key()] = struct{}{}
	e.work.Add(1)
	go e.acceptTCP(l)
	return nil
}

// openHTTP opens the HTTP listener unless it is. The caller holds mu.
func (e *Edge) openHTTP() error {
	if e.listeners[e.httpAddr] != nil || len(e.hosts) == 0 {
		return nil
	}
	l, err := e.listen(e.httpAddr)
	if err != nil {
		return err
	}
	e.work.Add(1)
	go e.acceptHTTP(l)
	return nil
}

// closeIdleHTTP closes the HTTP listener when no route needs it; connections
// that are open stay. The caller holds mu.
func (e *Edge) closeIdleHTTP() {
	if len(e.hosts) == 0 {
		e.closeListener(e.httpAddr)
	}
}

// lookup is where a request's Host header leads, and whether it is the last
// that its connection may carry.
func (e *Edge) lookup(host string) (p *pool, process string, last bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	h := e.hosts[hostOf(host)]
	if h == nil {
		return nil, "", e.handedOver
	}
	return h.pool, h.process, e.handedOver
}

// routeOf is where a TCP listener leads now.
func (e *Edge) routeOf(l *listener) (*pool, string) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return l.pool, l.process
}

// addrOf is where the listener for a declared address really listens.
func (e *Edge) addrOf(address string) net.Addr {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if l := e.listeners[address]; l != nil {
		return l.tcp.Addr()
	}
	return nil
}
