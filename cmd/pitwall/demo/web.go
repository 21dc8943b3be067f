package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"pitwall/api/loglevel"
)

// drain is how long requests in flight may take to end: less than the grace
// of the demo's manifest.
const drain = 5 * time.Second

// shop is the HTTP service: a page, a cart, and a stream of prices.
type shop struct {
	http, db, cache *slog.Logger

	mu   sync.Mutex
	rand *rand.Rand
	hits int
}

// web serves until ctx ends, then lets the requests in flight end.
func web(ctx context.Context, out io.Writer) error {
	l, err := listen(ctx)
	if err != nil {
		return err
	}
	levels := loglevel.New(ctx, slog.NewJSONHandler(out, &slog.HandlerOptions{ReplaceAttr: loglevel.ReplaceAttr}))
	s := &shop{
		http:  levels.Logger("http"),
		db:    levels.Logger("db"),
		cache: levels.Logger("cache"),
		rand:  random("web"),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /stream", s.stream)
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /cart/{id}", s.cart)
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	s.http.Info("listening", "addr", l.Addr().String())
	return s.serve(ctx, server, l)
}

func (s *shop) serve(ctx context.Context, server *http.Server, l net.Listener) error {
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.http.Info("stopping, no new requests")
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := server.Shutdown(end); err != nil {
		s.http.Warn("requests were cut", "error", err)
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	s.http.Info("stopped")
	return nil
}

func (s *shop) page(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, func() string {
		s.cache.Debug("lookup", "key", "front-page", "hit", true)
		return "the shop is open\n"
	})
}

func (s *shop) cart(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, func() string {
		id := r.PathValue("id")
		n, wait := s.next()
		s.cache.Debug("lookup", "key", "cart:"+id, "hit", n%3 != 0)
		s.db.Debug("query", "sql", "select * from carts where id = $1", "cart", id, "ms", wait.Milliseconds())
		time.Sleep(wait)
		switch {
		case n%97 == 0:
			s.db.Error("connection lost, opened again", "pool", "carts", "error", "read tcp: connection reset by peer")
		case n%31 == 0:
			s.db.Warn("slow query", "sql", "select * from carts where id = $1", "ms", 180+wait.Milliseconds())
		}
		return "cart " + id + " is empty\n"
	})
}

// next returns the number of the request and how long its query takes.
func (s *shop) next() (int, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hits++
	return s.hits, between(s.rand, time.Millisecond, 12*time.Millisecond)
}

func (s *shop) answer(w http.ResponseWriter, r *http.Request, body func() string) {
	start := time.Now()
	s.http.Debug("request", "method", r.Method, "path", r.URL.Path, "agent", r.UserAgent())
	text := body()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, text)
	s.http.Info("answered", "method", r.Method, "path", r.URL.Path, "status", http.StatusOK,
		"ms", time.Since(start).Milliseconds())
}

// stream sends a price every two seconds until the client or the program
// leaves: a connection that stays open while the app is blocked.
func (s *shop) stream(w http.ResponseWriter, r *http.Request) {
	flush := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	s.http.Info("stream opened", "path", r.URL.Path)
	defer s.http.Info("stream closed", "path", r.URL.Path)
	for n := 1; ; n++ {
		_, wait := s.next()
		if _, err := fmt.Fprintf(w, "id: %d\nevent: price\ndata: {\"cents\":%d}\n\n", n, 900+wait.Milliseconds()); err != nil {
			return
		}
		if err := flush.Flush(); err != nil || !sleep(r.Context(), 2*time.Second) {
			return
		}
	}
}
