package remote_test

import (
	"net"
	"sync"
	"testing"
)

// proxy stands between a client and a server and breaks their connections.
type proxy struct {
	net.Listener
	to string

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	budget func() (up, down int64) // bytes of the next connection; -1 for no end
	frozen chan struct{}           // nil while bytes pass
	down   bool                    // refuses everybody
	taken  int                     // connections so far
	wg     sync.WaitGroup
}

func newProxy(t *testing.T, to net.Addr) *proxy {
	p := &proxy{Listener: listen(t, "tcp", "127.0.0.1:0"), to: to.String(), conns: make(map[net.Conn]struct{})}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		p.thaw()
		p.Close()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) url() string { return "http://" + p.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		down, to := p.down, p.to
		up, back := int64(-1), int64(-1)
		if p.budget != nil {
			up, back = p.budget()
		}
		p.mu.Unlock()
		server, err := net.Dial("tcp", to)
		if down || err != nil {
			client.Close()
			if err == nil {
				server.Close()
			}
			continue
		}
		p.mu.Lock()
		p.taken++
		p.conns[client], p.conns[server] = struct{}{}, struct{}{}
		p.mu.Unlock()
		p.wg.Go(func() { p.copy(server, client, up) })
		p.wg.Go(func() { p.copy(client, server, back) })
	}
}

// copy moves bytes until the budget is spent, then breaks both ends.
func (p *proxy) copy(to, from net.Conn, budget int64) {
	defer func() {
		from.Close()
		to.Close()
		p.mu.Lock()
		delete(p.conns, from)
		delete(p.conns, to)
		p.mu.Unlock()
	}()
	buf := make([]byte, 4096)
	for budget != 0 {
		part := buf
		if budget > 0 {
			part = buf[:min(int64(len(buf)), budget)]
		}
		n, err := from.Read(part)
		p.mu.Lock()
		frozen := p.frozen
		p.mu.Unlock()
		if frozen != nil {
			<-frozen
		}
		if _, werr := to.Write(part[:n]); werr != nil || err != nil {
			return
		}
		if budget > 0 {
			budget -= int64(n)
		}
	}
}

// cut breaks every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

// freeze holds every byte back without breaking anything.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = make(chan struct{})
}

func (p *proxy) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}

func (p *proxy) setDown(down bool) {
	p.mu.Lock()
	p.down = down
	p.mu.Unlock()
	if down {
		p.cut()
	}
}

func (p *proxy) setBudget(budget func() (up, down int64)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.budget = budget
}
