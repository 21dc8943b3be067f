package views_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pitwall/assets"
	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/keymap"
	"pitwall/ui/present"
	"pitwall/ui/theme"
	"pitwall/ui/uitest"
	"pitwall/views"
	"pitwall/views/viewstest"
)

// in runs a test of a console at a place, in a bubble.
func in(t *testing.T, p func(*viewstest.World) ui.Place, test func(*testing.T, *viewstest.World, *uitest.Driver)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := viewstest.New()
		d := console(t, w, p(w), 100, 30)
		d.Wait(settled)
		test(t, w, d)
	})
}

func atApps(*viewstest.World) ui.Place { return ui.Place{View: "apps"} }

func logOfWeb(w *viewstest.World) ui.Place { return ui.Place{View: "logs", Ref: w.Web.Ref()} }

func TestAStoppedAppOffersToStartIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := viewstest.New()
		d := console(t, w, atApps(w), 80, 24)
		d.Wait(settled)
		d.Press("G")
		d.Contains(" s start  ")
		d.Lacks("R restart")
	})
}

func TestMarkedRowsAreCopied(t *testing.T) {
	in(t, atApps, func(t *testing.T, _ *viewstest.World, d *uitest.Driver) {
		d.Press("y")
		if got := d.Clipboard(); !strings.Contains(got, "flaky") || strings.Count(got, "\n") != 1 {
			t.Errorf("the clipboard has %q, want the row of flaky", got)
		}
		d.Press("space", "space", "y")
		if got := d.Clipboard(); !strings.Contains(got, "leaky") || strings.Count(got, "\n") != 2 {
			t.Errorf("the clipboard has %q, want two rows", got)
		}
		d.Contains("copied 2 rows")
	})
}

func TestTheConfirmSaysWhatItsKeyDoes(t *testing.T) {
	in(t, atApps, func(_ *testing.T, _ *viewstest.World, d *uitest.Driver) {
		d.Press("S")
		d.Contains("y stop")
		d.Press("esc", "D")
		d.Contains("⏎ delete")
	})
}

func TestARowThatWasLookedForStaysSelected(t *testing.T) {
	in(t, atApps, func(t *testing.T, _ *viewstest.World, d *uitest.Driver) {
		d.Press("/")
		d.Type("web")
		d.Press("enter", "esc")
		if got := selected(d); !strings.Contains(got, "web") {
			t.Errorf("the cursor is on %q, want web", got)
		}
	})
}

// bare returns the commands without their intents, by verb and target.
func bare(commands []backend.Command) []backend.Command {
	out := make([]backend.Command, len(commands))
	for i, c := range commands {
		out[i] = backend.WithIntent(c, backend.Intent{})
	}
	return out
}

// selected returns the row under the cursor.
func selected(d *uitest.Driver) string {
	for row := range strings.Lines(d.Screen()) {
		if strings.HasPrefix(row, "▸") {
			return row
		}
	}
	return ""
}

func wantSelected(t *testing.T, d *uitest.Driver, name string) {
	t.Helper()
	if got := selected(d); !strings.Contains(got, name) {
		t.Errorf("the cursor is on %q, want it on %s:\n%s", got, name, d.Screen())
	}
}

func TestSelectionStaysWhenRowsMove(t *testing.T) {
	in(t, atApps, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		d.Press("down", "down", "down")
		wantSelected(t, d, "web")
		w.SetApp("web", "", func(a *backend.App) { a.State = backend.AppFailed })
		d.Wait(settled)
		wantSelected(t, d, "web")
		rows := strings.Split(d.Screen(), "\n")
		if !strings.Contains(rows[2], "web") {
			t.Errorf("the failed app is not the first row:\n%s", d.Screen())
		}
	})
}

func TestMarkedAppsGetOneCommandEach(t *testing.T) {
	in(t, atApps, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		d.Press("space", "space", "R")
		d.Contains("Restart 2 apps?", "flaky, leaky")
		d.Type("2 apps")
		d.Press("enter")
		want := []backend.Command{backend.Restart{App: w.Flaky.ID}, backend.Restart{App: w.Leaky.ID}}
		got := bare(w.Commands())
		if len(got) == 2 && got[0] != want[0] {
			got[0], got[1] = got[1], got[0] // they are given side by side
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Commands() differ (-want +got):\n%s", diff)
		}
	})
}

func TestBlockAsksForAReasonAndItsKeyUnblocks(t *testing.T) {
	in(t, atApps, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		d.Press("b")
		d.Contains("Block flaky?")
		d.Press("r")
		d.Type("noise")
		d.Press("enter", "y")
		d.Wait(settled)
		d.Contains("blocked by ana: \"noise\"")
		d.Press("b")
		d.Wait(settled)
		want := []backend.Command{
			backend.Block{Intent: backend.Intent{Reason: "noise", Source: "console"}, App: w.Flaky.ID},
			backend.Unblock{Intent: backend.Intent{Source: "console"}, App: w.Flaky.ID},
		}
		if diff := cmp.Diff(want, w.Commands()); diff != "" {
			t.Errorf("Commands() differ (-want +got):\n%s", diff)
		}
	})
}

