package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"pitwall/backend/proxy"
)

func TestHTTPGoesByHost(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	set(t, e, webApp("a", "a.localhost", named(t, "a")))
	set(t, e, webApp("b", "B.localhost", named(t, "b")))
	for host, want := range map[string]string{
		"a.localhost": "a", "A.LocalHost:7080": "a", "b.localhost": "b", "b.localhost.": "b",
	} {
		if code, body := ask(t, e, host, "/"); code != 200 || body != want {
			t.Errorf("GET %s = %d %q, want 200 %q", host, code, body, want)
		}
	}
	code, body := ask(t, e, "c.localhost", "/")
	if want := "No app is routed at host \"c.localhost\".\n"; code != 404 || body != want {
		t.Errorf("GET an unknown host = %d %q, want 404 %q", code, body, want)
	}
}

func TestHTTPHeaders(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	got := make(chan *http.Request, 1)
	set(t, e, webApp("a", "a.localhost", web(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "1")
		w.Header().Set("X-End", "1")
		w.WriteHeader(http.StatusTeapot)
	})))
	c := dial(t, e.HTTPAddr().String())
	io.WriteString(c, "GET /p%2Fq?x=1;y=%zz HTTP/1.1\r\nHost: a.localhost:99\r\n"+
		"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nConnection: X-Mine\r\nX-Mine: 1\r\nX-Theirs: 1\r\n\r\n")
	res, _ := c.answer()
	if res.StatusCode != http.StatusTeapot || res.Header.Get("X-Hop") != "" || res.Header.Get("X-End") != "1" {
		t.Errorf("answer = %d %v, want 418 without X-Hop, with X-End", res.StatusCode, res.Header)
	}
	r := <-got
	want := map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "a.localhost:99",
		"X-Mine": "", "X-Theirs": "1",
	}
	have := map[string]string{}
	for k := range want {
		have[k] = r.Header.Get(k)
	}
	if d := cmp.Diff(want, have); d != "" {
		t.Errorf("headers at the instance (-want +got):\n%s", d)
	}
	if r.Host != "a.localhost:99" || r.RequestURI != "/p%2Fq?x=1;y=%zz" {
		t.Errorf("request at the instance = %s %s, want it as it came", r.Host, r.RequestURI)
	}
}

func TestHTTPTriesAnotherInstanceWithTheBody(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	set(t, e, webApp("a", "a.localhost", freeAddr(t), web(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	})))
	c := dial(t, e.HTTPAddr().String())
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a.localhost\r\nContent-Length: 5\r\n\r\nhello")
	if res, body := c.answer(); res.StatusCode != 200 || body != "hello" {
		t.Errorf("POST = %d %q, want 200 hello", res.StatusCode, body)
	}
	got := countsOf(t, e, "a")
	if got.Instances["t0"].Requests != 0 || got.Instances["t1"].Requests != 1 || got.Requests != 1 {
		t.Errorf("requests = %+v, want one, at t1", got)
	}
}

func TestHTTPWithoutInstance(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	a := webApp("a", "a.localhost", freeAddr(t))
	a.Name = "shop"
	set(t, e, a)
	c := dial(t, e.HTTPAddr().String())
	check := func(what, sentence string) {
		t.Helper()
		c.get("a.localhost", "/")
		res, body := c.answer()
		if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || body != sentence+"\n" {
			t.Errorf("%s: answer = %d %v %q, want 503 with Retry-After and %q", what, res.StatusCode, res.Header, body, sentence)
		}
	}
	check("dead instance", "No instance of the app shop accepts connections.")
	a.Targets[0].Ready = false
	set(t, e, a)
	check("not ready", "The app shop has no ready instance.")
	a.Blocked = true
	set(t, e, a)
	check("blocked", "The app shop is blocked.")
	a.Attached = false
	set(t, e, a)
	check("not attached", "The app shop is not attached.")
	got := countsOf(t, e, "a").Counts
	want := proxy.Counts{Connections: 1, Requests: 1, Errors: 2, Refused: 2, Unserved: 2}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("counts (-want +got):\n%s", d)
	}
}

func TestHTTPInstanceThatHangsUpIsBadGateway(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	set(t, e, webApp("a", "a.localhost", serve(t, func(*net.TCPConn) {})))
	if code, body := ask(t, e, "a.localhost", "/"); code != 502 || body != "An instance of the app a did not answer.\n" {
		t.Errorf("GET = %d %q, want 502", code, body)
	}
}

