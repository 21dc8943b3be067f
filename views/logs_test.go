package views_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
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

func TestOneKeyGoesToTheVeryFirstLineAndBackToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := viewstest.New()
		one := w.AddInstance(backend.Instance{App: "worker"})
		for n := range 1300 {
			w.Lines(one.ID, backend.LevelInfo, fmt.Sprintf("line <%04d>", n))
		}
		d := console(t, w, ui.Place{View: "logs", Ref: w.Worker.Ref()}, 80, 24)
		d.Wait(settled)
		d.Press("g")
		d.Wait(settled)
		d.Contains("<0000>", "<0019>", "f follow")
		w.Lines(one.ID, backend.LevelInfo, "line <1300>")
		d.Wait(settled)
		d.Contains("<0000>")
		d.Lacks("<1300>")
		number := regexp.MustCompile(`<[0-9]{4}>`)
		seen := map[string]bool{}
		for range 80 {
			for _, text := range number.FindAllString(d.Screen(), -1) {
				seen[text] = true
			}
			d.Press("pgdown")
			d.Wait(time.Second)
		}
		if len(seen) != 1301 {
			t.Errorf("%d lines were seen on the way down, want 1301", len(seen))
		}
		d.Press("g")
		d.Wait(settled)
		d.Press("G")
		w.Lines(one.ID, backend.LevelInfo, "line <1301>")
		d.Wait(settled)
		d.Contains("<1301>", "f pause")
	})
}

func TestWhatIsFilteredForCanBeSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := viewstest.New()
		one := w.AddInstance(backend.Instance{App: "worker"})
		w.Lines(one.ID, backend.LevelInfo, `{"level":"info","request":"4711 of a client that was here before","msg":"answered /cart/17"}`)
		d := console(t, w, ui.Place{View: "logs", Ref: w.Worker.Ref()}, 80, 24)
		d.Wait(settled)
		for text, want := range map[string]string{"Cart/17": "INFO  answered /cart/17", `level":"inf`: `INFO  {"level":"info"`} {
			d.Press("&")
			d.Type(text)
			d.Press("enter")
			d.Wait(settled)
			d.Contains(want)
			d.Press("esc")
			d.Wait(settled)
		}
	})
}

func TestLinesOnTheScreenAreCopiedWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := viewstest.New()
		one := w.AddInstance(backend.Instance{App: "worker"})
		long := strings.Repeat("long ", 40) + "end"
		w.Lines(one.ID, backend.LevelInfo, "short", long)
		d := console(t, w, ui.Place{View: "logs", Ref: w.Worker.Ref()}, 80, 24)
		d.Wait(settled)
		d.Press("y")
		got := strings.Split(d.Clipboard(), "\n")
		if len(got) != 3 || !strings.HasSuffix(got[0], "Z main.0 short") || !strings.HasSuffix(got[1], " "+long) {
			t.Errorf("the clipboard has %q, want the two lines", got)
		}
		d.Contains("copied 2 lines")
	})
}

