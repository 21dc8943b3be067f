package backendtest

import "pitwall/backend"

func (s *suite) operations() {
	intent := backend.Intent{Reason: "draining", Source: "cli"}
	o := s.do(backend.Block{App: s.App, Intent: intent})
	if o.State != backend.OperationSucceeded || o.Kind != "block" || o.Ref.ID != s.App || o.ID == "" {
		s.Errorf("operation = %+v, want a block of the app that succeeded", o)
	}
	if o.Reason != "draining" || o.Source != "cli" || o.Author == "" || o.Created.IsZero() || o.Ended.IsZero() {
		s.Errorf("operation = %+v, want its reason, source, author and times", o)
	}
	app := s.app()
	if !app.Blocked || app.BlockedReason != "draining" || app.BlockedBy == "" {
		s.Errorf("app is blocked %v by %q for %q, want it blocked with the reason", app.Blocked, app.BlockedBy, app.BlockedReason)
	}
	s.do(backend.Unblock{App: s.App})
	if s.app().Blocked {
		s.Error("the app is still blocked")
	}
	before := s.instances()
	s.do(backend.Restart{App: s.App})
	after := s.instances()
	if len(after) != len(before) || (after[0].ID == before[0].ID && after[0].Run == before[0].Run) {
		s.Errorf("instances = %+v, want them restarted from %+v", after, before)
	}
}

func (s *suite) instances() []backend.Instance {
	s.Helper()
	list, err := s.Backend.Instances(s.ctx, backend.InstanceQuery{Apps: []string{s.App}})
	if err != nil || len(list.Items) == 0 {
		s.Fatalf("Instances() = %d items, %v", len(list.Items), err)
	}
	return list.Items
}

func (s *suite) idempotency() {
	intent := backend.Intent{Key: "a-key"}
	first, err := s.Backend.Do(s.ctx, backend.Block{App: s.App, Intent: intent})
	if err != nil {
		s.Fatalf("Do(block) = %v", err)
	}
	s.await(first.Operation)
	s.do(backend.Unblock{App: s.App})
	again, err := s.Backend.Do(s.ctx, backend.Block{App: s.App, Intent: intent})
	if err != nil || again.Operation.ID != first.Operation.ID {
		s.Errorf("Do(block) with the same key = operation %q, %v, want %q", again.Operation.ID, err, first.Operation.ID)
	}
	if s.app().Blocked {
		s.Error("the same key blocked the app a second time")
	}
}

func (s *suite) events() {
	o := s.do(backend.Block{App: s.App})
	list, err := s.Backend.Events(s.ctx, backend.EventQuery{Owner: s.App, Quiet: true})
	if err != nil || len(list.Items) == 0 {
		s.Fatalf("Events(app) = %d items, %v", len(list.Items), err)
	}
	last, found := list.Index+1, false
	for _, e := range list.Items {
		if e.Index >= last {
			s.Errorf("event %d before %d, want the newest first", last, e.Index)
		}
		last = e.Index
		found = found || (e.Op != nil && e.Op.ID == o.ID)
		if e.OwnerID != s.App {
			s.Errorf("event of %s, want the app's alone", e.OwnerID)
		}
	}
	if !found {
		s.Error("no event of the block")
	}
	told, err := s.Backend.Events(s.ctx, backend.EventQuery{Owner: s.App})
	if err != nil || len(told.Items) == 0 {
		s.Fatalf("Events(app) with a message = %d items, %v", len(told.Items), err)
	}
	for _, e := range told.Items {
		if e.Message == "" {
			s.Errorf("event %d of %s has no message", e.Index, e.Ref)
		}
	}
}

func (s *suite) dryRun() {
	before := s.index()
	r, err := s.Backend.Do(s.ctx, backend.Apply{DryRun: true, Apps: []backend.AppSpec{{
		Name:      "fresh",
		Processes: []backend.ProcessSpec{{Name: "main", Instances: 1, Command: backend.CommandLine{Args: []string{"true"}}}},
	}}})
	if err != nil || len(r.Changes) != 1 || r.Changes[0].Kind != backend.ChangeCreate {
		s.Fatalf("Do(apply, dry run) = %+v, %v, want one creation", r.Changes, err)
	}
	apps, err := s.Backend.Apps(s.ctx, backend.AppQuery{Names: []string{"fresh"}})
	if err != nil || len(apps.Items) != 0 {
		s.Errorf("Apps() = %+v, %v, want nothing made (index was %d)", apps.Items, err, before)
	}
}

func (s *suite) documents() {
	doc := backend.Document{Kind: "note", Name: "hello", Body: []byte("one\x00\xff")}
	find := func() []backend.Document {
		list, err := s.Backend.Documents(s.ctx, backend.DocumentQuery{Kind: "note"})
		if err != nil {
			s.Fatalf("Documents() = %v", err)
		}
		return list.Items
	}
	s.do(backend.PutDocument{Document: doc})
	if got := find(); len(got) != 1 || got[0].Version != 1 || string(got[0].Body) != string(doc.Body) {
		s.Fatalf("Documents() = %+v, want it at version 1", got)
	}
	doc.Body, doc.Version = []byte("two"), 1
	s.do(backend.PutDocument{Document: doc})
	if got := find(); len(got) != 1 || got[0].Version != 2 || string(got[0].Body) != "two" {
		s.Fatalf("Documents() = %+v, want it at version 2", got)
	}
	_, err := s.Backend.Do(s.ctx, backend.PutDocument{Document: doc})
	s.wantCode("Do(put-document of an old version)", err, backend.Conflict)
	s.do(backend.DeleteDocument{Kind: "note", Name: "hello"})
	if got := find(); len(got) != 0 {
		s.Errorf("Documents() = %+v, want none", got)
	}
	_, err = s.Backend.Do(s.ctx, backend.DeleteDocument{Kind: "note", Name: "hello"})
	s.wantCode("Do(delete-document of nothing)", err, backend.NotFound)
}

func (s *suite) levels() {
	if s.Leveled == "" {
		s.Skip("this fixture has no app with levels")
	}
	s.do(backend.SetLevel{App: s.Leveled, Logger: "http", Level: backend.LevelDebug})
	list, err := s.Backend.Loggers(s.ctx, backend.LoggerQuery{App: s.Leveled})
	if err != nil {
		s.Fatalf("Loggers() = %v", err)
	}
	for _, l := range list.Items {
		if l.Name == "http" && l.Level == backend.LevelDebug {
			return
		}
	}
	s.Errorf("Loggers() = %+v, want http at debug", list.Items)
}

func (s *suite) samples() {
	if s.Measure != nil {
		s.Measure(s.T)
	}
	feed, err := s.Backend.Samples(s.ctx, backend.SampleQuery{Apps: []string{s.App}})
	if err != nil {
		s.Fatalf("Samples() = %v", err)
	}
	defer feed.Close()
	samples, err := feed.Next(s.ctx)
	if err != nil || len(samples) == 0 {
		s.Fatalf("Next() = %v, %v, want what is known now", samples, err)
	}
	for _, sample := range samples {
		if sample.Ref.ID != s.App || sample.Time.IsZero() {
			s.Errorf("sample of %s at %s, want the app's with a time", sample.Ref, sample.Time)
		}
	}
}
