package local

import (
	"context"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"pitwall/backend"
	"pitwall/backend/proxy"
	"pitwall/backend/sqlite"
)

// Edge is what local needs of package proxy.
type Edge interface {
	Set(a proxy.App) error
	Remove(appID string)
	Kick(appID string) int
	KickInstance(appID, targetID string) int
	Drain(ctx context.Context, appID, targetID string) error
	CountsOf(appID string) (proxy.AppCounts, bool)
}

// edgeRetry is how often a route is tried again whose port is taken.
const edgeRetry = 5 * time.Second

// edgeSync is what the edge was last told. Telling happens one at a time and
// always by the state of now, so that the last word is the right one.
type edgeSync struct {
	mu     sync.Mutex
	told   map[string]proxy.App
	failed map[string]string // app to why, with a retry under way
}

// syncEdges tells the edge of apps that may have changed.
func (b *Backend) syncEdges(owners []string) {
	for _, id := range owners {
		b.syncEdge(id, false)
	}
}

func (b *Backend) syncEdge(id string, again bool) {
	if b.cfg.Edge == nil {
		return
	}
	why, changed := b.tellEdge(id, again)
	if !changed {
		return
	}
	err := b.change(context.Background(), cause{}, func(c *change) error {
		d := c.app(id)
		if d == nil {
			return nil
		}
		d.now.EdgeError = why
		if why != "" {
			d.say(backend.LevelError, d.now.App.Name+" cannot be reached: "+why)
		} else {
			d.say(backend.LevelInfo, d.now.App.Name+" can be reached again")
		}
		return nil
	})
	if err != nil && b.ctx.Err() == nil {
		b.log.Error("write why the edge does not serve", "app", id, "err", err)
	}
}

// tellEdge brings the edge up to date and says why it cannot serve the app,
// and whether that is news.
func (b *Backend) tellEdge(id string, again bool) (string, bool) {
	e := &b.edge
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.told == nil {
		e.told, e.failed = make(map[string]proxy.App), make(map[string]string)
	}
	app, known, before := b.edgeApp(id)
	last, told := e.told[id]
	switch {
	case !known:
		if told {
			b.cfg.Edge.Remove(id)
			delete(e.told, id)
		}
		return "", false
	case !told && len(app.Routes) == 0:
		return "", before != ""
	case told && !again && reflect.DeepEqual(last, app):
		return "", false
	}
	err := b.cfg.Edge.Set(app)
	e.told[id] = app
	why := ""
	if err != nil {
		why = strings.TrimPrefix(err.Error(), "app "+app.Name+": ")
		if _, waiting := e.failed[id]; !waiting || again {
			b.timers.after(edgeRetry, func() { b.spawn(func(context.Context) { b.syncEdge(id, true) }) })
		}
		e.failed[id] = why
	} else {
		delete(e.failed, id)
	}
	return why, why != before
}

// edgeApp is an app as the edge should know it, and what is written of why it
// cannot be reached.
func (b *Backend) edgeApp(id string) (app proxy.App, known bool, before string) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	r, known := b.apps[id]
	if !known {
		return proxy.App{}, false, ""
	}
	a := r.App
	app = proxy.App{ID: id, Name: a.Name, Blocked: a.Blocked, Attached: a.Attached}
	if len(a.Spec.Processes) > 0 {
		app.Process = a.Spec.Processes[0].Name
	}
	for _, route := range a.Spec.Routes {
		app.Routes = append(app.Routes, proxy.Route{HTTP: route.HTTP, TCP: route.TCP, Process: route.Process})
	}
	for _, m := range slices.SortedFunc(b.membersOf(id), byPlace) {
		in := m.Instance
		if in.Port == 0 || !in.State.Live() {
			continue
		}
		ctl := b.control[in.ID]
		app.Targets = append(app.Targets, proxy.Target{
			ID: in.ID, Process: in.Process, Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(in.Port)),
			Ready:    in.Ready,
			Blocked:  in.Blocked || !in.Attached,
			Draining: m.Retired || in.State == backend.InstanceStopping || ctl != nil && ctl.draining,
		})
	}
	return app, true, r.EdgeError
}

// drain gives an instance nothing new and waits until nothing is open to it,
// at most for its grace. It says what was left.
func (b *Backend) drain(ctx context.Context, m sqlite.Instance, grace time.Duration) string {
	if b.cfg.Edge == nil {
		return ""
	}
	id := m.Instance.ID
	b.mu.Lock()
	b.controlOf(id).draining = true
	b.mu.Unlock()
	b.syncEdge(m.Instance.AppID, false)
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := b.cfg.Edge.Drain(ctx, m.Instance.AppID, id); err != nil {
		return err.Error()
	}
	return ""
}