func TestHTTPCounts(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	hold, held := make(chan struct{}), make(chan struct{})
	set(t, e, webApp("a", "a.localhost", web(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			close(held)
			<-hold
		}
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(500)
		io.WriteString(w, "seven c")
	})))
	c := dial(t, e.HTTPAddr().String())
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a.localhost\r\nContent-Length: 5\r\n\r\nhello")
	c.answer()
	d := dial(t, e.HTTPAddr().String())
	d.get("a.localhost", "/hold")
	<-held
	want := proxy.Counts{Connections: 2, InFlight: 1, Requests: 2, Errors: 1, BytesIn: 5, BytesOut: 7}
	if diff := cmp.Diff(want, countsOf(t, e, "a").Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	close(hold)
	d.answer()
	want = proxy.Counts{Connections: 2, Requests: 2, Errors: 2, BytesIn: 5, BytesOut: 14}
	var got proxy.AppCounts
	eventually(t, "the request is over", func() bool { got = countsOf(t, e, "a"); return got.InFlight == 0 })
	if diff := cmp.Diff(proxy.AppCounts{Counts: want, Instances: map[string]proxy.Counts{"t0": want}}, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]proxy.AppCounts{"a": got}, e.Counts()); diff != "" {
		t.Errorf("Counts() (-CountsOf +Counts):\n%s", diff)
	}
	c.Close()
	d.Close()
	eventually(t, "closed clients are not counted", func() bool { return countsOf(t, e, "a").Connections == 0 })
}

func TestStreamPassesAtOnce(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	next := make(chan struct{})
	set(t, e, webApp("a", "a.localhost", web(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			<-next
		}
	})))
	c := dial(t, e.HTTPAddr().String())
	c.get("a.localhost", "/")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(res.Body)
	for i := range 3 {
		if got, err := r.ReadString('\n'); err != nil || got != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("event %d = %q, %v", i, got, err)
		}
		r.ReadString('\n')
		next <- struct{}{} // the instance waits until the event has come through
	}
}

func TestSlowAnswerOfKnownLengthIsNotHeldBack(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	hold := make(chan struct{})
	set(t, e, webApp("a", "a.localhost", web(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "6")
		io.WriteString(w, "one")
		w.(http.Flusher).Flush()
		<-hold
		io.WriteString(w, "two")
	})))
	c := dial(t, e.HTTPAddr().String())
	c.get("a.localhost", "/")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 3)
	if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != "one" {
		t.Errorf("first part = %q, %v", first, err)
	}
	close(hold)
}

func TestSlowHeaderIsCutOff(t *testing.T) {
	e := newEdge(t, proxy.Config{HeaderTimeout: 20 * time.Millisecond})
	set(t, e, webApp("a", "a.localhost", named(t, "a")))
	c := dial(t, e.HTTPAddr().String())
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.loc")
	c.dies()
}

func TestHTTPBlock(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	hold, held := make(chan struct{}), make(chan struct{})
	a := webApp("a", "a.localhost", web(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			close(held)
			<-hold
		}
		io.WriteString(w, "ok")
	}))
	set(t, e, a)
	kept := dial(t, e.HTTPAddr().String())
	if code, _ := kept.ask("a.localhost", "/"); code != 200 {
		t.Fatalf("GET = %d, want 200", code)
	}
	flying := dial(t, e.HTTPAddr().String())
	flying.get("a.localhost", "/hold")
	<-held
	a.Blocked = true
	set(t, e, a)
	kept.get("a.localhost", "/")
	if res, body := kept.answer(); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || body != "The app a is blocked.\n" {
		t.Errorf("next request on a kept connection = %d %v %q, want 503", res.StatusCode, res.Header, body)
	}
	close(hold)
	if res, body := flying.answer(); res.StatusCode != 200 || body != "ok" {
		t.Errorf("request in flight = %d %q, want 200 ok", res.StatusCode, body)
	}
	a.Blocked = false
	set(t, e, a)
	if code, _ := kept.ask("a.localhost", "/"); code != 200 {
		t.Errorf("after unblock, on the same connection = %d, want 200", code)
	}
}

