package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// sendLimit is how long a client may be deaf before it is dropped: the
// keeper's own work must not wait for it.
const sendLimit = time.Second

// server accepts clients on keeper.sock.
type server struct {
	k  *keeper
	ln *net.UnixListener
}

func listen(k *keeper) (*server, error) {
	// The log's lock is held: a socket that lies here belongs to nobody.
	os.Remove(socketName)
	ln, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: socketName, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", socketName, err)
	}
	ln.SetUnlinkOnClose(true)
	if err := os.Chmod(socketName, 0o600); err != nil {
		ln.Close()
		return nil, fmt.Errorf("protect %s: %w", socketName, err)
	}
	s := &server{k: k, ln: ln}
	go s.accept()
	return s, nil
}

func (s *server) close() { s.ln.Close() }

func (s *server) accept() {
	for {
		conn, err := s.ln.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.k.complain(err)
			time.Sleep(100 * time.Millisecond) // out of descriptors, most likely
			continue
		}
		if err := checkPeer(conn); err != nil {
			s.k.complain(err)
			conn.Close()
			continue
		}
		p := &peer{k: s.k, conn: conn}
		go p.serve()
	}
}

// checkPeer refuses processes of other users.
func checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) {
		cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if cerr != nil {
		return fmt.Errorf("identify peer: %w", cerr)
	}
	if cred.Uid != 0 && int(cred.Uid) != os.Geteuid() {
		return fmt.Errorf("peer has uid %d: %w", cred.Uid, os.ErrPermission)
	}
	return nil
}

// peer is one client's connection.
type peer struct {
	k    *keeper
	conn *net.UnixConn
	mu   sync.Mutex
}

func (p *peer) serve() {
	defer func() {
		p.conn.Close()
		p.k.post(func() { delete(p.k.conns, p) })
	}()
	buf := make([]byte, 4<<10)
	for {
		n, err := p.conn.Read(buf)
		if err != nil || n == 0 {
			return
		}
		var r request
		if err := json.Unmarshal(buf[:n], &r); err != nil {
			p.send(message{Error: "bad request: " + err.Error()})
			return
		}
		p.k.post(func() { p.k.answer(p, r) })
	}
}

// send writes one message, with the pipes of a run where it has any.
func (p *peer) send(m message, pipes ...*os.File) {
	body, err := json.Marshal(m)
	if err != nil {
		return
	}
	var fds []int
	for _, f := range pipes {
		conn, err := f.SyscallConn()
		if err != nil {
			continue
		}
		conn.Control(func(fd uintptr) {
			// A duplicate, so that the run may close its own meanwhile.
			if d, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err == nil {
				fds = append(fds, d)
			}
		})
	}
	var oob []byte
	if len(fds) == 2 {
		oob = unix.UnixRights(fds...)
	}
	p.mu.Lock()
	p.conn.SetWriteDeadline(time.Now().Add(sendLimit))
	_, _, err = p.conn.WriteMsgUnix(body, oob, nil)
	p.mu.Unlock()
	for _, fd := range fds {
		unix.Close(fd)
	}
	if err != nil {
		p.conn.Close() // it comes back with a new connection, and asks
	}
}

// answer does what a client asks.
func (k *keeper) answer(p *peer, r request) {
	reply := func(err error) {
		m := message{ID: r.ID}
		if err != nil {
			m.Error = err.Error()
		} else {
			m.Status = k.status()
		}
		p.send(m)
	}
	if !k.conns[p] && r.Op != "hello" {
		reply(errors.New("say hello first"))
		return
	}
	o := StopOptions{Signal: r.Signal, Grace: time.Duration(r.GraceMS) * time.Millisecond, Force: r.Force}
	switch r.Op {
	case "hello":
		k.hello(p, r)
	case "status":
		reply(nil)
	case "stop":
		k.again = false
		k.stop(o, reply)
	case "start":
		k.start(reply)
	case "restart":
		k.restart(o, reply)
	case "signal":
		reply(k.signal(r.Signal))
	case "kill-tree":
		if k.cur == nil {
			reply(errNotRunning)
			return
		}
		go k.cur.kill(k)
		reply(nil)
	case "pipes":
		if k.cur == nil {
			reply(errNotRunning)
			return
		}
		k.sendPipes(p, message{ID: r.ID, Status: k.status()})
	case "shutdown":
		k.shutdown(r.Force, reply)
	default:
		reply(fmt.Errorf("unknown request %q", r.Op))
	}
}

func (k *keeper) hello(p *peer, r request) {
	for v := ProtocolVersion; v >= oldestVersion; v-- {
		if slices.Contains(r.Versions, v) {
			k.conns[p] = true
			k.sendPipes(p, message{ID: r.ID, Version: v, Status: k.status()})
			return
		}
	}
	p.send(message{ID: r.ID, Error: fmt.Sprintf(
		"this keeper speaks protocol %d to %d, not %v", oldestVersion, ProtocolVersion, r.Versions,
	)})
}

func (k *keeper) signal(name string) error {
	if k.cur == nil {
		return errNotRunning
	}
	s, err := parseSignal(name)
	if err != nil {
		return err
	}
	return k.cur.signal(s)
}

var errNotRunning = errors.New("it is not running")

// sendPipes sends a message with the pipes of the current run, if it has any.
func (k *keeper) sendPipes(p *peer, m message) {
	if k.cur == nil || k.cur.pipes[0] == nil {
		p.send(m)
		return
	}
	m.Pipes = k.cur.number
	p.send(m, k.cur.pipes[:]...)
}

// tell pushes an event to all clients.
func (k *keeper) tell(e Event) {
	e.Time = time.Now()
	for p := range k.conns {
		p.send(message{Event: &e})
	}
}

func (k *keeper) tellWithPipes(e Event) {
	e.Time = time.Now()
	for p := range k.conns {
		k.sendPipes(p, message{Event: &e})
	}
}
