package ui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui/safe"
)

// link is what is known of the way to the server. A backend in this process
// has none and is always up.
type link struct {
	state  backend.LinkState
	stream *Stream[backend.LinkState]
	tries  int
}

type linkReopen struct{}

func (l *link) follow(ctx context.Context, b backend.Backend) tea.Cmd {
	r, ok := b.(backend.LinkReporter)
	if !ok {
		return nil
	}
	var cmd tea.Cmd
	l.stream, cmd = Follow(ctx, r.Link)
	return cmd
}

// stale reports whether what is shown may no longer be true.
func (l *link) stale() bool {
	return l.state.State == backend.LinkDown ||
		l.state.State == backend.LinkConnecting && l.state.Attempt > 0
}

func (s *Shell) linkState(msg Batch[backend.LinkState]) tea.Cmd {
	l := &s.link
	if msg.Err != nil {
		if backend.CodeOf(msg.Err) == backend.Unsupported {
			return nil
		}
		d := backoff(l.tries)
		l.tries++
		return tea.Tick(d, func(time.Time) tea.Msg { return linkReopen{} })
	}
	l.tries = 0
	was := l.stale()
	for _, st := range msg.Items {
		if st.State == backend.LinkUp || !l.stale() {
			l.state = st
			continue
		}
		// How long it is down counts from the first failure.
		since := l.state.Since
		l.state = st
		l.state.Since = since
	}
	if l.stale() != was {
		s.setStale(l.stale())
		s.notice = Notice{}
		if l.stale() {
			why := l.state.Err
			if why == "" {
				why = "the server does not answer"
			}
			s.notice = Notice{Text: safe.Clean("link lost: " + why + "; trying again"), Bad: true}
		}
	}
	return l.stream.Next()
}

// Staler is a View that draws in grey what may no longer be true.
type Staler interface {
	SetStale(bool)
}

func (s *Shell) setStale(stale bool) {
	for _, e := range s.stack {
		for _, v := range e.views() {
			if st, ok := v.(Staler); ok {
				st.SetStale(stale)
			}
		}
	}
}
