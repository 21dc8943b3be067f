package proxy

import (
	"context"
	"net"
	"sync"
)

// client is one accepted HTTP connection. It is the net.Conn that the HTTP
// server sees, so that whoever closes it, the edge knows. TLS goes over it.
type client struct {
	*net.TCPConn
	edge *Edge

	mu     sync.Mutex // taken after a pool's lock, never before
	pool   *pool      // where it rests between requests
	closed bool
}

type clientKey struct{}

func withClient(ctx context.Context, c *client) context.Context {
	return context.WithValue(ctx, clientKey{}, c)
}

func clientOf(ctx context.Context) *client {
	c, _ := ctx.Value(clientKey{}).(*client)
	return c
}

// Close closes the connection in order: what was written is still delivered.
func (c *client) Close() error {
	c.mu.Lock()
	p, first := c.pool, !c.closed
	c.pool, c.closed = nil, true
	c.mu.Unlock()
	if !first {
		return net.ErrClosed
	}
	if p != nil {
		p.wake(c)
	}
	defer c.edge.work.Done()
	return c.TCPConn.Close()
}

// reset closes the connection without regard for what is under way, so that
// the client cannot take what it has for the whole.
func (c *client) reset() {
	c.SetLinger(0) // on a connection that has gone there is nothing to do
	c.Close()
}

// rest marks the client as idle after a request to the pool; false where it is
// closed. The caller holds the pool's mu.
func (c *client) rest(p *pool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.pool = p
	return true
}

// wake ends the client's rest for its next request; false where it was closed
// meanwhile.
func (c *client) wake() bool {
	c.mu.Lock()
	p, closed := c.pool, c.closed
	c.pool = nil
	c.mu.Unlock()
	if p != nil {
		p.wake(c)
	}
	return !closed
}

// clientListener gives the HTTP server its clients.
type clientListener struct {
	*net.TCPListener
	edge *Edge
}

func (l clientListener) Accept() (net.Conn, error) {
	conn, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	if !l.edge.enter() {
		conn.Close()
		return nil, net.ErrClosed
	}
	return &client{TCPConn: conn, edge: l.edge}, nil
}
