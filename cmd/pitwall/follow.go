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
