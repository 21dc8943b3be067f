package backendtest

import (
	"context"
	"errors"

	"pitwall/backend"
)

// watchContinues changes the app all the while, and holds a list continued by
// a watch against a later list.
func (s *suite) watchContinues() {
	const changes = 20
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.toggle(changes + 1)
	}()
	for {
		list, err := s.Backend.Apps(s.ctx, backend.AppQuery{IDs: []string{s.App}})
		if err != nil {
			s.Fatalf("Apps() = %v", err)
		}
		over := false
		select {
		case <-done:
			over = true
		default:
		}
		want, err := s.Backend.Apps(s.ctx, backend.AppQuery{IDs: []string{s.App}})
		if err != nil {
			s.Fatalf("Apps() = %v", err)
		}
		got, whole := s.replay(list.Items[0], list.Index, want.Index)
		if !whole {
			continue // Too slow, and told so: list again.
		}
		if got.Blocked != want.Items[0].Blocked || !got.Updated.Equal(want.Items[0].Updated) {
			s.Fatalf("list at %d and the watch to %d give blocked %v of %s, the list at %d blocked %v of %s",
				list.Index, want.Index, got.Blocked, got.Updated, want.Index, want.Items[0].Blocked, want.Items[0].Updated)
		}
		if over {
			break
		}
	}
	if !s.app().Blocked {
		s.Error("the app is not blocked at the end")
	}
}

// replay continues the app as of one index to another by a watch. It reports
// false when the watch lagged.
func (s *suite) replay(app backend.App, since, to uint64) (backend.App, bool) {
	s.Helper()
	feed, err := s.Backend.Watch(s.ctx, backend.WatchQuery{Since: since})
	if err != nil {
		s.Fatalf("Watch(%d) = %v", since, err)
	}
	defer feed.Close()
	for at := since; at < to; {
		events, err := feed.Next(s.ctx)
		if backend.CodeOf(err) == backend.Lagged {
			return app, false
		}
		if err != nil {
			s.Fatalf("Next() = %v", err)
		}
		if len(events) == 0 {
			s.Fatal("Next() = nothing and no error")
		}
		for _, e := range events {
			if e.Index <= at {
				s.Fatalf("event %d after %d", e.Index, at)
			}
			if e.Kind != backend.EventBookmark && e.Index != at+1 {
				s.Fatalf("event %d after %d: the watch of everything has a gap", e.Index, at)
			}
			at = e.Index
			if e.App != nil && e.App.ID == s.App && e.Index <= to {
				app = *e.App
			}
		}
	}
	return app, true
}

func (s *suite) watchFromNow() {
	s.do(backend.Block{App: s.App})
	before := s.index()
	feed, err := s.Backend.Watch(s.ctx, backend.WatchQuery{})
	if err != nil {
		s.Fatalf("Watch() = %v", err)
	}
	defer feed.Close()
	s.toggle(1)
	events, err := feed.Next(s.ctx)
	if err != nil || events[0].Index <= before {
		s.Errorf("Next() = %v, %v, want events after %d", events, err, before)
	}
}

func (s *suite) index() uint64 {
	s.Helper()
	list, err := s.Backend.Apps(s.ctx, backend.AppQuery{})
	if err != nil {
		s.Fatalf("Apps() = %v", err)
	}
	return list.Index
}

func (s *suite) watchSelects() {
	since := s.index()
	o := s.do(backend.Block{App: s.App})
	end := s.index()
	app := backend.Ref{Kind: backend.KindApp, ID: s.App}
	tests := []struct {
		query backend.WatchQuery
		want  func(backend.Event) bool
	}{
		{backend.WatchQuery{Kinds: []backend.Kind{backend.KindApp}}, func(e backend.Event) bool { return e.Ref.Kind == backend.KindApp && e.App != nil }},
		{backend.WatchQuery{Ref: app}, func(e backend.Event) bool { return e.Ref.ID == s.App || e.OwnerID == s.App }},
		{backend.WatchQuery{Ref: o.AsRef()}, func(e backend.Event) bool { return e.Op != nil && e.Op.ID == o.ID }},
		{backend.WatchQuery{Scope: s.app().Scope}, func(e backend.Event) bool { return s.app().Scope.Contains(e.Scope) }},
	}
	for _, tt := range tests {
		tt.query.Since = since
		feed, err := s.Backend.Watch(s.ctx, tt.query)
		if err != nil {
			s.Fatalf("Watch(%+v) = %v", tt.query, err)
		}
		events, err := feed.Next(s.ctx)
		if err != nil {
			s.Fatalf("Next() of %+v = %v", tt.query, err)
		}
		seen := 0
		for _, e := range events {
			if e.Kind == backend.EventBookmark {
				continue
			}
			seen++
			if !tt.want(e) || e.Index > end+1000 {
				s.Errorf("Watch(%+v) gives %s of %s", tt.query, e.Kind, e.Ref)
			}
		}
		if seen == 0 {
			s.Errorf("Watch(%+v) gives nothing of a block", tt.query)
		}
		feed.Close()
	}
}

