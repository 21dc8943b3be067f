package demo

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// loadSummary is how often the load generator says what it did.
const loadSummary = 10 * time.Second

// loader is a load generator: a few visitors of the web app, a few watchers of
// its stream and a few guests of the chat.
type loader struct {
	log    *slog.Logger
	client *http.Client
	url    string // of the edge
	host   string // of the web app
	chat   string // HOST:PORT
	rate   float64

	mu   sync.Mutex
	rand *rand.Rand
	last tally
	down bool // the last request was not answered well
}

// tally counts what happened since the last summary.
type tally struct {
	ok, refused, failed int
	took                []time.Duration
}

// load runs until ctx ends. Apps that are blocked, kicked, gone or not there
// yet slow it down and never end it.
func load(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	l := &loader{rand: random("load"), log: slog.New(slog.NewTextHandler(stdout, nil))}
	var edge string
	var streams, guests int
	flags := flag.NewFlagSet("demo load", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&edge, "edge", "127.0.0.1:7080", "the edge's HTTP listener, `HOST:PORT`")
	flags.StringVar(&l.host, "host", "web.localhost", "the host name of the web app's route")
	flags.StringVar(&l.chat, "chat", "127.0.0.1:7091", "the chat app's TCP route, `HOST:PORT`; empty is none")
	flags.Float64Var(&l.rate, "rate", 8, "requests a second")
	flags.IntVar(&streams, "streams", 2, "streams held open")
	flags.IntVar(&guests, "guests", 3, "chat connections held open")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("demo load: %w", err)
	}
	if !(l.rate > 0 && l.rate <= 1000) {
		return fmt.Errorf("demo load: --rate %v: give more than 0 and at most 1000", l.rate)
	}
	l.url = "http://" + edge
	transport := &http.Transport{MaxIdleConnsPerHost: 4, ResponseHeaderTimeout: 5 * time.Second}
	defer transport.CloseIdleConnections()
	l.client = &http.Client{Transport: transport}

	l.log.Info("started", "edge", edge, "host", l.host, "chat", l.chat, "rate", l.rate)
	var group sync.WaitGroup
	group.Go(func() { l.visit(ctx) })
	for range streams {
		group.Go(func() { l.persist(ctx, "stream", l.watch) })
	}
	for n := range guests {
		if l.chat != "" {
			group.Go(func() { l.persist(ctx, "chat", l.guest("load-"+strconv.Itoa(n))) })
		}
	}
	for sleep(ctx, loadSummary) {
		l.summarise()
	}
	group.Wait()
	l.log.Info("stopped")
	return nil
}

// visit sends one request after the other at the rate, and fewer while they
// are not answered well.
func (l *loader) visit(ctx context.Context) {
	pause := time.Duration(float64(time.Second) / l.rate)
	backoff := time.Duration(0)
	for n := 0; sleep(ctx, pause+backoff); n++ {
		path := "/"
		if n%3 != 0 {
			path = fmt.Sprintf("/cart/%d", 100+n%50)
		}
		if l.request(ctx, path) || ctx.Err() != nil {
			backoff = 0
			continue
		}
		backoff = min(2*backoff+100*time.Millisecond, 2*time.Second)
	}
}

// request reports whether the web app answered well.
func (l *loader) request(ctx context.Context, path string) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	start := time.Now()
	resp, err := l.open(ctx, path)
	if err != nil {
		l.count(0, 0, err)
		return false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	l.count(resp.StatusCode, time.Since(start), err)
	return err == nil && resp.StatusCode == http.StatusOK
}

func (l *loader) open(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url+path, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Host = l.host
	req.Header.Set("User-Agent", "pitwall-demo-load")
	return l.client.Do(req)
}

// count adds a request to the tally, and says it when the web app goes or
// comes back.
func (l *loader) count(status int, took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	well := err == nil && status == http.StatusOK
	switch {
	case well:
		l.last.ok++
		l.last.took = append(l.last.took, took)
	case err != nil:
		l.last.failed++
	default:
		l.last.refused++
	}
	if well == l.down {
		l.down = !well
		switch {
		case well:
			l.log.Info("web answers")
		case errors.Is(err, context.Canceled):
		case err != nil:
			l.log.Warn("web cannot be reached", "error", err)
		default:
			l.log.Warn("web refuses", "status", status)
		}
	}
}

func (l *loader) summarise() {
	l.mu.Lock()
	t := l.last
	l.last = tally{}
	l.mu.Unlock()
	slices.Sort(t.took)
	var middle time.Duration
	if len(t.took) > 0 {
		middle = t.took[len(t.took)/2]
	}
	l.log.Info("summary", "ok", t.ok, "refused", t.refused, "failed", t.failed, "p50", middle.Round(100*time.Microsecond))
}

// persist holds a connection open, and opens it again, ever more slowly, when
// it is cut.
func (l *loader) persist(ctx context.Context, kind string, hold func(context.Context) error) {
	backoff := 200 * time.Millisecond
	for ctx.Err() == nil {
		start := time.Now()
		err := hold(ctx)
		if ctx.Err() != nil {
			return
		}
		held := time.Since(start)
		if held > time.Second {
			backoff = 200 * time.Millisecond
			l.log.Warn(kind+" connection was cut", "held", held.Round(time.Millisecond), "error", err)
		}
		if !sleep(ctx, backoff+l.jitter(backoff)) {
			return
		}
		backoff = min(2*backoff, 5*time.Second)
	}
}

func (l *loader) jitter(upTo time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return between(l.rand, 0, upTo)
}

// watch reads the web app's stream of prices until it ends.
func (l *loader) watch(ctx context.Context) error {
	resp, err := l.open(ctx, "/stream")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("stream: status %d", resp.StatusCode)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	return nil
}

// guest returns a visit to the chat: a name, a line every few seconds, and
// everything that is said read.
func (l *loader) guest(nick string) func(context.Context) error {
	return func(ctx context.Context) error {
		dialer := net.Dialer{Timeout: 5 * time.Second}
		conn, err := dialer.DialContext(ctx, "tcp", l.chat)
		if err != nil {
			return err
		}
		defer conn.Close()
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		var reader sync.WaitGroup
		defer reader.Wait()
		defer conn.Close() // So that the reader ends first.
		reader.Go(func() {
			lines := bufio.NewScanner(conn)
			for lines.Scan() {
				continue
			}
			cancel(errors.Join(io.EOF, lines.Err()))
		})
		line := "NICK " + nick
		for n := 1; ; n++ {
			if _, err := io.WriteString(conn, line+"\n"); err != nil {
				return fmt.Errorf("say: %w", err)
			}
			if !sleep(ctx, 2*time.Second+l.jitter(3*time.Second)) {
				return context.Cause(ctx)
			}
			line = fmt.Sprintf("SAY this is line %d of %s", n, nick)
		}
	}
}
