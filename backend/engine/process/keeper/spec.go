package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// SpecVersion is the version of [Spec] that this program writes.
const SpecVersion = 1

// Names in the environment of every process of an instance. They are no
// secrets: they are how leftovers are recognised where there are no control
// groups.
const (
	envInstance = "PITWALL_INSTANCE"
	envMark     = "PITWALL_MARK"
)

// Spec says what a keeper runs. The engine writes it with [WriteSpec].
type Spec struct {
	Version  int      `json:"version"`
	Instance string   `json:"instance"`
	Argv     []string `json:"argv"`           // expanded; no shell is involved
	Dir      string   `json:"dir,omitempty"`  // default: the instance's folder
	User     string   `json:"user,omitempty"` // default: the keeper's own
	Env      []string `json:"env"`            // the whole environment, as KEY=value
	Restart  Restart  `json:"restart"`
	Stop     Stop     `json:"stop"`
	Limits   Limits   `json:"limits"`
	// Cgroup lists parent groups to try, relative to the root of each
	// hierarchy ("pitwall"). None means that control groups are not used.
	Cgroup   []string `json:"cgroup,omitempty"`
	FirstRun uint32   `json:"firstRun,omitempty"` // the number of the first run; default 1
	Log      Log      `json:"log"`
}

// Policy says when a run that ended by itself is followed by another.
type Policy string

// The restart policies.
const (
	Always    Policy = "always"
	OnFailure Policy = "on-failure"
	Never     Policy = "never"
)

// Restart is a restart policy. Times are in nanoseconds in JSON.
type Restart struct {
	Policy     Policy        `json:"policy"`               // default Never
	Budget     int           `json:"budget,omitempty"`     // restarts within Window before the instance fails; 0: no bound
	Window     time.Duration `json:"window,omitempty"`     // default 10 minutes
	BackoffMin time.Duration `json:"backoffMin,omitempty"` // default 1 s
	BackoffMax time.Duration `json:"backoffMax,omitempty"` // default 30 s
}

// after is the delay after a run that lasted some time and followed a delay of
// prev: from the least, doubling, and from the least again after a run that
// lasted ten times as long as the delay before it.
func (r Restart) after(prev, lasted time.Duration) time.Duration {
	if prev == 0 || lasted >= 10*prev {
		return r.BackoffMin
	}
	return min(2*prev, r.BackoffMax)
}

// maxCounted bounds the restarts that are remembered where no budget does.
const maxCounted = 256

// spend counts a restart at now in those within the window, which it returns.
// Where the budget allows no more it counts nothing and reports false.
func (r Restart) spend(restarts []int64, now time.Time) (recent []int64, left bool) {
	for _, at := range restarts {
		if now.Sub(time.UnixMilli(at)) < r.Window {
			recent = append(recent, at)
		}
	}
	if r.Budget > 0 && len(recent) >= r.Budget {
		return recent, false
	}
	if len(recent) < max(r.Budget, maxCounted) {
		recent = append(recent, now.UnixMilli())
	}
	return recent, true
}

// Stop says how the child is asked to end.
type Stop struct {
	Signal string        `json:"signal,omitempty"` // "TERM" or "SIGTERM"; default TERM
	Grace  time.Duration `json:"grace,omitempty"`  // default 10 s
}

// Limits bound what the instance uses; 0 is no bound.
type Limits struct {
	MemoryBytes int64 `json:"memoryBytes,omitempty"`
	CPUMillis   int64 `json:"cpuMillis,omitempty"` // thousandths of a core
}

// Log says how the output is kept.
type Log struct {
	SegmentBytes int64  `json:"segmentBytes,omitempty"` // default 16 MiB
	Fsync        string `json:"fsync,omitempty"`        // "never", "interval" (default) or "always"
	Block        bool   `json:"block,omitempty"`        // hold up the child rather than drop output
}

// Phase is what an instance does at the moment.
type Phase string

// The phases. Exited, Failed and Stopped are at rest: nothing runs and nothing
// is going to, until a client asks.
const (
	Starting Phase = "starting"
	Running  Phase = "running"
	Stopping Phase = "stopping"
	Backoff  Phase = "backoff"
	Exited   Phase = "exited"  // ended by itself, and the policy says no more
	Failed   Phase = "failed"  // the restart budget is spent
	Stopped  Phase = "stopped" // by request
)

// AtRest says that nothing runs and nothing is going to by itself.
func (p Phase) AtRest() bool {
	return p == Exited || p == Failed || p == Stopped
}

// Proc names a process so that a reused pid is not taken for it.
type Proc struct {
	PID   int    `json:"pid,omitempty"`
	Start uint64 `json:"start,omitempty"` // field 22 of /proc/PID/stat
}

