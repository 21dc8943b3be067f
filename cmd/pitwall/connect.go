package main

import (
	"context"
	"errors"
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
	if !s.owned() {
		return nil, nil
	}
	return c.dialState(ctx, s)
}

func (c *cli) dialState(ctx context.Context, s stateFolder) (*remote.Client, error) {
	return remote.Dial(ctx, remote.Config{URL: "unix:" + s.file(socketFile)})
}

// with gives f a Backend: a running server's, or that of a server of its own,
// which is handed on to a process of its own if anything runs when f is done.
func (c *cli) with(ctx context.Context, f func(context.Context, backend.Backend) error) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	b, err := c.attach(ctx)
	if err != nil {
		return err
	}
	if b != nil {
		defer b.Close()
		return timed(ctx, f(ctx, b))
	}
	s, err := c.stateFolder()
	if err != nil {
		return err
	}
	srv, err := c.startServer(ctx, serveOptions{state: s, log: fileLog(s), edgeHTTP: c.edgeHTTP})
	if errors.Is(err, errOwned) { // somebody was faster
		return c.with(ctx, f)
	}
	if err != nil {
		return err
	}
	if b, err = c.dialState(ctx, s); err != nil {
		return errors.Join(err, srv.close())
	}
	go srv.obey()
	err = timed(ctx, f(ctx, b))
	b.Close()
	return errors.Join(err, c.leave(srv))
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
