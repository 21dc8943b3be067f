package proxy_test

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pitwall/backend/proxy"
)

// TestNothingIsLeftOfAStorm changes and kicks an app while clients come and go;
// afterwards nothing may count as open, and the app must work.
func TestNothingIsLeftOfAStorm(t *testing.T) {
	e := newEdge(t, proxy.Config{})
	tcp, web := tcpApp("tcp", echo(t, "a"), echo(t, "b"), freeAddr(t)), webApp("web", "web.localhost", named(t, "a"), named(t, "b"))
	set(t, e, tcp)
	set(t, e, web)
	var clients sync.WaitGroup
	var over atomic.Bool
	var visits atomic.Int64
	visit := func(addr, send string) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return // reset before connect returned
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		for range 3 {
			io.WriteString(c, send)
			if _, err := c.Read(make([]byte, 256)); err != nil {
				return
			}
		}
	}
	for range 4 {
		clients.Go(func() {
			for !over.Load() {
				visits.Add(1)
				visit(tcpAddr(t, e), "hello\n")
				visit(e.HTTPAddr().String(), "GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n")
			}
		})
	}
	for i := range 300 {
		before := visits.Load()
		eventually(t, "clients come", func() bool { return visits.Load() > before+int64(i%4) })
		for _, a := range []proxy.App{tcp, web} {
			a.Blocked, a.Attached = i%5 == 1, i%5 != 2
			a.Targets = append([]proxy.Target(nil), a.Targets...)
			a.Targets[i%2].Ready = i%3 != 0
			set(t, e, a)
			e.KickInstance(a.ID, fmt.Sprintf("t%d", i%2))
			e.Kick(a.ID)
		}
	}
	over.Store(true)
	clients.Wait()
	set(t, e, tcp)
	set(t, e, web)
	eventually(t, "nothing is open", func() bool {
		for _, app := range e.Counts() {
			if app.Connections != 0 || app.InFlight != 0 {
				return false
			}
			for _, i := range app.Instances {
				if i.Connections != 0 || i.InFlight != 0 {
					return false
				}
			}
		}
		return true
	})
	dial(t, tcpAddr(t, e)).line()
	if code, _ := ask(t, e, "web.localhost", "/"); code != 200 {
		t.Errorf("GET after the storm = %d, want 200", code)
	}
}
