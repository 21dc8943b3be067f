package proxy

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// listener is one listening socket.
type listener struct {
	address string // as declared
	tcp     *net.TCPListener

	// Where it leads, guarded by the edge's mu; no pool for the HTTP listener.
	pool    *pool
	process string
}

// Listening is one address that the edge listens on.
type Listening struct {
	Address string   // as declared
	Addr    net.Addr // as it is: differs where the port was 0 or the host a name
	App     string   // whose route it is; empty for the HTTP listener
}

// Listening lists what is open, by address.
func (e *Edge) Listening() []Listening {
	e.mu.RLock()
	defer e.mu.RUnlock()
	all := make([]Listening, 0, len(e.listeners))
	for _, l := range e.listeners {
		v := Listening{Address: l.address, Addr: l.tcp.Addr()}
		if l.pool != nil {
			v.App = l.pool.id
		}
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b Listening) int { return strings.Compare(a.Address, b.Address) })
	return all
}

// Addr is where the edge listens for a declared TCP address or for its HTTP
// routes ([Config.HTTPAddr]), and nil where it does not.
func (e *Edge) Addr(address string) net.Addr { return e.addrOf(address) }

// HTTPAddr is where the edge listens for HTTP routes, and nil while there are
// none.
func (e *Edge) HTTPAddr() net.Addr { return e.addrOf(e.httpAddr) }

// Files returns a duplicate of every listening socket by its declared address,
// for the edge of a new process to take over with [Config.Inherited]. The
// caller closes them. The edge goes on serving; whoever accepts first gets the
// connection, until [Edge.CloseListeners]. Handing the files to another process
// does not disturb the sockets of this one.
func (e *Edge) Files() (map[string]*os.File, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	files := make(map[string]*os.File, len(e.listeners))
	for address, l := range e.listeners {
		f, err := duplicate(l.tcp)
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			return nil, fmt.Errorf("duplicate listener %s: %w", address, err)
		}
		files[address] = f
	}
	return files, nil
}

// CloseListeners stops accepting, for good: another edge has taken over.
// Connections that are queued in a socket another process holds are not lost.
// Open connections run on; block and kick go on working.
func (e *Edge) CloseListeners() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.handedOver = true
	e.closeListeners()
}

// DropInherited closes the inherited sockets that no route has asked for and
// returns their addresses. Until then clients that connect there wait. Call it
// when every app has been declared once.
func (e *Edge) DropInherited() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dropInherited()
}

func (e *Edge) dropInherited() []string {
	var dropped []string
	for address, f := range e.inherited {
		f.Close()
		dropped = append(dropped, address)
	}
	clear(e.inherited)
	slices.Sort(dropped)
	return dropped
}

// listen opens or inherits a socket for the address. The caller holds mu.
func (e *Edge) listen(address string) (*listener, error) {
	if e.handedOver {
		return nil, ErrHandedOver
	}
	tcp, err := e.openSocket(address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	l := &listener{address: address, tcp: tcp}
	e.listeners[address] = l
	e.log.Info("edge listens", "address", tcp.Addr().String())
	return l, nil
}

func (e *Edge) openSocket(address string) (*net.TCPListener, error) {
	f := e.inherited[address]
	if f == nil {
		addr, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			return nil, err
		}
		tcp, err := net.ListenTCP("tcp", addr)
		return tcp, plain(err)
	}
	delete(e.inherited, address)
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("take the inherited socket: %w", err)
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("take the inherited socket: it is %T, not TCP", l)
	}
	return tcp, nil
}

// plain strips what the caller says anyway from an error of listen.
func plain(err error) error {
	if op, ok := err.(*net.OpError); ok {
		if call, ok := op.Err.(*os.SyscallError); ok {
			return call.Err
		}
		return op.Err
	}
	return err
}

func (e *Edge) closeListener(address string) {
	l := e.listeners[address]
	if l == nil {
		return
	}
	delete(e.listeners, address)
	l.tcp.Close()
	e.log.Info("edge stops listening", "address", l.tcp.Addr().String())
}

func (e *Edge) closeListeners() {
	for address := range e.listeners {
		e.closeListener(address)
	}
}

// duplicate is what TCPListener.File does but for one thing: to read the
// descriptor of such a File makes the socket blocking, here and in every process
// that shares it, and an accept loop on a blocking socket cannot be closed.
func duplicate(l *net.TCPListener) (*os.File, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var dupErr error
	if err := raw.Control(func(s uintptr) {
		fd, dupErr = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, dupErr
	}
	return os.NewFile(uintptr(fd), l.Addr().String()), nil
}
