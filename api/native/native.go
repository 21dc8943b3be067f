// Package native serves Pitwall's own API, the protocol of backend/wire, from
// any Backend. A handler reads, makes one call and writes; what is allowed and
// what happens is the Backend's.
package native

import (
	"net/http"
	"sync/atomic"
	"time"

	"pitwall/api/httpx"
	"pitwall/backend"
	"pitwall/backend/wire"
)

// MaxBundle is the largest bundle that is taken, in bytes, unless a Config
// says otherwise.
const MaxBundle = 1 << 30

// Config says what is served and how. Only Backend must be set.
type Config struct {
	Backend backend.Backend
	Version string

	// AllowUpgrade refuses a websocket from a page of another site. It is
	// asked inside the upgrade, after the request has matched its route.
	// Nil allows no Origin but the request's own host.
	AllowUpgrade func(*http.Request) error

	MaxBundle int64         // 0 means [MaxBundle]
	PingEvery time.Duration // 0 means wire.PingEvery
	DeadAfter time.Duration // 0 means wire.DeadAfter
	Now       func() time.Time
}

// Handler serves the protocol. Its websockets end when the request's base
// context does, so a server that shuts down cancels http.Server.BaseContext.
type Handler struct {
	cfg    Config
	routes []route

	connections atomic.Int64
	feeds       atomic.Int64
	attachments atomic.Int64
	lagged      atomic.Uint64
	missed      atomic.Uint64
}

// New makes a handler.
func New(cfg Config) *Handler {
	if cfg.MaxBundle == 0 {
		cfg.MaxBundle = MaxBundle
	}
	if cfg.PingEvery == 0 {
		cfg.PingEvery = wire.PingEvery
	}
	if cfg.DeadAfter == 0 {
		cfg.DeadAfter = wire.DeadAfter
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	h := &Handler{cfg: cfg}
	h.routes = h.table()
	return h
}

// Mount adds the routes to mux, with an answer in the protocol's form for
// every other path under [wire.Prefix].
func (h *Handler) Mount(mux *http.ServeMux) {
	for _, r := range h.routes {
		mux.HandleFunc(r.method+" "+r.path, r.serve)
	}
	mux.HandleFunc(wire.Prefix+"/", func(w http.ResponseWriter, r *http.Request) {
		WriteError(w, backend.Errorf(backend.NotFound, "there is no %s %s", r.Method, r.URL.Path))
	})
}

// Stats are counts of what the handler has open and has told of.
type Stats struct {
	Connections int64  // websockets with feeds
	Feeds       int64  // open feeds
	Attachments int64  // open attachments
	Lagged      uint64 // times that a reader was told of a lag
	Missed      uint64 // items that it was told of
}

// Stats returns the counts of now.
func (h *Handler) Stats() Stats {
	return Stats{
		Connections: h.connections.Load(), Feeds: h.feeds.Load(), Attachments: h.attachments.Load(),
		Lagged: h.lagged.Load(), Missed: h.missed.Load(),
	}
}

// WriteError replies with a failure as the protocol has it.
func WriteError(w http.ResponseWriter, err error) {
	e := wire.EncodeError(err)
	if e.Code == backend.Unauthenticated {
		w.Header().Set("WWW-Authenticate", `Bearer realm="pitwall"`)
	}
	if e.Code == backend.Unavailable {
		w.Header().Set("Retry-After", "1")
	}
	httpx.WriteJSON(w, wire.Status(e.Code), wire.ErrorBody{Error: e})
}

// query reads the parameter q, the JSON of a query.
func query[Q any](r *http.Request) (Q, error) {
	var q Q
	values := r.URL.Query()
	for name := range values {
		if name != "q" {
			return q, backend.Errorf(backend.Invalid, "there is no parameter %q: write the query as JSON in q", name)
		}
	}
	text := values.Get("q")
	if text == "" {
		return q, nil
	}
	if err := httpx.Unmarshal([]byte(text), &q); err != nil {
		return q, backend.Errorf(backend.Invalid, "the parameter q: %w", err)
	}
	return q, nil
}
