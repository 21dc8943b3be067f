package backendtest

import (
	"context"
	"io"
	"strings"
	"sync"

	"pitwall/backend"
)

// lists is every listing with the zero query, where there is one.
func (s *suite) lists() {
	check := func(name string, items int, isNil bool, index uint64, err error) {
		if err != nil || isNil || index == 0 {
			s.Errorf("%s() = %d items (nil %v) at index %d, %v, want items and an index", name, items, isNil, index, err)
		}
	}
	b := s.Backend
	apps, err := b.Apps(s.ctx, backend.AppQuery{})
	check("Apps", len(apps.Items), apps.Items == nil, apps.Index, err)
	instances, err := b.Instances(s.ctx, backend.InstanceQuery{})
	check("Instances", len(instances.Items), instances.Items == nil, instances.Index, err)
	jobs, err := b.Jobs(s.ctx, backend.JobQuery{})
	check("Jobs", len(jobs.Items), jobs.Items == nil, jobs.Index, err)
	runs, err := b.Runs(s.ctx, backend.RunQuery{})
	check("Runs", len(runs.Items), runs.Items == nil, runs.Index, err)
	releases, err := b.Releases(s.ctx, backend.ReleaseQuery{App: s.App})
	check("Releases", len(releases.Items), releases.Items == nil, releases.Index, err)
	loggers, err := b.Loggers(s.ctx, backend.LoggerQuery{App: s.App})
	check("Loggers", len(loggers.Items), loggers.Items == nil, loggers.Index, err)
	operations, err := b.Operations(s.ctx, backend.OperationQuery{})
	check("Operations", len(operations.Items), operations.Items == nil, operations.Index, err)
	events, err := b.Events(s.ctx, backend.EventQuery{Quiet: true})
	check("Events", len(events.Items), events.Items == nil, events.Index, err)
	nodes, err := b.Nodes(s.ctx, backend.NodeQuery{})
	check("Nodes", len(nodes.Items), nodes.Items == nil, nodes.Index, err)
	documents, err := b.Documents(s.ctx, backend.DocumentQuery{Kind: "note"})
	check("Documents", len(documents.Items), documents.Items == nil, documents.Index, err)
	if len(apps.Items) == 0 || len(instances.Items) == 0 || len(nodes.Items) == 0 {
		s.Errorf("%d apps, %d instances, %d nodes, want one of each at least", len(apps.Items), len(instances.Items), len(nodes.Items))
	}
}

func (s *suite) queries() {
	app := s.app()
	if app.ID != s.App || app.Name == "" || app.Team == "" || app.Space == "" {
		s.Errorf("app = %+v, want its id, name and scope", app)
	}
	for _, q := range []backend.AppQuery{
		{Names: []string{app.Name}},
		{Scope: app.Scope, States: []backend.AppState{app.State}},
	} {
		got, err := s.Backend.Apps(s.ctx, q)
		found := false
		for _, a := range got.Items {
			found = found || a.ID == s.App
		}
		if err != nil || !found {
			s.Errorf("Apps(%+v) = %d items, %v, want the app among them", q, len(got.Items), err)
		}
	}
	for _, q := range []backend.AppQuery{
		{IDs: []string{"000000000000000000000000"}}, {Names: []string{"no-such-app"}}, {Scope: backend.Scope{Team: "no-such-team"}},
	} {
		if got, err := s.Backend.Apps(s.ctx, q); err != nil || len(got.Items) != 0 {
			s.Errorf("Apps(%+v) = %d items, %v, want none", q, len(got.Items), err)
		}
	}
	got, err := s.Backend.Instances(s.ctx, backend.InstanceQuery{Apps: []string{s.App}})
	if err != nil || len(got.Items) != 1 || got.Items[0].ID != s.Instance || !got.Items[0].State.Live() {
		s.Errorf("Instances(app) = %+v, %v, want %s alive", got.Items, err, s.Instance)
	}
}

