// Package demo holds the programs that a newcomer is shown: real ones, with
// real ports, logs, crashes and memory, run as subcommands of the one binary.
//
//	pitwall demo web      an HTTP service with JSON logs and loggers
//	pitwall demo worker   a queue worker with logfmt logs
//	pitwall demo chat     a TCP server with long connections
//	pitwall demo flaky    crashes with a panic every few seconds
//	pitwall demo leaky    grows until its memory limit
//	pitwall demo report   a job that a schedule starts
//	pitwall demo migrate  a job that a person starts
//	pitwall demo load     talks to web and chat through the edge
//
// Each ends well on SIGTERM and is nearly idle between its lines. What each
// does follows from a seed made of its instance's index, so that two runs of
// the demo look alike.
package demo

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// Run runs the program that args[0] names until it ends, ctx ends or a stop
// signal comes. Being stopped is no error.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	if len(args) == 0 {
		return fmt.Errorf("demo: name a program: %s", strings.Join(Names(), ", "))
	}
	switch name, rest := args[0], args[1:]; name {
	case "web":
		return web(ctx, stdout)
	case "worker":
		return worker(ctx, stdout)
	case "chat":
		return chat(ctx, stdout)
	case "flaky":
		return flaky(ctx, stdout, stderr)
	case "leaky":
		return leaky(ctx, stdout)
	case "report":
		return report(ctx, stdout)
	case "migrate":
		return migrate(ctx, stdout)
	case "load":
		return load(ctx, rest, stdout, stderr)
	}
	return fmt.Errorf("demo: no program is named %q: choose from %s", args[0], strings.Join(Names(), ", "))
}

// Names lists the programs.
func Names() []string {
	return []string{"web", "worker", "chat", "flaky", "leaky", "report", "migrate", "load"}
}

// listen opens the port that the platform gave, on loopback.
func listen(ctx context.Context) (net.Listener, error) {
	port := os.Getenv("PORT")
	if port == "" {
		port = "0"
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, fmt.Errorf("listen on $PORT: %w", err)
	}
	return l, nil
}

// random returns a source that is the same for the same instance.
func random(program string) *rand.Rand {
	h := fnv.New64a()
	io.WriteString(h, program+os.Getenv("PITWALL_INDEX"))
	return rand.New(rand.NewPCG(h.Sum64(), 1))
}

// between returns a duration from low up to high.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}

// sleep waits and reports whether the program goes on: false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// stamped writes a line with the time and a level in front.
func stamped(w io.Writer, level, format string, args ...any) {
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	fmt.Fprintf(w, "%s %-5s %s\n", now, level, fmt.Sprintf(format, args...))
}
