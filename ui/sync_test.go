package ui_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
	"pgregory.net/rapid"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/uitest"
)

func TestSlowWatcherListsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		f.Buffer(4)
		console(t, f, 120, 40, func(_ *testing.T, d *uitest.Driver) {
			for i := range 50 { // in one moment: more than the buffer holds
				f.AddApp(backend.App{Name: fmt.Sprintf("burst-%02d", i), Instances: 1})
			}
			d.Wait(2 * time.Second)
			d.Contains("53 apps")
			f.AddApp(backend.App{Name: "after", Instances: 1})
			d.Wait(2 * time.Second)
			d.Contains("54 apps")
		})
	})
}

func TestDeletedAppGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		console(t, f, 120, 24, func(_ *testing.T, d *uitest.Driver) {
			d.Press("down", "D")
			d.Type("web")
			d.Press("enter")
			d.Wait(2 * time.Second)
			d.Contains("2 apps", "flaky", "old")
			d.Lacks(" web ")
		})
	})
}

func TestFloodOfChangesDrawsSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		console(t, f, 120, 24, func(t *testing.T, d *uitest.Driver) {
			before := d.Frames()
			for i := range 1000 { // a thousand changes in a second
				f.SetApp("web", "", func(a *backend.App) { a.LastError = fmt.Sprint("change ", i) })
				d.Wait(time.Millisecond)
			}
			d.Wait(200 * time.Millisecond)
			d.Contains("change 999")
			// Two lists of apps follow the changes: the view's and the header's.
			if got := d.Frames() - before; got > 2*1000/50 {
				t.Errorf("%d frames for 1,000 changes in a second", got)
			}
		})
	})
}

// TestAnyKeyInAnyOrderDraws presses anything and looks at the screen: nothing
// panics, and nothing but q leaves.
func TestAnyKeyInAnyOrderDraws(t *testing.T) {
	keys := []string{
		"up", "down", "pgdown", "home", "end", "enter", "esc", "tab", "space", "backspace", "ctrl+c", "ctrl+l",
		":", "/", "?", "m", "v", "M", "R", "D", "y", "n", "r", "*", "-", ">", "<", "!", "a", "x",
	}
	type step struct {
		kind, w, h, y int
		key           string
	}
	draw := rapid.Custom(func(rt *rapid.T) step {
		s := step{kind: rapid.IntRange(0, 9).Draw(rt, "kind")}
		switch s.kind {
		case 0:
			s.w, s.h = rapid.IntRange(0, 140).Draw(rt, "w"), rapid.IntRange(0, 50).Draw(rt, "h")
		case 1:
			s.y = rapid.IntRange(-1, 40).Draw(rt, "y")
		case 2:
		default:
			s.key = rapid.SampledFrom(keys).Draw(rt, "key")
		}
		return s
	})
	rapid.Check(t, func(rt *rapid.T) {
		// All is drawn here: a draw may end the case by a panic, which must
		// not happen on the bubble's goroutine.
		steps := rapid.SliceOfN(draw, 1, 40).Draw(rt, "steps")
		left := false
		synctest.Test(t, func(t *testing.T) {
			f := sample()
			d := uitest.New(t, ui.Options{Backend: f, Views: []ui.Spec{appsSpec(), aboutSpec(nil)}}, 100, 30)
			for _, s := range steps {
				switch s.kind {
				case 0:
					d.Resize(s.w, s.h)
				case 1:
					d.Send(tea.MouseClickMsg{X: 3, Y: s.y, Button: tea.MouseLeft})
				case 2:
					f.SetApp("old", "", func(a *backend.App) { a.State = backend.AppFailed })
					d.Wait(100 * time.Millisecond)
				default:
					d.Press(s.key)
				}
				d.Screen()
			}
			_, left = d.Quit()
		})
		if left {
			rt.Fatal("the console has left without q")
		}
	})
}