func TestDisabledActionsSayWhy(t *testing.T) {
	in(t, atApps, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		for _, tt := range []struct{ app, key, want string }{
			{"flaky", "A", "attach flaky: it is attached"},
			{"flaky", "s", "start flaky: it is started"},
			{"flaky", "B", "unblock flaky: it is not blocked"},
			{"flaky", "Z", "rollback flaky: there is no release before the present one"},
			{"worker", "R", "restart worker: it is stopped: start it"},
			{"worker", "S", "stop worker: it is stopped"},
		} {
			d.Press("/")
			d.Type(tt.app)
			d.Press("enter", tt.key)
			d.Contains(tt.want)
			d.Press("esc")
		}
		if got := w.Commands(); len(got) != 0 {
			t.Errorf("Commands() = %v, want none", got)
		}
	})
}

func TestScaleTakesANumberOrAProcess(t *testing.T) {
	in(t, atApps, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		d.Press("down", "down", "down", "=")
		d.Wait(time.Second)
		d.Contains("Scale web", "There are 3 now")
		d.Press("backspace")
		d.Type("many")
		d.Press("enter")
		d.Contains("is not a number")
		d.Press("backspace", "backspace", "backspace", "backspace", "5", "enter")
		d.Wait(settled)
		want := []backend.Command{backend.Scale{App: w.Web.ID, Instances: 5}}
		if diff := cmp.Diff(want, bare(w.Commands())); diff != "" {
			t.Errorf("Commands() differ (-want +got):\n%s", diff)
		}
		d.Contains("5/5")
	})
}

func TestBackKeepsTheCursor(t *testing.T) {
	in(t, atApps, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		d.Press("down", "down", "down", "enter")
		d.Wait(settled)
		d.Contains("apps › web instances", "main.2")
		d.Press("down", "enter")
		d.Wait(settled)
		d.Contains("web main.1")
		d.Press("esc")
		wantSelected(t, d, "main.1")
		d.Press("esc")
		wantSelected(t, d, "web")
	})
}

func TestSamplesAreShown(t *testing.T) {
	in(t, atApps, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		w.Sample(backend.Sample{Ref: w.Web.Ref(), ErrorsPerMinute: 4321, LastError: "the till is jammed", LastErrorAt: w.Now()})
		d.Wait(settled)
		d.Contains("4321", "the till is jammed")
	})
}

func TestUndoFindsTheLatestChange(t *testing.T) {
	in(t, atApps, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		d.Press("K", "y")
		d.Wait(settled)
		d.Contains("K attach")
		d.Press("u")
		d.Wait(time.Second)
		d.Contains("Undo kick flaky?", "attach")
		d.Press("y")
		d.Wait(settled)
		got := w.Commands()
		if u, ok := got[len(got)-1].(backend.Undo); !ok || u.Operation == "" {
			t.Errorf("the last command is %#v, want an Undo", got[len(got)-1])
		}
	})
}

func TestInstanceVerbsNameTheInstance(t *testing.T) {
	of := func(w *viewstest.World) ui.Place { return ui.Place{View: "instances", Ref: w.Web.Ref()} }
	in(t, of, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		d.Press("down", "R")
		d.Contains("Restart web main.1?")
		d.Press("y")
		d.Wait(settled)
		want := []backend.Command{backend.Restart{App: w.Web.ID, Instance: w.Webs[1].ID}}
		if diff := cmp.Diff(want, bare(w.Commands())); diff != "" {
			t.Errorf("Commands() differ (-want +got):\n%s", diff)
		}
	})
}

func TestJobsRunNow(t *testing.T) {
	of := func(*viewstest.World) ui.Place { return ui.Place{View: "jobs"} }
	in(t, of, func(t *testing.T, w *viewstest.World, d *uitest.Driver) {
		d.Press("R")
		d.Contains("Run nightly now?")
		d.Press("y", "enter")
		d.Wait(settled)
		want := []backend.Command{backend.RunJob{Job: w.Nightly.ID}}
		if diff := cmp.Diff(want, bare(w.Commands())); diff != "" {
			t.Errorf("Commands() differ (-want +got):\n%s", diff)
		}
		d.Contains("nightly runs", "succeeded", "manual")
	})
}

func TestEveryViewKeepsToTheKeymap(t *testing.T) {
	keys, err := keymap.Parse(assets.Keymap)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := viewstest.New()
		deps := ui.Deps{Backend: w, Theme: theme.Plain(theme.Options{}), Keymap: keys, Now: w.Now}
		for name, p := range places(w) {
			for _, sp := range views.Default() {
				if sp.Name != p.View {
					continue
				}
				if err := keys.Check(sp.Open(deps, p).Actions()); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		apps := []backend.App{w.Web, w.Chat}
		for _, a := range append(present.AppVerbs(deps, apps), present.AppPlaces(deps, w.Web, true)...) {
			if len(a.Keys) == 0 {
				t.Errorf("%s has no key", a.ID)
			}
		}
	})
}
