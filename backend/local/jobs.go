package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"pitwall/backend"
	"pitwall/backend/engine"
	"pitwall/backend/sqlite"
)

// runProcess is the process name of a job's instances.
const runProcess = "run"

func keepOf(s backend.JobSpec) int { return cmp.Or(s.Keep, 10) }

// applyJob drafts one job of a declaration.
func (c *change) applyJob(j *jobChange, set string) error {
	switch j.kind {
	case backend.ChangeDelete:
		return c.deleteJob(j.id)
	case backend.ChangeCreate:
		id, err := c.b.newID()
		if err != nil {
			return err
		}
		j.id = id
		d := add(c, c.jobs, id, sqlite.Job{
			Job: backend.Job{ID: id, Name: j.spec.Name, Scope: j.spec.Scope, Created: c.now}, Set: set,
		}, c.flushJob)
		d.say(backend.LevelInfo, fmt.Sprintf("%s was declared by %s", j.spec.Name, c.cause.author))
	}
	d := c.job(j.id)
	d.now.Set = set
	if j.kind == backend.ChangeNone {
		return nil
	}
	d.now.Job.Spec, d.now.Job.Schedule, d.now.Job.Updated = j.spec, j.spec.Schedule, c.now
	d.now.Job.Next = nextDue(j.spec, c.now)
	return nil
}

// nextDue is when a job is due after a time; zero when it has no schedule.
func nextDue(s backend.JobSpec, after time.Time) time.Time {
	sched, err := scheduleOf(s)
	if err != nil || sched == nil {
		return time.Time{}
	}
	if next := sched.Next(after); !next.IsZero() {
		return next.UTC()
	}
	return time.Time{}
}

// jobSpec says how the engine runs a job's instance. The caller holds mu.
func (b *Backend) jobSpec(m sqlite.Instance) (engine.Spec, int, error) {
	in := m.Instance
	j, ok := b.jobs[in.JobID]
	if !ok {
		return engine.Spec{}, 0, noJob(in.JobID)
	}
	s := j.Job.Spec
	env := maps.Clone(s.Env)
	if env == nil {
		env = make(map[string]string)
	}
	maps.Copy(env, m.Env)
	return engine.Spec{
		ID: in.ID, JobID: in.JobID, Owner: in.Job, Process: in.Process, Index: in.Index, FirstRun: m.FirstRun,
		Command: s.Command, Dir: s.Dir, User: s.User, Env: env, Memory: s.Memory, CPU: s.CPU, Stop: s.Stop.OrDefault(),
		Restart: backend.RestartSpec{Policy: backend.RestartNever}.OrDefault(), Deadline: s.Deadline.Std(),
	}, 0, nil
}

