package native

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"

	"pitwall/api/httpx"
	"pitwall/backend"
	"pitwall/backend/wire"
)

// serveFeeds serves the websocket that carries any number of feeds.
func (h *Handler) serveFeeds(w http.ResponseWriter, r *http.Request) {
	s, ok := h.upgrade(w, r)
	if !ok {
		return
	}
	h.connections.Add(1)
	defer h.connections.Add(-1)
	m := &mux{socket: s, pumps: make(map[uint64]*pump)}
	m.serve()
}

// mux is one websocket of feeds.
type mux struct {
	*socket
	running sync.WaitGroup

	mu    sync.Mutex
	pumps map[uint64]*pump
	last  uint64 // the highest number of a feed so far
}

// serve reads frames until the socket ends, and leaves nothing behind.
func (m *mux) serve() {
	defer m.running.Wait()
	defer m.wait()
	for {
		got, err := m.read()
		if err != nil {
			return
		}
		if got.kind != websocket.TextMessage {
			m.end(websocket.CloseUnsupportedData, "a frame is JSON text")
			return
		}
		frame, err := wire.DecodeFrame(got.body)
		if err == nil {
			err = m.take(frame)
		}
		if err != nil {
			m.end(websocket.CloseProtocolError, err.Error())
			return
		}
	}
}

// take does what one frame of the client says.
func (m *mux) take(f wire.Frame) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.pumps[f.Feed]
	switch f.Type {
	case wire.Open:
		if f.Feed <= m.last {
			return backend.Errorf(backend.Invalid, "feed %d was opened before", f.Feed)
		}
		m.last = f.Feed
		m.start(f)
	case wire.Credit:
		if p != nil {
			return p.grant(f.Credit)
		}
	case wire.Close:
		if p != nil {
			p.cancel()
		}
	default:
		return backend.Errorf(backend.Invalid, "%q is not for the server", f.Type)
	}
	return nil
}

// start runs a feed, with the mux locked.
func (m *mux) start(f wire.Frame) {
	ctx, cancel := context.WithCancel(m.ctx)
	p := &pump{mux: m, id: f.Feed, kind: f.Kind, ctx: ctx, cancel: cancel, credit: f.Credit, more: make(chan struct{}, 1)}
	full := len(m.pumps) >= wire.MaxFeeds
	m.pumps[f.Feed] = p
	m.h.feeds.Add(1)
	m.running.Go(func() {
		defer m.h.feeds.Add(-1)
		defer m.forget(p)
		defer cancel()
		if full {
			p.end(backend.Errorf(backend.Exhausted, "a connection carries at most %d feeds", wire.MaxFeeds))
			return
		}
		p.run(f.Query)
	})
}

func (m *mux) forget(p *pump) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pumps, p.id)
}

// pump moves one feed's items to the socket, as far as the client's credit
// goes.
type pump struct {
	*mux
	id     uint64
	kind   string
	ctx    context.Context
	cancel context.CancelFunc
	more   chan struct{} // has a value after credit came

	creditMu sync.Mutex
	credit   int
}

// grant adds credit.
func (p *pump) grant(n int) error {
	p.creditMu.Lock()
	defer p.creditMu.Unlock()
	if p.credit += n; p.credit > wire.MaxCredit {
		return backend.Errorf(backend.Invalid, "feed %d was granted more than %d frames", p.id, wire.MaxCredit)
	}
	select {
	case p.more <- struct{}{}:
	default:
	}
	return nil
}

// afford waits for credit of one frame and, when spend is set, takes it. It
// reports false when the feed is over.
func (p *pump) afford(spend bool) bool {
	for {
		p.creditMu.Lock()
		if p.credit > 0 {
			if spend {
				p.credit--
			}
			p.creditMu.Unlock()
			return true
		}
		p.creditMu.Unlock()
		select {
		case <-p.more:
		case <-p.ctx.Done():
			return false
		}
	}
}

