package present

import (
	"testing"
	"time"

	"pitwall/backend"
	"pitwall/ui/theme"
)

func TestAppSaysStateAndFlags(t *testing.T) {
	now := time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC)
	tests := []struct {
		app  backend.App
		mark theme.State
		word string
	}{
		{backend.App{State: backend.AppRunning, Attached: true}, theme.Running, "running"},
		{backend.App{State: backend.AppRunning, Attached: true, ErrorsPerMinute: 1}, theme.Degraded, "running"},
		{backend.App{State: backend.AppRunning, Attached: true, LastError: "x", LastErrorAt: now.Add(-time.Minute)}, theme.Degraded, "running"},
		{backend.App{State: backend.AppRunning, Attached: true, LastError: "x", LastErrorAt: now.Add(-time.Hour)}, theme.Running, "running"},
		{backend.App{State: backend.AppRunning, Attached: true, LastError: "x"}, theme.Degraded, "running"},
		{backend.App{State: backend.AppRunning, Attached: true, Blocked: true}, theme.Blocked, "blocked"},
		{backend.App{State: backend.AppRunning}, theme.Blocked, "kicked"},
		{backend.App{State: backend.AppCrashing}, theme.Failed, "crash loop, kicked"},
		{backend.App{State: backend.AppStopped}, theme.Stopped, "stopped"},
		{backend.App{State: backend.AppStopped, Blocked: true}, theme.Stopped, "stopped, blocked"},
		{backend.App{State: "odd\x1b[2J", Attached: true}, theme.Unknown, "odd␛[2J"},
	}
	for _, tt := range tests {
		if got := App(tt.app, now); got.State != tt.mark || got.Text.String() != tt.word {
			t.Errorf("App(%+v) = %v %q, want %v %q", tt.app, got.State, got.Text, tt.mark, tt.word)
		}
	}
}

func TestReasonHasTheNextStartOfNow(t *testing.T) {
	now := time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC)
	tests := []struct {
		in   backend.Instance
		want string
	}{
		{backend.Instance{State: backend.InstanceRunning, Reason: "running"}, ""},
		{backend.Instance{State: backend.InstanceFailed, Reason: "budget spent"}, "budget spent"},
		{backend.Instance{State: backend.InstanceCrashed, Reason: "exit 2, next start in 9s", NextStart: now.Add(3 * time.Second)}, "exit 2, next start in 3s"},
		{backend.Instance{State: backend.InstanceCrashed, NextStart: now}, "next start now"},
	}
	for _, tt := range tests {
		if got := Reason(tt.in, now).String(); got != tt.want {
			t.Errorf("Reason(%+v) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestTellingLine(t *testing.T) {
	tests := []struct {
		lines []string
		want  int
	}{
		{nil, -1},
		{[]string{"hello", "bye"}, 1},
		{[]string{"", "  "}, 1},
		{[]string{"starting", "panic: nil map", "", "goroutine 1 [running]:", "\t/x.go:3"}, 1},
		{[]string{"tar: error: no space", "  at x", "done"}, 0},
	}
	for _, tt := range tests {
		if got := Telling(tt.lines); got != tt.want {
			t.Errorf("Telling(%q) = %d, want %d", tt.lines, got, tt.want)
		}
	}
}

func TestParseScale(t *testing.T) {
	tests := []struct {
		in, process string
		n           int
		ok          bool
	}{
		{"3", "", 3, true},
		{" web = 0 ", "web", 0, true},
		{"-1", "", 0, false},
		{"many", "", 0, false},
		{"99999999", "", 0, false},
		{"", "", 0, false},
	}
	for _, tt := range tests {
		process, n, err := parseScale(tt.in)
		if (err == nil) != tt.ok || process != tt.process && tt.ok || n != tt.n {
			t.Errorf("parseScale(%q) = %q, %d, %v, want %q, %d, ok %v", tt.in, process, n, err, tt.process, tt.n, tt.ok)
		}
	}
}

func TestDurationsAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "", 200 * time.Millisecond: "200ms", 1900 * time.Millisecond: "1.9s", 41 * time.Second: "41s",
		200 * time.Second: "3m20s", 130 * time.Minute: "2h10m", 72 * time.Hour: "3d",
	} {
		if got := Lasted(d).String(); got != want {
			t.Errorf("Lasted(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestBlockedAndKickedAreBothSaid(t *testing.T) {
	a := backend.App{State: backend.AppRunning, Attached: true, Blocked: true}
	if got := App(a, time.Time{}).Text.String(); got != "blocked" {
		t.Errorf("App() of a blocked one = %q", got)
	}
	a.Attached = false
	if got := App(a, time.Time{}).Text.String(); got != "blocked, kicked" {
		t.Errorf("App() of one that is kicked too = %q", got)
	}
	i := backend.Instance{State: backend.InstanceRunning, Blocked: true}
	if got := Instance(i).Text.String(); got != "blocked, kicked" {
		t.Errorf("Instance() = %q", got)
	}
}