func (s *suite) bookmarks() {
	since := s.index()
	feed, err := s.Backend.Watch(s.ctx, backend.WatchQuery{Since: since, Kinds: []backend.Kind{backend.KindDocument}})
	if err != nil {
		s.Fatalf("Watch() = %v", err)
	}
	defer feed.Close()
	found := make(chan backend.Event, 1)
	go func() {
		for {
			events, err := feed.Next(s.ctx)
			if err != nil && backend.CodeOf(err) != backend.Lagged {
				s.Errorf("Next() = %v, want a bookmark", err)
				close(found)
				return
			}
			for _, e := range events {
				if e.Kind == backend.EventBookmark {
					found <- e
					return
				}
				s.Errorf("a watch of documents gives %s", e.Ref)
			}
		}
	}()
	for {
		select {
		case e, ok := <-found:
			if ok && e.Index <= since {
				s.Errorf("bookmark at %d, want one after %d", e.Index, since)
			}
			if ok && (e.App != nil || e.Op != nil || e.Instance != nil) {
				s.Errorf("the bookmark carries a resource: %+v", e)
			}
			return
		default:
			s.toggle(2)
		}
	}
}

func (s *suite) compacted() {
	if s.Compact == nil {
		s.Skip("this implementation cannot be made to compact")
	}
	s.toggle(4)
	since := s.index() - 2
	s.Compact(s.T)
	s.toggle(2)
	s.wantCode("Watch(old index)", opened(s.Backend.Watch(s.ctx, backend.WatchQuery{Since: since})), backend.Compacted)
}

func (s *suite) reset() {
	if s.Reset == nil {
		s.Skip("this implementation cannot be made to reset")
	}
	feed, err := s.Backend.Watch(s.ctx, backend.WatchQuery{})
	if err != nil {
		s.Fatalf("Watch() = %v", err)
	}
	defer feed.Close()
	// A watch is open for sure once it has given something.
	s.toggle(1)
	if _, err := feed.Next(s.ctx); err != nil {
		s.Fatalf("Next() = %v", err)
	}
	s.Reset(s.T)
	for err = nil; err == nil; {
		_, err = feed.Next(s.ctx)
	}
	s.wantCode("Next() after a change of rights", err, backend.Reset)
}

// lagging lets a watcher stand still and then counts what it gets and what it
// is told that it missed.
func (s *suite) lagging() {
	if s.Buffer == 0 {
		s.Skip("this implementation's buffer is not known")
	}
	since := s.index()
	feed, err := s.Backend.Watch(s.ctx, backend.WatchQuery{Since: since})
	if err != nil {
		s.Fatalf("Watch() = %v", err)
	}
	defer feed.Close()
	for s.index() < since+uint64(2*s.Buffer) {
		s.toggle(2)
	}
	end := s.index()
	lags, at := 0, since
	for at < end {
		events, err := feed.Next(s.ctx)
		var lag *backend.LaggedError
		if errors.As(err, &lag) {
			lags++
			at += lag.Missed
			continue
		}
		if err != nil {
			s.Fatalf("Next() = %v", err)
		}
		for _, e := range events {
			if e.Index != at+1 {
				s.Fatalf("event %d after %d: missed and not told", e.Index, at)
			}
			at = e.Index
		}
	}
	if lags == 0 {
		s.Error("a watcher that was behind by twice its buffer was not told")
	}
}

func (s *suite) nextContext() {
	feed, err := s.Backend.Watch(s.ctx, backend.WatchQuery{})
	if err != nil {
		s.Fatalf("Watch() = %v", err)
	}
	defer feed.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan error, 1)
	go func() {
		for {
			if _, err := feed.Next(ctx); err != nil {
				done <- err
				return
			}
		}
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		s.Errorf("Next() = %v, want the context's error", err)
	}
	s.toggle(1)
	if _, err := feed.Next(s.ctx); err != nil {
		s.Errorf("Next() with another context = %v, want the feed to go on", err)
	}
}

func (s *suite) closeWakes() {
	watch, err := s.Backend.Watch(s.ctx, backend.WatchQuery{})
	if err != nil {
		s.Fatalf("Watch() = %v", err)
	}
	logs, err := s.Backend.Logs(s.ctx, backend.LogQuery{Apps: []string{s.App}, Follow: true})
	if err != nil {
		s.Fatalf("Logs() = %v", err)
	}
	done := make(chan error, 2)
	go func() {
		for {
			if _, err := watch.Next(s.ctx); err != nil {
				done <- err
				return
			}
		}
	}()
	go func() {
		for {
			if _, err := logs.Next(s.ctx); err != nil {
				done <- err
				return
			}
		}
	}()
	for range 2 {
		if err := errors.Join(watch.Close(), logs.Close()); err != nil {
			s.Errorf("Close() = %v", err)
		}
	}
	for range 2 {
		if err := <-done; errors.Is(err, context.DeadlineExceeded) {
			s.Errorf("Next() = %v, want Close to wake it", err)
		}
	}
}
