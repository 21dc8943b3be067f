package ui_test

import (
	"errors"
	"fmt"
	"image/color"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"pitwall/backend"
	"pitwall/backend/backendtest"
	"pitwall/ui"
	"pitwall/ui/safe"
	"pitwall/ui/uitest"
)

// sample is a Fake with a healthy app, a stopped one and one that is not well.
func sample() *backendtest.Fake {
	f := backendtest.NewFake()
	f.AddApp(backend.App{Name: "web", Instances: 3, Ready: 3, State: backend.AppRunning})
	f.AddApp(backend.App{Name: "flaky", Instances: 1, State: backend.AppCrashing, LastError: "panic: nil map in cart.go:41\x1b[2J"})
	f.AddApp(backend.App{Name: "old", State: backend.AppStopped})
	return f
}

// console runs a test on a console over a Fake. Both are made in a bubble.
func console(t *testing.T, f *backendtest.Fake, w, h int, test func(*testing.T, *uitest.Driver)) {
	t.Helper()
	consoleWith(t, ui.Options{Backend: f, Context: ui.Context{Name: "prod-eu", Color: "red"}}, w, h, test)
}

func consoleWith(t *testing.T, o ui.Options, w, h int, test func(*testing.T, *uitest.Driver)) {
	t.Helper()
	if o.Views == nil {
		o.Views = []ui.Spec{appsSpec(), aboutSpec(nil)}
	}
	d := uitest.New(t, o, w, h)
	d.Wait(200 * time.Millisecond)
	test(t, d)
	d.Close()
}

func TestFrames(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 10}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				console(t, sample(), size[0], size[1], func(_ *testing.T, d *uitest.Driver) { d.Golden() })
			})
		})
	}
	t.Run("receipt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := sample()
			f.Hold()
			console(t, f, 120, 30, func(_ *testing.T, d *uitest.Driver) {
				d.Press("R", "y")
				d.Wait(2 * time.Second)
				d.Golden()
			})
		})
	})
	t.Run("confirm", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			console(t, sample(), 80, 24, func(_ *testing.T, d *uitest.Driver) { d.Press("R"); d.Golden() })
		})
	})
	t.Run("type the name", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			console(t, sample(), 80, 24, func(_ *testing.T, d *uitest.Driver) { d.Press("D"); d.Type("flak"); d.Golden() })
		})
	})
	t.Run("help", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			console(t, sample(), 80, 40, func(_ *testing.T, d *uitest.Driver) { d.Press("?"); d.Golden() })
		})
	})
	t.Run("palette", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			console(t, sample(), 80, 24, func(_ *testing.T, d *uitest.Driver) { d.Press(":"); d.Type("fl"); d.Golden() })
		})
	})
	t.Run("below", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			console(t, sample(), 80, 24, func(_ *testing.T, d *uitest.Driver) { d.Press("enter", "enter"); d.Golden() })
		})
	})
}

func TestFirstFrameDoesNotWaitForTheBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		release := f.Delay("apps")
		console(t, f, 80, 24, func(t *testing.T, d *uitest.Driver) {
			d.Contains("pitwall │ prod-eu", "connecting…", "? help")
			release()
			d.Wait(time.Second)
			d.Contains("3 apps", "1 failing", "flaky")
		})
	})
}

func TestRestartLeavesAReceiptThatFollowsItToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		f.Hold()
		console(t, f, 140, 24, func(t *testing.T, d *uitest.Driver) {
			d.Press("R")
			if got := len(f.Commands()); got != 0 {
				t.Fatalf("%d commands before the confirmation", got)
			}
			d.Contains("Restart flaky?")
			d.Press("y")
			d.Contains("restart flaky:")
			got := f.Commands()
			if len(got) != 1 || backend.IntentOf(got[0]).Source != "console" {
				t.Fatalf("Commands() = %+v, want one from the console", got)
			}
			for f.Step() {
				d.Wait(time.Second)
			}
			d.Wait(time.Second)
			d.Contains("restart flaky: ✓ PASS")
			d.Wait(20 * time.Second)
			d.Lacks("restart flaky:")
		})
	})
}

func TestFailureStaysUntilAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		f.Hold()
		console(t, f, 140, 24, func(t *testing.T, d *uitest.Driver) {
			d.Press("R", "y")
			list, err := f.Operations(t.Context(), backend.OperationQuery{})
			if err != nil || len(list.Items) != 1 {
				t.Fatalf("Operations() = %v, %v; want one", list.Items, err)
			}
			f.Finish(list.Items[0].ID, errors.New("not healthy within 30s"))
			d.Wait(time.Minute)
			d.Contains("✗ FAIL", "not healthy within 30s")
			d.Press("down")
			d.Lacks("FAIL")
		})
	})
}

func TestRefusedCommandSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		f.Fail("restart", backend.Errorf(backend.Denied, "you may not restart flaky\x1b[2J"))
		console(t, f, 140, 24, func(_ *testing.T, d *uitest.Driver) {
			d.Press("R", "y")
			d.Contains("you may not restart flaky␛[2J")
		})
	})
}

func TestEscAndAKeyThatCameInOneReadAreTwoKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		console(t, f, 80, 24, func(t *testing.T, d *uitest.Driver) {
			d.Press("enter")
			d.Contains("apps › ")
			d.Press("?")
			d.Contains("─ keys ─")
			d.Send(tea.KeyPressMsg{Code: tea.KeyEscape, Mod: tea.ModAlt})
			d.Lacks("─ keys ─", "apps › ")
			d.Send(tea.KeyPressMsg{Code: 'r', Mod: tea.ModAlt | tea.ModShift})
			d.Contains("Restart flaky?")
			d.Wait(time.Second) // a burst of keys is not for a question
			d.Send(tea.KeyPressMsg{Code: ':', Mod: tea.ModAlt})
			d.Lacks("Restart flaky?")
			d.Contains("─ go to ─")
			d.Send(tea.KeyPressMsg{Code: 'b', Mod: tea.ModAlt})
			d.Contains("─ go to ─") // it is typed into
			if got := f.Commands(); len(got) != 0 {
				t.Errorf("Commands() = %v, want none", got)
			}
		})
	})
}

func TestReasonGoesWithTheCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		console(t, f, 80, 24, func(t *testing.T, d *uitest.Driver) {
			d.Press("R", "r")
			d.Type("hung y")
			d.Press("enter")
			if got := len(f.Commands()); got != 0 {
				t.Fatalf("enter in the reason's field confirmed")
			}
			d.Press("y")
			if got := f.Commands(); len(got) != 1 || backend.IntentOf(got[0]).Reason != "hung y" {
				t.Errorf("Commands() = %+v, want one with the reason", got)
			}
		})
	})
}

func TestHighRiskWantsTheName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		console(t, f, 80, 24, func(t *testing.T, d *uitest.Driver) {
			d.Press("D", "y", "enter")
			d.Contains("That is not it.")
			d.Press("backspace")
			d.Type("flaky")
			if got := len(f.Commands()); got != 0 {
				t.Fatalf("%d commands before enter", got)
			}
			d.Press("enter")
			if got := f.Commands(); len(got) != 1 {
				t.Errorf("Commands() = %+v, want a delete", got)
			}
		})
	})
}

func TestABurstOfKeysConfirmsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		console(t, f, 80, 24, func(t *testing.T, d *uitest.Driver) {
			d.Send(uitest.Key("R"))
			d.Send(uitest.Key("y"))
			if got := f.Commands(); len(got) != 0 {
				t.Errorf("Commands() = %+v after R and y in one moment, want none", got)
			}
			d.Contains("Restart flaky?")
		})
	})
}

func TestPasteIsNotTakenForKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		console(t, f, 80, 24, func(t *testing.T, d *uitest.Driver) {
			d.Send(tea.PasteMsg{Content: "Ryq"})
			d.Lacks("Restart flaky?")
			if _, quit := d.Quit(); quit {
				t.Error("a paste left the console")
			}
		})
	})
}

func TestDisabledActionSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		console(t, f, 80, 24, func(t *testing.T, d *uitest.Driver) {
			d.Press("end", "R")
			d.Contains("restart old: it is stopped")
			d.Press("up")
			d.Lacks("it is stopped")
		})
	})
}

func TestEnterAndEscKeepTheCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		console(t, sample(), 80, 20, func(_ *testing.T, d *uitest.Driver) {
			d.Press("down", "enter")
			d.Contains("── apps › web", "about web")
			d.Press("esc")
			d.Contains("▸✓ web")
			d.Press("esc", "esc")
			d.Contains("▸✓ web")
		})
	})
}

func TestLongHistoryComesAllTheWayBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed []ui.Place
		o := ui.Options{Backend: sample(), Views: []ui.Spec{appsSpec(), aboutSpec(&closed)}}
		consoleWith(t, o, 80, 20, func(t *testing.T, d *uitest.Driver) {
			d.Press("down", "enter")
			for range 30 {
				d.Press("enter")
			}
			if len(closed) < 10 {
				t.Errorf("%d of 31 views were closed; the history holds them all", len(closed))
			}
			for range 31 {
				d.Press("esc")
			}
			d.Contains("APP", "▸✓ web")
			if len(closed) < 31 {
				t.Errorf("%d of 31 views were closed on the way back", len(closed))
			}
		})
	})
}

func TestCompanionFollowsTheSelectionWhenItRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed []ui.Place
		o := ui.Options{Backend: sample(), Views: []ui.Spec{appsSpec(), aboutSpec(&closed)}}
		consoleWith(t, o, 100, 30, func(t *testing.T, d *uitest.Driver) {
			d.Contains("── flaky · all instances", "about flaky")
			d.Press("down")
			d.Contains("about flaky")
			d.Press("down")
			d.Wait(time.Second)
			d.Contains("about old")
			if len(closed) != 1 {
				t.Errorf("closed %v, want flaky alone: web was passed over", closed)
			}
			d.Press("tab")
			d.Contains("about old, focused", "deeper")
			d.Press("esc")
			d.Lacks("focused")
			d.Press("v")
			d.Lacks("about")
			d.Press("v")
			d.Contains("about old")
			d.Press("enter")
			d.Contains("apps › old")
			d.Press("esc")
			d.Contains("── old · all instances")
			d.Resize(60, 30)
			d.Lacks("about")
		})
	})
}

func TestSelectionStaysWhenAnAppGetsWorse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		console(t, f, 80, 20, func(_ *testing.T, d *uitest.Driver) {
			d.Press("down")
			d.Contains("▸✓ web")
			f.SetApp("old", "", func(a *backend.App) { a.State = backend.AppFailed })
			d.Wait(time.Second)
			d.Contains("▸✓ web", "2 failing")
		})
	})
}

func TestLostLinkKeepsTheDataAndSaysHowStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		console(t, f, 120, 24, func(t *testing.T, d *uitest.Driver) {
			d.Contains("live")
			f.SetLink(backend.LinkState{State: backend.LinkDown, Since: f.Now(), Attempt: 3, Err: "connection refused"})
			d.Wait(42 * time.Second)
			d.Contains("✗ stale 4", "try 3", "flaky", "3 apps", "link lost: connection refused; trying again")
			d.Lacks("live")
			if _, quit := d.Quit(); quit {
				t.Error("the console has left")
			}
			f.SetLink(backend.LinkState{State: backend.LinkUp, Since: f.Now()})
			d.Wait(time.Second)
			d.Contains("live")
			d.Lacks("stale", "link lost")
		})
	})
}

func TestListFailsAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		f.Fail("apps", backend.Errorf(backend.Unavailable, "connection refused"))
		console(t, f, 120, 24, func(_ *testing.T, d *uitest.Driver) {
			d.Contains("unreachable")
			f.Fail("apps", nil)
			d.Wait(time.Minute)
			d.Contains("3 apps", "flaky")
			d.Lacks("unreachable")
		})
	})
}

func TestWatchThatIsResetListsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		console(t, f, 120, 24, func(_ *testing.T, d *uitest.Driver) {
			f.Reset()
			d.Wait(time.Second)
			f.AddApp(backend.App{Name: "fresh", Instances: 1})
			d.Wait(time.Second)
			d.Contains("4 apps", "fresh")
		})
	})
}

func TestRestDrawsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		console(t, sample(), 120, 40, func(t *testing.T, d *uitest.Driver) {
			d.Wait(10 * time.Minute)
			before, screen := d.Frames(), d.Styled()
			d.Wait(10 * time.Minute)
			if got := d.Frames() - before; got > 10 {
				t.Errorf("%d frames in ten quiet minutes, want one a minute at most", got)
			}
			if strings.Contains(d.Styled(), "00:10") || len(screen) == 0 {
				t.Error("a clock moves on the screen")
			}
		})
	})
}

func TestCtrlCNeverLeavesAndSaysHow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		console(t, sample(), 120, 24, func(t *testing.T, d *uitest.Driver) {
			d.Press("R", "ctrl+c")
			d.Lacks("Restart flaky?")
			d.Press("/")
			d.Type("web")
			d.Press("ctrl+c")
			d.Contains("flaky")
			d.Press("ctrl+c")
			d.Contains("nothing to cancel")
			d.Press("ctrl+c")
			d.Contains("press q to leave")
			if _, quit := d.Quit(); quit {
				t.Error("ctrl+c left")
			}
		})
	})
}

func TestLeavingSaysWhatKeepsRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		f.Hold()
		console(t, f, 120, 24, func(t *testing.T, d *uitest.Driver) {
			d.Press("R", "y", "q")
			r, quit := d.Quit()
			if !quit || r.Apps != 2 || r.Instances != 3 || len(r.Open) != 1 {
				t.Errorf("Quit() = %+v, %v; want 2 apps, 3 instances, 1 operation", r, quit)
			}
		})
	})
}

func TestLeavingAsksWhereThereIsAChoice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ui.Options{Backend: sample(), Leave: []ui.Leaving{
			{Key: "s", Text: safe.Literal("stop the demo"), Value: "stop"},
			{Key: "k", Text: safe.Literal("keep it running"), Value: "keep"},
		}}
		for key, want := range map[string]string{"enter": "stop", "k": "keep"} {
			consoleWith(t, o, 80, 24, func(t *testing.T, d *uitest.Driver) {
				d.Press("q")
				d.Contains("stop the demo", "keep it running")
				d.Press("esc")
				if _, quit := d.Quit(); quit {
					t.Fatal("esc left")
				}
				d.Press("q", key)
				if r, quit := d.Quit(); !quit || r.Leave != want {
					t.Errorf("%s left with %q, %v; want %q", key, r.Leave, quit, want)
				}
			})
		}
	})
}

func TestPaletteGoesToNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		console(t, sample(), 80, 20, func(_ *testing.T, d *uitest.Driver) {
			d.Press(":")
			d.Type("web")
			d.Press("enter")
			d.Contains("apps › web", "about web")
			d.Press(":")
			d.Type("apps")
			d.Press("enter")
			d.Contains("LAST WORDS")
			d.Lacks("›")
		})
	})
}

func TestReadOnlyContextDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		o := ui.Options{Backend: f, Context: ui.Context{Name: "prod", ReadOnly: true}}
		consoleWith(t, o, 120, 24, func(t *testing.T, d *uitest.Driver) {
			d.Press("R", "y")
			d.Contains("prod is read-only here")
			if got := f.Commands(); len(got) != 0 {
				t.Errorf("Commands() = %+v, want none", got)
			}
		})
	})
}

func TestAnySizeDraws(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		console(t, sample(), 80, 24, func(t *testing.T, d *uitest.Driver) {
			d.Press("R")
			for _, open := range []string{"", ":", "?"} {
				if open != "" {
					d.Press("esc", open)
				}
				for _, w := range []int{0, 1, 2, 3, 7, 20, 40, 79, 80, 200} {
					for _, h := range []int{0, 1, 2, 3, 4, 5, 10, 24, 60} {
						d.Resize(w, h)
						screen := d.Styled()
						if h > 0 && w > 0 {
							lines := strings.Split(strings.TrimSuffix(screen, "\n"), "\n")
							if len(lines) != h {
								t.Fatalf("%dx%d: %d lines", w, h, len(lines))
							}
							for _, l := range lines {
								if got := ansi.StringWidth(l); got > w && w >= 20 {
									t.Fatalf("%dx%d: %q is %d wide", w, h, ansi.Strip(l), got)
								}
							}
						}
					}
				}
			}
		})
	})
}

