package process

import (
	"context"
	"fmt"
	"time"

	"pitwall/backend"
	"pitwall/backend/engine"
	"pitwall/backend/engine/process/keeper"
)

// followHealth starts the checks of a run that has begun, and ends those of
// one that is over. The caller holds mu.
func (in *instance) followHealth() {
	k := in.kept
	if k.Phase != keeper.Running {
		in.endHealth()
		return
	}
	if in.health.run == int(k.Run) && len(in.health.tasks) > 0 {
		return
	}
	in.endHealth()
	run, spec := int(k.Run), in.record.Spec
	in.health = health{run: run}
	schedule := func(delay time.Duration, f func(context.Context) time.Duration) {
		in.health.tasks = append(in.health.tasks, in.engine.schedule.add(max(0, delay), f))
	}
	lasted := in.engine.cfg.Now().Sub(k.Started)
	if spec.Deadline > 0 {
		schedule(spec.Deadline-lasted, func(context.Context) time.Duration { in.overdue(run); return 0 })
	}
	if spec.Ready == nil && spec.Health == nil {
		if lasted >= in.engine.cfg.ReadyAfter {
			in.setReady(true)
			return
		}
		schedule(in.engine.cfg.ReadyAfter-lasted, func(context.Context) time.Duration {
			in.judge(run, func() { in.setReady(true) })
			return 0
		})
		return
	}
	if m := readReady(in.dir); m.Run == run && k.Child.Alive() {
		in.health.ready, in.health.wasReady, in.health.since = true, true, m.Since
	}
	first := firstDelay
	if lasted > first {
		first = 0 // adopted: whoever waits for it waits already
	}
	if spec.Ready != nil {
		schedule(first, in.readyCheck(run, *spec.Ready, k.Started).once)
	}
	if spec.Health != nil {
		schedule(first, in.healthCheck(run, *spec.Health, k.Started).once)
	}
}

// endHealth stops all checks. The caller holds mu.
func (in *instance) endHealth() {
	for _, t := range in.health.tasks {
		in.engine.schedule.cancel(t)
	}
	in.health = health{}
}

// setReady changes readiness. The caller holds mu and shows the result.
func (in *instance) setReady(ready bool) {
	h := &in.health
	if h.ready == ready {
		return
	}
	h.ready, h.wasReady = ready, h.wasReady || ready
	h.since = in.engine.cfg.Now()
	if ready {
		h.complaint = ""
	}
	if spec := in.record.Spec; spec.Ready == nil && spec.Health == nil {
		return
	}
	err := removeReady(in.dir)
	if ready {
		err = readyMark{Run: h.run, Since: h.since}.write(in.dir)
	}
	if err != nil {
		in.engine.cfg.Log.Warn("readiness is not kept for the next server", "instance", in.id, "error", err)
	}
}

// judge changes what is known of a run's health, if that run is still on.
func (in *instance) judge(run int, change func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.health.run != run || in.kept.Phase != keeper.Running {
		return
	}
	change()
	in.show()
}

// probe asks the instance by a check. The caller holds mu.
func (in *instance) probe(c backend.Check) func(context.Context) error {
	p := probe{check: c, port: in.record.Port, exec: func(ctx context.Context, args []string) error {
		b, err := in.beside()
		if err != nil {
			return err
		}
		return b.run(ctx, args)
	}}
	if len(c.Exec) == 0 && p.port == 0 {
		return func(context.Context) error {
			return fmt.Errorf("the instance has no port to ask")
		}
	}
	return p.ask
}

func (in *instance) readyCheck(run int, c backend.Check, began time.Time) *readiness {
	c = c.OrDefault()
	return &readiness{
		what: "ready", check: c, ask: in.probe(c), now: in.engine.cfg.Now, began: began,
		passed: func() { in.judge(run, func() { in.setReady(true) }) },
		failed: func(err error, enough bool) {
			in.judge(run, func() {
				in.health.complaint = err.Error()
				if enough {
					in.setReady(false)
				}
			})
		},
	}
}

func (in *instance) healthCheck(run int, c backend.Check, began time.Time) *readiness {
	c = c.OrDefault()
	decides := in.record.Spec.Ready == nil // then to be well is to be ready
	return &readiness{
		what: "health", check: c, ask: in.probe(c), now: in.engine.cfg.Now, began: began,
		passed: func() {
			in.judge(run, func() {
				if decides {
					in.setReady(true)
				}
			})
		},
		failed: func(err error, enough bool) {
			in.judge(run, func() {
				if decides && !in.health.ready {
					in.health.complaint = err.Error()
				}
				if enough {
					in.unhealthy(run, failing("health", c, err))
				}
			})
		},
	}
}

// unhealthy ends a run so that the restart policy has to deal with it: by the
// stop signal, and by force after the grace. Where the policy looks at how a
// run ended it is by force at once, since a program that takes the signal for a
// request to end well would not be started again. The caller holds mu.
func (in *instance) unhealthy(run int, why string) {
	client, p := in.client, in.kept.Child
	if client == nil || in.health.ending {
		return
	}
	in.health.ending = true
	in.engine.notice(in.id, backend.LevelError, why+"; it is ended")
	stop := in.record.Spec.Stop.OrDefault()
	graceful := in.record.Spec.Restart.OrDefault().Policy == backend.RestartAlways
	in.engine.spawn(func() {
		if graceful {
			if err := client.Signal(in.engine.ctx, stop.Signal); err != nil {
				in.engine.cfg.Log.Warn("unhealthy instance takes no signal", "instance", in.id, "error", err)
			}
			in.awaitEnd(run, stop.Grace.Std())
		}
		if !p.Alive() || in.engine.ctx.Err() != nil {
			return
		}
		if err := client.KillTree(in.engine.ctx); err != nil {
			in.engine.cfg.Log.Warn("unhealthy instance cannot be killed", "instance", in.id, "error", err)
		}
	})
}

// awaitEnd waits until a run is over, or for as long as limit.
func (in *instance) awaitEnd(run int, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		in.mu.Lock()
		changed := in.changed
		on := int(in.kept.Run) == run && (in.kept.Phase == keeper.Running || in.kept.Phase == keeper.Stopping)
		in.mu.Unlock()
		if !on {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		case <-in.engine.ctx.Done():
			return
		}
	}
}

// overdue ends a run at its deadline.
func (in *instance) overdue(run int) {
	in.mu.Lock()
	on := int(in.kept.Run) == run && in.kept.Phase == keeper.Running
	spec := in.record.Spec
	in.mu.Unlock()
	if !on {
		return
	}
	in.engine.spawn(func() {
		if err := in.amend(func(r *record) { r.Overdue = run }); err != nil {
			in.engine.cfg.Log.Warn("deadline is not recorded", "instance", in.id, "error", err)
		}
		in.engine.notice(in.id, backend.LevelWarn, "deadline of "+short(spec.Deadline)+" passed; it is ended")
		if err := in.stop(in.engine.ctx, engine.StopOptions{}); err != nil {
			in.engine.cfg.Log.Warn("instance is not stopped at its deadline", "instance", in.id, "error", err)
		}
	})
}
