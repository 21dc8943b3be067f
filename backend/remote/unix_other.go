//go:build !linux

package remote

import (
	"context"
	"net"
)

// dialUnix connects to a unix socket. A path that is too long for a socket's
// address fails.
func dialUnix(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", path)
}
