package local_test

import (
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pitwall/backend"
)

func TestBlockKickAttachAndUndo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := spec("web", 1, "ok")
		s.Routes = []backend.Route{{HTTP: "web.localhost"}}
		w.must(apply(s))
		id := w.app("web").ID

		r, err := w.b.Do(w.ctx, backend.Block{App: id, Intent: backend.Intent{Reason: "upgrade", Source: "cli"}})
		if err != nil || r.Operation.State != backend.OperationSucceeded {
			t.Fatalf("Do(block) = %+v, %v, want it done at once", r.Operation, err)
		}
		if a := w.app("web"); !a.Blocked || a.BlockedBy != "ana" || a.BlockedReason != "upgrade" || !w.edge.app(id).Blocked {
			t.Errorf("blocked = %+v, edge %+v", a, w.edge.app(id))
		}
		w.wantTold(`web was blocked by ana: "upgrade"`)
		w.restart()
		if !w.app("web").Blocked || !w.edge.app(id).Blocked {
			t.Error("the block did not outlive the server")
		}
		undo := w.must(backend.Undo{Operation: r.Operation.ID})
		if w.app("web").Blocked || w.edge.app(id).Blocked || undo.Kind != "undo" {
			t.Errorf("undo (%s) left it blocked", undo.Kind)
		}
		w.refused(backend.Undo{Operation: r.Operation.ID}, backend.Conflict)

		k := w.must(backend.Kick{App: id})
		if w.app("web").Attached || w.edge.app(id).Attached || !slices.Contains(w.edge.kicked, id) || k.Steps[0].Detail != "7 closed" {
			t.Errorf("after kick: attached %v, edge %v, steps %+v", w.app("web").Attached, w.edge.app(id).Attached, k.Steps)
		}
		w.must(backend.Attach{App: id})
		if !w.app("web").Attached || !w.edge.app(id).Attached {
			t.Error("attach did not put it back")
		}
		w.must(backend.Kick{App: id})
		w.must(backend.Start{App: id})
		if !w.app("web").Attached {
			t.Error("start did not attach it")
		}
	})
}

func TestFlagsOfOneInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := spec("web", 2, "ok")
		s.Routes = []backend.Route{{HTTP: "web.localhost"}}
		w.must(apply(s))
		id, one := w.app("web").ID, w.instances("web")[1].ID
		blocked := func() []bool {
			var out []bool
			for _, target := range w.edge.app(id).Targets {
				out = append(out, target.Blocked)
			}
			return out
		}
		w.must(backend.Block{App: id, Instance: one})
		if got := blocked(); !slices.Equal(got, []bool{false, true}) || w.app("web").Blocked {
			t.Errorf("targets blocked = %v", got)
		}
		w.must(backend.Unblock{App: id, Instance: one})
		w.must(backend.Kick{App: id, Instance: one})
		if got := blocked(); !slices.Equal(got, []bool{false, true}) || !slices.Contains(w.edge.kicked, one) {
			t.Errorf("after kick of one: targets blocked = %v, kicked %v", got, w.edge.kicked)
		}
		w.must(backend.Attach{App: id, Instance: one})
		if got := blocked(); !slices.Equal(got, []bool{false, false}) {
			t.Errorf("after attach: targets blocked = %v", got)
		}
	})
}

func TestSignalReachesEachInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 2, "ok")))
		id := w.app("web").ID
		w.must(backend.Signal{App: id, Signal: "HUP"})
		if got := w.eng.happened("signal"); len(got) != 2 || !strings.HasSuffix(got[0], " HUP") {
			t.Errorf("signals = %v", got)
		}
		w.refused(backend.Signal{App: id, Signal: "SIGHUP"}, backend.Invalid, "without SIG")
		w.refused(backend.Signal{App: id}, backend.Invalid)
	})
}

func TestNewsOfALoggerSaysWhatTheListSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := spec("web", 2, "ok")
		s.Levels = backend.LevelsFile
		w.must(apply(s))
		id := w.app("web").ID
		feed, err := w.b.Watch(w.ctx, backend.WatchQuery{Kinds: []backend.Kind{backend.KindLogger}})
		if err != nil {
			t.Fatal(err)
		}
		defer feed.Close()
		for _, i := range w.instances("web") {
			w.must(backend.SetLevel{App: id, Instance: i.ID, Level: backend.LevelDebug})
			events, err := feed.Next(w.ctx)
			if err != nil {
				t.Fatal(err)
			}
			list, err := w.b.Loggers(w.ctx, backend.LoggerQuery{App: id})
			if err != nil {
				t.Fatal(err)
			}
			last := events[len(events)-1]
			if diff := cmp.Diff(list.Items[0], *last.Logger); diff != "" {
				t.Errorf("the list and the news of %s differ (-list +news):\n%s", i.Name(), diff)
			}
			if want := "log level of default in web " + i.Name() + " is debug"; !strings.HasPrefix(last.Message, want) {
				t.Errorf("the message is %q, want %q", last.Message, want)
			}
		}
	})
}

