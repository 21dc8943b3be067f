// Package engine is the seam between Pitwall and what runs programs.
//
// An engine runs instances: it starts and stops what it is told, applies the
// restart policy of each, and turns its own world into [Status] values and log
// bytes, and nothing else. What should run, and when, is decided by its caller,
// package local.
//
// The process engine is one implementation; package enginetest is the contract
// that every implementation passes.
package engine

import (
	"context"
	"time"

	"pitwall/backend"
)

// Engine runs instances.
//
// It is safe for concurrent use. An instance lives on when the Engine is closed
// and when the server dies; a new Engine on the same state takes it back with
// its process, its log and its exit code. Errors have a backend code: NotFound
// for an instance that it does not know, Unsupported for what it cannot do.
type Engine interface {
	// Start makes an instance run. It returns when the instance is known
	// for good, so that a crash of the server after it loses nothing; what
	// becomes of the process is told by Watch. A program that cannot be
	// started is a Status, not an error. Starting an instance that runs
	// already is no error and changes nothing; one that has ended starts
	// its next run, by the new spec.
	Start(ctx context.Context, s Spec) error

	// Stop ends an instance for good: its restart policy no longer holds.
	// It returns when the stop is on its way.
	Stop(ctx context.Context, id string, o StopOptions) error

	// Restart ends the present run of an instance and starts the next at
	// once, without counting it against the budget.
	Restart(ctx context.Context, id string, o StopOptions) error

	// Signal sends a signal, named without SIG, to the main process.
	Signal(ctx context.Context, id, signal string) error

	// Remove forgets an instance that has ended, and removes its files but
	// not its log. Conflict when it still runs.
	Remove(ctx context.Context, id string) error

	// List returns the status of every instance that the engine knows, the
	// ones of servers before it included.
	List(ctx context.Context) ([]Status, error)

	// Watch follows changes. The first batch has one change with the
	// status of every instance. A slow reader gets the latest status of an
	// instance, not each.
	Watch(ctx context.Context) (backend.Feed[Change], error)

	// Runs returns the records of an instance's runs after a number, the
	// oldest first, those of the time when no server ran included.
	Runs(ctx context.Context, id string, after int) ([]RunRecord, error)

	// Usage measures instances. What is not running is left out.
	Usage(ctx context.Context, ids []string) (map[string]Usage, error)

	// SetLevels replaces the log levels of an instance that follows a
	// levels file; the program notices by itself.
	SetLevels(ctx context.Context, id string, levels map[string]backend.Level) error

	// Loggers returns the names of loggers that the instance's program has
	// announced.
	Loggers(ctx context.Context, id string) ([]string, error)

	// Attach runs a command beside a running instance.
	Attach(ctx context.Context, s backend.AttachSpec) (backend.Conn, error)

	// Describe says what the engine can do here.
	Describe() Description

	// Close lets go of everything and leaves it running.
	Close() error
}

// Spec is all that an engine needs to run one instance. It is on the engine's
// disk before the process is.
type Spec struct {
	ID      string `json:"id"`
	AppID   string `json:"appId,omitempty"`
	JobID   string `json:"jobId,omitempty"`
	Owner   string `json:"owner"` // name of the app or job
	Process string `json:"process"`
	Index   int    `json:"index"`
	Release int    `json:"release"`

	// FirstRun is the number that the instance's first run gets.
	FirstRun int `json:"firstRun"`

	Command backend.CommandLine `json:"command"`
	Dir     string              `json:"dir"` // absolute; empty is the instance's own folder
	User    string              `json:"user,omitempty"`
	// Env is what the app declared. The engine adds the contract: PORT,
	// PITWALL_APP, PITWALL_PROCESS, PITWALL_INDEX, PITWALL_INSTANCE,
	// PITWALL_LOGGERS where Levels, and HOME, PATH, USER, LANG, TZ, TMPDIR.
	Env    map[string]string `json:"env,omitempty"`
	Port   bool              `json:"port"` // give it a port
	Levels bool              `json:"levels,omitempty"`

	Restart backend.RestartSpec `json:"restart"`
	Stop    backend.StopSpec    `json:"stop"`
	Health  *backend.Check      `json:"health,omitempty"`
	Ready   *backend.Check      `json:"ready,omitempty"`
	Memory  int64               `json:"memory,omitempty"` // bytes
	CPU     int                 `json:"cpu,omitempty"`    // thousandths of a core

	// Deadline ends a run that lasts longer; 0 is none.
	Deadline time.Duration `json:"deadline,omitempty"`
	// BlockOnLog makes the program wait for a slow disk instead of losing
	// output.
	BlockOnLog bool `json:"blockOnLog,omitempty"`
}

// StopOptions say how to end a process. Zero fields mean the spec's.
type StopOptions struct {
	Signal string
	Grace  time.Duration
	// Force kills the whole tree at once.
	Force bool
}

// Status is what an engine knows of one instance now.
type Status struct {
	ID        string
	Spec      Spec
	State     backend.InstanceState
	Reason    string
	Ready     bool
	PID       int
	Port      int
	Run       int
	Restarts  int
	Since     time.Time
	Created   time.Time
	NextStart time.Time     // while crashed
	LastExit  *backend.Exit // of the last run that ended
	EnvHash   string
	Node      string

	// LogDir is the folder of the instance's segments on this machine;
	// empty when the engine gives entries instead.
	LogDir string
}

// Change is news of one instance. Any of the parts may be there.
type Change struct {
	ID     string
	Status *Status // the status of now

	// Removed says that the instance is no longer known.
	Removed bool

	// Logged says that there is new output in LogDir.
	Logged bool

	// Notice is something that an operator should read: a log that
	// degrades, a check that fails. Level is its seriousness.
	Notice string
	Level  backend.Level
}

// RunRecord is one run of an instance.
type RunRecord struct {
	Number  int
	PID     int
	Started time.Time
	Ended   time.Time     // zero while it runs
	Exit    *backend.Exit // nil while it runs
	EnvHash string
}

// Usage is what an instance uses, its whole process tree together.
type Usage struct {
	CPU       float64 // a fraction of a core, since the last call
	RSS       int64   // bytes
	FDs       int
	Processes int
}

// Description is what an engine can do where it runs.
type Description struct {
	Name   string // process
	Cgroup string // v2, v1, none
	// Notes are sentences on what is degraded here and why.
	Notes []string
}

// LogSource is implemented by engines whose logs are not files on this
// machine. The entries continue after the sequence given for an instance.
type LogSource interface {
	Logs(ctx context.Context, id string, after uint64) (backend.Feed[backend.LogEntry], error)
}
