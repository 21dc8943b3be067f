package local_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pitwall/backend"
)

// TestWatchHasNoGap changes things while watchers come at random places and
// read at random times: each gets every index once, in order.
func TestWatchHasNoGap(t *testing.T) {
	w := newWorld(t)
	w.must(apply(spec("web", 1, "ok")))
	id := w.app("web").ID
	const changes = 300
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range changes {
			var c backend.Command = backend.Block{App: id}
			if i%2 == 1 {
				c = backend.Unblock{App: id}
			}
			if _, err := w.b.Do(w.ctx, c); err != nil {
				t.Errorf("Do() = %v", err)
			}
		}
	}()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			list, err := w.b.Apps(w.ctx, backend.AppQuery{})
			if err != nil {
				t.Error(err)
				return
			}
			at := rand.Uint64N(list.Index) + 1
			feed, err := w.b.Watch(w.ctx, backend.WatchQuery{Since: at})
			if err != nil {
				t.Errorf("Watch(%d) = %v", at, err)
				return
			}
			defer feed.Close()
			for at < changes*3 {
				events, err := feed.Next(w.ctx)
				if err != nil {
					t.Errorf("Next() = %v", err)
					return
				}
				for _, e := range events {
					if at++; e.Index != at {
						t.Errorf("index %d, want %d", e.Index, at)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	<-done
}

// TestListAndWatchAgree is the property that a view relies on: a list continued
// by a watch is the later list.
func TestListAndWatchAgree(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { listAndWatchAgree(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func listAndWatchAgree(t *testing.T, r *rand.Rand) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 2, "ok")))
		id := w.app("web").ID
		apps, _ := w.b.Apps(w.ctx, backend.AppQuery{})
		model := map[string]backend.Instance{}
		first, _ := w.b.Instances(w.ctx, backend.InstanceQuery{})
		for _, in := range first.Items {
			model[in.ID] = in
		}
		feed, err := w.b.Watch(w.ctx, backend.WatchQuery{Since: min(apps.Index, first.Index), Kinds: []backend.Kind{backend.KindInstance}})
		if err != nil {
			t.Fatal(err)
		}
		defer feed.Close()
		for range 1 + r.IntN(5) {
			commands := []backend.Command{
				backend.Restart{App: id},
				backend.ForceRestart{App: id},
				backend.Stop{App: id},
				backend.Start{App: id},
				backend.Scale{App: id, Instances: 1},
				backend.Scale{App: id, Instances: 3},
				apply(spec("web", 2, "crash")),
			}
			o := w.begin(commands[r.IntN(len(commands))])
			if r.IntN(2) == 0 {
				w.await(o.ID)
			}
		}
		w.must(backend.Stop{App: id})
		time.Sleep(time.Hour)
		synctest.Wait()
		last, _ := w.b.Instances(w.ctx, backend.InstanceQuery{})
		for at := uint64(0); at < last.Index; {
			events, err := feed.Next(w.ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				at = e.Index
				switch {
				case e.Kind == backend.EventDeleted:
					delete(model, e.Ref.ID)
				case e.Instance != nil:
					model[e.Ref.ID] = *e.Instance
				}
			}
		}
		if len(model) != len(last.Items) {
			t.Errorf("the watch leads to %d instances, the list has %d", len(model), len(last.Items))
		}
		for _, in := range last.Items {
			if got := model[in.ID]; got.State != in.State || got.Run != in.Run || got.Since != in.Since {
				t.Errorf("%s: watched %s run %d, listed %s run %d", in.ID, got.State, got.Run, in.State, in.Run)
			}
		}
		if w.eng.living() != 0 {
			t.Errorf("%d live after stop", w.eng.living())
		}
		open, _ := w.b.Operations(w.ctx, backend.OperationQuery{States: []backend.OperationState{backend.OperationQueued, backend.OperationRunning}})
		if len(open.Items) != 0 {
			t.Errorf("%d operations never ended: %+v", len(open.Items), open.Items[0])
		}
	})
}

func TestFilteredWatchGetsBookmarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		feed, err := w.b.Watch(w.ctx, backend.WatchQuery{Kinds: []backend.Kind{backend.KindDocument}})
		if err != nil {
			t.Fatal(err)
		}
		defer feed.Close()
		w.must(apply(spec("web", 1, "ok")))
		last, _ := w.b.Apps(w.ctx, backend.AppQuery{})
		events, err := feed.Next(w.ctx)
		if err != nil || len(events) != 1 || events[0].Kind != backend.EventBookmark || events[0].Index != last.Index {
			t.Fatalf("Next() = %+v, %v, want a bookmark at %d", events, err, last.Index)
		}
		w.must(backend.PutDocument{Document: backend.Document{Kind: "note", Name: "a"}})
		events, err = feed.Next(w.ctx)
		if err != nil || len(events) != 1 || events[0].Document == nil {
			t.Errorf("Next() = %+v, %v, want the document", events, err)
		}
	})
}

