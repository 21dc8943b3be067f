package proxy_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"pitwall/backend/proxy"
)

func TestPortTaken(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	taken, free := busy.Addr().String(), freeAddr(t)
	a := proxy.App{
		ID: "1", Name: "shop", Attached: true,
		Routes:  []proxy.Route{{TCP: taken}, {TCP: free}, {HTTP: "shop.localhost"}},
		Targets: targets(echo(t, "a")),
	}
	err = e.Set(a)
	var route *proxy.RouteError
	want := "app shop: route tcp " + taken + ": listen on " + taken + ": address already in use"
	if !errors.As(err, &route) || !errors.Is(err, syscall.EADDRINUSE) || err.Error() != want {
		t.Errorf("Set() = %v, want %s", err, want)
	}
	dial(t, free).line() // the rest is in force
	busy.Close()
	set(t, e, a) // and the same declaration tries again
	dial(t, taken).line()
}

func TestHTTPPortTaken(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	e := newEdge(t, proxy.Config{HTTPAddr: busy.Addr().String()})
	a := webApp("shop", "shop.localhost", named(t, "a"))
	want := "app shop: route http shop.localhost: listen on " + busy.Addr().String() + ": address already in use"
	if err := e.Set(a); err == nil || err.Error() != want {
		t.Errorf("Set() = %v, want %s", err, want)
	}
	busy.Close()
	set(t, e, a)
	if code, _ := ask(t, e, "shop.localhost", "/"); code != 200 {
		t.Errorf("GET = %d, want 200", code)
	}
}

func TestTwoAppsClaimOneRoute(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	address := freeAddr(t)
	a := proxy.App{
		ID: "1", Name: "shop", Attached: true, Targets: targets(echo(t, "a")),
		Routes: []proxy.Route{{TCP: address}, {HTTP: "Shop.localhost"}},
	}
	b := a
	b.ID, b.Name = "2", "cart"
	b.Routes = []proxy.Route{{TCP: address}, {HTTP: "shop.LOCALHOST"}}
	set(t, e, a)
	err := e.Set(b)
	if !errors.Is(err, proxy.ErrClaimed) {
		t.Fatalf("Set() = %v, want ErrClaimed", err)
	}
	for _, want := range []string{
		"app cart: route tcp " + address + ": already claimed by app shop",
		"app cart: route http shop.localhost: already claimed by app shop",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Set() = %v, want it to say %q", err, want)
		}
	}
	dial(t, address).line()
	e.Remove("1")
	set(t, e, b)
}

func TestAddressOfTheHTTPListenerIsClaimed(t *testing.T) {
	e := newEdge(t, proxy.Config{HTTPAddr: "127.0.0.1:7081"})
	err := e.Set(proxy.App{ID: "a", Routes: []proxy.Route{{TCP: "127.0.0.1:7081"}}})
	if !errors.Is(err, proxy.ErrClaimed) {
		t.Errorf("Set() = %v, want ErrClaimed", err)
	}
}

func TestSenselessAppsChangeNothing(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	set(t, e, webApp("a", "a.localhost", named(t, "a")))
	for name, a := range map[string]proxy.App{
		"no id":            {},
		"empty route":      {ID: "a", Routes: []proxy.Route{{}}},
		"both kinds":       {ID: "a", Routes: []proxy.Route{{HTTP: "x", TCP: "127.0.0.1:1"}}},
		"no port":          {ID: "a", Routes: []proxy.Route{{TCP: "127.0.0.1"}}},
		"bad port":         {ID: "a", Routes: []proxy.Route{{TCP: "127.0.0.1:99999"}}},
		"a URL for a host": {ID: "a", Routes: []proxy.Route{{HTTP: "http://x/"}}},
		"route twice":      {ID: "a", Routes: []proxy.Route{{HTTP: "x"}, {HTTP: "X"}}},
		"target without":   {ID: "a", Targets: []proxy.Target{{}}},
		"target twice":     {ID: "a", Targets: []proxy.Target{{ID: "t"}, {ID: "t"}}},
	} {
		if err := e.Set(a); err == nil {
			t.Errorf("%s: Set() = nil, want an error", name)
		}
	}
	if code, body := ask(t, e, "a.localhost", "/"); code != 200 || body != "a" {
		t.Errorf("GET = %d %q, want 200 a", code, body)
	}
}

func TestHTTPListenerComesAndGoesWithRoutes(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	if got := e.HTTPAddr(); got != nil {
		t.Errorf("HTTPAddr() without routes = %v, want nil", got)
	}
	a := webApp("a", "a.localhost", named(t, "a"))
	set(t, e, a)
	c := dial(t, e.HTTPAddr().String())
	c.ask("a.localhost", "/")
	a.Routes = nil
	set(t, e, a)
	if got := e.HTTPAddr(); got != nil {
		t.Errorf("HTTPAddr() without routes = %v, want nil", got)
	}
	if code, _ := c.ask("a.localhost", "/"); code != 404 {
		t.Errorf("kept connection = %d, want it alive with 404", code)
	}
	a.Routes = []proxy.Route{{HTTP: "b.localhost"}}
	set(t, e, a)
	if code, _ := c.ask("b.localhost", "/"); code != 200 {
		t.Errorf("kept connection = %d, want 200", code)
	}
	if code, _ := ask(t, e, "b.localhost", "/"); code != 200 {
		t.Errorf("new connection = %d, want 200", code)
	}
}

