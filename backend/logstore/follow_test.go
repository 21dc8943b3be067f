package logstore

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pitwall/backend"
	"pitwall/backend/logstore/segment"
)

func TestLateLinesAreReordered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(epoch.Add(time.Second))) // a bubble begins long before
		a := newProgram(t, app("i1", 0), segment.Options{})
		b := newProgram(t, app("i2", 1), segment.Options{})
		s := newStore(t, time.Now, a, b)
		feed, lerr := s.Logs(t.Context(), backend.LogQuery{Follow: true})
		if lerr != nil {
			t.Fatal(lerr)
		}
		defer feed.Close()
		began := time.Now()
		at := began.Sub(epoch)
		a.write(at, out, "second\n")
		s.Notify("i1")
		go func() {
			time.Sleep(100 * ms)
			b.write(at-5*ms, out, "first\n")
			s.Notify("i2")
		}()
		if got, want := show(take(t, feed, 2)), "i2#1 first\ni1#1 second"; got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		if took := time.Since(began); took > reorderWindow {
			t.Errorf("delivered after %v, want at most %v", took, reorderWindow)
		}
		b.write(at-1*ms, out, "very late\n")
		s.Notify("i2")
		if got, want := show(take(t, feed, 1)), "i2#2 very late"; got != want {
			t.Errorf("got %s, want %s: late lines come when they come", got, want)
		}
	})
}

func TestAloneInstanceWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(epoch.Add(time.Second))) // a bubble begins long before
		a := newProgram(t, app("i1", 0), segment.Options{})
		b := newProgram(t, app("i2", 1), segment.Options{})
		b.src.Live = false
		s := newStore(t, time.Now, a, b)
		feed, lerr := s.Logs(t.Context(), backend.LogQuery{Follow: true})
		if lerr != nil {
			t.Fatal(lerr)
		}
		defer feed.Close()
		synctest.Wait()
		began := time.Now()
		a.write(began.Sub(epoch), out, "now\n")
		s.Notify("i1")
		take(t, feed, 1)
		if took := time.Since(began); took != 0 {
			t.Errorf("delivered after %v, want at once: the other instance has ended", took)
		}
	})
}

func TestIdleStoreKeepsNoTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(epoch.Add(time.Second))) // a bubble begins long before
		a := newProgram(t, app("i1", 0), segment.Options{})
		a.write(time.Since(epoch), err, "ERROR x\n")
		s := newStore(t, time.Now, a)
		changed, lerr := s.Changed(t.Context())
		if lerr != nil {
			t.Fatal(lerr)
		}
		defer changed.Close()
		batches := 0
		began := time.Now()
		var last time.Duration
		go func() {
			for {
				if _, err := changed.Next(t.Context()); err != nil {
					return
				}
				batches++
				last = time.Since(began)
			}
		}()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if batches == 0 || batches > 4 {
			t.Errorf("%d batches in a day with one line, want one when it came, one when its rate and one when its error faded", batches)
		}
		if last < time.Minute-bucketSpan || last > 2*time.Minute {
			t.Errorf("the last change came after %v, want it when the error was a minute old", last)
		}
	})
}

func TestFollowEndsWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(epoch.Add(time.Second))) // a bubble begins long before
		a := newProgram(t, app("i1", 0), segment.Options{})
		s := newStore(t, time.Now, a)
		feed, lerr := s.Logs(t.Context(), backend.LogQuery{Follow: true, Until: time.Now().Add(time.Minute)})
		if lerr != nil {
			t.Fatal(lerr)
		}
		defer feed.Close()
		began := time.Now()
		if _, err := feed.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("Next() = %v, want EOF", err)
		}
		if took := time.Since(began); took < time.Minute || took > 2*time.Minute {
			t.Errorf("ended after %v, want a minute", took)
		}
	})
}

func TestFollowBeforeTheFolderIsThere(t *testing.T) {
	src := app("i1", 0)
	src.Dir = filepath.Join(t.TempDir(), "not", "yet")
	s := newStore(t, later)
	s.Register(src)
	for _, q := range []backend.LogQuery{{Follow: true}, {Follow: true, Tail: 10}} {
		feed, lerr := s.Logs(t.Context(), q)
		if lerr != nil {
			t.Fatal(lerr)
		}
		defer feed.Close()
		defer func() {
			if got, want := show(take(t, feed, 2)), "i1#1 one\ni1#2 two"; got != want {
				t.Errorf("Logs(%+v) gives %s, want %s", q, got, want)
			}
		}()
	}
	if got := all(t, s, backend.LogQuery{}); len(got) != 0 {
		t.Errorf("history of nothing = %s", show(got))
	}
	a := newProgram(t, src, segment.Options{})
	a.write(0, out, "one\n")
	s.Notify("i1")
	eventually(t, "ingest", func() bool { return s.InstanceCounters("i1").LastSeq == 1 })
	a.write(ms, out, "two\n")
	s.Notify("i1")
}

func TestStatsFollow(t *testing.T) {
	a := newProgram(t, app("i1", 0), segment.Options{})
	a.write(0, out, "one\ntwo\n")
	s := newStore(t, time.Now, a)
	feed, lerr := s.Stats(t.Context(), backend.LogQuery{Since: epoch, Follow: true})
	if lerr != nil {
		t.Fatal(lerr)
	}
	defer feed.Close()
	counts := func() backend.LogStats {
		t.Helper()
		some, err := feed.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return some[len(some)-1]
	}
	if got := counts(); got.Lines != 2 {
		t.Errorf("first counts are %+v, want 2 lines", got)
	}
	a.write(ms, err, "ERROR more\n")
	s.Notify("i1")
	if got := counts(); got.Lines != 3 || got.Counts[backend.LevelError] != 1 {
		t.Errorf("counts after one more line are %+v, want 3 lines and an error", got)
	}
}

func TestFollowersShareTheReading(t *testing.T) {
	const followers = 200
	a := newProgram(t, app("i1", 0), segment.Options{})
	a.write(0, out, "first\n")
	s := newStore(t, later, a)
	feeds := make([]backend.Feed[backend.LogEntry], followers)
	for i := range feeds {
		feed, lerr := s.Logs(t.Context(), backend.LogQuery{Follow: true, Tail: 1})
		if lerr != nil {
			t.Fatal(lerr)
		}
		defer feed.Close()
		feeds[i] = feed
	}
	eventually(t, "ingest", func() bool { return s.InstanceCounters("i1").LastSeq == 1 })
	const rounds, perRound = 5, 100
	var wg sync.WaitGroup
	for _, feed := range feeds {
		wg.Go(func() {
			want := uint64(1)
			for want <= 1+rounds*perRound {
				entries, err := feed.Next(t.Context())
				if err != nil {
					t.Errorf("Next() = %v", err)
					return
				}
				for _, e := range entries {
					if e.Seq != want {
						t.Errorf("seq %d, want %d", e.Seq, want)
						return
					}
					want++
				}
			}
		})
	}
	for r := range rounds {
		for i := range perRound {
			a.write(time.Duration(r*perRound+i)*ms, out, fmt.Sprintf("line %d\n", i))
		}
		s.Notify("i1")
	}
	wg.Wait()
	open := 0
	for _, feed := range feeds {
		if reads(feed) {
			open++
		}
	}
	if open > 0 {
		t.Errorf("%d of %d followers still read the disk, want all to share the recent lines", open, followers)
	}
}

// reads reports whether a feed has a log open.
func reads(f backend.Feed[backend.LogEntry]) bool {
	return f.(*feed).srcs[0].sc != nil
}
