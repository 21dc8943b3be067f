package views_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/present"
	"pitwall/ui/uitest"
	"pitwall/views"
	"pitwall/views/viewstest"
)

// sizes are the screens that every view is drawn on.
var sizes = [...][2]int{{80, 24}, {120, 40}, {40, 10}}

// console starts a console at a place.
func console(t *testing.T, b backend.Backend, p ui.Place, width, height int) *uitest.Driver {
	t.Helper()
	return uitest.New(t, ui.Options{
		Backend: b, Views: views.Default(), Start: p, Context: ui.Context{Name: "pit"},
	}, width, height)
}

// places are what the golden frames show, by name.
func places(w *viewstest.World) map[string]ui.Place {
	at := func(view string, ref backend.Ref) ui.Place { return ui.Place{View: view, Ref: ref} }
	flaky17 := ui.Place{View: "logs", Ref: present.InstanceRef(w.Main), Arg: "17"}
	releases := ui.Place{View: "describe", Ref: w.Web.Ref(), Arg: "releases"}
	return map[string]ui.Place{
		"apps":               {View: "apps"},
		"instances":          {View: "instances"},
		"instances of web":   at("instances", w.Web.Ref()),
		"instances of flaky": at("instances", w.Flaky.Ref()),
		"jobs":               {View: "jobs"},
		"runs":               {View: "runs"},
		"runs of flaky":      at("runs", w.Flaky.Ref()),
		"runs of nightly":    at("runs", w.Nightly.Ref()),
		"runs of report":     at("runs", w.Report.Ref()),
		"logs":               {View: "logs"},
		"logs of web":        at("logs", w.Web.Ref()),
		"logs of main":       at("logs", present.InstanceRef(w.Main)),
		"logs of run 17":     flaky17,
		"logs of worker":     at("logs", w.Worker.Ref()),
		"loggers of web":     at("loggers", w.Web.Ref()),
		"loggers of flaky":   at("loggers", w.Flaky.Ref()),
		"events":             {View: "events"},
		"events of flaky":    at("events", w.Flaky.Ref()),
		"operations":         {View: "operations"},
		"operations of chat": at("operations", w.Chat.Ref()),
		"nodes":              {View: "nodes"},
		"describe web":       at("describe", w.Web.Ref()),
		"releases of web":    releases,
		"describe flaky":     at("describe", w.Flaky.Ref()),
		"describe main":      at("describe", present.InstanceRef(w.Main)),
		"describe nightly":   at("describe", w.Nightly.Ref()),
	}
}

func TestFrames(t *testing.T) {
	for name := range places(viewstest.New()) {
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s %dx%d", name, size[0], size[1]), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := viewstest.New()
					d := console(t, w, places(w)[name], size[0], size[1])
					d.Wait(settled)
					d.Golden()
					fits(t, d, size[0], size[1])
				})
			})
		}
	}
}

// fits fails unless the screen has exactly its rows, none of them too wide,
// and no byte that a terminal would obey but styles.
func fits(t *testing.T, d *uitest.Driver, width, height int) {
	t.Helper()
	rows := strings.Split(strings.TrimSuffix(d.Screen(), "\n"), "\n")
	if len(rows) != height {
		t.Errorf("the screen has %d rows, want %d", len(rows), height)
	}
	for _, r := range rows {
		if n := len([]rune(r)); n > width {
			t.Errorf("the row %q has %d cells, want %d at most", r, n, width)
		}
		if strings.ContainsRune(r, '\x1b') {
			t.Errorf("the row %q has an escape", r)
		}
	}
}

func TestEmptyFrames(t *testing.T) {
	for _, view := range []string{"apps", "instances", "jobs", "runs", "logs", "events", "operations"} {
		t.Run(view, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newEmpty()
				d := console(t, w, ui.Place{View: view}, 60, 10)
				d.Wait(settled)
				d.Golden()
			})
		})
	}
}

func TestUnreachableFrames(t *testing.T) {
	for _, view := range []string{"apps", "instances", "jobs", "runs", "logs", "events", "operations", "nodes"} {
		t.Run(view, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newEmpty()
				down := backend.Errorf(backend.Unavailable, "dial: refused")
				for _, read := range []string{"apps", "instances", "jobs", "runs", "logs", "events", "operations", "nodes", "watch", "samples"} {
					w.Fail(read, down)
				}
				d := console(t, w, ui.Place{View: view}, 80, 10)
				d.Wait(settled)
				d.Contains("the server cannot be reached; trying again.")
				for _, read := range []string{"apps", "instances", "jobs", "runs", "logs", "events", "operations", "nodes", "watch", "samples"} {
					w.Fail(read, nil)
				}
				w.AddApp(backend.App{Name: "web"})
				d.Wait(patience)
				d.Lacks("cannot be reached")
			})
		})
	}
}
