package native

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"

	"pitwall/backend"
	"pitwall/backend/wire"
)

// attachRead is how much output goes into one message at most.
const attachRead = 32 << 10

// attach serves one attachment. The command is started before the upgrade, so
// that a failure is a plain reply.
func (h *Handler) attach(w http.ResponseWriter, r *http.Request) {
	spec, err := query[backend.AttachSpec](r)
	if err != nil {
		WriteError(w, err)
		return
	}
	if !websocket.IsWebSocketUpgrade(r) {
		WriteError(w, backend.Errorf(backend.Invalid, "an attachment is a websocket"))
		return
	}
	if h.cfg.AllowUpgrade != nil {
		if err := h.cfg.AllowUpgrade(r); err != nil {
			WriteError(w, err)
			return
		}
	}
	conn, err := h.cfg.Backend.Attach(r.Context(), spec)
	if err != nil {
		WriteError(w, err)
		return
	}
	defer conn.Close()
	s, ok := h.upgrade(w, r)
	if !ok {
		return
	}
	h.attachments.Add(1)
	defer h.attachments.Add(-1)
	a := &attachment{socket: s, conn: conn, output: wire.AttachWindow}
	a.changed = sync.NewCond(&a.mu)
	a.serve()
}

// attachment is one websocket of an attachment.
type attachment struct {
	*socket
	conn backend.Conn

	mu      sync.Mutex
	changed *sync.Cond
	output  int      // bytes that the client takes yet
	input   [][]byte // not written yet; nil is the end of the input
	queued  int      // bytes of input
	over    bool
}

// serve moves bytes both ways until the command or the client ends.
func (a *attachment) serve() {
	var running sync.WaitGroup
	running.Go(a.pumpOutput)
	running.Go(a.pumpInput)
	for {
		m, err := a.read()
		if err == nil {
			err = a.take(m)
		}
		if err != nil {
			a.end(websocket.CloseProtocolError, err.Error())
			break
		}
	}
	a.mu.Lock()
	a.over = true
	a.changed.Broadcast()
	a.mu.Unlock()
	a.conn.Close()
	running.Wait()
	a.wait()
}

// take does what one message of the client says.
func (a *attachment) take(m message) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.changed.Broadcast()
	if m.kind == websocket.BinaryMessage {
		if a.queued += len(m.body); a.queued > wire.AttachWindow {
			return backend.Errorf(backend.Invalid, "more input than was granted")
		}
		if len(m.body) > 0 {
			a.input = append(a.input, m.body)
		}
		return nil
	}
	c, err := wire.DecodeControl(m.body)
	if err != nil {
		return err
	}
	switch c.Type {
	case wire.Resize:
		return a.conn.Resize(*c.Size)
	case wire.EOF:
		a.input = append(a.input, nil)
	case wire.GrantOutput:
		a.output = min(a.output+c.Credit, 1<<30)
	default:
		return backend.Errorf(backend.Invalid, "%q is not for the server", c.Type)
	}
	return nil
}

// pumpInput writes input to the command and grants what it took. A command
// that reads no more does not end the attachment.
func (a *attachment) pumpInput() {
	for {
		a.mu.Lock()
		for len(a.input) == 0 && !a.over {
			a.changed.Wait()
		}
		if a.over {
			a.mu.Unlock()
			return
		}
		part := a.input[0]
		a.input = a.input[1:]
		a.mu.Unlock()
		if part == nil {
			a.conn.CloseWrite()
			continue
		}
		a.conn.Write(part)
		a.mu.Lock()
		a.queued -= len(part)
		a.mu.Unlock()
		a.control(wire.Control{Type: wire.GrantInput, Credit: len(part)})
	}
}

// pumpOutput sends what the command writes, and how it ended.
func (a *attachment) pumpOutput() {
	buf := make([]byte, attachRead)
	for {
		a.mu.Lock()
		for a.output == 0 && !a.over {
			a.changed.Wait()
		}
		room, over := min(a.output, len(buf)), a.over
		a.mu.Unlock()
		if over {
			return
		}
		n, err := a.conn.Read(buf[:room])
		if n > 0 {
			a.mu.Lock()
			a.output -= n
			a.mu.Unlock()
			if !a.send(websocket.BinaryMessage, append([]byte(nil), buf[:n]...)) {
				return
			}
		}
		if err != nil {
			a.exit(err)
			return
		}
	}
}

// exit tells how the command ended and closes the websocket.
func (a *attachment) exit(err error) {
	c := wire.Control{Type: wire.Exit}
	if errors.Is(err, io.EOF) {
		c.Code, err = a.conn.Exit(a.ctx)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		e := wire.EncodeError(err)
		c.Error = &e
	}
	a.control(c)
	a.end(websocket.CloseNormalClosure, "the command has ended")
}

func (a *attachment) control(c wire.Control) {
	if body, err := c.Encode(); err == nil {
		a.send(websocket.TextMessage, body)
	}
}
