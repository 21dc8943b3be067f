package process

import (
	"fmt"
	"net"
	"sync"

	"pitwall/backend"
)

// ports hands out the loopback ports of instances.
type ports struct {
	span PortRange

	mu   sync.Mutex
	next int
	held map[int]string // port to instance
}

func newPorts(span PortRange) *ports {
	return &ports{span: span, next: span.First, held: map[int]string{}}
}

// hold notes that an instance has a port since an earlier server. It reports
// false when another instance has it.
func (p *ports) hold(port int, id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if owner, taken := p.held[port]; taken && owner != id {
		return false
	}
	p.held[port] = id
	return true
}

// take returns a port that no instance has and that nothing listens on now. It
// walks the range, so that a port rests as long as possible before it is used
// again: clients of the instance before must not meet another program there.
func (p *ports) take(id string) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range p.span.Last - p.span.First + 1 {
		port := p.next
		if p.next++; p.next > p.span.Last {
			p.next = p.span.First
		}
		if _, taken := p.held[port]; taken || !portFree(port) {
			continue
		}
		p.held[port] = id
		return port, nil
	}
	return 0, backend.Errorf(backend.Exhausted, "every port from %d to %d is in use", p.span.First, p.span.Last)
}

// release gives a port back.
func (p *ports) release(port int, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[port] == id {
		delete(p.held, port)
	}
}

// portFree reports whether a program can listen on the port: on loopback, and
// on all addresses, which is what most programs do.
func portFree(port int) bool {
	for _, host := range []string{"127.0.0.1", ""} {
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, port))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}