func (s *suite) pages() {
	s.toggle(5)
	whole, err := s.Backend.Operations(s.ctx, backend.OperationQuery{Target: s.App})
	if err != nil || len(whole.Items) < 5 || whole.Next != "" {
		s.Fatalf("Operations() = %d items, next %q, %v, want five and no more", len(whole.Items), whole.Next, err)
	}
	var ids []string
	page := backend.Page{Limit: 2}
	for {
		got, err := s.Backend.Operations(s.ctx, backend.OperationQuery{Target: s.App, Page: page})
		if err != nil || len(got.Items) > 2 {
			s.Fatalf("Operations(%+v) = %d items, %v, want two at most", page, len(got.Items), err)
		}
		for _, o := range got.Items {
			ids = append(ids, o.ID)
		}
		if got.Next == "" {
			break
		}
		page.After = got.Next
	}
	var want []string
	for _, o := range whole.Items {
		want = append(want, o.ID)
	}
	if strings.Join(ids, " ") != strings.Join(want, " ") {
		s.Errorf("pages = %v, want %v", ids, want)
	}
	_, err = s.Backend.Operations(s.ctx, backend.OperationQuery{Page: backend.Page{After: "no cursor"}})
	s.wantCode("Operations(after nonsense)", err, backend.Invalid)
}

func (s *suite) codes() {
	const none = "000000000000000000000000"
	b := s.Backend
	calls := []struct {
		name string
		want backend.Code
		call func() error
	}{
		{"Releases(none)", backend.NotFound, func() error { _, err := b.Releases(s.ctx, backend.ReleaseQuery{App: none}); return err }},
		{"Loggers(none)", backend.NotFound, func() error { _, err := b.Loggers(s.ctx, backend.LoggerQuery{App: none}); return err }},
		{"Documents(no kind)", backend.Invalid, func() error { _, err := b.Documents(s.ctx, backend.DocumentQuery{}); return err }},
		{"Do(restart none)", backend.NotFound, func() error { _, err := b.Do(s.ctx, backend.Restart{App: none}); return err }},
		{"Do(run none)", backend.NotFound, func() error { _, err := b.Do(s.ctx, backend.RunJob{Job: none}); return err }},
		{"Do(cancel none)", backend.NotFound, func() error { _, err := b.Do(s.ctx, backend.Cancel{Operation: none}); return err }},
		{"Do(scale to -1)", backend.Invalid, func() error { _, err := b.Do(s.ctx, backend.Scale{App: s.App, Instances: -1}); return err }},
		{"Do(apply a bad name)", backend.Invalid, func() error {
			_, err := b.Do(s.ctx, backend.Apply{Apps: []backend.AppSpec{{Name: "Bad Name"}}})
			return err
		}},
		{"Logs(none)", backend.NotFound, func() error { return opened(b.Logs(s.ctx, backend.LogQuery{Apps: []string{none}})) }},
		{"Logs(regexp)", backend.Invalid, func() error { return opened(b.Logs(s.ctx, backend.LogQuery{Regexp: "("})) }},
		{"Logs(cursor)", backend.Invalid, func() error {
			return opened(b.Logs(s.ctx, backend.LogQuery{Apps: []string{s.App}, After: "no cursor"}))
		}},
		{"LogStats(regexp)", backend.Invalid, func() error { return opened(b.LogStats(s.ctx, backend.LogQuery{Regexp: "("})) }},
		{"Attach(none)", backend.NotFound, func() error {
			_, err := b.Attach(s.ctx, backend.AttachSpec{Instance: "none", Command: []string{"true"}})
			return err
		}},
		{"Open(none)", backend.NotFound, func() error {
			_, err := b.Open(s.ctx, backend.BlobRef{Kind: backend.BundleBlob, ID: "sha256:" + strings.Repeat("0", 64)})
			return err
		}},
		{"Open(kind)", backend.Invalid, func() error { _, err := b.Open(s.ctx, backend.BlobRef{Kind: "cheese", ID: "x"}); return err }},
	}
	for _, c := range calls {
		if strings.HasPrefix(c.name, "Attach") && s.Echo == nil {
			continue
		}
		s.wantCode(c.name, c.call(), c.want)
	}
	if _, err := b.Do(s.ctx, backend.Restart{App: none}); err == nil || strings.Contains(err.Error(), "{") || len(err.Error()) > 200 {
		s.Errorf("Do(restart none) = %v, want one plain sentence", err)
	}
}

