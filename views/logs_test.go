package views_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/uitest"
	"pitwall/views/viewstest"
)

func TestNewInstanceJoinsTheLog(t *testing.T) {
	in(t, logOfWeb, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		fourth := w.AddInstance(backend.Instance{App: "web", Index: 3})
		w.Lines(fourth.ID, backend.LevelInfo, "hello from the fourth")
		d.Wait(settled)
		d.Contains("main.3 INFO  hello from the fourth")
	})
}

func TestLevelIsSearchedOnTheServer(t *testing.T) {
	in(t, logOfWeb, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		w.Lines(w.Webs[0].ID, backend.LevelFatal, "long ago")
		for n := range 700 {
			w.Lines(w.Webs[0].ID, backend.LevelInfo, fmt.Sprintf("tick %d", n))
		}
		d.Wait(settled)
		d.Press("4")
		d.Wait(settled)
		d.Contains("long ago", "payment refused")
		d.Lacks("tick")
		d.Press("0")
		d.Wait(settled)
		d.Contains("tick 699")
	})
}

func TestTextFilterIsSearchedOnTheServer(t *testing.T) {
	in(t, logOfWeb, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		w.Lines(w.Webs[0].ID, backend.LevelInfo, "the Needle (1)")
		for n := range 700 {
			w.Lines(w.Webs[0].ID, backend.LevelInfo, fmt.Sprintf("hay %d", n))
		}
		d.Wait(settled)
		d.Press("&")
		d.Type("needle (")
		d.Press("enter")
		d.Wait(settled)
		d.Contains("the Needle (1)")
		d.Lacks("hay")
		d.Press("esc")
		d.Wait(settled)
		d.Contains("hay 699")
	})
}

func TestOlderPagesComeWithoutALossOrARepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := viewstest.New()
		one := w.AddInstance(backend.Instance{App: "worker"})
		for n := range 1300 {
			w.Lines(one.ID, backend.LevelInfo, fmt.Sprintf("line <%04d>", n))
		}
		d := console(t, w, ui.Place{View: "logs", Ref: w.Worker.Ref()}, 80, 24)
		d.Wait(settled)
		d.Contains("<1299>")
		d.Lacks("<0799>")
		d.Press("g")
		d.Wait(settled)
		d.Press("g")
		d.Wait(settled)
		d.Press("g")
		d.Wait(settled)
		d.Contains("<0000>", "<0021>")
		seen := map[string]bool{}
		for range 80 {
			for n := range 1300 {
				if text := fmt.Sprintf("<%04d>", n); !seen[text] && has(d, text) {
					seen[text] = true
				}
			}
			d.Press("pgdown")
			d.Wait(time.Second)
		}
		if len(seen) != 1300 {
			t.Errorf("%d lines were seen, want 1300", len(seen))
		}
	})
}

func TestGapIsFetched(t *testing.T) {
	of := func(w *viewstest.World) ui.Place { return ui.Place{View: "logs", Ref: w.Main.Ref()} }
	synctest.Test(t, func(t *testing.T) {
		w := viewstest.New()
		var lost []backend.LogEntry
		for n := 2; n <= 13; n++ {
			lost = append(lost, backend.LogEntry{Instance: w.Main.ID, Seq: uint64(n), Run: 99, Text: fmt.Sprintf("lost %d", n)})
		}
		d := console(t, w, of(w), 120, 40)
		d.Wait(settled)
		d.Contains("12 lines are not here", "12 skipped")
		w.Log(lost...)
		d.Press("r")
		d.Wait(settled)
		d.Contains("lost 2", "lost 13", "0 skipped")
		d.Lacks("lines are not here")
	})
}

func has(d *uitest.Driver, text string) bool { return contains(d.Screen(), text) }

func TestLogSurvivesALostStream(t *testing.T) {
	in(t, logOfWeb, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		w.Fail("logs", backend.Errorf(backend.Unavailable, "gone"))
		d.Press("4")
		d.Wait(settled)
		d.Contains("payment refused")
		w.Fail("logs", nil)
		d.Wait(patience)
		w.Lines(w.Webs[0].ID, backend.LevelError, "back again")
		d.Wait(settled)
		d.Contains("back again")
	})
}

func TestVerbsWorkFromTheLog(t *testing.T) {
	in(t, logOfWeb, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		d.Press("R", "y")
		d.Wait(settled)
		want := []backend.Command{backend.Restart{App: w.Web.ID}}
		if diff := cmp.Diff(want, bare(w.Commands())); diff != "" {
			t.Errorf("Commands() differ (-want +got):\n%s", diff)
		}
	})
}

func TestRunsLeadToTheirLogAndItsNeighbours(t *testing.T) {
	of := func(w *viewstest.World) ui.Place { return ui.Place{View: "runs", Ref: w.Flaky.Ref()} }
	in(t, of, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		d.Press("enter")
		d.Wait(settled)
		d.Contains("flaky main.0 run 17", "panic: nil map in cart.go:41")
		d.Press("[")
		d.Wait(settled)
		d.Contains("flaky main.0 run 16", "wrote nothing that is kept")
	})
}
