package proxy_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"pitwall/backend/proxy"
)

func TestTCPReachesTheInstance(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	set(t, e, tcpApp("cache", echo(t, "a")))
	c := dial(t, tcpAddr(t, e))
	if got := c.line(); got != "a" {
		t.Errorf("first line = %q, want a", got)
	}
	c.ping()
}

func TestTCPGoesWhereLeastIsOpen(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	set(t, e, tcpApp("cache", echo(t, "a"), echo(t, "b"), echo(t, "c")))
	open := map[string][]*conn{}
	for range 9 {
		c := dial(t, tcpAddr(t, e))
		name := c.line()
		open[name] = append(open[name], c)
	}
	for _, name := range []string{"a", "b", "c"} {
		if got := len(open[name]); got != 3 {
			t.Errorf("instance %s has %d connections, want 3", name, got)
		}
	}
	for _, c := range open["b"] {
		c.Close()
	}
	eventually(t, "b has nothing open", func() bool {
		return countsOf(t, e, "cache").Instances["t1"].Connections == 0
	})
	for range 3 {
		if got := dial(t, tcpAddr(t, e)).line(); got != "b" {
			t.Errorf("new connection went to %s, want b", got)
		}
	}
}

func TestTiesRotate(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	set(t, e, tcpApp("cache", echo(t, "a"), echo(t, "b"), echo(t, "c")))
	var got []string
	for range 6 {
		c := dial(t, tcpAddr(t, e))
		got = append(got, c.line())
		c.Close()
		eventually(t, "the connection is gone", func() bool { return countsOf(t, e, "cache").Connections == 0 })
	}
	if want := []string{"a", "b", "c", "a", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("instances = %v, want %v", got, want)
	}
}

func TestTCPHalfCloseIsPassedOn(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	set(t, e, tcpApp("sum", serve(t, func(c *net.TCPConn) {
		all, _ := io.ReadAll(c) // ends with the client's half
		c.Write(bytes.ToUpper(all))
	})))
	c := dial(t, tcpAddr(t, e))
	io.WriteString(c, "half")
	c.CloseWrite()
	got, err := io.ReadAll(c)
	if string(got) != "HALF" || err != nil {
		t.Errorf("answer after half-close = %q, %v, want HALF", got, err)
	}
}

func TestTCPResetIsPassedOn(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	set(t, e, tcpApp("cache", serve(t, func(c *net.TCPConn) {
		io.ReadFull(c, make([]byte, 1))
		c.SetLinger(0)
	})))
	c := dial(t, tcpAddr(t, e))
	io.WriteString(c, "x")
	if err := c.dies(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("end = %v, want a reset like the instance's", err)
	}
}

func TestTCPCarriesBulkBothWays(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	set(t, e, tcpApp("bulk", serve(t, func(c *net.TCPConn) { io.Copy(c, c) })))
	c := dial(t, tcpAddr(t, e))
	sent := make([]byte, 12<<20+137)
	rand.Read(sent)
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() {
		c.Write(sent)
		c.CloseWrite()
	})
	got, err := io.ReadAll(c)
	if err != nil || sha256.Sum256(got) != sha256.Sum256(sent) {
		t.Errorf("echo of %d bytes = %d bytes, %v, not the same", len(sent), len(got), err)
	}
	eventually(t, "all bytes are counted", func() bool {
		n := countsOf(t, e, "bulk")
		return n.BytesIn == uint64(len(sent)) && n.BytesOut == uint64(len(sent)) && n.Connections == 0
	})
}

func TestBytesAreCountedWhileTheConnectionIsOpen(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	const size = 3<<20 + 11
	set(t, e, tcpApp("bulk", serve(t, func(c *net.TCPConn) {
		c.Write(make([]byte, size))
		io.ReadFull(c, make([]byte, 5))
		io.WriteString(c, "more\n")
		io.Copy(io.Discard, c) // stays open
	})))
	c := dial(t, tcpAddr(t, e))
	if _, err := io.CopyN(io.Discard, c.r, size); err != nil {
		t.Fatal(err)
	}
	eventually(t, "bytes of an open connection are counted", func() bool {
		return countsOf(t, e, "bulk").Instances["t0"].BytesOut == size
	})
	io.WriteString(c, "12345")
	eventually(t, "a few bytes after a stream are counted", func() bool {
		return countsOf(t, e, "bulk").BytesIn == 5
	})
	if got := c.line(); got != "more" {
		t.Errorf("after the stream paused = %q, want more", got)
	}
}