func TestWatchEndsAndRefuses(t *testing.T) {
	w := newWorld(t)
	if _, err := w.b.Watch(w.ctx, backend.WatchQuery{Since: 1 << 40}); backend.CodeOf(err) != backend.Compacted {
		t.Errorf("Watch(the future) = %v, want Compacted", err)
	}
	feed, err := w.b.Watch(w.ctx, backend.WatchQuery{})
	if err != nil {
		t.Fatal(err)
	}
	feed.Close()
	if _, err := feed.Next(w.ctx); err != io.EOF {
		t.Errorf("Next() after Close() = %v", err)
	}
}

func TestSamplesMeasureOnlyForWatchers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.eng.grow = true
		w.must(apply(spec("web", 2, "ok"), spec("other", 1, "ok")))
		id := w.app("web").ID
		before := w.eng.measured()
		time.Sleep(time.Hour)
		if n := w.eng.measured(); n != before {
			t.Errorf("measured %d times for nobody", n-before)
		}
		feed, err := w.b.Samples(w.ctx, backend.SampleQuery{Apps: []string{id}, Instances: true, Interval: backend.Duration(time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		first, err := feed.Next(w.ctx)
		if err != nil || len(first) != 3 {
			t.Fatalf("Next() = %+v, %v, want the app and its two instances", first, err)
		}
		began := time.Now()
		second, err := feed.Next(w.ctx)
		for err == nil && second[0].RSS == 0 {
			second, err = feed.Next(w.ctx)
		}
		if err != nil || second[0].Ref.ID != id || second[0].CPU != 0.5 || second[0].FDs != 6 {
			t.Errorf("Next() = %+v, %v", second, err)
		}
		third, err := feed.Next(w.ctx)
		if err != nil || time.Since(began) > 3*time.Second || third[0].RSS <= second[0].RSS {
			t.Errorf("Next() = %+v, %v after %s", third, err, time.Since(began))
		}
		if a := w.app("web"); a.CPU != 0.5 || a.RSS == 0 {
			t.Errorf("the list has CPU %v, RSS %d", a.CPU, a.RSS)
		}
		feed.Close()
		synctest.Wait()
		n := w.eng.measured()
		time.Sleep(time.Hour)
		if w.eng.measured() != n {
			t.Error("it is measured after the last watcher has gone")
		}
		if _, err := feed.Next(w.ctx); err != io.EOF {
			t.Errorf("Next() after Close() = %v", err)
		}
	})
}

func TestIdleCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 2, "ok")))
		before, _ := w.b.Apps(w.ctx, backend.AppQuery{})
		calls := len(w.eng.happened(""))
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		after, _ := w.b.Apps(w.ctx, backend.AppQuery{})
		if after.Index != before.Index || len(w.eng.happened("")) != calls {
			t.Errorf("a quiet day: index %d to %d, %d engine calls", before.Index, after.Index, len(w.eng.happened(""))-calls)
		}
	})
}

// TestSlowWatchMissesNothing lets a watcher fall behind by more than waits for
// it in memory, and then go on.
func TestSlowWatchMissesNothing(t *testing.T) {
	w := newWorld(t)
	w.must(apply(spec("web", 1, "ok")))
	id := w.app("web").ID
	feed, err := w.b.Watch(w.ctx, backend.WatchQuery{})
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	list, _ := w.b.Apps(w.ctx, backend.AppQuery{})
	at := list.Index
	for _, behind := range []uint64{1100, 5} {
		for list.Index < at+behind {
			for _, c := range []backend.Command{backend.Block{App: id}, backend.Unblock{App: id}} {
				if _, err := w.b.Do(w.ctx, c); err != nil {
					t.Fatalf("Do() = %v", err)
				}
			}
			list, _ = w.b.Apps(w.ctx, backend.AppQuery{})
		}
		for at < list.Index {
			events, err := feed.Next(w.ctx)
			if err != nil {
				t.Fatalf("Next() = %v after %d", err, at)
			}
			for _, e := range events {
				if at++; e.Index != at {
					t.Fatalf("index %d, want %d", e.Index, at)
				}
			}
		}
	}
}
