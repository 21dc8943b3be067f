package local

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"pitwall/backend"
	"pitwall/backend/engine"
	"pitwall/backend/sqlite"
)

const (
	// startsAtOnce is how many owners are converged at a time: starting is
	// work for the engine's disk and the kernel, more at once only queue there.
	startsAtOnce = 8

	// retryMin and retryMax bound the wait before the engine is asked again
	// for what it refused, or for an instance that it lost.
	retryMin = time.Second
	retryMax = time.Minute
)

// control is what this process remembers of an instance between two looks. It
// is not stored: the next server learns it from the engine.
type control struct {
	launched bool // the engine was told to start it, and has not said that it ended
	startRun int  // its run when that was
	startAt  time.Time

	stop stopMode // what the engine was told
	hold stopMode // what an operation asks for the time of its work

	draining bool // nothing new from the edge

	failures int       // in a row, of the engine
	retry    time.Time // not before

	registered string // what the log store was told of its log
}

// stopMode is how an instance is to end.
type stopMode int

const (
	stopNot stopMode = iota
	stopGraceful
	stopForced
)

// controlOf returns the control of an instance. The caller holds mu.
func (b *Backend) controlOf(id string) *control {
	ctl := b.control[id]
	if ctl == nil {
		ctl = &control{}
		b.control[id] = ctl
	}
	return ctl
}

// convergence has the owners that are looked at now.
type convergence struct {
	mu    sync.Mutex
	busy  map[string]bool // owner: must be looked at once more
	slots chan struct{}
}

// converge looks at an owner soon, in its own goroutine: one at a time for
// each owner.
func (b *Backend) converge(owner string) {
	cv := &b.converging
	cv.mu.Lock()
	defer cv.mu.Unlock()
	if b.ctx.Err() != nil {
		return
	}
	if cv.busy == nil {
		cv.busy = make(map[string]bool)
		cv.slots = make(chan struct{}, startsAtOnce)
	}
	if _, busy := cv.busy[owner]; busy {
		cv.busy[owner] = true
		return
	}
	if b.agrees(owner) {
		return
	}
	cv.busy[owner] = false
	b.spawn(func(ctx context.Context) { b.convergeOwner(ctx, owner) })
}

// agrees reports whether nothing is to be done for an owner now.
func (b *Backend) agrees(owner string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	steps, _ := b.toDo(owner)
	return len(steps) == 0
}

func (b *Backend) convergeOwner(ctx context.Context, owner string) {
	cv := &b.converging
	select {
	case cv.slots <- struct{}{}:
		defer func() { <-cv.slots }()
	case <-ctx.Done():
		return
	}
	for ctx.Err() == nil {
		b.mu.RLock()
		steps, wait := b.toDo(owner)
		b.mu.RUnlock()
		if again := b.doAll(ctx, owner, steps); again > 0 && (wait == 0 || again < wait) {
			wait = again
		}
		if len(steps) > 0 && wait == 0 {
			continue
		}
		if wait > 0 {
			b.timers.after(wait, func() { b.converge(owner) })
		}
		cv.mu.Lock()
		if !cv.busy[owner] {
			delete(cv.busy, owner)
			cv.mu.Unlock()
			return
		}
		cv.busy[owner] = false
		cv.mu.Unlock()
	}
}

// sideBySide is how many instances of one owner are started or stopped at once.
// Starting one is mostly waiting for its keeper.
const sideBySide = 4

// doAll takes steps, which are of different instances. The duration says when
// to look again for those that failed; 0 when none did.
func (b *Backend) doAll(ctx context.Context, owner string, steps []todo) time.Duration {
	var (
		work  sync.WaitGroup
		mu    sync.Mutex
		wait  time.Duration
		slots = make(chan struct{}, sideBySide)
	)
	for _, s := range steps {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		work.Go(func() {
			defer func() { <-slots }()
			err := s.do(ctx)
			if err == nil || ctx.Err() != nil {
				return
			}
			b.log.Warn("converge", "owner", owner, "instance", s.instance, "err", err)
			again := b.postpone(s.instance)
			mu.Lock()
			defer mu.Unlock()
			if wait == 0 || again < wait {
				wait = again
			}
		})
	}
	work.Wait()
	return wait
}

