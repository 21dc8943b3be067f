package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"pitwall/backend"
	"pitwall/backend/remote"
)

// This file is the one place that chooses which server to talk to.

// attach reaches the server that --server names, or the owner of the state
// folder. It returns nil when there is no owner. It does not wait for the
// network.
func (c *cli) attach(ctx context.Context) (*remote.Client, error) {
	if c.server != "" {
		return remote.Dial(ctx, remote.Config{URL: c.server, Token: c.token})
	}
	s, err := c.stateFolder()
	if err != nil {
		return nil, err
	}
	return c.dialOwner(ctx, s)
}

// ownerTime bounds how long an owner may take to open its socket; then trying
// to reach it says what is wrong.
const ownerTime = 10 * time.Second

// dialOwner reaches the owner of the folder. One that has just taken the
// folder, or is about to let go of it, has no socket that answers: that does
// not last. It returns nil when there is no owner.
func (c *cli) dialOwner(ctx context.Context, s stateFolder) (*remote.Client, error) {
	opening, cancel := context.WithTimeout(ctx, ownerTime)
	defer cancel()
	for s.owned() {
		conn, err := dialUnix(opening, s.file(socketFile))
		if err == nil {
			conn.Close()
			return c.dialState(ctx, s)
		}
		select {
		case <-opening.Done():
			if ctx.Err() != nil {
				return nil, backend.Errorf(backend.Timeout, "reach the owner of state folder %s: %w", s.path, context.Cause(ctx))
			}
			return c.dialState(ctx, s)
		case <-time.After(lockPoll):
		}
	}
	return nil, nil
}

func (c *cli) dialState(ctx context.Context, s stateFolder) (*remote.Client, error) {
	return remote.Dial(ctx, remote.Config{URL: "unix:" + s.file(socketFile)})
}

// with gives f a Backend: a running server's, or that of a server of its own,
// which is handed on to a process of its own if anything runs when f is done.
// Where the folder's owner lets go before f has printed anything, f is called
// again.
func (c *cli) with(ctx context.Context, f func(context.Context, backend.Backend) error) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	out := &counted{Writer: c.out}
	c.out = out
	defer func() { c.out = out.Writer }()
	for tries := 1; ; tries++ {
		err := timed(ctx, c.withOne(ctx, f))
		gone := errors.Is(err, errOwned) || c.server == "" && backend.CodeOf(err) == backend.Unavailable
		if !gone || out.n > 0 || tries == ownerTries || ctx.Err() != nil {
			return err
		}
	}
}

// ownerTries bounds how often an owner may go away under a command; each
// leaves because it has nothing to do, so that a few are many.
const ownerTries = 10

func (c *cli) withOne(ctx context.Context, f func(context.Context, backend.Backend) error) error {
	b, err := c.attach(ctx)
	if err != nil {
		return err
	}
	if b != nil {
		defer b.Close()
		return f(ctx, b)
	}
	s, err := c.stateFolder()
	if err != nil {
		return err
	}
	srv, err := c.startServer(ctx, serveOptions{state: s, log: fileLog(s), edgeHTTP: c.edgeHTTP})
	if err != nil {
		return err // errOwned: somebody was faster
	}
	if b, err = c.dialState(ctx, s); err != nil {
		return errors.Join(err, srv.close())
	}
	go srv.obey()
	err = f(ctx, b)
	b.Close()
	return errors.Join(err, c.leave(srv))
}

// counted counts what was written.
type counted struct {
	io.Writer
	n int
}

func (w *counted) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.n += n
	return n, err
}

// timed names the time limit where it is why err came.
func timed(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && backend.CodeOf(err) != backend.Timeout {
		if cause := context.Cause(ctx); backend.CodeOf(cause) == backend.Timeout {
			return cause
		}
	}
	if err != nil && errors.Is(err, context.DeadlineExceeded) {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
	}
	return err
}

// leave ends a server that this process started: it goes on in a process of
// its own while anything runs.
func (c *cli) leave(srv *server) error {
	if srv.gone() {
		return srv.close() // it was told to go down
	}
	ctx, cancel := context.WithTimeout(context.Background(), handOverTime)
	defer cancel()
	busy, err := srv.busy(ctx)
	if err != nil || !busy {
		return errors.Join(err, srv.close())
	}
	return c.detach(ctx, srv)
}

// handOverTime bounds the change of owner when a console leaves.
const handOverTime = 15 * time.Second

// self is the path of this program, for processes that it starts.
func self() (string, error) { return os.Executable() }
