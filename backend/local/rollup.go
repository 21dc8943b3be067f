package local

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"pitwall/backend"
	"pitwall/backend/sqlite"
)

// settled is how long an instance must run after a crash before its app no
// longer counts as crashing, so that the state of an app that crashes every
// few seconds stands still.
const settled = 10 * time.Second

// rollup derives an app's state from its instances. The worst place (process
// and index) decides:
//
//   - stopped is wanted: stopping while anything runs, stopped after it;
//   - failed: a place's instance spent its budget, or may not be started again;
//   - crashing: one waits for its next start, or was started again by itself
//     less than [settled] ago;
//   - degraded: one was ready and is not, was stopped alone, or is lost;
//   - starting: one has not been ready yet;
//   - stopping: one ends, for a restart;
//   - running: every place is ready, or complete. With no place it is stopped.
//
// An instance that is tried in the place of another does not count until it
// took the place.
func (c *change) rollup(id string) {
	d := c.app(id)
	if d == nil || d.deleted {
		return
	}
	members := c.membersOf(id)
	app := &d.now.App
	before := app.State
	app.Instances = 0
	for _, p := range app.Spec.Processes {
		app.Instances += p.Instances
	}
	app.State, app.Ready, app.Restarts = rollup(*app, members, c.now)
	if app.State == before {
		return
	}
	app.Since = c.now
	if level, text := stateMessage(*app, before); text != "" {
		d.say(level, text)
	}
}

func rollup(app backend.App, members []sqlite.Instance, now time.Time) (state backend.AppState, ready, restarts int) {
	state = backend.AppStopped
	if app.Desired == backend.DesiredStarted && app.Instances > 0 {
		state = backend.AppRunning
	}
	tried := trials(members)
	places := 0
	for _, m := range members {
		in := m.Instance
		if m.Retired || tried[in.ID] {
			if app.Desired == backend.DesiredStopped && in.State.Live() {
				state = backend.AppStopping
			}
			continue
		}
		places++
		restarts += in.Restarts
		if in.Ready && in.State.Live() {
			ready++
		}
		s := placeState(app.Desired, m, now)
		if s.Severity() < state.Severity() {
			state = s
		}
	}
	if state == backend.AppRunning && places < app.Instances {
		state = backend.AppStarting
	}
	return state, ready, restarts
}

// trials are the instances that stand in for another that is still there.
func trials(members []sqlite.Instance) map[string]bool {
	var out map[string]bool
	for _, m := range members {
		if m.Replaces == "" || m.Retired {
			continue
		}
		for _, o := range members {
			if o.Instance.ID == m.Replaces && !o.Retired {
				if out == nil {
					out = make(map[string]bool)
				}
				out[m.Instance.ID] = true
			}
		}
	}
	return out
}

// placeState is what one instance makes of its app.
func placeState(want backend.Desired, m sqlite.Instance, now time.Time) backend.AppState {
	in := m.Instance
	if want == backend.DesiredStopped {
		if in.State.Live() || in.State == backend.InstanceCrashed {
			return backend.AppStopping
		}
		return backend.AppStopped
	}
	switch in.State {
	case backend.InstanceFailed:
		return backend.AppFailed
	case backend.InstanceCrashed:
		return backend.AppCrashing
	case backend.InstanceUnready, backend.InstanceLost:
		return backend.AppDegraded
	case backend.InstanceStopped:
		if m.Held {
			return backend.AppDegraded
		}
		return backend.AppStarting
	case backend.InstanceStopping:
		return backend.AppStopping
	case backend.InstancePending, backend.InstanceStarting:
		if recentCrash(in, now) {
			return backend.AppCrashing
		}
		return backend.AppStarting
	case backend.InstanceRunning:
		if recentCrash(in, now) {
			return backend.AppCrashing
		}
		if !in.Ready {
			return backend.AppDegraded
		}
	}
	return backend.AppRunning
}

// recentCrash reports whether the instance was started again by itself after
// an unclean end, too short a time ago to say that all is well.
func recentCrash(in backend.Instance, now time.Time) bool {
	if in.Restarts == 0 || in.LastExit == nil || clean(*in.LastExit) {
		return false
	}
	if in.State == backend.InstanceRunning {
		return now.Sub(in.Since) < settled
	}
	return true
}

// clean reports whether an exit is nobody's concern.
func clean(e backend.Exit) bool {
	return e.Code == 0 && e.Signal == "" && !e.OOM && !e.Unknown
}

func stateMessage(app backend.App, before backend.AppState) (backend.Level, string) {
	switch app.State {
	case backend.AppFailed:
		return backend.LevelError, app.Name + " failed: an instance will not be started again"
	case backend.AppCrashing:
		return backend.LevelError, app.Name + " is crashing"
	case backend.AppDegraded:
		return backend.LevelWarn, fmt.Sprintf("%s is degraded: %d of %d ready", app.Name, app.Ready, app.Instances)
	case backend.AppRunning:
		if before != "" {
			return backend.LevelInfo, fmt.Sprintf("%s is running: %d of %d ready", app.Name, app.Ready, app.Instances)
		}
	case backend.AppStopped:
		if before == backend.AppStopping {
			return backend.LevelInfo, app.Name + " is stopped"
		}
	}
	return "", ""
}

// byPlace orders instances by app, process, index and age.
func byPlace(a, b sqlite.Instance) int {
	return cmp.Or(
		strings.Compare(a.Instance.App+a.Instance.Job, b.Instance.App+b.Instance.Job),
		strings.Compare(a.Owner(), b.Owner()),
		strings.Compare(a.Instance.Process, b.Instance.Process),
		cmp.Compare(a.Instance.Index, b.Instance.Index),
		a.Instance.Created.Compare(b.Instance.Created),
		strings.Compare(a.Instance.ID, b.Instance.ID),
	)
}
