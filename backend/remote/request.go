package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"pitwall/backend"
	"pitwall/backend/wire"
)

// maxReply is the longest reply to a read or a command, in bytes.
const maxReply = 256 << 20

// doTries is how often a command is sent when the connection is lost before
// its reply.
const doTries = 5

// request makes a request of the server.
func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, backend.Errorf(backend.Invalid, "make request: %w", err)
	}
	for name, values := range c.header() {
		r.Header[name] = values
	}
	return r, nil
}

// send sends a request and returns a reply of success; every other is an
// error. The caller closes the body.
func (c *Client) send(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed || c.ctx.Err() != nil {
		return nil, c.closedError()
	}
	reply, err := c.http.Do(r)
	if err != nil {
		return nil, c.explain(r.Context(), err)
	}
	if reply.StatusCode/100 == 2 {
		return reply, nil
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(io.LimitReader(reply.Body, 1<<20))
	if err != nil {
		return nil, c.explain(r.Context(), err)
	}
	return nil, wire.DecodeErrorBody(reply.StatusCode, text)
}

// explain makes a sentence of a failure to reach the server. A context that
// ended is itself.
func (c *Client) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if c.ctx.Err() != nil {
		return c.closedError()
	}
	var coded *backend.Error
	if errors.As(err, &coded) {
		return coded
	}
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case websocket.IsCloseError(err, websocket.CloseGoingAway):
		return c.unavailable("the server went away", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return c.unavailable("nothing listens there: start a server with \"pitwall serve\", or name another with --server", err)
	case errors.Is(err, fs.ErrNotExist):
		return c.unavailable("there is no such socket: start a server with \"pitwall serve\", or name another with --server", err)
	case errors.Is(err, os.ErrPermission):
		return c.unavailable("this user may not open its socket", err)
	case errors.As(err, &dns):
		return c.unavailable(fmt.Sprintf("the host name %s is not known: check --server", dns.Name), err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return c.unavailable("it does not answer: check the address and the network", err)
	}
	return c.unavailable("the connection was lost ("+plain(err)+")", err)
}

// plain is the innermost reason, without the addresses around it.
func plain(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}

func (c *Client) unavailable(why string, err error) error {
	return &backend.Error{Code: backend.Unavailable, Err: &linkError{c.where, why, err}}
}

// linkError is a failure to reach the server. Its text is for people; what it
// wraps is for errors.Is.
type linkError struct {
	where, why string
	err        error
}

func (e *linkError) Error() string {
	return fmt.Sprintf("cannot reach the server at %s: %s", e.where, e.why)
}
func (e *linkError) Unwrap() error { return e.err }

// fetch reads the JSON of a reply.
func fetch[T any](c *Client, r *http.Request) (T, error) {
	var v T
	reply, err := c.send(r)
	if err != nil {
		return v, err
	}
	defer reply.Body.Close()
	body, err := readReply(reply)
	if err != nil {
		return v, c.explain(r.Context(), err)
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return v, backend.Errorf(backend.Internal, "read the server's reply: %w", err)
	}
	return v, nil
}

// readReply reads a whole body, into one piece of memory when its length is
// known: a listing of 10,000 instances has 7 MB.
func readReply(reply *http.Response) ([]byte, error) {
	if reply.ContentLength > maxReply {
		return nil, backend.Errorf(backend.Exhausted, "the server's reply has %d bytes: ask for a page", reply.ContentLength)
	}
	if reply.ContentLength < 0 {
		return io.ReadAll(io.LimitReader(reply.Body, maxReply))
	}
	body := make([]byte, reply.ContentLength)
	_, err := io.ReadFull(reply.Body, body)
	return body, err
}

// list asks for a listing.
func list[T any](ctx context.Context, c *Client, name string, query any) (backend.List[T], error) {
	path, err := wire.ListPath(name, query)
	if err != nil {
		return backend.List[T]{}, err
	}
	r, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return backend.List[T]{}, err
	}
	return fetch[backend.List[T]](c, r)
}

// Apps implements [backend.Backend].
func (c *Client) Apps(ctx context.Context, q backend.AppQuery) (backend.List[backend.App], error) {
	return list[backend.App](ctx, c, wire.Apps, q)
}

// Instances implements [backend.Backend].
func (c *Client) Instances(ctx context.Context, q backend.InstanceQuery) (backend.List[backend.Instance], error) {
	return list[backend.Instance](ctx, c, wire.Instances, q)
}

// Jobs implements [backend.Backend].
func (c *Client) Jobs(ctx context.Context, q backend.JobQuery) (backend.List[backend.Job], error) {
	return list[backend.Job](ctx, c, wire.Jobs, q)
}

// Runs implements [backend.Backend].
func (c *Client) Runs(ctx context.Context, q backend.RunQuery) (backend.List[backend.Run], error) {
	return list[backend.Run](ctx, c, wire.Runs, q)
}

