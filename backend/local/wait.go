package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pitwall/backend"
	"pitwall/backend/sqlite"
)

// errDeadline ends a wait that took too long; whoever waits says for what.
var errDeadline = errors.New("it took too long")

// within bounds a wait.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, errDeadline)
}

// attempt is what is expected of instances: from which run on, and how many
// crashes are forgiven.
type attempt struct {
	from     map[string]int // instance to run; others count from their first
	forgiven int
}

// ready reports whether an instance got there, or an error when it will not.
// The caller holds mu.
func (b *Backend) ready(m sqlite.Instance, a attempt) (bool, error) {
	in := m.Instance
	from, ok := a.from[in.ID]
	if !ok {
		from = m.FirstRun
	}
	ctl := b.control[in.ID]
	launched := ctl != nil && ctl.launched
	switch {
	case m.Held:
		return true, nil
	case m.Again:
		return false, nil
	case in.State == backend.InstanceComplete && !launched:
		return true, nil
	case in.State == backend.InstanceFailed && !launched:
		return false, b.lastWords(m)
	case in.Run < from:
		return false, nil
	}
	crashes := in.Run - from
	if in.State == backend.InstanceCrashed {
		crashes++
	}
	if crashes > a.forgiven {
		return false, b.lastWords(m)
	}
	return in.Ready && in.State.Live() && in.State != backend.InstanceStopping, nil
}

// lastWords is why an instance is not ready, as an error.
func (b *Backend) lastWords(m sqlite.Instance) error {
	in := b.presentInstance(m)
	switch {
	case in.LastExit != nil && in.LastError != "":
		return fmt.Errorf("%s: %s", in.Name(), in.LastError)
	case in.LastExit != nil && in.Reason == "":
		return fmt.Errorf("%s: %s", in.Name(), in.LastExit)
	case in.Reason != "":
		return fmt.Errorf("%s is %s: %s", in.Name(), in.State, in.Reason)
	}
	return fmt.Errorf("%s is %s", in.Name(), in.State)
}

// awaitInstance waits until an instance is ready.
func (b *Backend) awaitInstance(ctx context.Context, id string, a attempt) error {
	ctx, cancel := within(ctx, b.cfg.ReadyDeadline)
	defer cancel()
	var last error
	err := b.until(ctx, func() (bool, error) {
		m, ok := b.instances[id]
		if !ok || m.Retired {
			return false, fmt.Errorf("%s was removed meanwhile", id)
		}
		last = b.lastWords(m)
		return b.ready(m, a)
	})
	if errors.Is(err, errDeadline) {
		return backend.Errorf(backend.Timeout, "not ready after %s: %w", b.cfg.ReadyDeadline, last)
	}
	return err
}

// awaitApp waits until every place of an app is ready.
func (b *Backend) awaitApp(ctx context.Context, app string, a attempt) error {
	ctx, cancel := within(ctx, b.cfg.ReadyDeadline)
	defer cancel()
	last := errors.New("nothing was started")
	err := b.until(ctx, func() (bool, error) {
		r, ok := b.apps[app]
		if !ok {
			return false, errors.New("it was deleted meanwhile")
		}
		if r.App.Desired == backend.DesiredStopped {
			return false, errors.New("it was stopped meanwhile")
		}
		members := slices.SortedFunc(b.membersOf(app), byPlace)
		if missing, surplus := b.misplaced(r, members); len(missing)+len(surplus) > 0 {
			return false, nil
		}
		for _, m := range members {
			if m.Retired {
				continue
			}
			if ok, err := b.ready(m, a); !ok {
				last = b.lastWords(m)
				return false, err
			}
		}
		if r.EdgeError != "" && len(members) > 0 {
			return false, errors.New(r.EdgeError)
		}
		return true, nil
	})
	if errors.Is(err, errDeadline) {
		return backend.Errorf(backend.Timeout, "not ready after %s: %w", b.cfg.ReadyDeadline, last)
	}
	return err
}

// awaitEnd waits until instances have ended, at most for their grace and a
// little.
func (b *Backend) awaitEnd(ctx context.Context, ids []string) error {
	b.mu.RLock()
	wait := stopSlack
	for _, id := range ids {
		wait = max(wait, b.graceOf(b.instances[id])+stopSlack)
	}
	b.mu.RUnlock()
	ctx, cancel := within(ctx, wait)
	defer cancel()
	var name string
	err := b.until(ctx, func() (bool, error) {
		for _, id := range ids {
			if m, ok := b.instances[id]; ok && !b.over(m) {
				name = m.Instance.Name()
				return false, nil
			}
		}
		return true, nil
	})
	if errors.Is(err, errDeadline) {
		return backend.Errorf(backend.Timeout, "%s still runs after %s", name, wait)
	}
	return err
}

// stopSlack is what an engine may take beyond an instance's grace to kill what
// is left and to say so.
const stopSlack = 15 * time.Second

// over reports whether an instance has ended and stays so. The caller holds mu.
func (b *Backend) over(m sqlite.Instance) bool {
	ctl := b.control[m.Instance.ID]
	return m.Instance.State.Final() && (ctl == nil || !ctl.launched)
}

// graceOf is how long an instance may take to stop. The caller holds mu.
func (b *Backend) graceOf(m sqlite.Instance) time.Duration {
	if j, ok := b.jobs[m.Instance.JobID]; ok {
		return j.Job.Spec.Stop.OrDefault().Grace.Std()
	}
	p, _ := b.apps[m.Instance.AppID].App.Spec.Process(m.Instance.Process)
	return p.Stop.OrDefault().Grace.Std()
}

// setHold asks for instances to be stopped for the time of an operation, or
// lets them go again.
func (b *Backend) setHold(owner string, ids []string, mode stopMode) {
	b.mu.Lock()
	for _, id := range ids {
		if _, ok := b.instances[id]; ok {
			b.controlOf(id).hold = mode
		}
	}
	b.mu.Unlock()
	b.converge(owner)
}
