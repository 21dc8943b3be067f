package native

import (
	"context"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"pitwall/backend"
	"pitwall/backend/wire"
)

// outQueue is how many messages wait for the network. Each feed has credit for
// what it sends, so more would only hide a slow client.
const outQueue = 4

// socket is one websocket: a goroutine writes and pings, the handler's own
// reads.
type socket struct {
	h      *Handler
	ws     *websocket.Conn
	ctx    context.Context
	cancel context.CancelFunc
	out    chan message
	done   chan struct{} // closed when the writer has ended
	bye    chan []byte   // the close message, once
}

// message is one message to the client.
type message struct {
	kind int // websocket.TextMessage or BinaryMessage
	body []byte
}

// upgrade turns the request into a websocket. When it cannot, it has replied.
func (h *Handler) upgrade(w http.ResponseWriter, r *http.Request) (*socket, bool) {
	upgrader := websocket.Upgrader{
		ReadBufferSize: 4 << 10, WriteBufferSize: 32 << 10, EnableCompression: true,
		CheckOrigin: h.originAllowed(r),
		Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
			code := backend.Invalid
			if status == http.StatusForbidden {
				code = backend.Denied
			}
			WriteError(w, backend.Errorf(code, "open websocket: %w", reason))
		},
	}
	if h.cfg.AllowUpgrade != nil {
		if err := h.cfg.AllowUpgrade(r); err != nil {
			WriteError(w, err)
			return nil, false
		}
	}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil, false
	}
	ws.SetReadLimit(wire.MaxIn)
	ctx, cancel := context.WithCancel(r.Context())
	s := &socket{
		h: h, ws: ws, ctx: ctx, cancel: cancel, out: make(chan message, outQueue),
		done: make(chan struct{}), bye: make(chan []byte, 1),
	}
	s.heard()
	ws.SetPongHandler(func(string) error { s.heard(); return nil })
	ws.SetPingHandler(func(data string) error {
		s.heard()
		return ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(wire.WriteLimit))
	})
	go s.write()
	return s, true
}

// originAllowed returns nil, the library's own same-origin check, unless
// AllowUpgrade has decided.
func (h *Handler) originAllowed(*http.Request) func(*http.Request) bool {
	if h.cfg.AllowUpgrade == nil {
		return nil
	}
	return func(*http.Request) bool { return true }
}

// heard puts off the time at which the client counts as dead.
func (s *socket) heard() {
	if s.ctx.Err() == nil {
		s.ws.SetReadDeadline(time.Now().Add(s.h.cfg.DeadAfter))
	}
}

// read waits for a message.
func (s *socket) read() (message, error) {
	kind, body, err := s.ws.ReadMessage()
	if err == nil {
		s.heard()
	}
	return message{kind, body}, err
}

// send hands a message to the writer. It waits while the network is slow and
// reports false when the socket has ended.
func (s *socket) send(kind int, body []byte) bool {
	select {
	case s.out <- message{kind, body}:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// end closes the websocket with a status and a reason. Only the first counts.
func (s *socket) end(status int, reason string) {
	select {
	case s.bye <- websocket.FormatCloseMessage(status, reason[:min(len(reason), 120)]):
	default:
	}
	s.cancel()
}

// lingering is how long a client may take to answer a close message.
const lingering = 2 * time.Second

// write is the writer. When it ends, so does reading: at once after a failure,
// else when the client has answered the close message.
func (s *socket) write() {
	defer close(s.done)
	defer func() { s.ws.SetReadDeadline(time.Now().Add(lingering)) }()
	defer s.cancel()
	ping := time.NewTicker(s.h.cfg.PingEvery)
	defer ping.Stop()
	for {
		select {
		case m := <-s.out:
			if s.put(m) != nil {
				s.ws.Close()
				return
			}
		case <-ping.C:
			if s.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(wire.WriteLimit)) != nil {
				s.ws.Close()
				return
			}
		case <-s.ctx.Done():
			s.goodbye()
			return
		}
	}
}

// put writes one message; one that the network does not take in time ends the
// socket.
func (s *socket) put(m message) error {
	s.ws.SetWriteDeadline(time.Now().Add(wire.WriteLimit))
	return s.ws.WriteMessage(m.kind, m.body)
}

// goodbye writes what is queued and the close message: that of end, or that
// the server goes away.
func (s *socket) goodbye() {
	bye := websocket.FormatCloseMessage(websocket.CloseGoingAway, "the server goes away")
	select {
	case bye = <-s.bye:
	default:
	}
	for {
		select {
		case m := <-s.out:
			if s.put(m) != nil {
				return
			}
		default:
			s.ws.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second))
			return
		}
	}
}

// wait ends the socket. It reads on until the client has answered, since a
// connection that is closed with bytes unread takes what was sent with it.
func (s *socket) wait() {
	s.cancel()
	<-s.done
	for {
		if _, _, err := s.ws.NextReader(); err != nil {
			s.ws.Close()
			return
		}
	}
}
