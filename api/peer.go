//go:build linux || darwin

package api

import (
	"fmt"
	"net"
)

// peerUID asks the kernel who opened the other end.
func peerUID(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("ask for the peer's user: %w", err)
	}
	var uid int
	var inner error
	if err = raw.Control(func(fd uintptr) { uid, inner = socketPeer(int(fd)) }); err == nil {
		err = inner
	}
	if err != nil {
		return 0, fmt.Errorf("ask for the peer's user: %w", err)
	}
	return uid, nil
}