// postpone says when an instance is tried again, later after each failure.
func (b *Backend) postpone(id string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id == "" {
		return retryMin
	}
	ctl := b.controlOf(id)
	wait := min(retryMin<<min(ctl.failures, 10), retryMax)
	ctl.failures++
	ctl.retry = b.cfg.Now().Add(wait)
	return wait
}

// todo is one step towards what is wanted.
type todo struct {
	instance string
	do       func(ctx context.Context) error
}

// toDo compares what is wanted of an owner with what is. The duration says
// when to look again for what waits. The caller holds mu.
func (b *Backend) toDo(owner string) (steps []todo, wait time.Duration) {
	if !b.adopted {
		return nil, 0
	}
	members := slices.SortedFunc(b.membersOf(owner), byPlace)
	app, isApp := b.apps[owner]
	if isApp {
		if t, ok := b.places(app, members); ok {
			return []todo{t}, 0
		}
	}
	for _, m := range members {
		if m.Ended {
			continue
		}
		ctl := b.control[m.Instance.ID]
		if ctl == nil {
			ctl = &control{}
		}
		t, ok := b.next(m, *ctl, b.wanted(m, *ctl))
		if !ok {
			continue
		}
		if left := ctl.retry.Sub(b.cfg.Now()); left > 0 {
			if wait == 0 || left < wait {
				wait = left
			}
			continue
		}
		steps = append(steps, t)
	}
	return steps, wait
}

// wanted reports whether an instance should run.
func (b *Backend) wanted(m sqlite.Instance, ctl control) bool {
	if b.down || m.Retired || m.Held || m.Canceled || ctl.hold != stopNot {
		return false
	}
	if m.Instance.JobID != "" {
		return true
	}
	return b.apps[m.Instance.AppID].App.Desired == backend.DesiredStarted
}

// next is the next step for one instance.
func (b *Backend) next(m sqlite.Instance, ctl control, wanted bool) (todo, bool) {
	in := m.Instance
	step := func(do func(ctx context.Context, m sqlite.Instance) error) (todo, bool) {
		return todo{in.ID, func(ctx context.Context) error { return do(ctx, m) }}, true
	}
	final := in.State.Final()
	fresh := in.State == backend.InstancePending && !ctl.launched
	switch {
	case wanted && in.JobID != "":
		if fresh {
			return step(b.startInstance)
		}
		if final {
			return step(b.endInstance)
		}
	case wanted:
		if fresh || final && !ctl.launched && (m.Again || in.State == backend.InstanceStopped || in.State == backend.InstanceLost && restarts(b.apps[in.AppID], in.Process)) {
			return step(b.startInstance)
		}
	case fresh:
		return step(b.settleInstance)
	case !final || ctl.launched:
		mode := stopGraceful
		if ctl.hold == stopForced {
			mode = stopForced
		}
		if ctl.stop < mode {
			return step(func(ctx context.Context, m sqlite.Instance) error { return b.stopInstance(ctx, m, mode) })
		}
	case m.Retired || m.Canceled:
		return step(b.endInstance)
	}
	return todo{}, false
}

// restarts reports whether a lost instance may be started again.
func restarts(app sqlite.App, process string) bool {
	p, ok := app.App.Spec.Process(process)
	return ok && p.Restart.Policy != backend.RestartNever
}

// places makes the instances that an app lacks and retires those that it has
// too many of. The caller holds mu.
func (b *Backend) places(app sqlite.App, members []sqlite.Instance) (todo, bool) {
	id := app.App.ID
	if missing, surplus := b.misplaced(app, members); len(missing)+len(surplus) == 0 {
		return todo{}, false
	}
	return todo{"", func(ctx context.Context) error {
		return b.change(ctx, cause{}, func(c *change) error {
			d := c.app(id)
			if d == nil {
				return nil
			}
			missing, surplus := b.misplaced(*d.now, c.membersOf(id))
			for _, inst := range surplus {
				c.instance(inst).now.Retired = true
			}
			for _, p := range missing {
				if _, err := c.newInstance(*d.now, p.process, p.index, ""); err != nil {
					return err
				}
			}
			return nil
		})
	}}, true
}

// place is where an instance belongs in its app.
type place struct {
	process string
	index   int
}

