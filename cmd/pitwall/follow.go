package main

import (
	"context"
	"errors"
	"io"

	"pitwall/backend"
)

// errDone ends follows from inside, without an error.
var errDone = errors.New("done")

// follows gives each batch of a feed to f until the feed ends, f fails or ctx
// ends. A batch that was missed is an error, as something would be left out.
func follows[T any](ctx context.Context, feed backend.Feed[T], f func([]T) error) error {
	for {
		items, err := feed.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		}
		if err := f(items); errors.Is(err, errDone) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// settling is how settle looks at what it waits for.
type settling struct {
	// list looks at everything as it is now and returns the index of that.
	list func(context.Context) (uint64, error)
	// event takes in one change after the list.
	event func(backend.Event) error
	// settled reports whether there is nothing left to wait for.
	settled func() bool
}

// settle lists and then watches until all has settled. A watch that has missed
// something, or has to begin anew, begins with another list.
func settle(ctx context.Context, b backend.Backend, q backend.WatchQuery, s settling) error {
	for {
		index, err := s.list(ctx)
		if err != nil || s.settled() {
			return err
		}
		q.Since = index
		err = watch(ctx, b, q, s)
		if err != nil && !mustList(err) {
			return err
		}
		if s.settled() {
			return nil
		}
	}
}

func watch(ctx context.Context, b backend.Backend, q backend.WatchQuery, s settling) error {
	feed, err := b.Watch(ctx, q)
	if err != nil {
		return err
	}
	defer feed.Close()
	return follows(ctx, feed, func(events []backend.Event) error {
		for _, e := range events {
			if err := s.event(e); err != nil {
				return err
			}
		}
		if s.settled() {
			return errDone
		}
		return nil
	})
}

// mustList reports whether a watch ended with what another list makes good.
func mustList(err error) bool {
	switch backend.CodeOf(err) {
	case backend.Lagged, backend.Compacted, backend.Reset:
		return true
	}
	return false
}
