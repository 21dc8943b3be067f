package apps

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pitwall/backend"
	"pitwall/ui"
)

func newTestView(now time.Time) *view {
	return &view{deps: ui.Deps{Now: func() time.Time { return now }}, latest: map[string]backend.Sample{}}
}

func TestWorstFirst(t *testing.T) {
	now := time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC)
	v := newTestView(now)
	want := []*backend.App{
		{Name: "failed", State: backend.AppFailed},
		{Name: "crashing", State: backend.AppCrashing, Attached: true},
		{Name: "degraded", State: backend.AppDegraded, Attached: true},
		{Name: "many errors", State: backend.AppRunning, Attached: true, ErrorsPerMinute: 500},
		{Name: "a few errors", State: backend.AppRunning, Attached: true, ErrorsPerMinute: 2},
		{Name: "b more errors", State: backend.AppRunning, Attached: true, ErrorsPerMinute: 9},
		{Name: "late error", State: backend.AppRunning, Attached: true, LastError: "x", LastErrorAt: now.Add(-time.Minute)},
		{Name: "blocked", State: backend.AppRunning, Attached: true, Blocked: true},
		{Name: "kicked", State: backend.AppRunning},
		{Name: "fine", State: backend.AppRunning, Attached: true},
		{Name: "stopped", State: backend.AppStopped},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	v.sort(got)
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("row %d is %s, want %s", i, got[i].Name, want[i].Name)
		}
	}
}

// BenchmarkOrder is what a change costs at ten thousand apps.
func BenchmarkOrder(b *testing.B) {
	v := newTestView(time.Now())
	apps := make([]*backend.App, 10_000)
	for i := range apps {
		apps[i] = &backend.App{ID: fmt.Sprintf("%024d", i), Name: fmt.Sprintf("app-%d", i*7919%10_000), State: backend.AppRunning, Attached: true}
		v.latest[apps[i].ID] = backend.Sample{ErrorsPerMinute: i % 50 / 40}
	}
	rows := make([]*backend.App, len(apps))
	for b.Loop() {
		copy(rows, apps)
		v.sort(rows)
	}
}
