package local

import (
	"fmt"
	"iter"
	"time"

	"pitwall/backend"
	"pitwall/backend/engine"
	"pitwall/backend/logstore"
	"pitwall/backend/sqlite"
)

// What is measured is not stored; it is filled in when a record is shown. The
// functions here are called with mu or changing held.

// counters returns what the log says of an instance, or of an owner.
func (b *Backend) counters(instance, owner string) logstore.Counters {
	switch {
	case b.cfg.Logs == nil:
		return logstore.Counters{}
	case instance != "":
		return b.cfg.Logs.InstanceCounters(instance)
	}
	return b.cfg.Logs.AppCounters(owner)
}

func (b *Backend) presentInstance(r sqlite.Instance) backend.Instance {
	in := r.Instance
	n := b.counters(in.ID, "")
	in.ErrorsPerMinute = n.ErrorsPerMinute
	if in.LastExit != nil && in.LastError != "" {
		in.LastError = words(*in.LastExit, in, n)
	} else if n.LastError != "" {
		in.LastError = n.LastError
	}
	if in.State.Live() {
		u := (*b.usage.Load())[in.ID]
		in.CPU, in.RSS, in.FDs = u.CPU, u.RSS, u.FDs
	}
	if b.cfg.Edge != nil && in.AppID != "" {
		if counts, ok := b.cfg.Edge.CountsOf(in.AppID); ok {
			in.Connections = counts.Instances[in.ID].Connections
		}
	}
	return in
}

func (b *Backend) presentApp(r sqlite.App, members iter.Seq[sqlite.Instance]) backend.App {
	app := r.App
	if app.Routes == nil {
		app.Routes = []backend.Route{}
	}
	n := b.counters("", app.ID)
	app.ErrorsPerMinute, app.ErrorTrend, app.LogBytes = n.ErrorsPerMinute, n.ErrorTrend, n.Bytes
	app.LastError, app.LastErrorAt = n.LastError, n.LastErrorAt
	usage := *b.usage.Load()
	var worst *backend.Instance
	for m := range members {
		if in := &m.Instance; in.State.Live() {
			addUsage(&app, usage[in.ID])
		}
		if in := m.Instance; in.LastError != "" && in.LastExit != nil && (worst == nil || in.LastExit.Time.After(worst.LastExit.Time)) {
			worst = &in
		}
	}
	// The last exit says more than a line before it, and carries that line.
	if worst != nil && !app.LastErrorAt.After(worst.LastExit.Time.Add(time.Second)) {
		app.LastError = words(*worst.LastExit, *worst, b.counters(worst.ID, ""))
		app.LastErrorAt = worst.LastExit.Time
	}
	if r.EdgeError != "" {
		app.LastError = r.EdgeError
	}
	if b.cfg.Edge != nil {
		if counts, ok := b.cfg.Edge.CountsOf(app.ID); ok {
			app.Connections = counts.Connections
		}
	}
	return app
}

// membersOf gives an owner's instances. The caller holds mu.
func (b *Backend) membersOf(owner string) iter.Seq[sqlite.Instance] {
	return func(yield func(sqlite.Instance) bool) {
		for id := range b.members[owner] {
			if !yield(b.instances[id]) {
				return
			}
		}
	}
}

func addUsage(app *backend.App, u engine.Usage) {
	app.CPU += u.CPU
	app.RSS += u.RSS
}

// words are the last words of an instance: how it ended and what it said
// before that.
func words(e backend.Exit, in backend.Instance, n logstore.Counters) string {
	text := e.String()
	if e.OOM && e.Reason == "" && in.MemoryLimit > 0 {
		text = fmt.Sprintf("%s (%s)", text, size(in.MemoryLimit))
	}
	said, at := n.LastWords, n.LastWordsAt
	if said == "" {
		said, at = n.LastError, n.LastErrorAt
	}
	if said != "" && !at.After(e.Time.Add(time.Second)) {
		return fmt.Sprintf("%s %q", text, said)
	}
	if in.LastError != "" {
		return in.LastError
	}
	return text
}

// size writes bytes as people do.
func size(n int64) string {
	for _, u := range []struct {
		unit int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.unit {
			if n%u.unit == 0 {
				return fmt.Sprintf("%d %s", n/u.unit, u.name)
			}
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.unit), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