// misplaced compares the places of an app with its instances. The caller holds
// mu or changing.
func (b *Backend) misplaced(app sqlite.App, members []sqlite.Instance) (missing []place, surplus []string) {
	have := make(map[place]sqlite.Instance)
	tried := trials(members)
	for _, m := range members {
		if m.Retired {
			continue
		}
		in := m.Instance
		p, ok := app.App.Spec.Process(in.Process)
		switch {
		case !ok || in.Index >= p.Instances || app.Deleting:
			surplus = append(surplus, in.ID)
		case tried[in.ID] && b.live[m.TriedBy] == nil:
			// Nobody sees the trial through: whoever is ready stays.
			if in.Ready {
				surplus = append(surplus, m.Replaces)
			} else {
				surplus = append(surplus, in.ID)
			}
		case tried[in.ID]:
		default:
			at := place{in.Process, in.Index}
			if other, taken := have[at]; taken { // never meant, but must not last
				if better(other, m) {
					surplus = append(surplus, in.ID)
					continue
				}
				surplus = append(surplus, other.Instance.ID)
			}
			have[at] = m
		}
	}
	if app.App.Desired == backend.DesiredStopped || app.Deleting || b.down {
		return nil, surplus
	}
	for _, p := range app.App.Spec.Processes {
		for i := range p.Instances {
			if _, ok := have[place{p.Name, i}]; !ok {
				missing = append(missing, place{p.Name, i})
			}
		}
	}
	return missing, surplus
}

// better says which of two instances keeps a place: the ready one, then the one
// of the later release, then the first.
func better(a, b sqlite.Instance) bool {
	if a.Instance.Ready != b.Instance.Ready {
		return a.Instance.Ready
	}
	return a.Instance.Release >= b.Instance.Release
}

// newInstance drafts an instance for a place of an app.
func (c *change) newInstance(app sqlite.App, process string, index int, replaces string) (string, error) {
	a := app.App
	id, err := c.b.newInstanceID(a.Name, process, index)
	if err != nil {
		return "", err
	}
	last, err := c.b.store.LastRun(context.Background(), a.ID, process, index)
	if err != nil {
		return "", err
	}
	for _, m := range c.membersOf(a.ID) {
		if m.Instance.Process == process && m.Instance.Index == index {
			last = max(last, m.Instance.Run)
		}
	}
	p, _ := a.Spec.Process(process)
	c.join(sqlite.Instance{
		Instance: backend.Instance{
			ID: id, AppID: a.ID, App: a.Name, Scope: a.Scope, Process: process, Index: index,
			State: backend.InstancePending, Attached: true, Release: a.Release, Since: c.now, Created: c.now,
			MemoryLimit: p.Memory, Node: c.b.cfg.Node.ID,
		},
		Replaces: replaces, TriedBy: c.cause.operation, FirstRun: last + 1, Recorded: last, Trigger: c.trigger(),
	})
	return id, nil
}

// trigger says what starts the runs that a change makes.
func (c *change) trigger() string {
	if o, ok := c.b.ops[c.cause.operation]; ok {
		return o.Op.Kind
	}
	return "declared"
}

