// Package viewstest has a small world to look at: apps that run, crash, leak
// and are blocked, with their logs, jobs, loggers and history. It is for the
// tests of views and for trying them out.
package viewstest

import (
	"fmt"
	"time"

	"pitwall/backend"
	"pitwall/backend/backendtest"
)

// World is a Fake with something in it, and the names of some of it.
type World struct {
	*backendtest.Fake
	Flaky, Leaky, Chat, Web, Worker backend.App
	Webs                            []backend.Instance
	Main                            backend.Instance // of flaky
	Nightly, Report                 backend.Job
}

// New makes the world. Its clock stands at the Fake's epoch.
func New() *World {
	w := &World{Fake: backendtest.NewFake()}
	w.apps()
	w.instances()
	w.history()
	w.jobs()
	w.logs()
	return w
}

func ago(f *backendtest.Fake, d time.Duration) time.Time { return f.Now().Add(-d) }

func (w *World) apps() {
	shop, ops := backend.Scope{Team: "shop"}, backend.Scope{Team: "ops"}
	f := w.Fake
	w.Web = f.AddApp(backend.App{
		Name: "web", Scope: shop, Since: ago(f, 2*time.Hour), Release: 3, Levels: true,
		Routes: []backend.Route{{HTTP: "shop.localhost"}}, Spec: backend.AppSpec{
			Description: "the shop's front", Levels: backend.LevelsFile,
			Env:    map[string]string{"PAYMENT_TOKEN": "s3cret", "MODE": "live"},
			Routes: []backend.Route{{HTTP: "shop.localhost"}},
			Processes: []backend.ProcessSpec{{
				Name: "main", Command: backend.CommandLine{Args: []string{"./web", "--motto", "fast and good", "--port", "$PORT"}},
				Instances: 3, Memory: 256 << 20, CPU: 500, Health: &backend.Check{HTTP: "/healthz"},
			}},
		},
	})
	w.Chat = f.AddApp(backend.App{
		Name: "chat", Scope: ops, Since: ago(f, 26*time.Hour), Blocked: true, BlockedBy: "ana",
		BlockedReason: "draining for the upgrade", BlockedAt: ago(f, 5*time.Minute), Connections: 12,
	})
	w.Leaky = f.AddApp(backend.App{
		Name: "leaky", Scope: shop, Since: ago(f, 41*time.Second), ErrorsPerMinute: 2,
		ErrorTrend: []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 2}, LastErrorAt: ago(f, 41*time.Second),
		LastError: "killed at its memory limit (256 MiB), run 4",
	})
	w.Flaky = f.AddApp(backend.App{
		Name: "flaky", Scope: shop, State: backend.AppCrashing, Since: ago(f, 3*time.Second),
		ErrorsPerMinute: 60, ErrorTrend: []int{0, 1, 20, 55, 60, 60, 60, 60, 60, 60}, Restarts: 16, LastErrorAt: ago(f, time.Second),
		LastError: "exit 2 \"panic: \x1b[2Jnil map in cart.go:41\"",
	})
	w.Worker = f.AddApp(backend.App{Name: "worker", Scope: ops, State: backend.AppStopped, Since: ago(f, 72*time.Hour)})
}

func (w *World) instances() {
	f := w.Fake
	for n := range 3 {
		w.Webs = append(w.Webs, f.AddInstance(backend.Instance{App: "web", Index: n, Since: ago(f, 2*time.Hour), CPU: 0.12, RSS: 80 << 20, Connections: n}))
	}
	for n := range 2 {
		f.AddInstance(backend.Instance{App: "chat", Index: n, Since: ago(f, 26*time.Hour), RSS: 20 << 20})
	}
	f.AddInstance(backend.Instance{
		App: "leaky", Since: ago(f, 41*time.Second), RSS: 240 << 20, MemoryLimit: 256 << 20, Run: 5, Restarts: 4,
		LastExit: &backend.Exit{Code: 137, OOM: true, Time: ago(f, 41*time.Second)},
	})
	w.Main = f.AddInstance(backend.Instance{
		App: "flaky", State: backend.InstanceCrashed, Reason: "exit 2, run 17 lasted 1.9s",
		Run: 17, Restarts: 16, Since: ago(f, 3*time.Second), NextStart: f.Now().Add(4 * time.Second),
		LastExit: &backend.Exit{Code: 2, Time: ago(f, 3*time.Second)},
	})
	since := ago(f, 3*time.Second)
	f.SetApp("flaky", "flaky main.0 exited with 2", func(a *backend.App) { a.State, a.Since = backend.AppCrashing, since })
	f.SetApp("leaky", "leaky main.0 was killed at its memory limit", func(*backend.App) {})
	f.Sample(
		backend.Sample{Ref: w.Web.Ref(), CPU: 0.36, RSS: 240 << 20, Connections: 3},
		backend.Sample{Ref: w.Flaky.Ref(), CPU: 0.02, RSS: 12 << 20, ErrorsPerMinute: 60},
		backend.Sample{Ref: w.Leaky.Ref(), CPU: 0.08, RSS: 240 << 20, ErrorsPerMinute: 2},
		backend.Sample{Ref: w.Chat.Ref(), RSS: 40 << 20, Connections: 12},
	)
}