func TestKickClosesHTTP1InFlightAndIdle(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	held, gone := make(chan struct{}), make(chan struct{})
	set(t, e, webApp("a", "a.localhost", web(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			close(held)
			<-r.Context().Done()
			close(gone)
		}
	})))
	set(t, e, webApp("b", "b.localhost", named(t, "b")))
	addr := e.HTTPAddr().String()
	idle, flying, moved, other, fresh := dial(t, addr), dial(t, addr), dial(t, addr), dial(t, addr), dial(t, addr)
	idle.ask("a.localhost", "/")
	moved.ask("a.localhost", "/")
	moved.ask("b.localhost", "/")
	other.ask("b.localhost", "/")
	flying.get("a.localhost", "/hold")
	<-held
	eventually(t, "b's clients rest", func() bool { return countsOf(t, e, "b").InFlight == 0 })
	eventually(t, "a's idle client rests", func() bool { return countsOf(t, e, "a").InFlight == 1 })
	if got := e.Kick("a"); got != 2 {
		t.Errorf("Kick() = %d, want 2: one in flight, one idle", got)
	}
	idle.dies()
	if err := flying.dies(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("request in flight ended with %v, want a reset", err)
	}
	<-gone
	for _, c := range []*conn{moved, other, fresh} {
		if code, body := c.ask("b.localhost", "/"); code != 200 || body != "b" {
			t.Errorf("connection after b = %d %q, want it alive", code, body)
		}
	}
}

func TestKickClosesClientsThatWereRefused(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	a := webApp("a", "a.localhost", named(t, "a"))
	a.Attached = false
	set(t, e, a)
	c := dial(t, e.HTTPAddr().String())
	if code, _ := c.ask("a.localhost", "/"); code != 503 {
		t.Fatalf("GET = %d, want 503", code)
	}
	eventually(t, "the client rests", func() bool { return countsOf(t, e, "a").Connections == 1 })
	if got := e.Kick("a"); got != 1 {
		t.Errorf("Kick() = %d, want 1", got)
	}
	c.dies()
}

func TestKickInstanceClosesIdleHTTP1(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	set(t, e, webApp("a", "a.localhost", named(t, "a"), named(t, "b")))
	one, two := dial(t, e.HTTPAddr().String()), dial(t, e.HTTPAddr().String())
	_, first := one.ask("a.localhost", "/")
	eventually(t, "the first is over", func() bool { return countsOf(t, e, "a").InFlight == 0 })
	if _, second := two.ask("a.localhost", "/"); first+second != "ab" {
		t.Fatalf("requests went to %s, want ab", first+second)
	}
	eventually(t, "both rest", func() bool { return countsOf(t, e, "a").InFlight == 0 })
	if got := e.KickInstance("a", "t0"); got != 1 {
		t.Errorf("KickInstance() = %d, want 1", got)
	}
	one.dies()
	if code, _ := two.ask("a.localhost", "/"); code != 200 {
		t.Errorf("the other instance's client = %d, want 200", code)
	}
}

// h2c is a client that puts all requests on one HTTP/2 connection.
func h2c(t *testing.T, e *proxy.Edge) func(ctx context.Context, host, path string, body io.Reader) (*http.Response, error) {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	dials := 0
	tr := &http.Transport{
		Protocols: &protocols,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dials++; dials > 1 {
				return nil, errors.New("the connection was lost")
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return func(ctx context.Context, host, path string, body io.Reader) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, "GET", "http://"+e.HTTPAddr().String()+path, body)
		if err != nil {
			return nil, err
		}
		req.Host = host
		return tr.RoundTrip(req)
	}
}

// ticking answers with a line for each receive, until the client has gone.
func ticking(t testing.TB) (addr string, tick chan struct{}) {
	tick = make(chan struct{})
	return web(t, func(w http.ResponseWriter, r *http.Request) {
		for {
			io.WriteString(w, "tick\n")
			w.(http.Flusher).Flush()
			select {
			case <-tick:
			case <-r.Context().Done():
				return
			}
		}
	}), tick
}

func TestKickResetsOnlyTheAppsHTTP2Streams(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	aAddr, _ := ticking(t)
	bAddr, bTick := ticking(t)
	set(t, e, webApp("a", "a.localhost", aAddr))
	set(t, e, webApp("b", "b.localhost", bAddr))
	ask := h2c(t, e)
	open := func(host string) *bufio.Reader {
		res, err := ask(t.Context(), host, "/", nil)
		if err != nil {
			t.Fatalf("GET %s = %v", host, err)
		}
		if res.ProtoMajor != 2 {
			t.Fatalf("protocol = %s, want HTTP/2", res.Proto)
		}
		t.Cleanup(func() { res.Body.Close() })
		r := bufio.NewReader(res.Body)
		if got, err := r.ReadString('\n'); got != "tick\n" {
			t.Fatalf("first line = %q, %v", got, err)
		}
		return r
	}
	b := open("b.localhost")
	a1, a2 := open("a.localhost"), open("a.localhost")
	if got := e.Kick("a"); got != 2 {
		t.Errorf("Kick() = %d, want 2 streams", got)
	}
	for _, r := range []*bufio.Reader{a1, a2} {
		if _, err := r.ReadString('\n'); err == nil || err == io.EOF {
			t.Errorf("kicked stream ended with %v, want an error", err)
		}
	}
	bTick <- struct{}{}
	if got, err := b.ReadString('\n'); got != "tick\n" {
		t.Errorf("the other app's stream = %q, %v, want it alive", got, err)
	}
	open("a.localhost") // on the same connection: h2c dials once
}

