package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"pitwall/backend"
)

// A server hands its ownership on over the socket takeover.sock of the state
// folder: the taker connects and waits; the owner stops serving, closes its
// store, sends one message with the names of its open sockets and, beside it,
// those sockets and the lock as file descriptors, and ends. The lock lies on
// the open file, so there is no moment without an owner.

// heritage is what an owner hands on.
type heritage struct {
	lock      *os.File
	listeners map[string]*os.File // by name, see server.listen
}

// takeoverMessage goes with the descriptors: the lock first, then the
// listeners in the order of Names.
type takeoverMessage struct {
	Protocol int      `json:"protocol"`
	Version  string   `json:"version"`
	Names    []string `json:"names"`
	Err      string   `json:"err,omitempty"`
}

// Names of sockets in a take-over; an edge's has its address after the prefix.
const (
	socketName = "socket"
	tcpPrefix  = "tcp:"
	edgePrefix = "edge:"
)

// takeoverProtocol is 1 since the first release.
const takeoverProtocol = 1

// maxListeners bounds one take-over; the kernel takes 253 descriptors a message.
const maxListeners = 250

// takeOver asks the owner of the folder for everything. It waits until the
// owner has let go or ctx ends.
func takeOver(ctx context.Context, s stateFolder) (*heritage, error) {
	conn, err := dialUnix(ctx, s.file(takeoverFile))
	if err != nil {
		return nil, backend.Errorf(backend.Unavailable, "the server that owns %s cannot be reached to take over from it: %w", s.path, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	buf := make([]byte, 64<<10)
	oob := make([]byte, syscall.CmsgSpace(4*(maxListeners+1)))
	n, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
	if err != nil || n == 0 {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, backend.Errorf(backend.Conflict, "the server that owns %s did not hand over: %w", s.path, errors.Join(err, errors.New("it may have ended")))
	}
	files, err := receivedFiles(oob[:oobn])
	if err != nil {
		return nil, fmt.Errorf("take over: %w", err)
	}
	return newHeritage(buf[:n], files)
}

func newHeritage(raw []byte, files []*os.File) (*heritage, error) {
	var msg takeoverMessage
	err := json.Unmarshal(raw, &msg)
	switch {
	case err != nil:
		err = fmt.Errorf("read take-over message: %w", err)
	case msg.Err != "":
		err = backend.Errorf(backend.Conflict, "the owner did not hand over: %s", msg.Err)
	case msg.Protocol != takeoverProtocol:
		err = backend.Errorf(backend.Unsupported, "the owner, version %s, hands over by protocol %d, this is %d: end it with pitwall down", msg.Version, msg.Protocol, takeoverProtocol)
	case len(files) != len(msg.Names)+1:
		err = fmt.Errorf("take over: %d descriptors for %d sockets", len(files), len(msg.Names))
	}
	if err != nil {
		for _, f := range files {
			f.Close()
		}
		return nil, err
	}
	h := &heritage{lock: files[0], listeners: map[string]*os.File{}}
	for i, name := range msg.Names {
		h.listeners[name] = files[i+1]
	}
	return h, nil
}

// listener takes the socket with a name out of what was handed on; nil when
// there is none.
func (h *heritage) listener(name string) net.Listener {
	if h == nil || h.listeners[name] == nil {
		return nil
	}
	f := h.listeners[name]
	delete(h.listeners, name)
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil // the address is opened afresh
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	return l
}

// edge takes out the edge's sockets, by address.
func (h *heritage) edge() map[string]*os.File {
	if h == nil {
		return nil
	}
	sockets := map[string]*os.File{}
	for name, f := range h.listeners {
		if addr, ok := strings.CutPrefix(name, edgePrefix); ok {
			sockets[addr] = f
			delete(h.listeners, name)
		}
	}
	return sockets
}

// close drops what nobody took.
func (h *heritage) close() {
	if h == nil {
		return
	}
	for _, f := range h.listeners {
		f.Close()
	}
}

func receivedFiles(oob []byte) ([]*os.File, error) {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			return nil, err
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "inherited"))
		}
	}
	return files, nil
}

// handOver sends everything to the taker on conn. The caller has stopped
// serving and closed its store.
func handOver(conn *net.UnixConn, lock *os.File, listeners map[string]*os.File) error {
	msg := takeoverMessage{Protocol: takeoverProtocol, Version: version()}
	fds := []int{int(lock.Fd())}
	for name, f := range listeners {
		if len(fds) > maxListeners {
			break // the taker opens the rest afresh
		}
		msg.Names = append(msg.Names, name)
		fds = append(fds, int(f.Fd()))
	}
	raw, err := json.Marshal(msg)
	if err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	if _, _, err := conn.WriteMsgUnix(raw, syscall.UnixRights(fds...), nil); err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	return nil
}
