// Package api is the server's handler: it mounts the native protocol and the
// dialects on one mux, and keeps the doors. At a unix socket the caller is who
// the kernel says, at TCP who has the token; what a caller may do is the
// Backend's to decide.
package api

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	"pitwall/api/native"
	"pitwall/backend"
	"pitwall/backend/wire"
)

// ReadHeaderTimeout and MaxHeaderBytes are what an http.Server around the
// handler should have.
const (
	ReadHeaderTimeout = 5 * time.Second
	MaxHeaderBytes    = 64 << 10
)

// Config says what is served. Only Backend must be set; it is normally a
// guard's.
type Config struct {
	Backend backend.Backend
	Version string

	// Ready says why the server is not ready; nil, and a nil function,
	// mean that it is.
	Ready func() error

	// Token is what callers over TCP must bear. Empty: nobody may.
	Token string

	// Hosts are names, beside the loopback ones, by which the server may
	// be addressed over TCP. Any other is refused, since it may be a page
	// that had its own name point here.
	Hosts []string

	// Origins are the sites, written scheme://host, whose pages may open
	// websockets, beside the server's own.
	Origins []string

	// Metrics serves /metrics in place of the handler's own figures.
	Metrics http.Handler

	// Log has an entry for each request at debug, and for each panic at
	// error. Nil means slog.Default.
	Log *slog.Logger
}

// New returns the handler of every door. An http.Server that uses it sets
// ConnContext to [ConnContext], without which nobody is known at a socket, and
// ends its BaseContext when it shuts down, which ends the websockets.
func New(cfg Config) http.Handler {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	d := &doors{cfg: cfg, token: digest(cfg.Token)}
	n := native.New(native.Config{Backend: cfg.Backend, Version: cfg.Version, AllowUpgrade: d.allowUpgrade})
	m := newMetrics(cfg, n)

	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		native.WriteError(w, backend.Errorf(backend.NotFound, "there is no %s %s", r.Method, r.URL.Path))
	})
	n.Mount(mux)
	if cfg.Metrics != nil {
		mux.Handle("GET /metrics", cfg.Metrics)
	} else {
		mux.Handle("GET /metrics", m)
	}

	open := http.NewServeMux()
	open.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok") })
	open.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { ready(w, cfg.Ready) })
	open.Handle("/", d.guard(mux))
	return observe(cfg.Log, m, open)
}

func ready(w http.ResponseWriter, ready func() error) {
	if ready != nil {
		if err := ready(); err != nil {
			writeText(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
	}
	writeText(w, http.StatusOK, "ok")
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}

// requestID is what a caller may choose as the id of its request.
var requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// observe gives each request an id, counts it, logs it, and turns a panic into
// an error reply.
func observe(log *slog.Logger, m *metrics, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(wire.RequestHeader)
		if !requestID.MatchString(id) {
			id = newRequestID()
		}
		r.Header.Set(wire.RequestHeader, id)
		w.Header().Set(wire.RequestHeader, id)
		seen := &observed{ResponseWriter: w}
		began := time.Now()
		defer func() {
			failure := recover()
			if failure != nil && failure != http.ErrAbortHandler {
				log.Error("panic in a request", "request", id, "path", r.URL.Path, "panic", failure, "stack", string(debug.Stack()))
				if seen.status == 0 {
					native.WriteError(seen, backend.Errorf(backend.Internal, "a defect: the server's log has request %s", id))
				}
			}
			m.request(doorOf(r), seen.code())
			log.Debug("request",
				"request", id, "door", doorOf(r), "address", r.RemoteAddr, "method", r.Method, "path", r.URL.Path,
				"status", seen.code(), "bytes", seen.bytes, "took", time.Since(began))
			if failure == http.ErrAbortHandler {
				panic(failure) // The way to break off a reply, for net/http alone.
			}
		}()
		next.ServeHTTP(seen, r)
	})
}

func newRequestID() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
