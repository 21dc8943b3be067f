package keeper

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"pitwall/backend/logstore/segment"
)

// begin starts the next run. A run that cannot be started is one all the same:
// it has a number, an end and a reason.
func (k *keeper) begin() {
	if k.cur != nil {
		return
	}
	k.turn++
	k.again = false
	if k.regroup {
		k.regroup = false
		k.tree.group = makeGroup(k.spec, k.tree.mark)
	}
	n := max(k.state.Run+1, k.spec.FirstRun)
	h, err := k.spawn(n)
	if err != nil {
		k.state.Run, k.state.Started, k.state.Child = n, time.Now(), Proc{}
		k.sink.mu.Lock()
		k.sink.log.RunStart(n, 0)
		k.sink.mu.Unlock()
		k.finished(nil, Exit{Run: n, Started: time.Now(), Ended: time.Now(), Code: -1, Reason: err.Error()})
		return
	}
	r := h.run
	k.cur = r
	k.state.Run, k.state.Child, k.state.Started, k.state.EnvHash = n, r.proc, r.started, r.envHash
	k.state.Boot, k.state.Stopping = BootID(), false
	if err := k.tree.group.add(r.proc.PID); err != nil {
		k.complain(err)
	} else {
		r.tree.contained = k.tree.group.kill != ""
	}
	k.tree.group.newOOM()
	k.sink.mu.Lock()
	err = k.sink.log.RunStart(n, r.proc.PID)
	k.sink.mu.Unlock()
	if err != nil {
		k.complain(err)
	}
	k.record(Exit{Run: n, PID: r.proc.PID, Started: r.started, EnvHash: r.envHash})
	k.enter(Starting, "")
	k.tellWithPipes(Event{Kind: EventStarting, Run: n, PID: r.proc.PID})
	r.listen(k.sink)
	if err := k.letGo(h); err != nil {
		k.complain(err)
		r.why = err.Error()
	}
	go k.follow(r, "")
}

// letGo lets a held process execute its program, provided that the state names
// it on disk.
func (k *keeper) letGo(h held) error {
	defer h.gate.Close() // without the last byte, it ends without executing
	s, err := ReadState(".")
	if err != nil || s.Child != h.run.proc {
		return errors.Join(errors.New("state.json cannot be written: nothing is executed"), err)
	}
	dir := k.spec.Dir
	if dir == "" {
		dir = k.dir
	}
	env := append(append([]string{}, k.spec.Env...), k.tree.env()...)
	p := plan{Argv: k.spec.Argv, Dir: dir, User: k.spec.User, Env: env, Umask: k.umask}
	if err := sendPlan(h.gate, p); err != nil {
		return fmt.Errorf("tell the held process: %w", err)
	}
	return release(h.gate)
}

// executed is called when the program runs.
func (k *keeper) executed(r *run) {
	if k.cur == r && k.state.Phase == Starting {
		k.enter(Running, "")
		k.tell(Event{Kind: EventRunning, Run: r.number, PID: r.proc.PID})
	}
}

// enter changes the phase, on disk first.
func (k *keeper) enter(p Phase, why string) {
	k.state.Phase, k.state.Reason, k.state.Since = p, why, time.Now()
	if p != Backoff {
		k.state.Until = time.Time{}
	}
	k.save()
}

func (k *keeper) save() {
	if err := writeJSON("state.json", k.state); err != nil {
		k.complain(err)
	}
}

// finished records a run's end and applies the policy.
func (k *keeper) finished(r *run, e Exit) {
	if r != k.cur {
		return
	}
	k.cur, k.last = nil, &e
	k.record(e)
	k.endInLog(e)
	k.tell(Event{Kind: EventExited, Run: e.Run, PID: e.PID, Exit: &e, Reason: e.Reason})
	k.state.Child, k.state.Stopping, k.state.Again = Proc{}, false, false
	if k.again {
		k.begin()
		k.release(nil)
		return
	}
	k.decide(e)
	k.release(nil)
}

// record writes to runs.jsonl, and tries again later where the disk is full.
func (k *keeper) record(e Exit) {
	err := k.runs.add(e)
	if err == nil {
		return
	}
	k.complain(err)
	if k.owing {
		return
	}
	k.owing = true
	var retry func()
	retry = func() {
		if k.owing = k.runs.flush() != nil; k.owing {
			time.AfterFunc(recordAgain, func() { k.post(retry) })
			return
		}
		k.save()
	}
	time.AfterFunc(recordAgain, func() { k.post(retry) })
}

// recordAgain is how soon a record that the disk refused is tried again.
const recordAgain = 2 * time.Second

func (k *keeper) endInLog(e Exit) {
	k.sink.mu.Lock()
	defer k.sink.mu.Unlock()
	flags, code := exitFlags(e)
	if err := k.sink.log.RunEnd(code, e.Signal, flags); err != nil {
		k.complain(err)
	}
}

// decide says what follows a run.
func (k *keeper) decide(e Exit) {
	policy := k.spec.Restart
	switch {
	case e.Stopped:
		k.enter(Stopped, e.Reason)
		k.tell(Event{Kind: EventStopped, Run: e.Run, Reason: e.Reason})
		return
	case policy.Policy != Always && !(policy.Policy == OnFailure && e.Failure()):
		k.enter(Exited, e.Reason)
		k.tell(Event{Kind: EventRested, Run: e.Run, Reason: e.Reason})
		return
	}
	recent, left := policy.spend(k.state.Restarts, time.Now())
	k.state.Restarts = recent
	if !left {
		why := fmt.Sprintf("%d restarts within %s; the last run: %s", len(recent), policy.Window, e.Reason)
		k.enter(Failed, why)
		k.tell(Event{Kind: EventFailed, Run: e.Run, Reason: why})
		return
	}
	k.wait(e)
}