func TestLevelsAreSetKeptAndRevert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := spec("web", 2, "ok")
		s.Levels = backend.LevelsFile
		w.must(apply(s, spec("plain", 1, "ok")))
		id := w.app("web").ID
		first := w.instances("web")[0].ID
		w.must(backend.SetLevel{App: id, Logger: "http", Level: "warning"})
		w.must(backend.SetLevel{App: id, Logger: "http", Instance: first, Level: backend.LevelTrace})
		if got := w.eng.levelsOf(first); got["http"] != backend.LevelTrace || got["default"] != backend.LevelInfo {
			t.Errorf("levels of the first = %v", got)
		}
		w.must(backend.SetLevel{App: id, Logger: "http", Level: backend.LevelDebug, For: backend.Duration(10 * time.Minute)})
		second := w.instances("web")[1].ID
		if got := w.eng.levelsOf(second); got["http"] != backend.LevelDebug {
			t.Errorf("levels of the second = %v, want http at debug", got)
		}
		w.must(backend.Scale{App: id, Instances: 3})
		if got := w.eng.levelsOf(w.instances("web")[2].ID); got["http"] != backend.LevelDebug {
			t.Errorf("levels of a new instance = %v, want http at debug", got)
		}
		w.restart()
		list, err := w.b.Loggers(w.ctx, backend.LoggerQuery{App: id})
		if err != nil || len(list.Items) != 2 || list.Items[0].Name != "default" {
			t.Fatalf("Loggers() = %+v, %v", list.Items, err)
		}
		http := list.Items[1]
		if http.Level != backend.LevelDebug || http.Was != backend.LevelWarn || http.Until.IsZero() || !http.Announced || http.Instances[first] != backend.LevelTrace {
			t.Errorf("http = %+v", http)
		}
		w.eventually("the old level", func() bool { return w.eng.levelsOf(second)["http"] == backend.LevelWarn })
		w.refused(backend.SetLevel{App: w.app("plain").ID, Logger: "http", Level: backend.LevelDebug}, backend.Unsupported)
		w.refused(backend.SetLevel{App: id, Logger: "http", Level: "loud"}, backend.Invalid)
	})
}

func TestDocumentsHaveVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := backend.Document{Kind: "note", Name: "hello", Body: []byte("one")}
		w.must(backend.PutDocument{Document: d})
		d.Version = 7
		w.refused(backend.PutDocument{Document: d}, backend.Conflict, "version 1")
		d.Version = 1
		w.must(backend.PutDocument{Document: d})
		list, err := w.b.Documents(w.ctx, backend.DocumentQuery{Kind: "note"})
		if err != nil || len(list.Items) != 1 || list.Items[0].Version != 2 || list.Items[0].Author != "ana" {
			t.Errorf("Documents() = %+v, %v", list.Items, err)
		}
		w.must(backend.DeleteDocument{Kind: "note", Name: "hello"})
		w.refused(backend.DeleteDocument{Kind: "note", Name: "hello"}, backend.NotFound)
	})
}

func TestBundlesAndOutput(t *testing.T) {
	w := newWorld(t)
	ref, err := w.b.Put(w.ctx, strings.NewReader("a bundle"))
	if err != nil || !strings.HasPrefix(ref.ID, "sha256:") {
		t.Fatalf("Put() = %+v, %v", ref, err)
	}
	read := func(ref backend.BlobRef) string {
		r, err := w.b.Open(w.ctx, ref)
		if err != nil {
			t.Fatalf("Open(%+v) = %v", ref, err)
		}
		defer r.Close()
		all, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(all)
	}
	if got := read(backend.BlobRef{Kind: backend.BundleBlob, ID: ref.ID}); got != "a bundle" {
		t.Errorf("Open() = %q", got)
	}
	for _, id := range []string{"../../etc/passwd", "sha256:../x", ""} {
		if _, err := w.b.Open(w.ctx, backend.BlobRef{Kind: backend.BundleBlob, ID: id}); backend.CodeOf(err) != backend.Invalid {
			t.Errorf("Open(%q) = %v, want Invalid", id, err)
		}
	}
	o := w.must(apply(spec("web", 1, "ok")))
	if got := read(backend.BlobRef{Kind: backend.OutputBlob, ID: o.ID}); !strings.Contains(got, "apply web by ana: succeeded") || !strings.Contains(got, "ready: succeeded") {
		t.Errorf("output = %q", got)
	}
}

func TestDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(apply(spec("web", 2, "ok")))
		w.must(backend.Down{Apps: true})
		synctest.Wait()
		if w.eng.living() != 0 || !slices.Equal(w.down, []bool{true}) {
			t.Errorf("%d living, down %v", w.eng.living(), w.down)
		}
		w.restart()
		w.state("web", backend.AppRunning)
		w.must(backend.Down{})
		synctest.Wait()
		if w.eng.living() != 2 || len(w.down) != 2 {
			t.Errorf("%d living, down %v; want the apps to run on", w.eng.living(), w.down)
		}
	})
}

func TestNodesDescribeTheServer(t *testing.T) {
	w := newWorld(t)
	list, err := w.b.Nodes(w.ctx, backend.NodeQuery{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Engine != "fake" || list.Items[0].CPUs == 0 || list.Items[0].State != "ready" {
		t.Errorf("Nodes() = %+v, %v", list.Items, err)
	}
}
