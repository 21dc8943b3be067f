package proxy

import "net/http"

// flow is what is open to a target: a TCP connection, an HTTP request, or the
// connection that a request was upgraded to.
type flow struct {
	pool    *pool
	process string // of the route
	http    bool

	// end closes it at once, from any goroutine. It is called at most once, when
	// the flow is no longer in the pool.
	end func()

	// Written under the pool's mu by the flow's own goroutine alone, which may
	// read them without.
	target    *target
	addr      string
	transport *http.Transport
	tried     []*target
}

// in counts bytes from the client.
func (f *flow) in(n int) {
	f.pool.totals.bytesIn.Add(uint64(n))
	f.target.totals.bytesIn.Add(uint64(n))
}

// out counts bytes to the client.
func (f *flow) out(n int) {
	f.pool.totals.bytesOut.Add(uint64(n))
	f.target.totals.bytesOut.Add(uint64(n))
}
