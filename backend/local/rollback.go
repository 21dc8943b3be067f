package local

import (
	"context"
	"slices"

	"pitwall/backend"
)

func (b *Backend) planRollback(cmd backend.Rollback) (plan, error) {
	r, err := b.target(cmd.App, "")
	if err != nil {
		return plan{}, err
	}
	number := cmd.Release
	if number == 0 {
		number = r.App.Release - 1
	}
	if number < 1 {
		return plan{}, backend.Errorf(backend.Conflict, "%s has no release before %d", r.App.Name, r.App.Release)
	}
	if number == r.App.Release {
		return plan{}, backend.Errorf(backend.Conflict, "release %d of %s is the present one", number, r.App.Name)
	}
	old, err := b.releaseOf(cmd.App, number)
	if err != nil {
		return plan{}, err
	}
	p := appPlan("rollback", r, "")
	p.cancelable = true
	a := appChange{id: cmd.App, effect: effectReplace}
	p.begin = func(c *change, op *operation) error {
		d, err := c.theApp(cmd.App)
		if err != nil {
			return err
		}
		before := d.now.App.Spec
		a.spec = withCounts(old.Spec, before)
		if sameProgram(before, a.spec) {
			a.effect = effectAround
		}
		world := []backend.AppSpec{a.spec}
		for id, other := range b.apps {
			if id != cmd.App {
				world = append([]backend.AppSpec{other.App.Spec}, world...)
			}
		}
		if err := routeClash(world); err != nil {
			return err
		}
		d.now.App.Spec, d.now.App.Routes, d.now.App.Levels = a.spec, a.spec.Routes, a.spec.Levels == backend.LevelsFile
		return c.release(op, d, before, number, cmd.Reason)
	}
	p.work = func(ctx context.Context, op *operation) error { return b.appliedApp(ctx, op, a, "") }
	return p, nil
}

// withCounts gives a spec the counts of another; a process that the other has
// not gets one instance.
func withCounts(s, counts backend.AppSpec) backend.AppSpec {
	s.Processes = slices.Clone(s.Processes)
	for i := range s.Processes {
		s.Processes[i].Instances = 1
		if p, ok := counts.Process(s.Processes[i].Name); ok {
			s.Processes[i].Instances = p.Instances
		}
	}
	return s
}
