package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"pitwall/backend"
	"pitwall/backend/engine"
	"pitwall/backend/engine/process/keeper"
)

// instance is one instance, whether it runs or not.
type instance struct {
	engine  *Engine
	id, dir string

	// ops is held by what changes who keeps the instance: a start, a
	// restart, a removal, a take-over. It is taken before mu.
	ops sync.Mutex
	// asking is held while a keeper's status is asked for and taken; it comes
	// after ops and before mu.
	asking sync.Mutex

	mu      sync.Mutex
	record  record
	known   bool // has a record on disk
	removed bool
	foreign bool           // its keeper lives and cannot be talked to
	client  *keeper.Client // nil when no keeper runs
	kept    keeper.Status  // what the keeper last said
	last    *keeper.Exit   // of the last run that ended
	group   group          // of the present run
	health  health
	shown   engine.Status
	changed chan struct{} // closed and replaced when kept changes
}

func newInstance(e *Engine, id, dir string, r record) *instance {
	return &instance{engine: e, id: id, dir: dir, record: r, known: !r.Created.IsZero(), changed: make(chan struct{})}
}

// status is what is known of the instance; false before it is known for good
// and after it was removed.
func (in *instance) status() (engine.Status, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.shown, in.known && !in.removed && in.shown.ID != ""
}

// isKnown reports whether the instance was started once and not removed.
func (in *instance) isKnown() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.known && !in.removed
}

// show publishes the status when it has changed. The caller holds mu.
func (in *instance) show() {
	if !in.known || in.removed {
		return
	}
	s := in.present()
	if reflect.DeepEqual(s, in.shown) {
		return
	}
	in.shown = s
	in.engine.feeds.publish(engine.Change{ID: in.id, Status: &s})
}

// present makes the status of what is known. The caller holds mu.
func (in *instance) present() engine.Status {
	r, k := in.record, in.kept
	s := engine.Status{
		ID: in.id, Spec: r.Spec, Port: r.Port, Created: r.Created, Node: in.engine.cfg.Node,
		Run: int(k.Run), Since: k.Since, EnvHash: hashEnv(r.Environ), LogDir: filepath.Join(in.dir, "log"),
		Restarts: max(0, int(k.Run)-r.First-r.Asked),
	}
	if in.last != nil {
		exit := exitOf(*in.last, r)
		s.LastExit = &exit
	}
	s.State, s.Reason = in.stateOf(k)
	if s.State.Live() {
		s.PID = k.Child.PID
	}
	switch s.State {
	case backend.InstanceRunning:
		s.Ready, s.Since = true, in.health.since
	case backend.InstanceUnready:
		s.Since = in.health.since
	case backend.InstanceCrashed:
		s.NextStart = k.Until
	case backend.InstancePending:
		s.Since = r.Created
	case backend.InstanceLost:
		s.Since = r.LostAt
	}
	return s
}

// stateOf is the state of an instance and why it is in it. The caller holds mu.
func (in *instance) stateOf(k keeper.Status) (backend.InstanceState, string) {
	ended := "it has not ended yet"
	if in.last != nil {
		ended = describeExit(*in.last, in.record)
	}
	if in.record.Lost != "" {
		return backend.InstanceLost, in.record.Lost
	}
	if in.record.Overdue != 0 && in.record.Overdue == int(k.Run) && k.Phase.AtRest() {
		return backend.InstanceFailed, overdueReason(in.record.Spec)
	}
	switch k.Phase {
	case "":
		return backend.InstancePending, "not started yet"
	case keeper.Starting:
		return backend.InstanceStarting, "being started"
	case keeper.Running:
		return in.runningState()
	case keeper.Stopping:
		return backend.InstanceStopping, "asked to end"
	case keeper.Backoff:
		return backend.InstanceCrashed, ended + ", next start in " + short(max(0, k.Until.Sub(k.Since)))
	case keeper.Stopped:
		if in.last == nil {
			return backend.InstanceStopped, "stopped"
		}
		return backend.InstanceStopped, "stopped, " + ended
	case keeper.Failed:
		return backend.InstanceFailed, ended + ", " + budget(in.record.Spec.Restart)
	}
	if in.last != nil && !in.last.Failure() {
		return backend.InstanceComplete, ended
	}
	return backend.InstanceFailed, ended
}

func (in *instance) runningState() (backend.InstanceState, string) {
	h := in.health
	switch {
	case h.ready && in.record.Spec.Ready == nil && in.record.Spec.Health == nil:
		return backend.InstanceRunning, "running"
	case h.ready:
		return backend.InstanceRunning, "running, its check passes"
	case h.wasReady:
		return backend.InstanceUnready, "not ready: " + h.complaint
	case h.complaint != "":
		return backend.InstanceStarting, "not ready yet: " + h.complaint
	}
	return backend.InstanceStarting, "not ready yet"
}

// describeExit is a run's end as a sentence.
func describeExit(e keeper.Exit, r record) string {
	exit := exitOf(e, r)
	code := fmt.Sprintf("exit %d", exit.Code)
	switch {
	case exit.OOM && strings.HasPrefix(exit.Reason, "killed"):
		return code + ", " + exit.Reason
	case exit.Unknown, exit.Reason != "":
		return exit.String()
	case exit.Signal != "":
		return code + ", killed by " + exit.Signal
	}
	return code
}