func TestASCIIScreenIsASCII(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		f.AddApp(backend.App{Name: "日本", Instances: 1})
		consoleWith(t, ui.Options{Backend: f, ASCII: true, NoColor: true}, 120, 30, func(t *testing.T, d *uitest.Driver) {
			content := d.Content()
			for _, r := range content {
				if r > 0x7e {
					t.Fatalf("%q is on the screen of a terminal without UTF-8:\n%s", r, content)
				}
			}
		})
	})
}

func TestWrongKeymapIsRefused(t *testing.T) {
	_, err := ui.New(t.Context(), ui.Options{Backend: sample(), Keymap: []byte("app.restart: [K]")})
	if err == nil || !strings.Contains(err.Error(), "app.kick and app.restart") {
		t.Errorf("New() = %v, want the two actions named", err)
	}
}

func TestMouseSelectsAndScrolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		console(t, sample(), 100, 30, func(_ *testing.T, d *uitest.Driver) {
			d.Send(tea.MouseClickMsg{X: 5, Y: 3, Button: tea.MouseLeft})
			d.Contains("▸✓ web")
			d.Send(tea.MouseWheelMsg{X: 5, Y: 3, Button: tea.MouseWheelDown})
			d.Contains("▸○ old")
			d.Wait(time.Second)
			d.Send(tea.MouseClickMsg{X: 5, Y: 20, Button: tea.MouseLeft})
			d.Contains("about old, focused")
			d.Send(tea.MouseClickMsg{X: 5, Y: 0, Button: tea.MouseLeft})
			d.Send(tea.MouseClickMsg{X: 5, Y: 500, Button: tea.MouseLeft})
			d.Contains("▸○ old")
		})
	})
}

func TestBackgroundChoosesTheThemeInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := ui.New(t.Context(), ui.Options{Backend: sample(), Views: []ui.Spec{appsSpec(), aboutSpec(nil)}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.Init()
		s.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
		dark := s.View().Content
		s.Update(tea.BackgroundColorMsg{Color: color.White})
		light := s.View().Content
		if dark == light {
			t.Error("a light background changes no colour")
		}
		s.Update(tea.BackgroundColorMsg{Color: color.Black})
		if got := s.View().Content; got != dark {
			t.Error("a dark background does not bring the dark theme back")
		}
	})
}

func TestNoColorHasNoColour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ui.Options{Backend: sample(), NoColor: true, Context: ui.Context{Name: "prod", Color: "red"}}
		consoleWith(t, o, 100, 30, func(t *testing.T, d *uitest.Driver) {
			colour := regexp.MustCompile("\x1b\\[[0-9;]*(3[0-8]|4[0-8]|9[0-7])[0-9;]*m")
			if got := colour.FindString(d.Styled()); got != "" {
				t.Errorf("%q is on a screen without colour", got)
			}
			if !strings.Contains(d.Styled(), "\x1b[7m") {
				t.Error("the selected row is not reversed")
			}
		})
	})
}

func TestAnswerOnItsWayIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		release := f.Delay("do")
		console(t, f, 120, 24, func(_ *testing.T, d *uitest.Driver) {
			d.Press("R", "y")
			d.Contains("restart…")
			release()
			d.Wait(time.Second)
			d.Contains("restart flaky:")
			d.Lacks("restart…")
		})
	})
}

func TestManyCommandsGiveOneStrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sample()
		f.Hold()
		var cmds []backend.Command
		for i := range 20 {
			a := f.AddApp(backend.App{Name: fmt.Sprintf("app-%d", i), Instances: 1})
			cmds = append(cmds, backend.Restart{App: a.ID})
		}
		var deps ui.Deps
		spec := appsSpec()
		inner := spec.Open
		spec.Open = func(d ui.Deps, p ui.Place) ui.View { deps = d; return inner(d, p) }
		o := ui.Options{Backend: f, Views: []ui.Spec{spec, aboutSpec(nil)}}
		consoleWith(t, o, 120, 24, func(t *testing.T, d *uitest.Driver) {
			d.Run(deps.Do(cmds...))
			d.Contains("20 operations: 20 running…")
			list, err := f.Operations(t.Context(), backend.OperationQuery{})
			if err != nil {
				t.Fatal(err)
			}
			f.Finish(list.Items[0].ID, nil)
			f.Finish(list.Items[1].ID, errors.New("not healthy"))
			d.Wait(time.Second)
			d.Contains("1 ✓", "1 ✗", "18 running", "not healthy")
			f.Finish(list.Items[2].ID, backend.Errorf(backend.Canceled, "canceled by ana"))
			d.Wait(time.Second)
			d.Contains("1 ✓", "1 ✗", "1 canceled", "17 running")
		})
	})
}

func TestCopyReachesTheClipboardAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var deps ui.Deps
		spec := appsSpec()
		inner := spec.Open
		spec.Open = func(d ui.Deps, p ui.Place) ui.View { deps = d; return inner(d, p) }
		o := ui.Options{Backend: sample(), Views: []ui.Spec{spec, aboutSpec(nil)}}
		consoleWith(t, o, 120, 24, func(t *testing.T, d *uitest.Driver) {
			d.Run(deps.Copy(safe.Literal("the command"), "pitwall restart web"))
			d.Contains("copied the command")
			if got, want := d.Clipboard(), "pitwall restart web"; got != want {
				t.Errorf("Clipboard() = %q, want %q", got, want)
			}
		})
	})
}

func BenchmarkKeyAndView10kApps(b *testing.B) {
	f := backendtest.NewFake()
	for i := range 10_000 {
		f.AddApp(backend.App{Name: fmt.Sprintf("app-%05d", i), Instances: 2, LastError: "exit 2"})
	}
	s, err := ui.New(b.Context(), ui.Options{Backend: f, Theme: "dark", Views: []ui.Spec{appsSpec(), aboutSpec(nil)}})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	drain(s, s.Init())
	s.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
	if got := strings.Join(first(s.Lines()), "\n"); !strings.Contains(got, "app-00000") {
		b.Fatalf("the apps are not on the screen:\n%s", got)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Update(uitest.Key("down"))
		s.View()
	}
}

func first(lines []string, _ *tea.Cursor) []string { return lines }

// drain runs the commands that end by themselves, the lists.
func drain(s *ui.Shell, cmd tea.Cmd) {
	msgs := make(chan tea.Msg, 100)
	var run func(tea.Cmd)
	run = func(c tea.Cmd) {
		if c == nil {
			return
		}
		go func() {
			msg := c()
			if batch, ok := msg.(tea.BatchMsg); ok {
				for _, c := range batch {
					run(c)
				}
				return
			}
			msgs <- msg
		}()
	}
	run(cmd)
	for {
		select {
		case m := <-msgs:
			_, c := s.Update(m)
			run(c)
		case <-time.After(500 * time.Millisecond):
			return
		}
	}
}

func TestTypingAheadReachesThePalette(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		console(t, sample(), 80, 20, func(_ *testing.T, d *uitest.Driver) {
			for _, k := range []string{":", "w", "e", "b", "enter"} { // in one moment
				d.Send(uitest.Key(k))
			}
			d.Contains("apps › web")
		})
	})
}

func TestTypingAheadIsForTheNewPlace(t *testing.T) {
	o := ui.Options{Backend: sample(), Theme: "dark", Views: []ui.Spec{appsSpec(), aboutSpec(nil)}}
	s, err := ui.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	drain(s, s.Init())
	s.Update(tea.WindowSizeMsg{Width: 80, Height: 20})
	s.Update(uitest.Key("enter")) // no command has run yet when the next key comes
	s.Update(uitest.Key("enter"))
	if got := ansi.Strip(strings.Join(first(s.Lines()), "\n")); !strings.Contains(got, "apps › flaky › flaky") {
		t.Errorf("the second enter was not for the place that the first went to:\n%s", got)
	}
}
