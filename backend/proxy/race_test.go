package proxy

import (
	"errors"
	"net"
	"testing"
)

// pair is a connection and its peer.
func pair(t *testing.T) (*net.TCPConn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

func TestConnectionKickedWhileItWasDialledIsClosed(t *testing.T) {
	front, _ := pair(t)
	back, _ := pair(t)
	tn := &tunnel{client: front, cancel: func() {}}
	tn.abort()
	if tn.reached(back) {
		t.Error("reached() after abort() = true, want false")
	}
	if err := back.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the instance's side was still open: Close() = %v", err)
	}
}

func TestClientThatClosedDoesNotRest(t *testing.T) {
	front, _ := pair(t)
	e := New(Config{})
	e.enter()
	c := &client{TCPConn: front, edge: e}
	p := newPool("shop")
	p.rest(c)
	if got := p.counts().Connections; got != 1 {
		t.Errorf("Connections while it rests = %d, want 1", got)
	}
	c.Close()
	p.rest(c)
	if got := p.counts().Connections; got != 0 {
		t.Errorf("Connections after it closed = %d, want 0", got)
	}
	e.Close()
}
