package sqlite_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pitwall/backend"
	"pitwall/backend/sqlite"
)

func open(t *testing.T, cfg sqlite.Config) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Open(%q) = %v", cfg.Path, err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func update(t *testing.T, s *sqlite.Store, fn func(tx *sqlite.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update() = %v", err)
	}
}

func event(n int) *backend.Event {
	return &backend.Event{
		Time: time.Unix(int64(n), 0).UTC(), Kind: backend.EventUpdated, OwnerID: "a1", Message: fmt.Sprint("event ", n),
		Ref: backend.Ref{Kind: backend.KindApp, ID: "a1", Name: "web"},
	}
}

func TestStateSurvivesReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a folder with ? and %41", "state.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, sqlite.Config{Path: path})
	app := sqlite.App{App: backend.App{ID: "a1", Name: "web", Scope: backend.Scope{Team: "shop", Space: "dev"}}, Set: "s", Last: map[string]string{"block": "op"}}
	inst := sqlite.Instance{Instance: backend.Instance{ID: "web-main-0-x", AppID: "a1", State: backend.InstanceRunning}, FirstRun: 3}
	ended := sqlite.Instance{Instance: backend.Instance{ID: "web-main-0-y", AppID: "a1"}, Ended: true}
	op := sqlite.Operation{Op: backend.Operation{ID: "o1", State: backend.OperationRunning}}
	over := sqlite.Operation{Op: backend.Operation{ID: "o2", State: backend.OperationFailed}}
	update(t, s, func(tx *sqlite.Tx) error {
		for _, err := range []error{
			tx.PutApp(app), tx.PutInstance(inst), tx.PutInstance(ended), tx.PutOperation(op), tx.PutOperation(over), tx.Event(event(1)),
			tx.PutLevel(sqlite.Level{App: "a1", Logger: "http", Level: backend.LevelDebug}),
			tx.PutJob(sqlite.Job{Job: backend.Job{ID: "j1", Name: "nightly"}, Number: 4}),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err := s.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}

	s = open(t, sqlite.Config{Path: path})
	got, err := s.Load(t.Context())
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	want := sqlite.State{
		Index: 1, Apps: []sqlite.App{app}, Instances: []sqlite.Instance{inst}, Operations: []sqlite.Operation{op},
		Levels: []sqlite.Level{{App: "a1", Logger: "http", Level: backend.LevelDebug}},
		Jobs:   []sqlite.Job{{Job: backend.Job{ID: "j1", Name: "nightly"}, Number: 4}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Load() after reopening (-want +got):\n%s", diff)
	}
}

func TestFailedUpdateLeavesNothing(t *testing.T) {
	s := open(t, sqlite.Config{Path: filepath.Join(t.TempDir(), "state.db")})
	update(t, s, func(tx *sqlite.Tx) error { return tx.Event(event(1)) })
	boom := errors.New("boom")
	err := s.Update(t.Context(), func(tx *sqlite.Tx) error {
		tx.PutApp(sqlite.App{App: backend.App{ID: "a1", Name: "web"}})
		tx.Event(event(2))
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatalf("Update() = %v, want boom", err)
	}
	st, err := s.Load(t.Context())
	if err != nil || len(st.Apps) != 0 || st.Index != 1 || s.Index() != 1 {
		t.Errorf("Load() = %d apps, index %d, %v; Index() = %d; want none, 1, nil; 1", len(st.Apps), st.Index, err, s.Index())
	}
}

func TestSwallowedErrorFailsTheUpdate(t *testing.T) {
	s := open(t, sqlite.Config{Path: filepath.Join(t.TempDir(), "state.db")})
	err := s.Update(t.Context(), func(tx *sqlite.Tx) error {
		tx.PutApp(sqlite.App{App: backend.App{ID: "a1", Name: "web"}})
		tx.PutApp(sqlite.App{App: backend.App{ID: "a2", Name: "web"}}) // the name is taken
		return nil
	})
	if err == nil {
		t.Fatal("Update() with two apps of one name = nil, want an error")
	}
	if st, err := s.Load(t.Context()); err != nil || len(st.Apps) != 0 {
		t.Errorf("Load() = %d apps, %v, want none", len(st.Apps), err)
	}
}

func TestDamagedDatabaseIsRefusedAndKept(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole.db")
	s := open(t, sqlite.Config{Path: whole})
	update(t, s, func(tx *sqlite.Tx) error {
		for i := range 2000 {
			tx.PutApp(sqlite.App{App: backend.App{ID: fmt.Sprint(i), Name: fmt.Sprint("web", i)}})
		}
		return nil
	})
	s.Close()
	good, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	for i := 8192; i < len(flipped); i += 512 {
		copy(flipped[i:], "damage damage damage")
	}
	for name, content := range map[string][]byte{
		"text":      []byte(strings.Repeat("this is no database\n", 500)),
		"flipped":   flipped,
		"truncated": good[:len(good)/3],
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
			if err == nil {
				_, err = s.Load(t.Context())
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "is damaged") || !strings.Contains(err.Error(), path) {
				t.Errorf("Open and Load = %v, want a sentence that says it is damaged", err)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, content) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}

func TestNewerAndForeignDatabasesAreRefused(t *testing.T) {
	for name, tt := range map[string]struct{ script, want string }{
		"newer":   {"PRAGMA user_version = 99", "newer Pitwall"},
		"foreign": {"CREATE TABLE t (a)", "another program"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			script(t, path, tt.script)
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open() = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestOldEventsAreCompacted(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := open(t, sqlite.Config{
		Path: filepath.Join(t.TempDir(), "state.db"), Now: func() time.Time { return now },
		Limits: sqlite.Limits{Events: 10, EventAge: time.Hour},
	})
	for i := range 25 {
		update(t, s, func(tx *sqlite.Tx) error {
			e := event(i)
			e.Time = now
			return tx.Event(e)
		})
	}
	if err := s.Compact(t.Context()); err != nil {
		t.Fatalf("Compact() = %v", err)
	}
	if _, err := s.EventsAfter(t.Context(), 14, 100); backend.CodeOf(err) != backend.Compacted {
		t.Errorf("EventsAfter(14) = %v, want Compacted", err)
	}
	if events, err := s.EventsAfter(t.Context(), 15, 100); err != nil || len(events) != 10 || events[0].Index != 16 {
		t.Errorf("EventsAfter(15) = %d events, %v, want 16 to 25", len(events), err)
	}
	now = now.Add(2 * time.Hour)
	if err := s.Compact(t.Context()); err != nil {
		t.Fatalf("Compact() = %v", err)
	}
	list, err := s.Events(t.Context(), backend.EventQuery{})
	if err != nil || len(list.Items) > 1 || list.Index != 25 {
		t.Errorf("Events() after two hours = %d events, index %d, %v, want none but the last, 25", len(list.Items), list.Index, err)
	}
}

func TestPagesCoverAListingOnce(t *testing.T) {
	s := open(t, sqlite.Config{Path: filepath.Join(t.TempDir(), "state.db")})
	update(t, s, func(tx *sqlite.Tx) error {
		for i := range 10 {
			tx.PutOperation(sqlite.Operation{Op: backend.Operation{ID: fmt.Sprint("o", i), Kind: "restart", State: backend.OperationSucceeded}})
		}
		return nil
	})
	var got []string
	q := backend.OperationQuery{Page: backend.Page{Limit: 3}}
	for {
		list, err := s.Operations(t.Context(), q)
		if err != nil {
			t.Fatalf("Operations() = %v", err)
		}
		for _, o := range list.Items {
			got = append(got, o.Op.ID)
		}
		if q.Page.After = list.Next; list.Next == "" {
			break
		}
	}
	if want := []string{"o9", "o8", "o7", "o6", "o5", "o4", "o3", "o2", "o1", "o0"}; !cmp.Equal(got, want) {
		t.Errorf("pages = %v, want %v", got, want)
	}
	if _, err := s.Operations(t.Context(), backend.OperationQuery{Page: backend.Page{After: "x"}}); backend.CodeOf(err) != backend.Invalid {
		t.Errorf("Operations(After: x) = %v, want Invalid", err)
	}
}

func TestKeysAreForgottenAfterADay(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := open(t, sqlite.Config{Path: filepath.Join(t.TempDir(), "state.db"), Now: func() time.Time { return now }})
	update(t, s, func(tx *sqlite.Tx) error { return tx.PutKey(sqlite.Key{Key: "k", Operation: "o1", Verb: "restart"}) })
	now = now.Add(23 * time.Hour)
	if k, ok, err := s.KeyOf(t.Context(), "k"); !ok || err != nil || k.Operation != "o1" || k.Verb != "restart" {
		t.Errorf("KeyOf() = %+v, %v, %v", k, ok, err)
	}
	now = now.Add(2 * time.Hour)
	if _, ok, err := s.KeyOf(t.Context(), "k"); ok || err != nil {
		t.Errorf("KeyOf() after 25 hours = %v, %v, want nothing", ok, err)
	}
}

func TestRunsAreTrimmed(t *testing.T) {
	s := open(t, sqlite.Config{Path: filepath.Join(t.TempDir(), "state.db")})
	update(t, s, func(tx *sqlite.Tx) error {
		for i := 1; i <= 25; i++ {
			tx.PutRun(backend.Run{ID: fmt.Sprint("i/", i), AppID: "a1", Process: "main", Number: i, State: backend.RunFailed})
		}
		tx.PutRun(backend.Run{ID: "other/1", AppID: "a1", Process: "main", Index: 1, Number: 1, State: backend.RunRunning})
		return tx.TrimRuns("a1", "main", 0, 20)
	})
	list, err := s.Runs(t.Context(), backend.RunQuery{Apps: []string{"a1"}})
	if err != nil || len(list.Items) != 21 || list.Items[0].ID != "other/1" || list.Items[20].ID != "i/6" {
		t.Errorf("Runs() = %d, %v, want other/1 and i/25 to i/6", len(list.Items), err)
	}
	if n, err := s.LastRun(t.Context(), "a1", "main", 0); n != 25 || err != nil {
		t.Errorf("LastRun() = %d, %v, want 25", n, err)
	}
	if open, err := s.OpenRuns(t.Context()); err != nil || len(open) != 1 {
		t.Errorf("OpenRuns() = %d, %v, want 1", len(open), err)
	}
}