func TestTCPTriesAnotherInstance(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	set(t, e, tcpApp("cache", freeAddr(t), echo(t, "b")))
	for range 4 {
		if got := dial(t, tcpAddr(t, e)).line(); got != "b" {
			t.Errorf("answered by %q, want b", got)
		}
	}
}

func TestTCPWithoutInstanceIsReset(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	a := tcpApp("cache", freeAddr(t))
	set(t, e, a)
	if err := refused(t, tcpAddr(t, e)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("dead instance: end = %v, want a reset", err)
	}
	a.Targets[0].Ready = false
	set(t, e, a)
	if err := refused(t, tcpAddr(t, e)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("no ready instance: end = %v, want a reset", err)
	}
	if got := countsOf(t, e, "cache").Unserved; got != 2 {
		t.Errorf("Unserved = %d, want 2", got)
	}
}

func TestRouteLeadsToItsProcess(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	one, two := freeAddr(t), freeAddr(t)
	a := proxy.App{
		ID: "shop", Attached: true,
		Routes: []proxy.Route{{TCP: one}, {TCP: two, Process: "worker"}},
		Targets: []proxy.Target{
			{ID: "m", Process: "main", Addr: echo(t, "main"), Ready: true},
			{ID: "w", Process: "worker", Addr: echo(t, "worker"), Ready: true},
		},
	}
	set(t, e, a)
	if got := dial(t, one).line(); got != "main" {
		t.Errorf("route without a process leads to %s, want main", got)
	}
	if got := dial(t, two).line(); got != "worker" {
		t.Errorf("route to worker leads to %s", got)
	}
	a.Process = "worker"
	set(t, e, a)
	if got := dial(t, one).line(); got != "worker" {
		t.Errorf("route without a process leads to %s, want worker, the app's", got)
	}
}

func TestTCPBlockRefusesTheNewAndKeepsTheOpen(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	a := tcpApp("cache", echo(t, "a"))
	set(t, e, a)
	c := dial(t, tcpAddr(t, e))
	c.line()
	a.Blocked = true
	set(t, e, a)
	if err := refused(t, tcpAddr(t, e)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("new connection of a blocked app: end = %v, want accepted and reset", err)
	}
	c.ping()
	if got := countsOf(t, e, "cache"); got.Refused != 1 || got.Connections != 1 {
		t.Errorf("Refused, Connections = %d, %d, want 1, 1", got.Refused, got.Connections)
	}
	a.Blocked = false
	set(t, e, a)
	d := dial(t, tcpAddr(t, e))
	d.line()
	d.ping()
	c.ping()
}

func TestBlockedInstanceGetsNothingNew(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	a := tcpApp("cache", echo(t, "a"), echo(t, "b"))
	set(t, e, a)
	c := dial(t, tcpAddr(t, e))
	if got := c.line(); got != "a" {
		t.Fatalf("first connection went to %s, want a", got)
	}
	a.Targets[0].Blocked = true
	set(t, e, a)
	for range 4 {
		if got := dial(t, tcpAddr(t, e)).line(); got != "b" {
			t.Errorf("new connection went to %s, want b", got)
		}
	}
	c.ping()
}

func TestTCPKick(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	ended := make(chan error, 8)
	a := tcpApp("cache", serve(t, func(c *net.TCPConn) {
		io.WriteString(c, "a\n")
		_, err := io.Copy(c, c)
		ended <- err
	}))
	set(t, e, a)
	other := freeAddr(t)
	set(t, e, proxy.App{ID: "other", Attached: true, Routes: []proxy.Route{{TCP: other}}, Targets: targets(echo(t, "o"))})
	survivor := dial(t, other)
	survivor.line()
	var open []*conn
	for range 3 {
		c := dial(t, tcpAddr(t, e))
		c.line()
		open = append(open, c)
	}
	a.Attached = false
	set(t, e, a)
	if got := e.Kick("cache"); got != 3 {
		t.Errorf("Kick() = %d, want 3", got)
	}
	if got := countsOf(t, e, "cache").Connections; got != 0 {
		t.Errorf("Connections after Kick = %d, want 0", got)
	}
	for _, c := range open {
		if err := c.dies(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("kicked client saw %v, want a reset", err)
		}
		if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("instance saw %v, want a reset", err)
		}
	}
	if err := refused(t, tcpAddr(t, e)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("not attached: end = %v, want a reset", err)
	}
	survivor.ping()
	if got := e.Kick("cache") + e.Kick("unknown"); got != 0 {
		t.Errorf("second Kick() = %d, want 0", got)
	}
}

