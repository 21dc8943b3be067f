package remote

import (
	"context"
	"encoding/json"
	"io"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"pitwall/backend"
	"pitwall/backend/wire"
)

// inputPart is how much input goes into one message: it must fit a frame to
// the server.
const inputPart = 32 << 10

// Attach implements [backend.Backend]. An attachment does not outlive its
// connection: when it is lost, Read and Exit fail with Unavailable.
func (c *Client) Attach(ctx context.Context, spec backend.AttachSpec) (backend.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q, err := json.Marshal(spec)
	if err != nil {
		return nil, backend.Errorf(backend.Invalid, "write query: %w", err)
	}
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return nil, c.closedError()
	}
	ws, err := c.dial(ctx, wire.AttachPath+"?q="+url.QueryEscape(string(q)))
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(wire.MaxFrame)
	keepAlive(ws, c.cfg)
	a := &attachment{client: c, ws: ws, input: wire.AttachWindow, gone: make(chan struct{}), ended: make(chan struct{})}
	a.changed = sync.NewCond(&a.mu)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		ws.Close()
		return nil, c.closedError()
	}
	c.wg.Go(a.read)
	c.wg.Go(a.ping)
	return a, nil
}

// attachment implements [backend.Conn].
type attachment struct {
	client *Client
	ws     *websocket.Conn
	gone   chan struct{} // closed by Close
	once   sync.Once
	ended  chan struct{} // closed when code or err is known

	writing sync.Mutex // one writer of the websocket at a time

	mu      sync.Mutex
	changed *sync.Cond
	output  []byte // not read yet
	owed    int    // bytes that were read and not granted again
	input   int    // bytes that the server takes yet
	over    bool
	code    int
	err     error // why there is no exit status
}

// read takes what the server sends, until it says how the command ended.
func (a *attachment) read() {
	defer a.ws.Close()
	for {
		kind, body, err := a.ws.ReadMessage()
		if err != nil {
			a.finish(0, a.lost(err))
			return
		}
		a.ws.SetReadDeadline(time.Now().Add(a.client.cfg.DeadAfter))
		if kind == websocket.BinaryMessage {
			a.mu.Lock()
			a.output = append(a.output, body...)
			a.changed.Broadcast()
			a.mu.Unlock()
			continue
		}
		c, err := wire.DecodeControl(body)
		if err != nil {
			a.finish(0, err)
			return
		}
		switch c.Type {
		case wire.GrantInput:
			a.mu.Lock()
			a.input += c.Credit
			a.changed.Broadcast()
			a.mu.Unlock()
		case wire.Exit:
			if c.Error != nil {
				a.finish(0, c.Error.Decode())
			} else {
				a.finish(c.Code, nil)
			}
			return
		}
	}
}

// lost says why an attachment is over that had no end.
func (a *attachment) lost(err error) error {
	select {
	case <-a.gone:
		return backend.Errorf(backend.Canceled, "the attachment was closed")
	default:
		return a.client.explain(context.Background(), err)
	}
}

func (a *attachment) finish(code int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return
	}
	a.over, a.code, a.err = true, code, err
	close(a.ended)
	a.changed.Broadcast()
}

// ping keeps the connection alive and ends it with the client.
func (a *attachment) ping() {
	tick := time.NewTicker(a.client.cfg.PingEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			a.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(wire.WriteLimit))
		case <-a.ended:
			return
		case <-a.gone:
			return
		case <-a.client.ctx.Done():
			a.Close()
			return
		}
	}
}

// Read implements io.Reader.
func (a *attachment) Read(p []byte) (int, error) {
	a.mu.Lock()
	for len(a.output) == 0 && !a.over {
		a.changed.Wait()
	}
	if len(a.output) == 0 {
		defer a.mu.Unlock()
		if a.err != nil {
			return 0, a.err
		}
		return 0, io.EOF
	}
	n := copy(p, a.output)
	a.output = a.output[n:]
	a.owed += n
	grant := 0
	if a.owed >= wire.AttachWindow/4 {
		grant, a.owed = a.owed, 0
	}
	a.mu.Unlock()
	if grant > 0 {
		// A connection that is lost is found by the reader.
		a.control(wire.Control{Type: wire.GrantOutput, Credit: grant})
	}
	return n, nil
}

// Write implements io.Writer. It waits while the command does not read.
func (a *attachment) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		a.mu.Lock()
		for a.input == 0 && !a.over {
			a.changed.Wait()
		}
		if a.over {
			defer a.mu.Unlock()
			if a.err != nil {
				return done, a.err
			}
			return done, backend.Errorf(backend.Conflict, "the command has ended")
		}
		part := p[done:min(len(p), done+min(a.input, inputPart))]
		a.input -= len(part)
		a.mu.Unlock()
		if err := a.write(websocket.BinaryMessage, part); err != nil {
			return done, err
		}
		done += len(part)
	}
	return done, nil
}

func (a *attachment) write(kind int, body []byte) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	a.ws.SetWriteDeadline(time.Now().Add(wire.WriteLimit))
	if err := a.ws.WriteMessage(kind, body); err != nil {
		return a.lost(err)
	}
	return nil
}

func (a *attachment) control(c wire.Control) error {
	body, err := c.Encode()
	if err != nil {
		return backend.Errorf(backend.Invalid, "write control message: %w", err)
	}
	return a.write(websocket.TextMessage, body)
}

// CloseWrite implements [backend.Conn].
func (a *attachment) CloseWrite() error { return a.control(wire.Control{Type: wire.EOF}) }

// Resize implements [backend.Conn].
func (a *attachment) Resize(s backend.Size) error {
	return a.control(wire.Control{Type: wire.Resize, Size: &s})
}

// Exit implements [backend.Conn].
func (a *attachment) Exit(ctx context.Context) (int, error) {
	select {
	case <-a.ended:
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.code, a.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Close implements io.Closer. It ends the command.
func (a *attachment) Close() error {
	a.once.Do(func() {
		close(a.gone)
		bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		a.ws.WriteControl(websocket.CloseMessage, bye, time.Now().Add(100*time.Millisecond))
		a.ws.Close()
	})
	return nil
}