func (w *World) history() {
	f := w.Fake
	for n := 13; n <= 17; n++ {
		start := ago(f, time.Duration(18-n)*6*time.Second)
		f.AddRun(backend.Run{
			App: "flaky", Instance: w.Main.ID, Number: n, State: backend.RunFailed, Trigger: "restart",
			Started: start, Ended: start.Add(1900 * time.Millisecond), Exit: &backend.Exit{Code: 2, Time: start.Add(1900 * time.Millisecond)},
			LastLines: []string{"loading the cart", "panic: nil map in cart.go:41"},
		})
	}
	f.AddRelease(backend.Release{AppID: w.Web.ID, Number: 2, Author: "ana", Created: ago(f, 48*time.Hour), Spec: w.Web.Spec})
	f.AddRelease(backend.Release{
		AppID: w.Web.ID, Number: 3, Current: true, Author: "ana", Reason: "more room", Created: ago(f, 2*time.Hour), Spec: w.Web.Spec,
		Diff: []backend.FieldChange{{Path: "processes.main.memory", Old: "128Mi", New: "256Mi"}},
	})
	for _, name := range []string{"default", "http", "cart"} {
		l := backend.Logger{App: "web", Name: name}
		switch name {
		case "default":
			l.Level = backend.LevelInfo
		case "http":
			l.Level, l.Was, l.Until = backend.LevelDebug, backend.LevelInfo, f.Now().Add(9*time.Minute+30*time.Second)
			l.Instances = map[string]backend.Level{w.Webs[1].ID: backend.LevelTrace}
		}
		f.AddLogger(l)
	}
	start := ago(f, time.Minute)
	f.AddOperation(backend.Operation{
		Kind: "restart", Target: "web", Ref: w.Web.Ref(), State: backend.OperationSucceeded, Author: "ana",
		Source: "cli", Reason: "new keys", Created: start, Started: start, Ended: start.Add(8 * time.Second), Undo: "",
		Steps: []backend.Step{
			{Name: "start main.0", State: backend.OperationSucceeded, Started: start, Ended: start.Add(5 * time.Second)},
			{Name: "stop main.0", State: backend.OperationSucceeded, Started: start.Add(5 * time.Second), Ended: start.Add(8 * time.Second)},
		},
	})
	f.AddOperation(backend.Operation{
		Kind: "restart", Target: "flaky", Ref: w.Flaky.Ref(), State: backend.OperationFailed, Author: "ana",
		Source: "console", Created: start, Started: start, Ended: start.Add(2 * time.Second), Error: "main.0 did not become ready: exit 2",
		Steps: []backend.Step{{Name: "start main.0", State: backend.OperationFailed, Started: start, Ended: start.Add(2 * time.Second), Detail: "exit 2"}},
	})
	f.AddOperation(backend.Operation{
		Kind: "block", Target: "chat", Ref: w.Chat.Ref(), Author: "ana", Source: "console", Undo: "unblock",
		Reason: "draining for the upgrade", Created: ago(f, 30*time.Second), Started: ago(f, 30*time.Second), Ended: ago(f, 30*time.Second),
	})
}

func (w *World) jobs() {
	f := w.Fake
	w.Nightly = f.AddJob(backend.Job{
		Name: "nightly", Schedule: "0 3 * * *", Next: f.Now().Add(13 * time.Hour),
		Spec: backend.JobSpec{Command: backend.CommandLine{Shell: "backup.sh | gzip > out"}, Schedule: "0 3 * * *", Deadline: backend.Duration(10 * time.Minute)},
	})
	w.Report = f.AddJob(backend.Job{Name: "report", Spec: backend.JobSpec{Command: backend.CommandLine{Args: []string{"report"}}}})
	start := ago(f, 11*time.Hour)
	r := f.AddRun(backend.Run{
		Job: "nightly", State: backend.RunFailed, Trigger: "schedule", Started: start, Ended: start.Add(92 * time.Second),
		Exit: &backend.Exit{Code: 1, Time: start.Add(92 * time.Second)}, LastLines: []string{"tar: /srv: no space left on device"},
	})
	_ = r
}

func (w *World) logs() {
	f := w.Fake
	at := ago(f, 40*time.Second)
	for n := range 40 {
		at = at.Add(900 * time.Millisecond)
		i := w.Webs[n%3]
		level, text := backend.LevelInfo, fmt.Sprintf("GET /cart/%d 200 12ms", n)
		switch {
		case n%11 == 5:
			level, text = backend.LevelError, fmt.Sprintf("GET /cart/%d 500 payment refused", n)
		case n%7 == 3:
			level, text = backend.LevelWarn, fmt.Sprintf("slow query %dms", 300+n)
		case n%5 == 1:
			level, text = backend.LevelDebug, "cache hit"
		}
		f.Log(backend.LogEntry{Instance: i.ID, Level: level, Time: at, Text: text})
	}
	at = ago(f, 6*time.Second)
	f.Log(
		backend.LogEntry{Instance: w.Main.ID, Time: at, Divider: &backend.LogDivider{Kind: "start", Text: "started, run 17", Run: 17}},
		backend.LogEntry{Instance: w.Main.ID, Time: at.Add(time.Second), Level: backend.LevelInfo, Text: "loading the \x1b[32mcart\x1b[0m"},
		backend.LogEntry{Instance: w.Main.ID, Time: at.Add(1100 * time.Millisecond), Gap: &backend.LogGap{App: "flaky", Instance: w.Main.ID, From: 2, To: 13, Count: 12, Reason: "slow reader"}},
		backend.LogEntry{Instance: w.Main.ID, Seq: 14, Time: at.Add(1900 * time.Millisecond), Level: backend.LevelError, Text: "panic: nil map in cart.go:41 \x1b[2J"},
		backend.LogEntry{Instance: w.Main.ID, Time: at.Add(2 * time.Second), Divider: &backend.LogDivider{Kind: "exit", Text: "exited with 2 · run 17 lasted 1.9s · next start in 4s", Run: 17}},
	)
}
