package proxy

import "sync/atomic"

// Counts are an app's or an instance's figures. What is open is as of now, the
// rest since the app was first declared.
type Counts struct {
	Connections int // what a kick would close
	InFlight    int // HTTP requests, upgraded ones among them

	Requests uint64 // HTTP requests passed on to an instance
	Errors   uint64 // 5xx answers, the edge's own for want of an instance among them
	Refused  uint64 // requests and connections refused: blocked or not attached
	Unserved uint64 // requests and connections for which no instance was to be had
	BytesIn  uint64 // from clients: TCP, upgraded connections, request bodies
	BytesOut uint64 // to clients
}

// AppCounts are an app's figures and those of its instances, by target ID.
// Refused and Unserved are counted for the app alone.
type AppCounts struct {
	Counts
	Instances map[string]Counts
}

// counters are the figures that only grow.
type counters struct {
	requests, errors, refused, unserved, bytesIn, bytesOut atomic.Uint64
}

// Counts returns the figures of all apps by ID.
func (e *Edge) Counts() map[string]AppCounts {
	pools := e.allPools()
	all := make(map[string]AppCounts, len(pools))
	for _, p := range pools {
		all[p.id] = p.counts()
	}
	return all
}

// CountsOf returns one app's figures; false if it is not declared.
func (e *Edge) CountsOf(appID string) (AppCounts, bool) {
	p := e.pool(appID)
	if p == nil {
		return AppCounts{}, false
	}
	return p.counts(), true
}

func (p *pool) counts() AppCounts {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := AppCounts{Counts: p.totals.counts(), Instances: make(map[string]Counts, len(p.targets))}
	c.Connections = len(p.flows) + len(p.idle)
	c.InFlight = p.requests
	for id, t := range p.targets {
		i := t.totals.counts()
		i.Connections, i.InFlight = t.open+t.idle, t.requests
		c.Instances[id] = i
	}
	return c
}

func (c *counters) counts() Counts {
	return Counts{
		Requests: c.requests.Load(),
		Errors:   c.errors.Load(),
		Refused:  c.refused.Load(),
		Unserved: c.unserved.Load(),
		BytesIn:  c.bytesIn.Load(),
		BytesOut: c.bytesOut.Load(),
	}
}