// startInstance tells the engine to run an instance.
func (b *Backend) startInstance(ctx context.Context, m sqlite.Instance) error {
	in := m.Instance
	b.mu.Lock()
	ctl := b.controlOf(in.ID)
	if now, ok := b.instances[in.ID]; !ok || !b.wanted(now, *ctl) {
		b.mu.Unlock()
		return nil // not any more: a stop came while others were started
	}
	spec, release, err := b.specOf(m)
	if err == nil {
		ctl.launched, ctl.startRun, ctl.startAt, ctl.stop = true, in.Run, b.cfg.Now(), stopNot
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	if err := b.eng.Start(ctx, spec); err != nil {
		b.mu.Lock()
		b.controlOf(in.ID).launched = false
		b.mu.Unlock()
		b.complain(in.ID, fmt.Sprintf("could not be started: %v", err))
		return fmt.Errorf("start %s: %w", in.ID, err)
	}
	b.setLevels(ctx, in.ID)
	return b.change(ctx, cause{}, func(c *change) error {
		if d := c.instance(in.ID); d != nil {
			d.now.Again = false
			d.now.Instance.Release = release
			d.now.Instance.MemoryLimit = spec.Memory
		}
		return nil
	})
}

// complain writes why an instance is not what it should be.
func (b *Backend) complain(id, why string) {
	err := b.change(context.Background(), cause{}, func(c *change) error {
		d := c.instance(id)
		if d == nil || d.now.Instance.Reason == why {
			return nil
		}
		d.now.Instance.Reason = why
		d.say(backend.LevelError, nameOf(*d.now)+" "+why)
		return nil
	})
	if err != nil {
		b.log.Error("write a reason", "instance", id, "reason", why, "err", err)
	}
}

// nameOf is how people write an instance: "web main.0".
func nameOf(m sqlite.Instance) string {
	if m.Instance.JobID != "" {
		return fmt.Sprintf("%s run %d", m.Instance.Job, m.FirstRun)
	}
	return m.Instance.App + " " + m.Instance.Name()
}

// specOf says what the engine is to run, and by which release. The caller
// holds mu.
func (b *Backend) specOf(m sqlite.Instance) (engine.Spec, int, error) {
	in := m.Instance
	if in.JobID != "" {
		return b.jobSpec(m)
	}
	app, ok := b.apps[in.AppID]
	p, found := app.App.Spec.Process(in.Process)
	if !ok || !found {
		return engine.Spec{}, 0, backend.Errorf(backend.NotFound, "%s has no process %s any more", in.App, in.Process)
	}
	s := engine.Spec{
		ID: in.ID, AppID: in.AppID, Owner: in.App, Process: in.Process, Index: in.Index, Release: app.App.Release,
		FirstRun: max(m.FirstRun, in.Run+1), Command: p.Command, Dir: p.Dir, User: p.User, Env: app.App.Spec.Env, Port: true,
		Levels: app.App.Spec.Levels == backend.LevelsFile, Restart: p.Restart.OrDefault(), Stop: p.Stop.OrDefault(),
		Memory: p.Memory, CPU: p.CPU, BlockOnLog: app.App.Spec.Logs.Block,
	}
	s.Health, s.Ready = check(p.Health), check(p.Ready)
	return s, app.App.Release, nil
}

func check(c *backend.Check) *backend.Check {
	if c == nil {
		return nil
	}
	d := c.OrDefault()
	return &d
}

// stopInstance tells the engine to end an instance.
func (b *Backend) stopInstance(ctx context.Context, m sqlite.Instance, mode stopMode) error {
	id := m.Instance.ID
	b.mu.Lock()
	b.controlOf(id).stop = mode
	b.mu.Unlock()
	err := b.eng.Stop(ctx, id, engine.StopOptions{Force: mode == stopForced})
	if backend.CodeOf(err) == backend.NotFound {
		return b.settleInstance(ctx, m)
	}
	if err != nil {
		b.mu.Lock()
		b.controlOf(id).stop = stopNot
		b.mu.Unlock()
		b.complain(id, fmt.Sprintf("could not be stopped: %v", err))
		return fmt.Errorf("stop %s: %w", id, err)
	}
	return nil
}

// settleInstance calls an instance stopped that the engine does not run.
func (b *Backend) settleInstance(ctx context.Context, m sqlite.Instance) error {
	return b.change(ctx, cause{}, func(c *change) error {
		d := c.instance(m.Instance.ID)
		if d == nil {
			return nil
		}
		in := &d.now.Instance
		if !in.State.Final() {
			in.State, in.Reason, in.Ready, in.PID, in.Since = backend.InstanceStopped, "", false, 0, c.now
		}
		if in.JobID != "" && in.Run == 0 { // it never began
			d.now.Recorded = d.now.FirstRun
			run := b.runOf(*d.now, engine.RunRecord{Number: d.now.FirstRun})
			run.State, run.Started, run.Ended = backend.RunCanceled, time.Time{}, c.now
			if err := c.putRun(backend.EventUpdated, run); err != nil {
				return err
			}
			c.jobRun(run)
		}
		c.settle = append(c.settle, func() {
			ctl := b.controlOf(in.ID)
			ctl.launched, ctl.stop = false, stopNot
		})
		return nil
	})
}
