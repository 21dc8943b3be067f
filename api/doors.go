package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"pitwall/api/httpx"
	"pitwall/api/native"
	"pitwall/backend"
	"pitwall/backend/wire"
)

// The names of the doors.
const (
	SocketDoor = "socket"
	TCPDoor    = "tcp"
)

// tokenPrincipal is who bears the server's token: until there are users, its
// owner.
const tokenPrincipal = "token"

// peer is who is at the other end of a unix socket.
type peer struct {
	uid  int
	name string
	err  error // why it is not known
}

type peerKey struct{}

// ConnContext puts the user at the other end of a unix socket into the context
// of a connection's requests. It is for http.Server.ConnContext.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, peerOf(unix))
}

func peerOf(conn *net.UnixConn) peer {
	uid, err := peerUID(conn)
	if err != nil {
		return peer{err: err}
	}
	name := "uid " + strconv.Itoa(uid)
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		name = u.Username
	}
	return peer{uid: uid, name: name}
}

// CheckPeer fails with Denied unless the other end of a unix socket is the
// server's own user or root.
func CheckPeer(conn *net.UnixConn) error { return peerOf(conn).check(os.Getuid()) }

func (p peer) check(own int) error {
	if p.err != nil {
		return backend.Errorf(backend.Denied, "who is calling at the socket is not known: %w", p.err)
	}
	if p.uid != own && p.uid != 0 {
		return backend.Errorf(backend.Denied, "%s is not the user that this server runs as", p.name)
	}
	return nil
}

// doorOf returns which door a request came by.
func doorOf(r *http.Request) string {
	if _, ok := r.Context().Value(peerKey{}).(peer); ok {
		return SocketDoor
	}
	if _, ok := r.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr); ok {
		return SocketDoor
	}
	return TCPDoor
}

// doors lets in who may call.
type doors struct {
	cfg   Config
	token [sha256.Size]byte
}

func digest(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

// guard lets requests through that say who is calling, with the attribution in
// their context.
func (d *doors) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := backend.Attribution{Door: doorOf(r), Address: r.RemoteAddr, Request: r.Header.Get(wire.RequestHeader)}
		var err error
		if a.Door == SocketDoor {
			a.Principal, err = d.atSocket(r)
		} else {
			a.Principal, err = d.atTCP(r)
		}
		if err != nil {
			native.WriteError(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(backend.WithAttribution(r.Context(), a)))
	})
}

func (d *doors) atSocket(r *http.Request) (backend.Principal, error) {
	p, ok := r.Context().Value(peerKey{}).(peer)
	if !ok {
		return backend.Principal{}, backend.Errorf(backend.Denied, "this socket does not say who is calling")
	}
	if err := p.check(os.Getuid()); err != nil {
		return backend.Principal{}, err
	}
	return backend.Principal{Name: p.name, Admin: true}, nil
}

func (d *doors) atTCP(r *http.Request) (backend.Principal, error) {
	if err := d.checkHost(r); err != nil {
		return backend.Principal{}, err
	}
	token, ok := httpx.Bearer(r)
	if !ok {
		return backend.Principal{}, backend.Errorf(backend.Unauthenticated, "a token is missing: set PITWALL_TOKEN to the server's token")
	}
	// Digests have one length, so that comparing them tells nothing.
	given := digest(token)
	if subtle.ConstantTimeCompare(given[:], d.token[:]) != 1 || d.cfg.Token == "" {
		return backend.Principal{}, backend.Errorf(backend.Unauthenticated, "the token is not this server's: check PITWALL_TOKEN")
	}
	return backend.Principal{Name: tokenPrincipal, Admin: true}, nil
}

// checkHost refuses a request that was sent to a name which is not the
// server's: a page elsewhere can have its name resolve to this machine, and
// then counts as of the same origin.
func (d *doors) checkHost(r *http.Request) error {
	host := hostname(r.Host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() {
		return nil
	}
	if slices.ContainsFunc(d.cfg.Hosts, func(h string) bool { return hostname(h) == host }) {
		return nil
	}
	return backend.Errorf(backend.Denied, "this server is not addressed as %q", host)
}

// hostname is a host without its port, in lower case.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// allowUpgrade refuses a websocket that a page of another site opens. It is
// called inside the upgrade, so that no way of writing a path goes past it.
func (d *doors) allowUpgrade(r *http.Request) error {
	if doorOf(r) == TCPDoor {
		if err := d.checkHost(r); err != nil {
			return err
		}
	}
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return nil
	}
	origin := origins[0]
	u, err := url.Parse(origin)
	switch {
	case len(origins) > 1 || err != nil || u.Host == "":
	case strings.EqualFold(u.Host, r.Host):
		return nil
	case slices.ContainsFunc(d.cfg.Origins, func(o string) bool { return strings.EqualFold(o, u.Scheme+"://"+u.Host) }):
		return nil
	}
	return backend.Errorf(backend.Denied, "a page of %q may not open a websocket here", origin)
}
