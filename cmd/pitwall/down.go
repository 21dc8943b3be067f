package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"pitwall/backend"
	"pitwall/backend/remote"
)

func (c *cli) downCommand() *cobra.Command {
	var a action
	var apps bool
	cmd := &cobra.Command{
		Use: "down", Short: "End the server",
		Long:    "Ends the server that owns the state folder and waits until it has let go. What it runs goes on without one and the next server takes it back, unless --apps stops it first.",
		Example: "  pitwall down\n  pitwall down --apps --yes",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := c.bounded(cmd.Context())
			defer cancel()
			return timed(ctx, c.down(ctx, backend.Down{Apps: apps, Intent: a.intent()}))
		},
	}
	cmd.Flags().StringVar(&a.reason, "reason", "", "why, in your `words`; kept with the operation")
	cmd.Flags().BoolVar(&apps, "apps", false, "stop everything that it runs first")
	return cmd
}

func (c *cli) down(ctx context.Context, cmd backend.Down) error {
	b, err := c.attach(ctx)
	if err != nil {
		return err
	}
	if b == nil {
		return c.downHere(ctx, cmd)
	}
	defer b.Close()
	if err := c.confirmDown(cmd); err != nil {
		return err
	}
	outcome := c.carryOutDown(ctx, b, cmd)
	if c.server != "" || ctx.Err() != nil || outcome != nil {
		return outcome
	}
	return c.awaitRelease(ctx)
}

// confirmDown asks where everything that runs would end.
func (c *cli) confirmDown(cmd backend.Down) error {
	if !cmd.Apps {
		return nil
	}
	return c.confirm([]named{{"the server and everything it runs", cmd}}, false)
}

// carryOutDown ends the server and prints how that went. A server that has
// gone before it could tell is one that has ended.
func (c *cli) carryOutDown(ctx context.Context, b *remote.Client, cmd backend.Down) error {
	res, err := b.Do(ctx, cmd)
	if err != nil {
		return err
	}
	r := receipts{c: c, open: map[string]backend.Operation{}}
	r.accepted(res.Operation)
	following, gone := context.WithCancel(ctx)
	defer gone()
	go untilLost(following, b, gone)
	err = r.follow(following, b)
	switch {
	case len(r.open) == 0:
		return r.failed
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case following.Err() == nil && backend.CodeOf(err) != backend.Unavailable:
		return err
	}
	return c.printLost(r.open[res.Operation.ID], cmd)
}

// printLost prints the operation of a server that ended before it could send
// the outcome. All that was asked for has been done when the steps had ended.
func (c *cli) printLost(op backend.Operation, cmd backend.Down) error {
	done := !cmd.Apps || len(op.Steps) > 0
	for _, s := range op.Steps {
		done = done && s.State == backend.OperationSucceeded
	}
	if !done {
		return backend.Errorf(backend.Internal, "the server ended before it told whether everything has stopped: look with pitwall instances")
	}
	op.State, op.Ended = backend.OperationSucceeded, time.Now().UTC()
	return c.printOperation(op)
}

// untilLost calls gone when the server cannot be reached any more.
func untilLost(ctx context.Context, b *remote.Client, gone func()) {
	feed, err := b.Link(ctx)
	if err != nil {
		return
	}
	defer feed.Close()
	_ = follows(ctx, feed, func(states []backend.LinkState) error { // ends with ctx at the latest
		for _, s := range states {
			if s.State == backend.LinkDown {
				gone()
			}
		}
		return nil
	})
}

// awaitRelease waits until nobody owns the state folder.
func (c *cli) awaitRelease(ctx context.Context) error {
	s, err := c.stateFolder()
	if err != nil {
		return err
	}
	for s.owned() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lockPoll):
		}
	}
	return nil
}

// lockPoll is how often a lock is looked at: nobody announces its end.
const lockPoll = 20 * time.Millisecond

// downHere stops what runs without a server: one is made for it, which takes
// everything back and ends it.
func (c *cli) downHere(ctx context.Context, cmd backend.Down) error {
	s, err := c.stateFolder()
	if err != nil {
		return err
	}
	_, err = os.Stat(s.file(databaseFile))
	if !cmd.Apps || errors.Is(err, fs.ErrNotExist) {
		c.println("no server runs")
		return nil
	}
	if err := c.confirmDown(cmd); err != nil {
		return err
	}
	srv, err := c.startServer(ctx, serveOptions{state: s, log: fileLog(s), down: true})
	if err != nil {
		return err
	}
	b, err := c.dialState(ctx, s)
	if err != nil {
		return errors.Join(err, srv.close())
	}
	defer b.Close()
	served := make(chan error, 1)
	go func() { served <- srv.wait(ctx) }()
	return errors.Join(c.carryOutDown(ctx, b, cmd), <-served)
}