// run opens the feed and pumps until it ends.
func (p *pump) run(query json.RawMessage) {
	// The time of before, so that a client which comes back without having
	// got anything can ask for everything since and misses nothing.
	now := p.h.cfg.Now().UTC()
	feed, opened, err := p.h.openFeed(p.ctx, p.kind, query)
	if err != nil {
		p.end(err)
		return
	}
	defer feed.Close()
	opened.Type, opened.Feed, opened.Time = wire.Opened, p.id, now
	p.frame(opened)
	for p.afford(false) {
		items, err := feed.Next(p.ctx)
		var lag *backend.LaggedError
		switch {
		case errors.As(err, &lag):
			p.h.lagged.Add(1)
			p.h.missed.Add(lag.Missed)
			if p.afford(true) {
				p.frame(wire.Frame{Type: wire.Lagged, Feed: p.id, Lagged: lag})
			}
		case p.ctx.Err() != nil:
			return
		case err != nil && feed.endless && (errors.Is(err, io.EOF) || backend.CodeOf(err) == backend.Unavailable):
			// Only a backend that closes ends such a feed. The client
			// shall come back for it, to the server that follows.
			p.socket.end(websocket.CloseGoingAway, "the server goes away")
			return
		case err != nil:
			p.end(err)
			return
		}
		for len(items) > 0 && p.afford(true) {
			n := wire.Cut(items)
			p.frame(wire.Frame{Type: wire.Items, Feed: p.id, Items: items[:n]})
			items = items[n:]
		}
	}
}

// end tells the client why the feed is over, nothing for io.EOF.
func (p *pump) end(err error) {
	f := wire.Frame{Type: wire.End, Feed: p.id}
	if !errors.Is(err, io.EOF) {
		e := wire.EncodeError(err)
		f.Error = &e
	}
	p.frame(f)
}

func (p *pump) frame(f wire.Frame) {
	body, err := f.Encode()
	if err != nil {
		p.socket.end(websocket.CloseInternalServerErr, "a frame cannot be written")
		return
	}
	p.send(websocket.TextMessage, body)
}

// rawFeed is a feed whose items are written already.
type rawFeed struct {
	Next    func(context.Context) ([]json.RawMessage, error)
	Close   func() error
	endless bool // ends only with an error or a backend that closes
}

// raw writes a feed's items as JSON.
func raw[T any](feed backend.Feed[T], endless bool) rawFeed {
	return rawFeed{Close: feed.Close, endless: endless, Next: func(ctx context.Context) ([]json.RawMessage, error) {
		items, err := feed.Next(ctx)
		if err != nil {
			return nil, err
		}
		out := make([]json.RawMessage, len(items))
		for n, item := range items {
			if out[n], err = json.Marshal(item); err != nil {
				return nil, backend.Errorf(backend.Internal, "write item: %w", err)
			}
		}
		return out, nil
	}}
}

// openFeed opens a feed of the backend. The frame has what the client should
// know of it.
func (h *Handler) openFeed(ctx context.Context, kind string, query json.RawMessage) (rawFeed, wire.Frame, error) {
	var opened wire.Frame
	switch kind {
	case wire.WatchFeed:
		q, err := decode[backend.WatchQuery](query)
		if err == nil && q.Since == 0 {
			q.Since, err = h.index(ctx)
		}
		if err != nil {
			return rawFeed{}, opened, err
		}
		opened.Since = q.Since
		feed, err := h.cfg.Backend.Watch(ctx, q)
		return opening(feed, true, opened, err)
	case wire.SamplesFeed:
		q, err := decode[backend.SampleQuery](query)
		if err != nil {
			return rawFeed{}, opened, err
		}
		feed, err := h.cfg.Backend.Samples(ctx, q)
		return opening(feed, true, opened, err)
	}
	q, err := decode[backend.LogQuery](query)
	if err != nil {
		return rawFeed{}, opened, err
	}
	endless := q.Follow && q.Limit == 0 && q.To == 0 && q.Until.IsZero()
	if kind == wire.LogStatsFeed {
		feed, err := h.cfg.Backend.LogStats(ctx, q)
		return opening(feed, endless, opened, err)
	}
	feed, err := h.cfg.Backend.Logs(ctx, q)
	return opening(feed, endless, opened, err)
}

func opening[T any](feed backend.Feed[T], endless bool, opened wire.Frame, err error) (rawFeed, wire.Frame, error) {
	if err != nil {
		return rawFeed{}, opened, err
	}
	return raw(feed, endless), opened, nil
}

// index returns the index of now, so that a watch of what comes next starts
// at a place that the client can come back to.
func (h *Handler) index(ctx context.Context) (uint64, error) {
	nodes, err := h.cfg.Backend.Nodes(ctx, backend.NodeQuery{Page: backend.Page{Limit: 1}})
	return nodes.Index, err
}

// decode reads a query; none asks for everything.
func decode[Q any](query json.RawMessage) (Q, error) {
	var q Q
	if len(query) == 0 || string(query) == "null" {
		return q, nil
	}
	return q, httpx.Unmarshal(query, &q)
}
