package proxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// acceptPause is how long an accept loop rests when the machine is out of file
// descriptors: long enough for some to be closed.
const acceptPause = 20 * time.Millisecond

// acceptTCP serves one TCP route until its listener is closed.
func (e *Edge) acceptTCP(l *listener) {
	defer e.work.Done()
	told := false // of what keeps it from accepting, once
	for {
		conn, err := l.tcp.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			if !told {
				e.log.Warn("edge cannot accept for now", "address", l.address, "error", err)
			}
			told = true
			time.Sleep(acceptPause)
			continue
		}
		told = false
		e.serveTCP(l, conn)
	}
}

// serveTCP admits a connection or resets it. It does not wait for either.
func (e *Edge) serveTCP(l *listener, conn *net.TCPConn) {
	p, process := e.routeOf(l)
	ctx, cancel := context.WithCancel(context.Background())
	t := &tunnel{flow: flow{pool: p, process: process}, client: conn, buffers: &e.buffers, cancel: cancel}
	t.end = t.abort
	if !e.enter() {
		t.abort()
		return
	}
	if p.admit(&t.flow) != admitted {
		t.abort()
		e.work.Done()
		return
	}
	go func() {
		defer e.work.Done()
		defer p.release(&t.flow, nil)
		t.run(ctx)
	}()
}

// tunnel is one TCP connection through the edge.
type tunnel struct {
	flow
	client  *net.TCPConn
	buffers *bufferPool
	cancel  context.CancelFunc // ends dialling

	mu      sync.Mutex
	backend *net.TCPConn
	ended   bool
}

// run carries bytes until both sides have ended.
func (t *tunnel) run(ctx context.Context) {
	defer t.cancel()
	if !t.dial(ctx) {
		t.abort()
		return
	}
	up := make(chan struct{})
	go func() {
		defer close(up)
		t.carry(t.backend, t.client, t.in)
	}()
	t.carry(t.client, t.backend, t.out)
	<-up
	t.client.Close()
	t.backend.Close()
}

// dial reaches a target, the given one or else another.
func (t *tunnel) dial(ctx context.Context) bool {
	dialer := net.Dialer{Timeout: dialTimeout}
	for {
		conn, err := dialer.DialContext(ctx, "tcp", t.addr)
		if err == nil {
			return t.reached(conn.(*net.TCPConn))
		}
		if ctx.Err() != nil || !t.pool.retry(&t.flow) {
			return false
		}
	}
}

// reached takes the connection to the target; false if the tunnel was aborted
// while it was made.
func (t *tunnel) reached(conn *net.TCPConn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		conn.Close()
		return false
	}
	t.backend = conn
	return true
}

// carry moves bytes one way. The end of one side is passed on as such, so that
// the other may still answer; a reset is passed on as a reset.
func (t *tunnel) carry(dst, src *net.TCPConn, count func(int)) {
	if err := pump(dst, src, t.buffers, count); err != nil {
		t.abort()
		return
	}
	dst.CloseWrite() // a side that has gone shows in the other direction
}

// abort resets both sides at once.
func (t *tunnel) abort() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	t.ended = true
	t.cancel()
	reset(t.client)
	if t.backend != nil {
		reset(t.backend)
	}
}

// reset closes a connection so that its peer is told it was cut, not ended.
func reset(c *net.TCPConn) {
	c.SetLinger(0) // on a connection that has gone there is nothing to do
	c.Close()
}
