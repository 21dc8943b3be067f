package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pitwall/backend/proxy"
)

// patience is how long a test waits for what must happen. It is far more than
// anything takes, so that only what never happens reaches it.
const patience = time.Minute

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// newEdge returns an edge on free ports that is closed with the test, which
// fails if the edge leaves a goroutine behind. Call it before anything that
// starts goroutines.
func newEdge(t testing.TB, c proxy.Config) *proxy.Edge {
	t.Helper()
	before := runtime.NumGoroutine()
	if c.HTTPAddr == "" {
		c.HTTPAddr = "localhost:0" // not the text of a TCP route on a free port
	}
	e := proxy.New(c)
	t.Cleanup(func() {
		e.Close()
		deadline := time.Now().Add(patience)
		for runtime.NumGoroutine() > before {
			if time.Now().After(deadline) {
				buf := make([]byte, 1<<20)
				t.Errorf("%d goroutines remain, %d were there before:\n%s",
					runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	return e
}

func set(t testing.TB, e *proxy.Edge, a proxy.App) {
	t.Helper()
	if err := e.Set(a); err != nil {
		t.Fatalf("Set(%s) = %v", a.ID, err)
	}
}

// webApp is an attached app with one HTTP route and ready targets t0, t1, ...
func webApp(id, host string, addrs ...string) proxy.App {
	return proxy.App{
		ID: id, Attached: true,
		Routes:  []proxy.Route{{HTTP: host}},
		Targets: targets(addrs...),
	}
}

// tcpApp is an attached app with one TCP route on a free port.
func tcpApp(id string, addrs ...string) proxy.App {
	return proxy.App{
		ID: id, Attached: true,
		Routes:  []proxy.Route{{TCP: "127.0.0.1:0"}},
		Targets: targets(addrs...),
	}
}

func targets(addrs ...string) []proxy.Target {
	var all []proxy.Target
	for i, a := range addrs {
		all = append(all, proxy.Target{ID: fmt.Sprintf("t%d", i), Process: "main", Addr: a, Ready: true})
	}
	return all
}

// freeAddr is an address that nothing listens on.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// web serves the handler as an instance would.
func web(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.Listener.Addr().String()
}

// named answers every request with a name.
func named(t testing.TB, name string) string {
	return web(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) })
}

// serve accepts TCP connections as an instance would and ends with the test.
func serve(t testing.TB, handle func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	var mu sync.Mutex
	open := make(map[net.Conn]bool)
	closed := false
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if closed {
				c.Close()
			}
			open[c] = true
			mu.Unlock()
			work.Go(func() {
				defer c.Close()
				handle(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		closed = true
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		work.Wait()
	})
	return l.Addr().String()
}

// echo is a TCP instance that says its name and then repeats what it hears.
func echo(t testing.TB, name string) string {
	return serve(t, func(c *net.TCPConn) {
		io.WriteString(c, name+"\n")
		io.Copy(c, c)
	})
}

// conn is a test's own connection.
type conn struct {
	*net.TCPConn
	r *bufio.Reader
	t testing.TB
}

func dial(t testing.TB, addr string) *conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("dial %s: %v", addr, err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &conn{TCPConn: c.(*net.TCPConn), r: bufio.NewReader(c), t: t}
}

// tcpAddr is where the edge listens for an app's TCP route on a free port.
func tcpAddr(t testing.TB, e *proxy.Edge) string {
	t.Helper()
	a := e.Addr("127.0.0.1:0")
	if a == nil {
		t.Fatal("the edge does not listen")
	}
	return a.String()
}

func (c *conn) line() string {
	c.t.Helper()
	s, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read a line: %v after %q", err, s)
	}
	return strings.TrimSuffix(s, "\n")
}

// ping proves that the connection lives, through an echo.
func (c *conn) ping() {
	c.t.Helper()
	if _, err := io.WriteString(c, "ping\n"); err != nil {
		c.t.Fatalf("write: %v", err)
	}
	if got := c.line(); got != "ping" {
		c.t.Fatalf("echo = %q, want ping", got)
	}
}

// dies waits for the connection's end and returns how it came.
func (c *conn) dies() error {
	c.t.Helper()
	_, err := io.Copy(io.Discard, c.r)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		c.t.Fatal("the connection lives on")
	}
	return err
}

// refused connects and returns how that ended; a reset may come before connect
// has returned.
func refused(t testing.TB, addr string) error {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	return (&conn{TCPConn: c.(*net.TCPConn), r: bufio.NewReader(c), t: t}).dies()
}

// get sends one HTTP/1 request on the connection, without reading the answer.
func (c *conn) get(host, path string) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host); err != nil {
		c.t.Fatalf("write request: %v", err)
	}
}

// answer reads one HTTP/1 answer whole.
func (c *conn) answer() (*http.Response, string) {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatalf("read answer: %v", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("read body: %v", err)
	}
	return res, string(body)
}

// ask is get and answer.
func (c *conn) ask(host, path string) (int, string) {
	c.t.Helper()
	c.get(host, path)
	res, body := c.answer()
	return res.StatusCode, body
}

// ask makes one request on a connection of its own.
func ask(t testing.TB, e *proxy.Edge, host, path string) (int, string) {
	t.Helper()
	c := dial(t, e.HTTPAddr().String())
	defer c.Close()
	return c.ask(host, path)
}

func countsOf(t testing.TB, e *proxy.Edge, app string) proxy.AppCounts {
	t.Helper()
	c, ok := e.CountsOf(app)
	if !ok {
		t.Fatalf("CountsOf(%s): not declared", app)
	}
	return c
}