// runsOf lists a job's runs that have not ended. The caller holds mu or
// changing.
func (b *Backend) runsOf(job string) []sqlite.Instance {
	var out []sqlite.Instance
	for m := range b.membersOf(job) {
		if !m.Instance.State.Final() {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, byPlace)
	return out
}

func (b *Backend) planRun(cmd backend.RunJob) (plan, error) {
	return b.planJob(cmd, "manual", time.Time{})
}

func (b *Backend) planJob(cmd backend.RunJob, trigger string, due time.Time) (plan, error) {
	b.mu.RLock()
	j, ok := b.jobs[cmd.Job]
	b.mu.RUnlock()
	if !ok {
		return plan{}, noJob(cmd.Job)
	}
	if err := validEnv("run "+j.Job.Name, cmd.Env); err != nil {
		return plan{}, err
	}
	p := plan{kind: "run", target: j.Job.Ref(), scope: j.Job.Scope, cancelable: true}
	var id string
	p.begin = func(c *change, op *operation) error {
		d := c.job(cmd.Job)
		if d == nil {
			return noJob(cmd.Job)
		}
		busy := b.runsOf(cmd.Job)
		if len(busy) > 0 && d.now.Job.Spec.Concurrency == backend.ConcurrencyForbid {
			return backend.Errorf(backend.Conflict, "run %d of it is not done yet, and it may run once at a time", busy[0].FirstRun)
		}
		if d.now.Job.Spec.Concurrency == backend.ConcurrencyReplace {
			for _, m := range busy {
				c.instance(m.Instance.ID).now.Canceled = true
			}
		}
		var err error
		id, err = c.newJobRun(d, op, sqlite.Instance{Trigger: trigger, Author: op.author, Scheduled: due, Env: cmd.Env})
		return err
	}
	p.work = func(ctx context.Context, op *operation) error { return b.awaitRun(ctx, op, cmd.Job, id) }
	return p, nil
}

// newJobRun drafts the next run of a job.
func (c *change) newJobRun(d *draft[sqlite.Job], op *operation, m sqlite.Instance) (string, error) {
	j := &d.now.Job
	d.now.Number++
	n := d.now.Number
	id, err := c.b.newInstanceID(j.Name, runProcess, n)
	if err != nil {
		return "", err
	}
	m.FirstRun, m.Recorded = n, n-1
	m.Instance = backend.Instance{
		ID: id, JobID: j.ID, Job: j.Name, Scope: j.Scope, Process: runProcess, Index: n, State: backend.InstancePending,
		Since: c.now, Created: c.now, MemoryLimit: j.Spec.Memory, Node: c.b.cfg.Node.ID,
	}
	c.join(m)
	run := backend.Run{
		ID: runID(id, n), Number: n, JobID: j.ID, Job: j.Name, Scope: j.Scope, Instance: id, Process: runProcess, Index: n,
		State: backend.RunPending, Trigger: m.Trigger, Author: m.Author, Scheduled: m.Scheduled,
	}
	j.Last = &run
	if op != nil {
		r := c.op(op.id).now
		r.Op.Also = append(slices.Clip(r.Op.Also), run.Ref(), backend.Ref{Kind: backend.KindInstance, ID: id, Name: id})
	}
	return id, c.putRun(backend.EventCreated, run)
}

// jobRun takes a run's news into its job.
func (c *change) jobRun(run backend.Run) {
	d := c.job(run.JobID)
	if d == nil {
		return
	}
	if j := &d.now.Job; j.Last == nil || run.Number >= j.Last.Number {
		j.Last = &run
	}
}

// countRuns counts a job's runs that have not ended.
func (c *change) countRuns(d *draft[sqlite.Job]) {
	n := 0
	for _, m := range c.membersOf(d.now.Job.ID) {
		if !m.Instance.State.Final() && !m.Ended {
			n++
		}
	}
	d.now.Job.Running = n
}

// awaitRun follows a job's run to its end. Calling the operation off ends the
// run.
func (b *Backend) awaitRun(ctx context.Context, op *operation, job, id string) error {
	var outcome sqlite.Instance
	name := "run"
	b.mu.RLock()
	if m, ok := b.instances[id]; ok {
		name = fmt.Sprintf("run %d", m.FirstRun)
	}
	b.mu.RUnlock()
	return op.step(name, func() (string, error) {
		ended := func() (bool, error) {
			m, ok := b.instances[id]
			if ok {
				outcome = m
			}
			return !ok || b.over(m) && (m.Recorded >= m.FirstRun || m.Instance.Run == 0 || m.Instance.State == backend.InstanceLost), nil
		}
		err := b.until(ctx, ended)
		if err != nil && !errors.Is(err, errClosing) {
			if cerr := b.cancelRun(op, id); cerr != nil {
				return "", cerr
			}
			b.until(b.ctx, ended)
			return "", err
		}
		if err != nil {
			return "", err
		}
		if last, ok := b.endedRun(job, id); ok {
			outcome = last
		}
		return b.runOutcome(outcome)
	})
}

// endedRun reads the record of a run that has ended and was put away.
func (b *Backend) endedRun(job, id string) (sqlite.Instance, bool) {
	ended, err := b.store.EndedInstances(context.Background(), job)
	if err != nil {
		b.log.Warn("read the outcome of a run", "instance", id, "err", err)
	}
	for _, m := range ended {
		if m.Instance.ID == id {
			return m, true
		}
	}
	return sqlite.Instance{}, false
}

func (b *Backend) cancelRun(op *operation, id string) error {
	return b.change(context.Background(), op.cause(), func(c *change) error {
		if d := c.instance(id); d != nil {
			d.now.Canceled = true
		}
		return nil
	})
}

// runOutcome is what a job's run came to.
func (b *Backend) runOutcome(m sqlite.Instance) (string, error) {
	in := m.Instance
	switch {
	case m.Canceled:
		return "", backend.Errorf(backend.Canceled, "the run was canceled")
	case in.State == backend.InstanceLost:
		return "", errors.New(sentence("the run was lost", in.Reason))
	case in.LastExit == nil:
		return "", errors.New(sentence("the run did not start", in.Reason))
	case !clean(*in.LastExit):
		b.mu.RLock()
		defer b.mu.RUnlock()
		return "", errors.New(words(*in.LastExit, in, b.counters(in.ID, "")))
	}
	return in.LastExit.String(), nil
}

func (b *Backend) planDeleteJob(job string) (plan, error) {
	b.mu.RLock()
	j, ok := b.jobs[job]
	b.mu.RUnlock()
	if !ok {
		return plan{}, noJob(job)
	}
	p := plan{
		kind: "delete", target: j.Job.Ref(), scope: j.Job.Scope, preempt: true,
		holds: []string{j.Job.Qualify(j.Job.Name)},
	}
	p.begin = func(c *change, _ *operation) error {
		for _, m := range b.runsOf(job) {
			c.instance(m.Instance.ID).now.Canceled = true
		}
		if d := c.job(job); d != nil {
			d.now.Job.Schedule, d.now.Job.Spec.Schedule, d.now.Job.Next = "", "", time.Time{}
		}
		return nil
	}
	p.work = func(ctx context.Context, op *operation) error {
		b.mu.RLock()
		var ids []string
		for _, m := range b.runsOf(job) {
			ids = append(ids, m.Instance.ID)
		}
		b.mu.RUnlock()
		if err := b.bringDown(ctx, op, ids); err != nil {
			return err
		}
		return op.step("remove", func() (string, error) {
			return "", b.change(ctx, op.cause(), func(c *change) error { return c.deleteJob(job) })
		})
	}
	return p, nil
}

// deleteJob drafts that a job is gone. What still runs of it is ended as
// something that nobody declared.
func (c *change) deleteJob(job string) error {
	d := c.job(job)
	if d == nil {
		return nil
	}
	ended, err := c.b.store.EndedInstances(context.Background(), job)
	if err != nil {
		return err
	}
	for _, m := range append(c.membersOf(job), ended...) {
		if i := c.instance(m.Instance.ID); i != nil {
			i.deleted = true
		}
		id := m.Instance.ID
		c.after = append(c.after, func() { c.b.dismiss(id) })
	}
	d.deleted = true
	d.say(backend.LevelWarn, fmt.Sprintf("%s was deleted by %s", d.now.Job.Name, c.cause.author))
	return nil
}

// dismiss ends and forgets an instance that has no record any more.
func (b *Backend) dismiss(id string) {
	b.spawn(func(ctx context.Context) {
		err := b.eng.Remove(ctx, id)
		if backend.CodeOf(err) == backend.Conflict {
			err = b.eng.Stop(ctx, id, engine.StopOptions{})
		}
		if err != nil && backend.CodeOf(err) != backend.NotFound && ctx.Err() == nil {
			b.log.Warn("end an instance of a deleted job", "instance", id, "err", err)
		}
	})
}

// schedule starts jobs when they are due.
func (b *Backend) schedule(ctx context.Context) {
	b.skipMissed(ctx)
	b.whenDue(ctx, b.nextJob, b.fire)
}

// nextJob is when the next job is due. The caller holds mu.
func (b *Backend) nextJob() (due time.Time) {
	for _, j := range b.jobs {
		due = sooner(due, j.Job.Next)
	}
	return due
}

// skipMissed tells of what was due while no server ran, and does not do it
// late.
func (b *Backend) skipMissed(ctx context.Context) {
	err := b.change(ctx, cause{}, func(c *change) error {
		for id, r := range b.jobs {
			due := r.Job.Next
			if due.IsZero() || due.After(c.now) {
				continue
			}
			d := c.job(id)
			d.now.Job.Next = nextDue(r.Job.Spec, c.now)
			d.say(backend.LevelWarn, fmt.Sprintf("%s was due at %s while the server was down, and was not run",
				r.Job.Name, due.Format(time.RFC3339)))
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		b.log.Error("skip missed jobs", "err", err)
	}
}

// fire starts every job that is due.
func (b *Backend) fire(ctx context.Context) {
	due := make(map[string]time.Time)
	err := b.change(ctx, cause{}, func(c *change) error {
		clear(due)
		for id, r := range b.jobs {
			if n := r.Job.Next; !n.IsZero() && !n.After(c.now) {
				due[id] = n
				c.job(id).now.Job.Next = nextDue(r.Job.Spec, c.now)
			}
		}
		return nil
	})
	if err != nil {
		b.log.Error("start jobs that are due", "err", err)
		sleep(ctx, time.Second)
		return
	}
	for id, at := range due {
		if err := b.fireJob(ctx, id, at); err != nil {
			b.skipped(id, at, err)
		}
	}
}

func (b *Backend) fireJob(ctx context.Context, id string, at time.Time) error {
	cmd := backend.RunJob{Job: id, Intent: backend.Intent{Source: "schedule"}}
	p, err := b.planJob(cmd, "schedule", at)
	if err != nil {
		return err
	}
	ctx = backend.WithAttribution(ctx, backend.Attribution{Principal: backend.Principal{Name: "schedule"}, Door: "schedule"})
	_, _, err = b.accept(ctx, cmd, p)
	return err
}

// skipped tells that a job that was due was not started.
func (b *Backend) skipped(id string, at time.Time, why error) {
	err := b.change(context.Background(), cause{author: "schedule"}, func(c *change) error {
		if d := c.job(id); d != nil {
			d.say(backend.LevelWarn, fmt.Sprintf("%s was due at %s and was skipped: %v", d.now.Job.Name, at.Format(time.RFC3339), why))
		}
		return nil
	})
	if err != nil {
		b.log.Error("write that a job was skipped", "job", id, "err", err)
	}
}