// opened returns why a feed could not be opened, or its first error.
func opened[T any](feed backend.Feed[T], err error) error {
	if err != nil {
		return err
	}
	defer feed.Close()
	_, err = feed.Next(context.Background())
	return err
}

func (s *suite) endedContext() {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	b := s.Backend
	calls := map[string]func() error{
		"Apps":       func() error { _, err := b.Apps(ctx, backend.AppQuery{}); return err },
		"Instances":  func() error { _, err := b.Instances(ctx, backend.InstanceQuery{}); return err },
		"Jobs":       func() error { _, err := b.Jobs(ctx, backend.JobQuery{}); return err },
		"Runs":       func() error { _, err := b.Runs(ctx, backend.RunQuery{}); return err },
		"Releases":   func() error { _, err := b.Releases(ctx, backend.ReleaseQuery{App: s.App}); return err },
		"Loggers":    func() error { _, err := b.Loggers(ctx, backend.LoggerQuery{App: s.App}); return err },
		"Operations": func() error { _, err := b.Operations(ctx, backend.OperationQuery{}); return err },
		"Events":     func() error { _, err := b.Events(ctx, backend.EventQuery{}); return err },
		"Nodes":      func() error { _, err := b.Nodes(ctx, backend.NodeQuery{}); return err },
		"Documents":  func() error { _, err := b.Documents(ctx, backend.DocumentQuery{Kind: "note"}); return err },
		"Do":         func() error { _, err := b.Do(ctx, backend.Block{App: s.App}); return err },
		"Put":        func() error { _, err := b.Put(ctx, strings.NewReader("x")); return err },
	}
	for name, call := range calls {
		s.wantCode(name+"(ended context)", call(), backend.Canceled)
	}
	if s.app().Blocked {
		s.Error("a command with an ended context was carried out")
	}
}

func (s *suite) concurrent() {
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			feed, err := s.Backend.Watch(s.ctx, backend.WatchQuery{})
			if err != nil {
				s.Errorf("Watch() = %v", err)
				return
			}
			defer feed.Close()
			var c backend.Command = backend.Block{App: s.App}
			if n%2 == 1 {
				c = backend.Unblock{App: s.App}
			}
			for range 5 {
				if _, err := s.Backend.Do(s.ctx, c); err != nil {
					s.Errorf("Do(%s) = %v", c.Verb(), err)
				}
				if _, err := s.Backend.Apps(s.ctx, backend.AppQuery{}); err != nil {
					s.Errorf("Apps() = %v", err)
				}
				if _, err := s.Backend.Instances(s.ctx, backend.InstanceQuery{}); err != nil {
					s.Errorf("Instances() = %v", err)
				}
			}
			if _, err := feed.Next(s.ctx); err != nil && backend.CodeOf(err) != backend.Lagged {
				s.Errorf("Next() = %v", err)
			}
		})
	}
	wg.Wait()
}

func (s *suite) closes() {
	feed, err := s.Backend.Watch(s.ctx, backend.WatchQuery{})
	if err != nil {
		s.Fatalf("Watch() = %v", err)
	}
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := feed.Next(s.ctx); err != nil && backend.CodeOf(err) != backend.Lagged {
				ended <- err
				return
			}
		}
	}()
	for range 2 {
		if err := s.Backend.Close(); err != nil {
			s.Errorf("Close() = %v", err)
		}
	}
	if err := <-ended; err != io.EOF && backend.CodeOf(err) != backend.Unavailable {
		s.Errorf("Next() after Close() = %v, want EOF or unavailable", err)
	}
	_, err = s.Backend.Apps(s.ctx, backend.AppQuery{})
	s.wantCode("Apps() after Close()", err, backend.Unavailable)
	_, err = s.Backend.Do(s.ctx, backend.Block{App: s.App})
	s.wantCode("Do() after Close()", err, backend.Unavailable)
	_, err = s.Backend.Watch(s.ctx, backend.WatchQuery{})
	s.wantCode("Watch() after Close()", err, backend.Unavailable)
}
