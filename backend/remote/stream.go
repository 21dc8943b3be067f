package remote

import (
	"context"
	"encoding/json"
	"io"
	"sync"

	"pitwall/backend"
	"pitwall/backend/wire"
)

// window is how many frames of a feed may be on their way or wait for their
// reader: enough to keep a link of 100 ms busy, and 2 MiB at the most.
const window = 8

// place is how far a feed is, so that it can go on over another connection.
type place interface {
	// query returns what to ask the server for now. An error ends the feed.
	query() (any, error)
	// opened tells what the server said when it opened the feed.
	opened(wire.Frame)
	// received tells what came, in order, and returns what is new of it.
	received(items []json.RawMessage) ([]json.RawMessage, error)
	// again is asked at the regular end: true asks for what query says
	// then.
	again() bool
}

// stream is one feed, over any number of connections.
type stream struct {
	client *Client
	kind   string
	wake   chan struct{} // has a value after something changed

	mu     sync.Mutex
	place  place
	conn   *conn // where it is open, nil while the link is down
	id     uint64
	known  bool // the server has opened it once
	frames []wire.Frame
	end    error // why it is over, after the frames
	closed bool
}

// subscribe opens a feed and waits for the server to agree.
func (c *Client) subscribe(ctx context.Context, kind string, p place) (*stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &stream{client: c, kind: kind, place: p, wake: make(chan struct{}, 1)}
	c.mu.Lock()
	if c.closed || c.ctx.Err() != nil {
		c.mu.Unlock()
		return nil, c.closedError()
	}
	c.begin()
	c.streams[s] = struct{}{}
	failed := c.failed
	if c.conn != nil {
		c.openOn(c.conn, s)
	} else {
		select {
		case c.kick <- struct{}{}:
		default:
		}
	}
	c.mu.Unlock()
	if err := s.await(ctx, failed); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// reopen asks for a stream again on a connection that is still there.
func (c *Client) reopen(n *conn, s *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, open := c.streams[s]; open && c.conn == n {
		c.openOn(n, s)
	}
}

// await waits until the server has opened the stream, it has ended, or a try
// to connect has failed since.
func (s *stream) await(ctx context.Context, failed uint64) error {
	c := s.client
	for {
		s.mu.Lock()
		known, end := s.known, s.end
		s.mu.Unlock()
		if known {
			return nil
		}
		if end != nil && end != io.EOF {
			return end
		}
		c.mu.Lock()
		changed, why, fresh := c.changed, c.why, c.failed > failed
		c.mu.Unlock()
		if fresh {
			return why
		}
		select {
		case <-s.wake:
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// open asks a connection for the feed, from where it is. The client is locked.
func (s *stream) open(n *conn, id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end != nil || s.closed {
		return
	}
	q, err := s.place.query()
	var body []byte
	if err == nil {
		body, err = json.Marshal(q)
	}
	if err == nil {
		n.add(id, s)
		err = n.send(wire.Frame{Type: wire.Open, Feed: id, Kind: s.kind, Query: body, Credit: max(0, window-len(s.frames))})
	}
	if err != nil {
		n.remove(id)
		s.over(err)
		return
	}
	s.conn, s.id = n, id
}

// detach tells the stream that its connection is lost.
func (s *stream) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = nil
}

// take has a frame of the server. An error ends the connection.
func (s *stream) take(n *conn, f wire.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != n || s.id != f.Feed || s.end != nil {
		return nil
	}
	switch f.Type {
	case wire.Opened:
		s.known = true
		s.place.opened(f)
	case wire.Items:
		items, err := s.place.received(f.Items)
		if err != nil {
			return err
		}
		f.Items = items
		s.frames = append(s.frames, f)
	case wire.Lagged:
		s.frames = append(s.frames, f)
	case wire.End:
		return s.ended(n, f)
	}
	s.notify()
	return nil
}

// ended takes the server's word that the feed is over. A server that is not
// ready is no end of a feed that was open before: its connection is dropped,
// to be tried again.
func (s *stream) ended(n *conn, f wire.Frame) error {
	if f.Error == nil && s.place.again() {
		s.conn = nil
		// The client is locked before a stream, so not from here.
		s.client.wg.Go(func() { s.client.reopen(n, s) })
		return nil
	}
	if f.Error == nil {
		s.over(io.EOF)
		return nil
	}
	err := f.Error.Decode()
	if s.known && backend.CodeOf(err) == backend.Unavailable {
		return err
	}
	s.over(err)
	return nil
}

// over ends the stream, which is locked.
func (s *stream) over(err error) {
	if s.end == nil {
		s.end = err
	}
	s.conn = nil
	s.notify()
}

// finish ends the stream.
func (s *stream) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over(err)
}

func (s *stream) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// next waits for frames and takes all that can be given together. It returns
// items or an error, never both.
func (s *stream) next(ctx context.Context) ([]json.RawMessage, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.mu.Lock()
		items, err := s.pop()
		s.mu.Unlock()
		if err != nil || len(items) > 0 {
			return items, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
		}
	}
}

// pop takes what is queued and gives the credit back.
func (s *stream) pop() ([]json.RawMessage, error) {
	if s.closed {
		return nil, io.EOF
	}
	var items []json.RawMessage
	taken := 0
	for _, f := range s.frames {
		if f.Type == wire.Lagged {
			break
		}
		items = append(items, f.Items...)
		taken++
	}
	var err error
	if taken == 0 && len(s.frames) > 0 {
		err, taken = s.frames[0].Lagged, 1
	}
	if taken > 0 {
		s.frames = s.frames[taken:]
		if s.conn != nil {
			s.conn.send(wire.Frame{Type: wire.Credit, Feed: s.id, Credit: taken})
		}
		return items, err
	}
	return nil, s.end
}

// Close ends the stream and wakes next.
func (s *stream) Close() error {
	s.client.mu.Lock()
	delete(s.client.streams, s)
	s.client.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.frames = nil
	if s.conn != nil {
		s.conn.remove(s.id)
		s.conn.send(wire.Frame{Type: wire.Close, Feed: s.id})
		s.conn = nil
	}
	s.notify()
	return nil
}

// feed reads a stream's items.
type feed[T any] struct{ *stream }

func (f feed[T]) Next(ctx context.Context) ([]T, error) {
	for {
		raw, err := f.next(ctx)
		if err != nil {
			return nil, err
		}
		items := make([]T, len(raw))
		for n, text := range raw {
			if err := json.Unmarshal(text, &items[n]); err != nil {
				return nil, backend.Errorf(backend.Internal, "read the server's item: %w", err)
			}
		}
		if len(items) > 0 {
			return items, nil
		}
	}
}

// subscribeTo opens a feed of items of one type.
func subscribeTo[T any](ctx context.Context, c *Client, kind string, p place) (backend.Feed[T], error) {
	s, err := c.subscribe(ctx, kind, p)
	if err != nil {
		return nil, err
	}
	return feed[T]{s}, nil
}
