package remote

import (
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"pitwall/backend"
	"pitwall/backend/wire"
)

// conn is one websocket of feeds. Sending never waits: what waits for the
// network is bounded by the credit that the streams have to give.
type conn struct {
	ws   *websocket.Conn
	cfg  Config
	more chan struct{} // has a value after something was queued
	gone chan struct{}
	once sync.Once

	mu      sync.Mutex
	queue   [][]byte
	streams map[uint64]*stream
}

func newConn(ws *websocket.Conn, cfg Config) *conn {
	n := &conn{
		ws: ws, cfg: cfg, more: make(chan struct{}, 1), gone: make(chan struct{}), streams: make(map[uint64]*stream),
	}
	ws.SetReadLimit(wire.MaxFrame)
	keepAlive(ws, cfg)
	return n
}

// keepAlive makes a peer that is not heard of an error of the next read.
func keepAlive(ws *websocket.Conn, cfg Config) {
	heard := func() { ws.SetReadDeadline(time.Now().Add(cfg.DeadAfter)) }
	heard()
	ws.SetPongHandler(func(string) error { heard(); return nil })
	ws.SetPingHandler(func(data string) error {
		heard()
		// A pong that the network does not take is found by the deadline.
		ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(wire.WriteLimit))
		return nil
	})
}

// close ends the websocket and with it serve.
func (n *conn) close() {
	n.once.Do(func() {
		close(n.gone)
		bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		n.ws.WriteControl(websocket.CloseMessage, bye, time.Now().Add(100*time.Millisecond))
		n.ws.Close()
	})
}

// serve reads and writes until the websocket is lost, and says why it was.
func (n *conn) serve() error {
	var writer sync.WaitGroup
	writer.Go(n.write)
	defer writer.Wait()
	defer n.close()
	for {
		_, message, err := n.ws.ReadMessage()
		if err != nil {
			return err
		}
		n.ws.SetReadDeadline(time.Now().Add(n.cfg.DeadAfter))
		frame, err := wire.DecodeFrame(message)
		if err != nil {
			return err
		}
		if err := n.take(frame); err != nil {
			return err
		}
	}
}

// take hands a frame to its stream. A frame of a stream that is closed is
// dropped.
func (n *conn) take(f wire.Frame) error {
	n.mu.Lock()
	s := n.streams[f.Feed]
	if f.Type == wire.End {
		delete(n.streams, f.Feed)
	}
	n.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.take(n, f)
}

// send queues a frame.
func (n *conn) send(f wire.Frame) error {
	body, err := f.Encode()
	if err != nil {
		return backend.Errorf(backend.Invalid, "write frame: %w", err)
	}
	if len(body) > wire.MaxIn {
		return backend.Errorf(backend.Invalid, "the query is longer than %d bytes", wire.MaxIn)
	}
	n.mu.Lock()
	n.queue = append(n.queue, body)
	n.mu.Unlock()
	select {
	case n.more <- struct{}{}:
	default:
	}
	return nil
}

// add makes a feed's number that of a stream.
func (n *conn) add(id uint64, s *stream) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.streams[id] = s
}

func (n *conn) remove(id uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.streams, id)
}

// write is the goroutine that writes and pings.
func (n *conn) write() {
	defer n.ws.Close()
	ping := time.NewTicker(n.cfg.PingEvery)
	defer ping.Stop()
	for {
		select {
		case <-n.more:
			n.mu.Lock()
			queue := n.queue
			n.queue = nil
			n.mu.Unlock()
			for _, body := range queue {
				n.ws.SetWriteDeadline(time.Now().Add(wire.WriteLimit))
				if n.ws.WriteMessage(websocket.TextMessage, body) != nil {
					return
				}
			}
		case <-ping.C:
			if n.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(wire.WriteLimit)) != nil {
				return
			}
		case <-n.gone:
			return
		}
	}
}