// wait begins the next run after a delay.
func (k *keeper) wait(e Exit) {
	policy := k.spec.Restart
	delay := policy.after(time.Duration(k.state.Delay)*time.Millisecond, e.Ended.Sub(e.Started))
	k.state.Delay = delay.Milliseconds()
	k.state.Until = time.Now().Add(delay)
	k.enter(Backoff, e.Reason)
	k.tell(Event{Kind: EventBackoff, Run: e.Run, Until: k.state.Until, Reason: e.Reason})
	k.later(delay)
}

// later begins a run when the delay is over, unless something comes between.
func (k *keeper) later(delay time.Duration) {
	k.turn++
	turn := k.turn
	k.timer = time.AfterFunc(delay, func() {
		k.post(func() {
			if turn == k.turn && k.state.Phase == Backoff {
				k.begin()
			}
		})
	})
}

// release answers those who waited for the run to end.
func (k *keeper) release(err error) {
	idle := k.idle
	k.idle = nil
	for _, f := range idle {
		f(err)
	}
}

// stop ends the run, or what waits to start; reply is called when nothing runs.
func (k *keeper) stop(o StopOptions, reply func(error)) {
	if k.cur == nil {
		if k.timer != nil {
			k.timer.Stop()
		}
		k.turn++
		if k.state.Phase != Exited && k.state.Phase != Stopped {
			k.enter(Stopped, "")
			k.tell(Event{Kind: EventStopped, Run: k.state.Run})
		}
		reply(nil)
		return
	}
	name := k.spec.Stop.Signal
	if o.Signal != "" {
		name = o.Signal
	}
	sig, err := parseSignal(name)
	if err != nil {
		reply(err)
		return
	}
	k.idle = append(k.idle, reply)
	r := k.cur
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	k.state.Stopping, k.state.Again = true, k.again
	k.enter(Stopping, "")
	k.tell(Event{Kind: EventStopping, Run: r.number, PID: r.proc.PID})
	grace := k.spec.Stop.Grace
	if o.Grace > 0 {
		grace = o.Grace
	}
	if o.Force {
		go r.kill(k)
		return
	}
	if err := r.signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH) {
		k.complain(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.grace != nil {
		r.grace.Stop()
	}
	r.grace = time.AfterFunc(grace, func() { r.kill(k) })
}

// start begins a run if none is on, by the spec as it is on disk now.
func (k *keeper) start(reply func(error)) {
	if k.cur != nil {
		reply(errors.New("it is running"))
		return
	}
	if err := k.reload(); err != nil {
		reply(err)
		return
	}
	if k.timer != nil {
		k.timer.Stop()
	}
	k.state.Restarts, k.state.Delay = nil, 0
	k.begin()
	reply(nil)
}

// restart is stop and start in one, so that nothing comes between.
func (k *keeper) restart(o StopOptions, reply func(error)) {
	if k.cur == nil {
		k.start(reply)
		return
	}
	if err := k.reload(); err != nil {
		reply(err)
		return
	}
	k.state.Restarts, k.state.Delay = nil, 0
	k.again = true
	k.stop(o, reply)
}

// reload reads the spec again. Limits hold from the next run on; what the log
// was opened with stays until the next keeper.
func (k *keeper) reload() error {
	s, err := ReadSpec(".")
	if err != nil {
		return err
	}
	if s.Instance != k.spec.Instance {
		return fmt.Errorf("spec.json is of instance %q, this keeper has %q", s.Instance, k.spec.Instance)
	}
	k.spec, k.regroup = s.withDefaults(), true
	return nil
}

// shutdown ends the keeper once nothing runs.
func (k *keeper) shutdown(force bool, reply func(error)) {
	if k.cur != nil && !force {
		reply(errors.New("it is running; stop it first, or force"))
		return
	}
	k.again = false
	if k.cur == nil && k.state.Phase.AtRest() {
		// It stays as it is: one that failed is not to be started again by the
		// next server as if it had been stopped.
		reply(nil)
		k.quit = true
		return
	}
	k.stop(StopOptions{}, func(err error) {
		reply(err)
		k.quit = err == nil
	})
}

// exitFlags is an exit as the log records it.
func exitFlags(e Exit) (flags segment.Flags, code int) {
	if e.Unknown {
		flags |= segment.ExitUnknown
	}
	if e.OOM {
		flags |= segment.OutOfMemory
	}
	return flags, e.Code
}

// status is a snapshot for clients.
func (k *keeper) status() *Status {
	s := &Status{
		Version: ProtocolVersion, Instance: k.spec.Instance, Keeper: k.state.Keeper, Phase: k.state.Phase,
		Since: k.state.Since, Run: k.state.Run, Child: k.state.Child, Started: k.state.Started, Until: k.state.Until,
		Reason: k.state.Reason, Last: k.last, Restarts: len(k.state.Restarts), Next: k.sink.log.Next(),
		Degraded: k.sink.degraded(), Dropped: k.sink.dropped.Load(), Limits: k.tree.group.limits,
		Cgroups: k.tree.group.dirs(),
	}
	s.Adopted = k.cur != nil && k.cur.adopted != nil
	return s
}
