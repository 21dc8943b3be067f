package ui

import (
	"context"
	"errors"
	"io"
	"time"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
)

// batchPause is the least time between two batches of a stream. A frame is
// drawn for each message, so that a flood without it would draw all the time;
// a person does not see the difference.
const batchPause = 80 * time.Millisecond

// Stream is a feed that a view follows. It is made by [Follow]. A message
// belongs to it when its From is the stream.
type Stream[T any] struct {
	ctx  context.Context
	open func(context.Context) (backend.Feed[T], error)

	// The fields below are used by one command at a time.
	feed backend.Feed[T]
	last time.Time
}

// Batch is what a stream has received since the batch before.
type Batch[T any] struct {
	From  *Stream[T]
	Items []T
	// Missed is how many items a slow reader has lost; the stream goes on.
	Missed *backend.LaggedError
	// Err ends the stream: io.EOF is the regular end. It comes without items.
	Err error
}

// Follow opens a feed and waits for its first batch, in the command that it
// returns. Each [Batch] must be answered with [Stream.Next]. The stream ends,
// and its feed is closed, with ctx.
//
//	v.stream, cmd = ui.Follow(ctx, func(ctx context.Context) (backend.Feed[backend.Event], error) {
//		return v.deps.Backend.Watch(ctx, query)
//	})
//	...
//	case ui.Batch[backend.Event]:
//		if msg.From != v.stream {
//			return nil
//		}
//		v.apply(msg.Items)
//		return v.stream.Next()
func Follow[T any](ctx context.Context, open func(context.Context) (backend.Feed[T], error)) (*Stream[T], tea.Cmd) {
	s := &Stream[T]{ctx: ctx, open: open}
	return s, s.Next()
}

// Next returns a command that waits for the next batch. At most one may be
// under way. After an error it opens the feed anew, by the same query.
func (s *Stream[T]) Next() tea.Cmd {
	if s == nil {
		return nil
	}
	return s.wait
}

func (s *Stream[T]) wait() tea.Msg {
	if s.feed == nil {
		feed, err := s.open(s.ctx)
		if err != nil {
			return s.end(err)
		}
		s.feed = feed
		context.AfterFunc(s.ctx, func() { feed.Close() })
	}
	if !s.pause() {
		return s.end(s.ctx.Err())
	}
	items, err := s.feed.Next(s.ctx)
	s.last = time.Now()
	var lag *backend.LaggedError
	if errors.As(err, &lag) {
		return Batch[T]{From: s, Items: items, Missed: lag}
	}
	if err != nil {
		s.feed.Close()
		s.feed = nil
		return s.end(err)
	}
	return Batch[T]{From: s, Items: items}
}

// end gives the end of the stream; nobody is told when it is because the view
// was closed.
func (s *Stream[T]) end(err error) tea.Msg {
	if s.ctx.Err() != nil {
		return nil
	}
	return Batch[T]{From: s, Err: err}
}

// pause waits out the rest of the pause after the batch before. It reports
// false when the context has ended.
func (s *Stream[T]) pause() bool {
	rest := batchPause - time.Since(s.last)
	if rest <= 0 {
		return s.ctx.Err() == nil
	}
	t := time.NewTimer(rest)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// Ended reports whether err is the regular end of a feed.
func Ended(err error) bool { return errors.Is(err, io.EOF) }

// changes is a feed of events without bookmarks, which say only that there was
// nothing for this watcher: they must not draw a frame.
type changes struct{ backend.Feed[backend.Event] }

// Next waits for an event that is none.
func (c changes) Next(ctx context.Context) ([]backend.Event, error) {
	for {
		items, err := c.Feed.Next(ctx)
		kept := items[:0]
		for _, e := range items {
			if e.Kind != backend.EventBookmark {
				kept = append(kept, e)
			}
		}
		if len(kept) > 0 || err != nil {
			return kept, err
		}
	}
}

// watching opens a watch as [Follow] wants it, without bookmarks.
func watching(watch func(context.Context, backend.WatchQuery) (backend.Feed[backend.Event], error), q backend.WatchQuery) func(context.Context) (backend.Feed[backend.Event], error) {
	return func(ctx context.Context) (backend.Feed[backend.Event], error) {
		feed, err := watch(ctx, q)
		if err != nil {
			return nil, err
		}
		return changes{feed}, nil
	}
}
