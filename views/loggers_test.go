package views_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/uitest"
	"pitwall/views/viewstest"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func loggersOfWeb(w *viewstest.World) ui.Place { return ui.Place{View: "loggers", Ref: w.Web.Ref()} }

func TestLevelKeysSetLevels(t *testing.T) {
	in(t, loggersOfWeb, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		d.Press("down", "1", "i", "i", "4", "i", "i", "x")
		d.Wait(settled)
		want := []backend.Command{
			backend.SetLevel{App: w.Web.ID, Logger: "cart", Level: backend.LevelDebug},
			backend.SetLevel{App: w.Web.ID, Logger: "cart", Level: backend.LevelError, Instance: w.Webs[1].ID},
			backend.SetLevel{App: w.Web.ID, Logger: "cart"},
		}
		if diff := cmp.Diff(want, bare(w.Commands())); diff != "" {
			t.Errorf("Commands() differ (-want +got):\n%s", diff)
		}
		d.Contains("main.1 error")
	})
}

func TestAFuseGoesWithTheLevel(t *testing.T) {
	in(t, loggersOfWeb, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		d.Press("f")
		d.Wait(time.Second)
		d.Contains("How long shall a change last?")
		d.Press("enter", "3")
		d.Wait(settled)
		want := []backend.Command{
			backend.SetLevel{App: w.Web.ID, Logger: "default", Level: backend.LevelWarn, For: backend.Duration(10 * time.Minute)},
		}
		if diff := cmp.Diff(want, bare(w.Commands())); diff != "" {
			t.Errorf("Commands() differ (-want +got):\n%s", diff)
		}
		d.Contains("to info in 9m")
	})
}

func TestAnAppWithoutLevelsSaysSo(t *testing.T) {
	of := func(w *viewstest.World) ui.Place { return ui.Place{View: "loggers", Ref: w.Flaky.Ref()} }
	in(t, of, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		d.Press("1")
		d.Contains("flaky has no log levels", "levels: file", "level debug: the app has no log levels")
		if got := w.Commands(); len(got) != 0 {
			t.Errorf("Commands() = %v, want none", got)
		}
	})
}

func TestEventsFollowAndFilter(t *testing.T) {
	of := func(*viewstest.World) ui.Place { return ui.Place{View: "events"} }
	in(t, of, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		w.Emit(backend.Event{
			Kind: backend.EventDeleted, Ref: w.Worker.Ref(), Owner: "worker", OwnerID: w.Worker.ID,
			Level: backend.LevelError, Message: "worker was deleted",
		})
		w.Emit(backend.Event{Kind: backend.EventUpdated, Ref: w.Web.Ref(), Level: backend.LevelInfo, Message: "web is fine"})
		d.Wait(settled)
		d.Contains("worker", "was deleted", "is fine")
		d.Lacks("web is fine", "worker was deleted") // the name is in its column
		d.Press("4")
		d.Wait(settled)
		d.Contains("was deleted")
		d.Lacks("is fine")
		d.Press("0")
		d.Wait(settled)
		d.Contains("is fine")
	})
}

func TestOperationsAreFollowed(t *testing.T) {
	of := func(*viewstest.World) ui.Place { return ui.Place{View: "operations"} }
	in(t, of, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		w.Hold()
		if _, err := w.Do(t.Context(), backend.Restart{App: w.Web.ID}); err != nil {
			t.Fatal(err)
		}
		d.Wait(settled)
		d.Contains("running")
		d.Press("enter")
		d.Wait(settled)
		d.Contains("restart web", "STEPS")
		for w.Step() {
			d.Wait(settled)
		}
		d.Contains("succeeded")
		d.Lacks("running", "queued")
		d.Press("esc")
		wantSelected(t, d, "restart")
	})
}

func TestDescribeStaysTrue(t *testing.T) {
	of := func(w *viewstest.World) ui.Place { return ui.Place{View: "describe", Ref: w.Web.Ref()} }
	in(t, of, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		d.Contains("shop/default/web  running")
		d.Lacks("s3cret")
		w.SetApp("web", "", func(a *backend.App) { a.State, a.LastError = backend.AppFailed, "out of luck" })
		d.Wait(settled)
		d.Contains("failed", "out of luck")
		d.Press("G")
		d.Contains("LATEST EVENTS")
		d.Lacks("shop/default/web")
	})
}
