// Package remote is the Backend over a link: HTTP for reads and commands, one
// websocket for every feed.
//
// The link is lost and found again without the caller's doing. Feeds stay open
// over it: a watch goes on from the last index, a log from the last cursor,
// samples afresh. How the link is can be followed with [Client.Link].
package remote

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"pitwall/backend"
	"pitwall/backend/wire"
)

// The waits between two tries to connect: a random time up to a bound that
// doubles from the first to the last.
const (
	FirstBackoff = 250 * time.Millisecond
	LastBackoff  = 30 * time.Second
)

// dialTimeout bounds one try to connect.
const dialTimeout = 10 * time.Second

// Config says where the server is and who calls. Only URL must be set.
type Config struct {
	// URL is "http://HOST:PORT", "https://HOST:PORT" or "unix:PATH".
	URL   string
	Token string
	TLS   *tls.Config

	// Compress asks for compressed feeds, for links that are slower than
	// a processor.
	Compress bool

	// Backoff returns how long to wait after a try that failed, the first
	// of which is 0. Nil means full jitter between FirstBackoff and
	// LastBackoff.
	Backoff func(attempt int) time.Duration

	PingEvery time.Duration // 0 means wire.PingEvery
	DeadAfter time.Duration // 0 means wire.DeadAfter
	UserAgent string
}

// Client is a Backend whose server is elsewhere. It is safe for concurrent
// use.
type Client struct {
	cfg   Config
	where string // the address as a person writes it
	base  string // of every URL
	http  *http.Client
	ws    *websocket.Dialer

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{} // closed when something below changes
	started bool
	closed  bool
	link    backend.LinkState
	links   uint64 // changes of link
	failed  uint64 // tries that failed
	why     error  // of the last one
	conn    *conn  // nil while the link is not up
	streams map[*stream]struct{}
	kick    chan struct{} // try again now
	nextID  uint64
}

var (
	_ backend.Backend      = (*Client)(nil)
	_ backend.LinkReporter = (*Client)(nil)
)

// Dial returns a client of the server. It fails with Invalid for an address
// that cannot be; it does not touch the network before the client is used. Ctx
// bounds the life of the client, as Close does.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	to, err := parseAddress(cfg.URL)
	if err != nil {
		return nil, err
	}
	if cfg.Backoff == nil {
		cfg.Backoff = backoff
	}
	if cfg.PingEvery == 0 {
		cfg.PingEvery = wire.PingEvery
	}
	if cfg.DeadAfter == 0 {
		cfg.DeadAfter = wire.DeadAfter
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "pitwall"
	}
	c := &Client{
		cfg: cfg, where: cfg.URL, base: to.base,
		changed: make(chan struct{}), streams: make(map[*stream]struct{}), kick: make(chan struct{}, 1),
		link: backend.LinkState{State: backend.LinkConnecting, Since: time.Now()},
	}
	c.ctx, c.cancel = context.WithCancel(ctx)
	dial := (&net.Dialer{Timeout: dialTimeout, KeepAlive: wire.PingEvery}).DialContext
	if to.socket != "" {
		dial = func(ctx context.Context, _, _ string) (net.Conn, error) { return dialUnix(ctx, to.socket) }
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			DialContext: dial, TLSClientConfig: cfg.TLS, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute,
			TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: 0,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.ws = &websocket.Dialer{
		NetDialContext: dial, TLSClientConfig: cfg.TLS, HandshakeTimeout: dialTimeout,
		ReadBufferSize: 32 << 10, WriteBufferSize: 4 << 10, EnableCompression: cfg.Compress,
	}
	return c, nil
}

// Close ends the link and every feed, and waits for the client's goroutines.
// Calls after it fail with Unavailable.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	streams := c.streams
	c.streams = make(map[*stream]struct{})
	c.wake()
	c.mu.Unlock()
	for s := range streams {
		s.finish(c.closedError())
	}
	c.cancel()
	c.wg.Wait()
	c.http.CloseIdleConnections()
	return nil
}

// wake tells whoever waits for a change, with the client locked.
func (c *Client) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Client) closedError() error {
	return backend.Errorf(backend.Unavailable, "the connection to %s was closed", c.where)
}

// header returns what goes with every request.
func (c *Client) header() http.Header {
	h := http.Header{"User-Agent": []string{c.cfg.UserAgent}}
	if c.cfg.Token != "" {
		h.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	return h
}

// address is a parsed Config.URL.
type address struct {
	base   string // "http://host:port"
	socket string // the path of a unix socket
}

// parseAddress reads an address. It fails with Invalid and says how to write
// one.
func parseAddress(text string) (address, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		if path == "" {
			return address{}, backend.Errorf(backend.Invalid, "the server %q names no path: write unix:PATH", text)
		}
		return address{base: "http://localhost", socket: path}, nil
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return address{}, backend.Errorf(backend.Invalid, "%q is not a server: write http://HOST:PORT, https://HOST:PORT or unix:PATH", text)
	}
	if u.User != nil {
		return address{}, backend.Errorf(backend.Invalid, "the server's address has a password in it: use the token instead")
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return address{}, backend.Errorf(backend.Invalid, "%q has more than a server's address: write %s://%s", text, u.Scheme, u.Host)
	}
	return address{base: u.Scheme + "://" + u.Host}, nil
}

// backoff is exponential with full jitter, so that many clients of a server
// that comes back do not come at once.
func backoff(attempt int) time.Duration {
	bound := LastBackoff
	if attempt < 7 {
		bound = min(bound, FirstBackoff<<attempt)
	}
	return time.Millisecond + mathrand.N(bound)
}

// newKey makes an idempotency key.
func newKey() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