func TestAWordOfWhatCannotBeDoneIsNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := viewstest.New()
		d := console(t, w, logOfWeb(w), 80, 24)
		d.Wait(settled)
		d.Press("r")
		d.Contains("there is no gap on the screen")
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
		for range 80 {
			d.Press("pgup")
			d.Wait(time.Second)
		}
		d.Contains("<0000>", "<0020>")
		number := regexp.MustCompile(`<[0-9]{4}>`)
		seen := map[string]bool{}
		for range 80 {
			for _, text := range number.FindAllString(d.Screen(), -1) {
				seen[text] = true
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

// cutting is a Fake whose log feeds break off once, after their first batch.
type cutting struct {
	*viewstest.World
	cut     bool
	queries []backend.LogQuery
}

func (c *cutting) Logs(ctx context.Context, q backend.LogQuery) (backend.Feed[backend.LogEntry], error) {
	c.queries = append(c.queries, q)
	f, err := c.World.Logs(ctx, q)
	if err != nil || c.cut {
		return f, err
	}
	c.cut = true
	return &broken{Feed: f}, nil
}

type broken struct {
	backend.Feed[backend.LogEntry]
	given bool
}

func (b *broken) Next(ctx context.Context) ([]backend.LogEntry, error) {
	if b.given {
		return nil, backend.Errorf(backend.Unavailable, "the line is cut")
	}
	b.given = true
	return b.Feed.Next(ctx)
}

func TestBrokenLogGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cutting{World: viewstest.New()}
		d := console(t, c, logOfWeb(c.World), 100, 60)
		d.Wait(200 * time.Millisecond)
		c.Lines(c.Webs[0].ID, backend.LevelInfo, "said while it was cut")
		d.Wait(patience)
		d.Contains("said while it was cut")
		if n := strings.Count(d.Screen(), "GET /cart/39 "); n != 1 {
			t.Errorf("the line before the cut is there %d times:\n%s", n, d.Screen())
		}
		if n := len(c.queries); n != 2 || c.queries[1].After == "" || c.queries[1].Tail != 0 {
			t.Errorf("the second query is %+v, want it to go on after a cursor", c.queries[n-1])
		}
	})
}

func TestReadingFurtherUpKeepsThePlace(t *testing.T) {
	in(t, logOfWeb, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		for n := range 100 {
			w.Lines(w.Webs[0].ID, backend.LevelInfo, fmt.Sprintf("tick %d", n))
		}
		d.Wait(settled)
		d.Press("pgup", "pgup")
		before := d.Screen()
		w.Lines(w.Webs[0].ID, backend.LevelInfo, "something new")
		d.Wait(settled)
		d.Lacks("something new")
		if rows := strings.Split(before, "\n"); !contains(d.Screen(), rows[5]) {
			t.Errorf("the screen has moved from\n%s\nto\n%s", before, d.Screen())
		}
		d.Press("G")
		d.Contains("something new")
	})
}

func TestAPausedLogThatAsksForMoreGetsIt(t *testing.T) {
	in(t, logOfWeb, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		d.Press("4")
		d.Wait(settled)
		d.Lacks("slow query")
		d.Press("f")
		d.Wait(settled)
		d.Contains("f follow")
		d.Press("0")
		d.Wait(settled)
		d.Contains("slow query")
		d.Press("f", "4")
		d.Wait(settled)
		d.Contains("f follow", "payment refused")
		d.Lacks("slow query")
	})
}

func TestLostLinkKeepsWhatThereIs(t *testing.T) {
	in(t, atApps, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		before := d.Styled()
		w.SetLink(backend.LinkState{State: backend.LinkDown, Since: w.Now(), Err: "gone", Attempt: 2})
		d.Wait(settled)
		d.Contains("stale", "flaky", "panic: nil map in cart.go:41")
		if row(before, "worker") == row(d.Styled(), "worker") || row(before, "panic") == row(d.Styled(), "panic") {
			t.Error("what may no longer be true looks as before")
		}
		w.SetLink(backend.LinkState{State: backend.LinkUp, Since: w.Now()})
		d.Wait(settled)
		if row(before, "worker") != row(d.Styled(), "worker") {
			t.Error("what is true again does not look as before")
		}
	})
}

// row returns the last row of a screen that has a text.
func row(screen, text string) string {
	found := ""
	for r := range strings.Lines(screen) {
		if contains(r, text) {
			found = r
		}
	}
	return found
}

func TestStructuredLinesAreShownByTheirMessage(t *testing.T) {
	in(t, logOfWeb, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		w.Lines(w.Webs[0].ID, backend.LevelInfo, `{"level":"info","msg":"answered","status":200}`)
		d.Wait(settled)
		d.Contains("main.0 INFO  answered status=200")
		d.Press("x")
		d.Wait(settled)
		d.Contains(`{"level":"info","msg":"answered","status":200}`)
		d.Press("x", "&")
		d.Type(`"status":200`)
		d.Press("enter")
		d.Wait(settled)
		d.Contains(`{"level":"info","msg":"answered","status":200}`)
	})
}