// Releases implements [backend.Backend].
func (c *Client) Releases(ctx context.Context, q backend.ReleaseQuery) (backend.List[backend.Release], error) {
	return list[backend.Release](ctx, c, wire.Releases, q)
}

// Loggers implements [backend.Backend].
func (c *Client) Loggers(ctx context.Context, q backend.LoggerQuery) (backend.List[backend.Logger], error) {
	return list[backend.Logger](ctx, c, wire.Loggers, q)
}

// Operations implements [backend.Backend].
func (c *Client) Operations(ctx context.Context, q backend.OperationQuery) (backend.List[backend.Operation], error) {
	return list[backend.Operation](ctx, c, wire.Operations, q)
}

// Events implements [backend.Backend].
func (c *Client) Events(ctx context.Context, q backend.EventQuery) (backend.List[backend.Event], error) {
	return list[backend.Event](ctx, c, wire.Events, q)
}

// Nodes implements [backend.Backend].
func (c *Client) Nodes(ctx context.Context, q backend.NodeQuery) (backend.List[backend.Node], error) {
	return list[backend.Node](ctx, c, wire.Nodes, q)
}

// Documents implements [backend.Backend].
func (c *Client) Documents(ctx context.Context, q backend.DocumentQuery) (backend.List[backend.Document], error) {
	return list[backend.Document](ctx, c, wire.Documents, q)
}

// Do implements [backend.Backend]. A command whose reply is lost with the
// connection is sent again, under the same idempotency key, so that it is done
// once. When no reply comes at all the error says that it may have been done.
func (c *Client) Do(ctx context.Context, cmd backend.Command) (backend.Result, error) {
	intent := backend.IntentOf(cmd)
	if intent.Key == "" {
		intent.Key = newKey()
		cmd = backend.WithIntent(cmd, intent)
	}
	body, err := json.Marshal(cmd)
	if err != nil {
		return backend.Result{}, backend.Errorf(backend.Invalid, "write command %s: %w", cmd.Verb(), err)
	}
	sent := false
	for try := 0; ; try++ {
		result, err := c.doOnce(ctx, cmd.Verb(), body)
		if !lost(err) {
			return result, err
		}
		sent = sent || reached(err)
		if !sent {
			return result, err
		}
		if try == doTries-1 {
			return result, backend.Errorf(backend.Unavailable, "%s may have been done or not, no reply came: %w", cmd.Verb(), err)
		}
		select {
		case <-time.After(c.cfg.Backoff(try)):
		case <-ctx.Done():
			return result, ctx.Err()
		case <-c.ctx.Done():
			return result, c.closedError()
		}
	}
}

func (c *Client) doOnce(ctx context.Context, verb string, body []byte) (backend.Result, error) {
	r, err := c.request(ctx, http.MethodPost, wire.DoPath(verb), bytes.NewReader(body))
	if err != nil {
		return backend.Result{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	result, err := fetch[wire.Result](c, r)
	return result.Decode(), err
}

// lost reports whether err is a failure of the link, not the server's answer.
func lost(err error) bool {
	var link *linkError
	return errors.As(err, &link)
}

// reached reports whether a request may have come to the server before the
// link failed: not when there was no connection to begin with.
func reached(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return false
	}
	return !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, os.ErrPermission)
}

// Open implements [backend.Backend].
func (c *Client) Open(ctx context.Context, ref backend.BlobRef) (io.ReadCloser, error) {
	r, err := c.request(ctx, http.MethodGet, wire.BlobPath(ref), nil)
	if err != nil {
		return nil, err
	}
	reply, err := c.send(r)
	if err != nil {
		return nil, err
	}
	return &blob{client: c, ctx: ctx, reply: reply}, nil
}

// blob reads a reply's bytes and, at their end, whether the server failed.
type blob struct {
	client *Client
	ctx    context.Context
	reply  *http.Response
}

func (b *blob) Read(p []byte) (int, error) {
	n, err := b.reply.Body.Read(p)
	if err == nil || n > 0 {
		return n, nil
	}
	if !errors.Is(err, io.EOF) {
		return 0, b.client.explain(b.ctx, err)
	}
	if text := b.reply.Trailer.Get(wire.ErrorTrailer); text != "" {
		var e wire.Error
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			return 0, backend.Errorf(backend.Internal, "read the server's error: %w", err)
		}
		return 0, e.Decode()
	}
	return 0, io.EOF
}

func (b *blob) Close() error { return b.reply.Body.Close() }

// Put implements [backend.Backend].
func (c *Client) Put(ctx context.Context, src io.Reader) (backend.BlobRef, error) {
	body := &source{r: src}
	r, err := c.request(ctx, http.MethodPost, wire.BlobsPath, body)
	if err != nil {
		return backend.BlobRef{}, err
	}
	r.Header.Set("Content-Type", "application/octet-stream")
	ref, err := fetch[backend.BlobRef](c, r)
	if err != nil && body.failed() != nil {
		return ref, fmt.Errorf("read bundle: %w", body.failed())
	}
	return ref, err
}