func TestKickResetsAnHTTP2StreamNobodyReads(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	set(t, e, webApp("a", "a.localhost", web(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})))
	upload, source := io.Pipe()
	res, err := h2c(t, e)(t.Context(), "a.localhost", "/", upload)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	stalled(t, e, "a")
	if got := e.Kick("a"); got != 1 {
		t.Errorf("Kick() = %d, want 1", got)
	}
	// The answer is not read, so the reset alone can end the upload.
	ended := make(chan error)
	go func() {
		for {
			if _, err := source.Write(make([]byte, 1<<10)); err != nil {
				ended <- err
				return
			}
		}
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the upload goes on after the kick")
		res.Body.Close()
		<-ended
	}
}

func TestHTTP2RequestsBlockedAndCounted(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	a := webApp("a", "a.localhost", web(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.Copy(w, r.Body)
		w.Header().Set("X-Sum", "42")
	}))
	set(t, e, a)
	ask := h2c(t, e)
	res, err := ask(t.Context(), "a.localhost", "/", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	if string(body) != "hello" || res.Trailer.Get("X-Sum") != "42" {
		t.Errorf("answer = %q, trailer %v, want hello and X-Sum: 42", body, res.Trailer)
	}
	a.Blocked = true
	set(t, e, a)
	res, err = ask(t.Context(), "a.localhost", "/", nil)
	if err != nil || res.StatusCode != 503 {
		t.Fatalf("blocked = %v, %v, want 503", res, err)
	}
	io.Copy(io.Discard, res.Body)
	eventually(t, "nothing is open", func() bool { return countsOf(t, e, "a").Connections == 0 })
}

// wsEcho is an instance that repeats websocket messages; ended reports each end.
func wsEcho(t testing.TB, ended chan<- error) string {
	up := websocket.Upgrader{}
	return web(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			kind, msg, err := c.ReadMessage()
			if err != nil {
				ended <- err
				return
			}
			c.WriteMessage(kind, msg)
		}
	})
}

func TestWebsocketOutlivesBlockAndDiesByKick(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	ended := make(chan error, 1)
	a := webApp("a", "a.localhost", wsEcho(t, ended))
	set(t, e, a)
	c, _, err := websocket.DefaultDialer.Dial("ws://"+e.HTTPAddr().String(), http.Header{"Host": {"a.localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(patience))
	say := func(when string) {
		t.Helper()
		c.WriteMessage(websocket.TextMessage, []byte("hello"))
		if _, got, err := c.ReadMessage(); string(got) != "hello" {
			t.Fatalf("%s: echo = %q, %v", when, got, err)
		}
	}
	say("open")
	a.Blocked = true
	set(t, e, a)
	say("blocked")
	got := countsOf(t, e, "a")
	if got.Connections != 1 || got.InFlight != 1 || got.BytesIn == 0 || got.BytesOut == 0 {
		t.Errorf("counts = %+v, want one connection with bytes both ways", got.Counts)
	}
	if got := e.Kick("a"); got != 1 {
		t.Errorf("Kick() = %d, want 1", got)
	}
	if _, _, err := c.ReadMessage(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("kicked websocket = %v, want a reset", err)
	}
	<-ended
}

func TestDrainWaitsForRequestsAndNotForIdleClients(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	hold, held := make(chan struct{}), make(chan struct{})
	set(t, e, webApp("a", "a.localhost", web(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			close(held)
			<-hold
		}
		io.WriteString(w, "a")
	})))
	idle, flying := dial(t, e.HTTPAddr().String()), dial(t, e.HTTPAddr().String())
	idle.ask("a.localhost", "/")
	flying.get("a.localhost", "/hold")
	<-held
	done := make(chan error)
	go func() { done <- e.Drain(t.Context(), "a", "t0") }()
	close(hold)
	if err := <-done; err != nil {
		t.Errorf("Drain() = %v", err)
	}
	if _, body := flying.answer(); body != "a" {
		t.Errorf("request in flight = %q, want a", body)
	}
	if code, _ := idle.ask("a.localhost", "/"); code != 503 {
		t.Errorf("after the drain = %d, want 503: the only instance is drained", code)
	}
}