// State is the content of state.json.
type State struct {
	Version  int       `json:"version"` // of the protocol
	Instance string    `json:"instance"`
	Keeper   Proc      `json:"keeper"`
	Child    Proc      `json:"child"`
	Boot     string    `json:"boot"`
	Run      uint32    `json:"run"`
	Phase    Phase     `json:"phase"`
	Since    time.Time `json:"since"`
	Started  time.Time `json:"started,omitzero"` // of the run
	Until    time.Time `json:"until,omitzero"`   // of a backoff
	Reason   string    `json:"reason,omitempty"`
	EnvHash  string    `json:"envHash,omitempty"`
	Stopping bool      `json:"stopping,omitempty"` // the run was asked to end
	Again    bool      `json:"again,omitempty"`    // and another is to follow
	Restarts []int64   `json:"restarts,omitempty"` // unix ms of those within the window
	Delay    int64     `json:"delay,omitempty"`    // ms of the last backoff
}

// Exit is how a run ended. In runs.jsonl, a line without Ended is a start.
type Exit struct {
	Run     uint32    `json:"run"`
	PID     int       `json:"pid,omitempty"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	Code    int       `json:"code"`             // -1 where a signal ended it, or it is unknown
	Signal  int       `json:"signal,omitempty"` // 0: none
	Unknown bool      `json:"unknown,omitempty"`
	OOM     bool      `json:"oom,omitempty"`     // killed at its memory limit
	Stopped bool      `json:"stopped,omitempty"` // it was asked to end
	Reason  string    `json:"reason,omitempty"`  // a sentence for people
	EnvHash string    `json:"envHash,omitempty"`
}

// Failure says whether the run ended badly.
func (e Exit) Failure() bool { return e.Unknown || e.Code != 0 }

// Status is what a keeper says of its instance.
type Status struct {
	Version  int       `json:"version"`
	Instance string    `json:"instance"`
	Keeper   Proc      `json:"keeper"`
	Phase    Phase     `json:"phase"`
	Since    time.Time `json:"since"`
	Run      uint32    `json:"run"`
	Child    Proc      `json:"child"`
	Started  time.Time `json:"started,omitzero"`
	Until    time.Time `json:"until,omitzero"`
	Reason   string    `json:"reason,omitempty"`
	Last     *Exit     `json:"last,omitempty"` // the last run that ended under this keeper
	Restarts int       `json:"restarts"`       // within the window of the budget
	Next     uint64    `json:"next"`           // the sequence of the next line
	Degraded string    `json:"degraded,omitempty"`
	Dropped  int64     `json:"dropped,omitempty"` // bytes of output, since the keeper started
	Limits   string    `json:"limits,omitempty"`  // how the limits are kept
	Cgroups  []string  `json:"cgroups,omitempty"` // the folders of the instance's control groups
	Adopted  bool      `json:"adopted,omitempty"` // the child was started by a keeper before this one
}

// ReadSpec reads spec.json.
func ReadSpec(dir string) (Spec, error) {
	var s Spec
	if err := readJSON(filepath.Join(dir, "spec.json"), &s); err != nil {
		return Spec{}, err
	}
	if s.Version != SpecVersion {
		return Spec{}, fmt.Errorf("read spec.json: version %d, this program reads %d", s.Version, SpecVersion)
	}
	if len(s.Argv) == 0 || s.Argv[0] == "" {
		return Spec{}, errors.New("read spec.json: no command")
	}
	return s, nil
}

// WriteSpec writes spec.json atomically, readable by its owner alone. It sets
// the version.
func WriteSpec(dir string, s Spec) error {
	s.Version = SpecVersion
	return writeJSON(filepath.Join(dir, "spec.json"), s)
}

// ReadState reads state.json.
func ReadState(dir string) (State, error) {
	var s State
	err := readJSON(filepath.Join(dir, "state.json"), &s)
	return s, err
}

// Runs reads runs.jsonl: every run kept there, oldest first. One that has not
// ended has no Ended.
func Runs(dir string) ([]Exit, error) {
	p, err := os.ReadFile(filepath.Join(dir, "runs.jsonl"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	return parseRuns(p), nil
}

func (s Spec) withDefaults() Spec {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&s.Restart.Window, 10*time.Minute)
	def(&s.Restart.BackoffMin, time.Second)
	def(&s.Restart.BackoffMax, 30*time.Second)
	def(&s.Stop.Grace, 10*time.Second)
	if s.Stop.Signal == "" {
		s.Stop.Signal = "TERM"
	}
	s.FirstRun = max(s.FirstRun, 1)
	return s
}

func readJSON(name string, v any) error {
	p, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read %s: %w", filepath.Base(name), err)
	}
	if err := json.Unmarshal(p, v); err != nil {
		return fmt.Errorf("read %s: %w", filepath.Base(name), err)
	}
	return nil
}

// writeJSON replaces a file. On a full disk, where no new file can be made, it
// writes over the old one, whose blocks are there.
func writeJSON(name string, v any) error {
	p, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	p = append(p, '\n')
	tmp := name + ".tmp"
	err = os.WriteFile(tmp, p, 0o600)
	if err == nil {
		err = os.Rename(tmp, name)
	}
	if err == nil {
		return nil
	}
	os.Remove(tmp)
	if over(name, p) != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	return nil
}

// over writes p over the beginning of a file, and blanks over the rest.
func over(name string, p []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	for int64(len(p)) < st.Size() {
		p = append(p, ' ')
	}
	_, err = f.WriteAt(p, 0)
	return err
}
