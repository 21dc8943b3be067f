package proxy_test

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"pitwall/backend/proxy"
)

// The benchmarks do the same work straight to the instance and through the edge,
// in turn, and report the second as a multiple of the first.

// compare runs both, b.N times each.
func compare(b *testing.B, direct, edge func()) {
	direct()
	edge()
	var spent [2]time.Duration
	b.ReportAllocs()
	for b.Loop() {
		for i, f := range []func(){direct, edge} {
			start := time.Now()
			f()
			spent[i] += time.Since(start)
		}
	}
	b.ReportMetric(float64(spent[1])/float64(spent[0]), "x-direct")
	b.ReportMetric(float64(spent[1].Nanoseconds())/float64(b.N), "edge-ns/op")
}

// BenchmarkTCP/bulk moves 16 MiB, /ping one line there and back, and /connect
// opens a connection, asks once and closes it.
func BenchmarkTCP(b *testing.B) {
	const bulk = 16 << 20
	e := newEdge(b, proxy.Config{})
	source := serve(b, func(c *net.TCPConn) {
		buf, ask := make([]byte, 256<<10), make([]byte, 1)
		for {
			if _, err := io.ReadFull(c, ask); err != nil {
				return
			}
			for n := 0; n < bulk; n += len(buf) {
				if _, err := c.Write(buf); err != nil {
					return
				}
			}
		}
	})
	pong := echo(b, "a")
	viaBulk, viaPong := freeAddr(b), freeAddr(b)
	set(b, e, proxy.App{ID: "bulk", Attached: true, Routes: []proxy.Route{{TCP: viaBulk}}, Targets: targets(source)})
	set(b, e, proxy.App{ID: "pong", Attached: true, Routes: []proxy.Route{{TCP: viaPong}}, Targets: targets(pong)})

	b.Run("bulk", func(b *testing.B) {
		buf := make([]byte, 256<<10)
		pull := func(addr string) func() {
			c := dial(b, addr)
			c.SetDeadline(time.Time{})
			return func() {
				c.Write([]byte{1})
				for n := 0; n < bulk; {
					k, err := c.Read(buf)
					if err != nil {
						b.Fatal(err)
					}
					n += k
				}
			}
		}
		compare(b, pull(source), pull(viaBulk))
	})
	b.Run("ping", func(b *testing.B) {
		ping := func(addr string) func() {
			c := dial(b, addr)
			c.SetDeadline(time.Time{})
			c.line()
			return c.ping
		}
		compare(b, ping(pong), ping(viaPong))
	})
	b.Run("connect", func(b *testing.B) {
		connect := func(addr string) func() {
			return func() {
				c := dial(b, addr)
				c.line()
				c.Close()
			}
		}
		compare(b, connect(pong), connect(viaPong))
	})
}

// BenchmarkHTTP makes requests on one kept connection, small and of a MiB.
func BenchmarkHTTP(b *testing.B) {
	e := newEdge(b, proxy.Config{})
	body := make([]byte, 1<<20)
	addr := web(b, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/big" {
			w.Write(body)
			return
		}
		io.WriteString(w, "ok")
	})
	set(b, e, webApp("a", "a.localhost", addr))
	for _, path := range []string{"/small", "/big"} {
		b.Run(path[1:], func(b *testing.B) {
			get := func(addr string) func() {
				tr := &http.Transport{}
				b.Cleanup(tr.CloseIdleConnections)
				req, err := http.NewRequest("GET", "http://"+addr+path, nil)
				if err != nil {
					b.Fatal(err)
				}
				req.Host = "a.localhost"
				return func() {
					res, err := tr.RoundTrip(req)
					if err != nil {
						b.Fatal(err)
					}
					io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
			}
			compare(b, get(addr), get(e.HTTPAddr().String()))
		})
	}
}

// BenchmarkKick cuts a thousand open connections and waits until each client
// has seen it.
func BenchmarkKick(b *testing.B) {
	e := newEdge(b, proxy.Config{})
	set(b, e, tcpApp("pong", echo(b, "a")))
	addr := tcpAddr(b, e)
	var spent time.Duration
	for b.Loop() {
		b.StopTimer()
		open := make([]*conn, 1000)
		for i := range open {
			open[i] = dial(b, addr)
			open[i].line()
		}
		b.StartTimer()
		start := time.Now()
		if got := e.Kick("pong"); got != len(open) {
			b.Fatalf("Kick() = %d, want %d", got, len(open))
		}
		for _, c := range open {
			c.dies()
		}
		spent += time.Since(start)
		for _, c := range open {
			c.Close()
		}
	}
	b.ReportMetric(float64(spent.Microseconds())/1000/float64(b.N), "ms/1000-connections")
}
