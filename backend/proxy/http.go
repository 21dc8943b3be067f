package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"
)

const (
	// retryBlocked is a while: an operator blocked the app and has to unblock it.
	retryBlocked = "10"

	// retrySoon is for an app that is about to have a ready instance.
	retrySoon = "1"

	// flushInterval bounds how long a slow answer of known length is held back.
	// Answers of unknown length and event streams are never held back.
	flushInterval = 50 * time.Millisecond
)

// errUnreached is that an app's instances are ready but none could be dialled.
var errUnreached = errors.New("no instance accepts connections")

// newServer is the server for HTTP/1.1 and, without TLS, HTTP/2.
func (e *Edge) newServer(headerTimeout time.Duration) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           http.HandlerFunc(e.serveHTTP),
		Protocols:         &protocols,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(e.log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if c, ok := conn.(*client); ok {
				return withClient(ctx, c)
			}
			return ctx
		},
	}
}

// acceptHTTP serves a listener until it is closed.
func (e *Edge) acceptHTTP(l *listener) {
	defer e.work.Done()
	err := e.server.Serve(clientListener{TCPListener: l.tcp, edge: e})
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
		e.log.Warn("edge stopped serving HTTP", "address", l.address, "error", err)
	}
}

// serveHTTP passes one request on, or says in a sentence why not.
func (e *Edge) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if !e.enter() {
		panic(http.ErrAbortHandler)
	}
	defer e.work.Done()
	c := clientOf(r.Context())
	if r.ProtoMajor > 1 {
		c = nil // shared by many requests at once: streams are kicked, not clients
	}
	if c != nil && !c.wake() {
		panic(http.ErrAbortHandler)
	}
	p, process, last := e.lookup(r.Host)
	if last && r.ProtoMajor == 1 && r.Header.Get("Upgrade") == "" {
		w.Header().Set("Connection", "close")
	}
	if p == nil {
		say(w, http.StatusNotFound, fmt.Sprintf("No app is routed at host %q.", hostOf(r.Host)))
		return
	}
	if r.Method == http.MethodConnect {
		say(w, http.StatusMethodNotAllowed, "The edge opens no tunnels.")
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	x := &exchange{flow: flow{pool: p, process: process, http: true}, w: w, client: c, cancel: cancel}
	x.end = x.abort
	if why := p.admit(&x.flow); why != admitted {
		p.refuse(w, why)
		if c != nil {
			p.rest(c)
		}
		return
	}
	p.totals.requests.Add(1)
	defer x.finish()
	e.forward.ServeHTTP(w, r.WithContext(context.WithValue(ctx, exchangeKey{}, x)))
}

// refuse answers a request that was not admitted.
func (p *pool) refuse(w http.ResponseWriter, why refusal) {
	name := p.label()
	switch why {
	case notAttached:
		w.Header().Set("Retry-After", retryBlocked)
		say(w, http.StatusServiceUnavailable, fmt.Sprintf("The app %s is not attached.", name))
	case blocked:
		w.Header().Set("Retry-After", retryBlocked)
		say(w, http.StatusServiceUnavailable, fmt.Sprintf("The app %s is blocked.", name))
	default:
		p.totals.errors.Add(1)
		w.Header().Set("Retry-After", retrySoon)
		say(w, http.StatusServiceUnavailable, fmt.Sprintf("The app %s has no ready instance.", name))
	}
}

// say answers with a sentence.
func say(w http.ResponseWriter, status int, sentence string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	io.WriteString(w, sentence+"\n") // a client that has gone cannot be told
}

// exchange is one HTTP request and its answer.
type exchange struct {
	flow
	client *client // nil for HTTP/2
	cancel context.CancelFunc

	mu sync.Mutex
	w  http.ResponseWriter // nil when the handler has ended
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// abort ends the exchange in its middle: HTTP/1 with its connection, upgraded
// or not, and HTTP/2 with its stream alone.
func (x *exchange) abort() {
	if x.client != nil {
		x.client.reset()
	} else {
		x.resetStream()
	}
	x.cancel()
}

// resetStream resets an HTTP/2 stream. A write deadline in the past does that
// whatever the handler is doing; cancelling would not end a write to a client
// that does not read.
func (x *exchange) resetStream() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.w != nil {
		http.NewResponseController(x.w).SetWriteDeadline(time.Unix(1, 0))
	}
}