func TestMovedTargetKeepsItsOpenConnections(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	a := tcpApp("cache", echo(t, "old"))
	set(t, e, a)
	c := dial(t, tcpAddr(t, e))
	c.line()
	a.Targets = targets(echo(t, "new"))
	set(t, e, a)
	if got := dial(t, tcpAddr(t, e)).line(); got != "new" {
		t.Errorf("new connection went to %s, want new", got)
	}
	c.ping()
}

func TestTakeOver(t *testing.T) {
	old := newEdge(t, proxy.Config{})
	next := func(files map[string]*os.File) *proxy.Edge {
		return newEdge(t, proxy.Config{Inherited: files})
	}
	tcp := proxy.App{ID: "cache", Attached: true, Routes: []proxy.Route{{TCP: freeAddr(t)}}, Targets: targets(echo(t, "a"))}
	address := tcp.Routes[0].TCP
	hold, held := make(chan struct{}), make(chan struct{})
	web := webApp("shop", "shop.localhost", web(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			close(held)
			<-hold
		}
		io.WriteString(w, "ok")
	}))
	gone := proxy.App{ID: "gone", Attached: true, Routes: []proxy.Route{{TCP: freeAddr(t)}}}
	for _, a := range []proxy.App{tcp, web, gone} {
		set(t, old, a)
	}
	httpAddr := old.HTTPAddr().String()
	kept, flying := dial(t, address), dial(t, httpAddr)
	kept.line()
	flying.get("shop.localhost", "/hold")
	<-held

	files, err := old.Files()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 3 {
		t.Fatalf("Files() = %v, want three", files)
	}
	assertNonblocking(t, files[address])
	old.CloseListeners()
	queued, queuedHTTP := dial(t, address), dial(t, httpAddr) // nobody accepts now
	queuedHTTP.get("shop.localhost", "/")

	e := next(files)
	set(t, e, tcp)
	set(t, e, web)
	if got := queued.line(); got != "a" {
		t.Errorf("queued connection got %q, want a", got)
	}
	if res, body := queuedHTTP.answer(); res.StatusCode != 200 || body != "ok" {
		t.Errorf("queued request = %d %q, want 200 ok", res.StatusCode, body)
	}
	if got := e.DropInherited(); len(got) != 1 || got[0] != gone.Routes[0].TCP {
		t.Errorf("DropInherited() = %v, want the one nobody claimed", got)
	}
	if _, err := net.Dial("tcp", gone.Routes[0].TCP); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial a dropped socket = %v, want refused", err)
	}
	kept.ping() // through the old edge
	if err := old.Set(proxy.App{ID: "late", Routes: []proxy.Route{{TCP: freeAddr(t)}}}); !errors.Is(err, proxy.ErrHandedOver) {
		t.Errorf("Set() after the take-over = %v, want ErrHandedOver", err)
	}

	done := make(chan error)
	go func() { done <- old.Shutdown(t.Context()) }()
	kept.Close()
	close(hold)
	if _, body := flying.answer(); body != "ok" {
		t.Errorf("request in flight at the old edge = %q, want ok", body)
	}
	if err := <-done; err != nil {
		t.Errorf("Shutdown() = %v", err)
	}
	old.Close()
	dial(t, address).line()
}

// assertNonblocking reads the descriptor as handing it to a process does, which
// must not make the shared socket blocking.
func assertNonblocking(t *testing.T, f *os.File) {
	t.Helper()
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("flags of a duplicate = %#x, %v, want O_NONBLOCK", flags, err)
	}
}

func TestClientsAreToldToConnectAnewAfterATakeOver(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	set(t, e, webApp("shop", "shop.localhost", named(t, "ok")))
	c, other := dial(t, e.HTTPAddr().String()), dial(t, e.HTTPAddr().String())
	for _, c := range []*conn{c, other} {
		c.get("shop.localhost", "/")
		if res, _ := c.answer(); res.Close {
			t.Error("a client is told to connect anew before the take-over")
		}
	}
	e.CloseListeners()
	c.get("shop.localhost", "/")
	if res, body := c.answer(); res.StatusCode != 200 || body != "ok" || !res.Close {
		t.Errorf("after the take-over = %d %q, to be closed: %v; want 200 ok, true", res.StatusCode, body, res.Close)
	}
	c.dies()
	other.get("unknown.localhost", "/")
	if res, _ := other.answer(); res.StatusCode != 404 || !res.Close {
		t.Errorf("no app after the take-over = %d, to be closed: %v; want 404, true", res.StatusCode, res.Close)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	addr, _ := ticking(t)
	set(t, e, webApp("shop", "shop.localhost", addr))
	set(t, e, tcpApp("cache", echo(t, "a")))
	tcp := dial(t, tcpAddr(t, e))
	tcp.line()
	streaming, idle, fresh := dial(t, e.HTTPAddr().String()), dial(t, e.HTTPAddr().String()), dial(t, e.HTTPAddr().String())
	streaming.get("shop.localhost", "/")
	if _, err := http.ReadResponse(streaming.r, nil); err != nil {
		t.Fatal(err)
	}
	idle.ask("unknown.localhost", "/")
	if res, err := h2c(t, e)(t.Context(), "shop.localhost", "/", nil); err != nil {
		t.Fatal(err)
	} else {
		defer res.Body.Close()
	}
	e.Close()
	for _, c := range []*conn{tcp, streaming, idle, fresh} {
		c.dies()
	}
	if err := e.Set(proxy.App{ID: "late"}); !errors.Is(err, proxy.ErrClosed) {
		t.Errorf("Set() after Close = %v, want ErrClosed", err)
	}
	e.Close()
}
