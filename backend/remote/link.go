package remote

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"pitwall/backend"
	"pitwall/backend/wire"
)

// steady is how long a link must have been up to start over with the shortest
// wait when it is lost: a server that accepts and hangs up at once is not
// asked more and more often.
const steady = 5 * time.Second

// begin starts the link, with the client locked.
func (c *Client) begin() {
	if !c.started && !c.closed {
		c.started = true
		c.wg.Go(c.keep)
	}
}

// keep holds the link up until the client is closed.
func (c *Client) keep() {
	for attempt := 0; c.ctx.Err() == nil; attempt++ {
		c.setLink(backend.LinkConnecting, nil, attempt)
		ws, err := c.dial(c.ctx, wire.FeedsPath)
		if err != nil {
			c.fail(err, attempt)
		} else {
			up := time.Now()
			c.carry(ws)
			if time.Since(up) > steady {
				attempt = 0
			}
		}
		c.pause(c.cfg.Backoff(attempt))
	}
	c.mu.Lock()
	streams := c.streams
	c.streams = make(map[*stream]struct{})
	c.closed = true
	c.wake()
	c.mu.Unlock()
	for s := range streams {
		s.finish(c.closedError())
	}
}

// pause waits before the next try, or until somebody needs the link.
func (c *Client) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.kick:
	case <-c.ctx.Done():
	}
}

// setLink makes the link's state known.
func (c *Client) setLink(state backend.LinkStatus, err error, attempt int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link.State != state {
		c.link.Since = time.Now()
	}
	c.link.State, c.link.Attempt = state, attempt
	if err != nil {
		c.link.Err = err.Error()
	}
	if state == backend.LinkUp {
		c.link.Err = ""
	}
	c.links++
	c.wake()
}

// fail notes a try that failed. Streams wait for the next one, unless the
// server refuses the caller: then they end, since no try would help.
func (c *Client) fail(err error, attempt int) {
	c.setLink(backend.LinkDown, err, attempt+1)
	code := backend.CodeOf(err)
	c.mu.Lock()
	c.failed++
	c.why = err
	var refused map[*stream]struct{}
	if code == backend.Unauthenticated || code == backend.Denied {
		refused, c.streams = c.streams, make(map[*stream]struct{})
	}
	c.wake()
	c.mu.Unlock()
	for s := range refused {
		s.finish(err)
	}
}

// dial opens a websocket. A refusal is the server's own error.
func (c *Client) dial(ctx context.Context, path string) (*websocket.Conn, error) {
	ws, reply, err := c.ws.DialContext(ctx, "ws"+strings.TrimPrefix(c.base, "http")+path, c.header())
	if err == nil {
		return ws, nil
	}
	if reply != nil && errors.Is(err, websocket.ErrBadHandshake) {
		text, _ := io.ReadAll(io.LimitReader(reply.Body, 64<<10))
		reply.Body.Close()
		if reply.StatusCode/100 == 2 {
			reply.StatusCode = http.StatusBadGateway
		}
		return nil, wire.DecodeErrorBody(reply.StatusCode, text)
	}
	return nil, c.explain(ctx, err)
}

// carry opens every stream on a new websocket and reads until it is lost. Why
// it was is in the link's state.
func (c *Client) carry(ws *websocket.Conn) {
	n := newConn(ws, c.cfg)
	c.mu.Lock()
	c.conn = n
	for s := range c.streams {
		c.openOn(n, s)
	}
	c.mu.Unlock()
	c.setLink(backend.LinkUp, nil, 0)
	stop := context.AfterFunc(c.ctx, n.close)
	err := n.serve()
	stop()
	c.mu.Lock()
	c.conn = nil
	for s := range c.streams {
		s.detach()
	}
	c.mu.Unlock()
	c.setLink(backend.LinkDown, c.explain(c.ctx, err), 0)
}

// openOn opens a stream on a websocket, with the client locked so that the
// numbers of feeds rise.
func (c *Client) openOn(n *conn, s *stream) {
	c.nextID++
	s.open(n, c.nextID)
}

// Link implements [backend.LinkReporter]. Following the link brings it up.
func (c *Client) Link(ctx context.Context) (backend.Feed[backend.LinkState], error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, c.closedError()
	}
	c.begin()
	return &linkFeed{client: c, done: make(chan struct{})}, nil
}

// linkFeed gives the link's state whenever it is another one.
type linkFeed struct {
	client *Client
	seen   uint64
	told   bool
	once   sync.Once
	done   chan struct{}
}

func (f *linkFeed) Next(ctx context.Context) ([]backend.LinkState, error) {
	c := f.client
	for {
		c.mu.Lock()
		state, links, closed, changed := c.link, c.links, c.closed, c.changed
		c.mu.Unlock()
		select {
		case <-f.done:
			return nil, io.EOF
		default:
		}
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !f.told || f.seen != links:
			f.told, f.seen = true, links
			return []backend.LinkState{state}, nil
		case closed:
			return nil, io.EOF
		}
		select {
		case <-changed:
		case <-f.done:
		case <-ctx.Done():
		}
	}
}

func (f *linkFeed) Close() error {
	f.once.Do(func() { close(f.done) })
	return nil
}