// finish ends the exchange with its handler.
func (x *exchange) finish() {
	x.mu.Lock()
	x.w = nil
	x.mu.Unlock()
	x.pool.release(&x.flow, x.client)
}

// newForwarder is what carries admitted requests. X-Forwarded headers of the
// client are replaced: the edge is the first that can be believed.
func newForwarder(log *slog.Logger, buffers *bufferPool) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme = "http"
			r.Out.URL.RawQuery = r.In.URL.RawQuery // as it came, odd or not
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport:      upstream{},
		FlushInterval:  flushInterval,
		BufferPool:     buffers,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ModifyResponse: countAnswer,
		ErrorHandler:   answerError,
	}
}

func countAnswer(res *http.Response) error {
	if x := exchangeOf(res.Request.Context()); x != nil && res.StatusCode >= 500 {
		x.pool.totals.errors.Add(1)
		x.target.totals.errors.Add(1)
	}
	return nil
}

// answerError answers where the instance did not.
func answerError(w http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	if x == nil || r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // kicked, or the client has gone
	}
	x.pool.totals.errors.Add(1)
	name := x.pool.label()
	if errors.Is(err, errUnreached) {
		w.Header().Set("Retry-After", retrySoon)
		say(w, http.StatusServiceUnavailable, fmt.Sprintf("No instance of the app %s accepts connections.", name))
		return
	}
	x.target.totals.errors.Add(1)
	say(w, http.StatusBadGateway, fmt.Sprintf("An instance of the app %s did not answer.", name))
}

// upstream sends requests to the target that their exchange was given, and to
// another if that cannot be dialled.
type upstream struct{}

func (upstream) RoundTrip(req *http.Request) (*http.Response, error) {
	x := exchangeOf(req.Context())
	if x == nil {
		return nil, errors.New("forward a request: it was never admitted")
	}
	if req.Body != nil {
		req.Body = &requestBody{ReadCloser: req.Body, x: x}
	}
	for {
		out := *req
		url := *req.URL
		url.Host = x.addr
		out.URL = &url
		res, err := x.transport.RoundTrip(&out)
		if err == nil {
			x.target.totals.requests.Add(1)
			res.Body = x.count(res.Body)
			return res, nil
		}
		if req.Context().Err() != nil || !isDial(err) {
			return nil, err
		}
		if !x.pool.retry(&x.flow) {
			return nil, fmt.Errorf("%w: %w", errUnreached, err)
		}
	}
}

// isDial is whether the request never left.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// requestBody counts what the client sends. Its Close does nothing: the forwarder
// closes the body, and a failed dial must leave it for the next.
type requestBody struct {
	io.ReadCloser
	x *exchange
}

func (b *requestBody) Read(buf []byte) (int, error) {
	n, err := b.ReadCloser.Read(buf)
	b.x.in(n)
	return n, err
}

func (b *requestBody) Close() error { return nil }

// count wraps an answer's body, or the two-way body of an upgraded connection.
func (x *exchange) count(body io.ReadCloser) io.ReadCloser {
	if rw, ok := body.(io.ReadWriteCloser); ok {
		return &upgradedBody{ReadWriteCloser: rw, x: x}
	}
	return &answerBody{ReadCloser: body, x: x}
}

type answerBody struct {
	io.ReadCloser
	x *exchange
}

func (b *answerBody) Read(buf []byte) (int, error) {
	n, err := b.ReadCloser.Read(buf)
	b.x.out(n)
	return n, err
}

type upgradedBody struct {
	io.ReadWriteCloser
	x *exchange
}

func (b *upgradedBody) Read(buf []byte) (int, error) {
	n, err := b.ReadWriteCloser.Read(buf)
	b.x.out(n)
	return n, err
}

func (b *upgradedBody) Write(buf []byte) (int, error) {
	n, err := b.ReadWriteCloser.Write(buf)
	b.x.in(n)
	return n, err
}

// CloseWrite passes a half-close on to the instance.
func (b *upgradedBody) CloseWrite() error {
	if half, ok := b.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