// exitOf is how a run ended, in the words of backend. A reason that says no more
// than the code is left out.
func exitOf(e keeper.Exit, r record) backend.Exit {
	exit := backend.Exit{Code: e.Code, OOM: e.OOM, Unknown: e.Unknown, Reason: e.Reason, Time: e.Ended}
	if e.Signal > 0 {
		exit.Code, exit.Signal = 128+e.Signal, signalName(e.Signal)
	}
	switch {
	case r.Overdue != 0 && r.Overdue == int(e.Run):
		exit.Reason = overdueReason(r.Spec)
	case exit.Reason == fmt.Sprintf("exit %d", e.Code), exit.Reason == "killed by SIG"+exit.Signal:
		exit.Reason = ""
	}
	return exit
}

// overdueReason is why a run was ended at its deadline.
func overdueReason(s engine.Spec) string { return "deadline of " + short(s.Deadline) + " passed" }

// signalName is a signal as people write it: "KILL".
func signalName(n int) string {
	if name := unix.SignalName(unix.Signal(n)); name != "" {
		return strings.TrimPrefix(name, "SIG")
	}
	return strconv.Itoa(n)
}

// runRecord is a run in the words of the engine.
func (in *instance) runRecord(r keeper.Exit) engine.RunRecord {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := engine.RunRecord{Number: int(r.Run), PID: r.PID, Started: r.Started, Ended: r.Ended, EnvHash: r.EnvHash}
	if !r.Ended.IsZero() {
		exit := exitOf(r, in.record)
		out.Exit = &exit
	}
	return out
}

// take takes what a keeper says of the instance. The caller holds mu.
func (in *instance) take(k keeper.Status) {
	if in.removed {
		return
	}
	if k.Last != nil && (in.last == nil || k.Last.Run >= in.last.Run) {
		in.last = k.Last
	}
	again := k.Run != in.kept.Run || k.Child != in.kept.Child || k.Phase != in.kept.Phase
	in.kept = k
	close(in.changed)
	in.changed = make(chan struct{})
	if again {
		in.group = groupOf(k.Cgroups)
		in.followHealth()
	}
	in.show()
}

// live reports whether something runs or is going to. The caller holds mu.
func (in *instance) live() bool {
	return in.kept.Phase != "" && !in.kept.Phase.AtRest() && in.record.Lost == ""
}

// target is what is to be measured of the instance; false when it does not run.
func (in *instance) target() (target, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	runs := in.shown.State.Live() && in.kept.Child.PID != 0
	return target{
		id: in.id, pid: in.kept.Child.PID, keeper: in.kept.Keeper.PID,
		started: in.kept.Started, group: in.group,
	}, runs
}

// beside is where a command beside the instance runs; it fails with Conflict
// when the instance does not.
func (in *instance) beside() (beside, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.shown.State.Live() {
		return beside{}, backend.Errorf(backend.Conflict, "instance %s is %s: a command can run only beside a running one", in.id, in.shown.State)
	}
	a, err := lookupAccount(in.record.Spec.User)
	return beside{dir: in.record.Dir, environ: in.record.Environ, account: a}, err
}

// setLevels replaces the levels file.
func (in *instance) setLevels(levels map[string]backend.Level) error {
	text, err := levelsText(levels)
	if err != nil {
		return err
	}
	in.ops.Lock()
	defer in.ops.Unlock()
	in.mu.Lock()
	spec, removed := in.record.Spec, in.removed
	in.mu.Unlock()
	if removed {
		return backend.Errorf(backend.NotFound, "there is no instance %s", in.id)
	}
	if !spec.Levels {
		return backend.Errorf(backend.Unsupported, "%s does not follow a levels file (its manifest has no levels: file)", spec.Owner)
	}
	return in.writeLevels(text)
}

// writeLevels puts the levels file where the program reads it. The folder is
// the program's, so the file is made in ours, and what the program may have put
// in its place is replaced, not followed.
func (in *instance) writeLevels(text []byte) error {
	fresh := filepath.Join(in.dir, "levels.new")
	if err := writeFile(fresh, text, 0o644); err != nil {
		return err
	}
	root, err := os.OpenRoot(in.dir)
	if err != nil {
		return fmt.Errorf("write levels: %w", err)
	}
	defer root.Close()
	if err := root.Rename("levels.new", filepath.Join("levels", "levels.json")); err != nil {
		return fmt.Errorf("write levels: %w", err)
	}
	return nil
}

// remove implements [Engine.Remove].
func (in *instance) remove() error {
	in.ops.Lock()
	defer in.ops.Unlock()
	in.mu.Lock()
	live, removed, client, port := in.live(), in.removed, in.client, in.record.Port
	state := in.shown.State
	in.mu.Unlock()
	if removed {
		return backend.Errorf(backend.NotFound, "there is no instance %s", in.id)
	}
	if live {
		return backend.Errorf(backend.Conflict, "instance %s is %s: stop it first", in.id, state)
	}
	if client != nil && !in.end(client) && in.runs() {
		return backend.Errorf(backend.Conflict, "instance %s was just started: stop it first", in.id)
	}
	if err := in.removeFiles(); err != nil {
		return err
	}
	in.mu.Lock()
	in.removed = true
	in.endHealth()
	in.mu.Unlock()
	in.engine.ports.release(port, in.id)
	in.engine.drop(in)
	in.engine.feeds.publish(engine.Change{ID: in.id, Removed: true})
	return nil
}

// removeFiles removes all but the log, the record first: without it the rest
// is no instance.
func (in *instance) removeFiles() error {
	root, err := os.OpenRoot(in.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove instance: %w", err)
	}
	defer root.Close()
	if err := root.Remove(recordName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove instance: %w", err)
	}
	entries, err := os.ReadDir(in.dir)
	if err != nil {
		return fmt.Errorf("remove instance: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() == "log" {
			continue
		}
		if err := root.RemoveAll(entry.Name()); err != nil {
			return fmt.Errorf("remove instance: %w", err)
		}
	}
	return nil
}