func TestKickEndsAStalledStream(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	ended := make(chan struct{})
	set(t, e, tcpApp("bulk", serve(t, func(c *net.TCPConn) {
		defer close(ended)
		buf := make([]byte, 1<<16)
		for {
			if _, err := c.Write(buf); err != nil {
				return
			}
		}
	})))
	c := dial(t, tcpAddr(t, e)) // and never reads: the stream backs up
	stalled(t, e, "bulk")
	if got := e.Kick("bulk"); got != 1 {
		t.Errorf("Kick() = %d, want 1", got)
	}
	<-ended
	if err := c.dies(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("end = %v, want a reset", err)
	}
}

// stalled waits until the app sends no more, since the client does not read.
func stalled(t *testing.T, e *proxy.Edge, app string) {
	t.Helper()
	last := uint64(0)
	eventually(t, "the stream stalls", func() bool {
		time.Sleep(20 * time.Millisecond)
		now := countsOf(t, e, app).BytesOut
		same := now == last && now > 0
		last = now
		return same
	})
}

func TestKickInstanceLeavesTheOthers(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	set(t, e, tcpApp("cache", echo(t, "a"), echo(t, "b")))
	a, b := dial(t, tcpAddr(t, e)), dial(t, tcpAddr(t, e))
	if got := a.line() + b.line(); got != "ab" {
		t.Fatalf("connections went to %s, want ab", got)
	}
	if got := e.KickInstance("cache", "t0"); got != 1 {
		t.Errorf("KickInstance() = %d, want 1", got)
	}
	a.dies()
	b.ping()
	if got := e.KickInstance("cache", "none"); got != 0 {
		t.Errorf("KickInstance(none) = %d, want 0", got)
	}
}

func TestDrainWaitsForWhatIsOpen(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	app := tcpApp("cache", echo(t, "a"), echo(t, "b"))
	set(t, e, app)
	a := dial(t, tcpAddr(t, e))
	if got := a.line(); got != "a" {
		t.Fatalf("first connection went to %s, want a", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var drain *proxy.DrainError
	if err := e.Drain(ctx, "cache", "t0"); !errors.As(err, &drain) || drain.Remaining != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("Drain() with its context over = %v, want 1 remaining", err)
	}

	done := make(chan error)
	go func() { done <- e.Drain(t.Context(), "cache", "t0") }()
	for range 3 {
		if got := dial(t, tcpAddr(t, e)).line(); got != "b" {
			t.Errorf("new connection went to %s while a drains, want b", got)
		}
	}
	a.ping()
	select {
	case err := <-done:
		t.Fatalf("Drain() = %v with a connection open", err)
	default:
	}
	a.Close()
	if err := <-done; err != nil {
		t.Errorf("Drain() = %v", err)
	}
	if got := dial(t, tcpAddr(t, e)).line(); got != "b" {
		t.Errorf("new connection went to %s after the drain, want b", got)
	}
	set(t, e, app)
	if got := dial(t, tcpAddr(t, e)).line(); got != "a" {
		t.Errorf("new connection went to %s after a is declared again, want a", got)
	}
	if err := e.Drain(t.Context(), "cache", "none"); err != nil {
		t.Errorf("Drain(none) = %v", err)
	}
}

func TestOpenConnectionsOutliveTheirTargetAndRoute(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	a := tcpApp("cache", echo(t, "a"))
	set(t, e, a)
	addr := tcpAddr(t, e)
	c := dial(t, addr)
	c.line()
	a.Targets, a.Routes = nil, nil
	set(t, e, a)
	c.ping()
	if _, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial a removed route = %v, want refused", err)
	}
	if got := countsOf(t, e, "cache").Instances["t0"].Connections; got != 1 {
		t.Errorf("Connections of the target that was removed = %d, want 1", got)
	}
	c.Close()
	eventually(t, "the target is forgotten", func() bool { return len(countsOf(t, e, "cache").Instances) == 0 })
}

func TestRemoveClosesEverything(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	set(t, e, tcpApp("cache", echo(t, "a")))
	c := dial(t, tcpAddr(t, e))
	c.line()
	e.Remove("cache")
	c.dies()
	if got := e.Listening(); len(got) != 0 {
		t.Errorf("Listening() = %v, want nothing", got)
	}
	if _, ok := e.CountsOf("cache"); ok {
		t.Error("CountsOf() knows a removed app")
	}
	e.Remove("cache")
}
