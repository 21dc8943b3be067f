package sqlite

import "pitwall/backend"

// App is what is kept of an app.
type App struct {
	App backend.App `json:"app"`

	// Set names the declaration that it came with.
	Set string `json:"set,omitempty"`

	// Deleting says that a delete was accepted: the app is to go, whatever
	// happens to the server.
	Deleting bool `json:"deleting,omitempty"`

	// Last has the operation that last changed an aspect of the app, so
	// that an undo can tell whether the state moved since.
	Last map[string]string `json:"last,omitempty"`

	// EdgeError is why the edge does not serve the app.
	EdgeError string `json:"edgeError,omitempty"`
}

// Instance is what is kept of an instance.
type Instance struct {
	Instance backend.Instance `json:"instance"`

	// Retired instances are no longer wanted: replaced, or surplus.
	Retired bool `json:"retired,omitempty"`
	// Ended ones are retired, have stopped, and the engine forgot them.
	Ended bool `json:"ended,omitempty"`
	// Held instances were stopped one by one by an operator.
	Held bool `json:"held,omitempty"`
	// Again asks for a start out of a final state.
	Again bool `json:"again,omitempty"`
	// Replaces is the instance in whose place this one is tried, TriedBy the
	// operation that sees to it.
	Replaces string `json:"replaces,omitempty"`
	TriedBy  string `json:"triedBy,omitempty"`

	// FirstRun is the number of its first run, Recorded the number of the
	// last run whose end is recorded.
	FirstRun int `json:"firstRun"`
	Recorded int `json:"recorded"`

	// LogDir is where its log lies, also after the engine forgot it.
	LogDir string `json:"logDir,omitempty"`

	// What a job's run was asked with.
	Trigger   string            `json:"trigger,omitempty"`
	Author    string            `json:"author,omitempty"`
	Scheduled backend.Time      `json:"scheduled,omitzero"`
	Env       map[string]string `json:"env,omitempty"`
	Canceled  bool              `json:"canceled,omitempty"`
}

// Owner is the id of the app or job that the instance belongs to.
func (i Instance) Owner() string {
	if i.Instance.JobID != "" {
		return i.Instance.JobID
	}
	return i.Instance.AppID
}

// Job is what is kept of a job.
type Job struct {
	Job    backend.Job `json:"job"`
	Set    string      `json:"set,omitempty"`
	Number int         `json:"number"` // of the last run
}

// Operation is what is kept of an operation.
type Operation struct {
	Op backend.Operation `json:"op"`

	// Command is what was asked, so that it can be gone on with.
	Command Command `json:"command,omitzero"`
	// Inverse is what undoes it; Aspects are the parts of the app's state
	// that must not have moved since.
	Inverse Command  `json:"inverse,omitzero"`
	Aspects []string `json:"aspects,omitempty"`
}

// Command is a stored [backend.Command].
type Command struct {
	Verb string `json:"verb,omitempty"`
	Body []byte `json:"body,omitempty"`
}

// Level is one log level that was set.
type Level struct {
	App      string        `json:"app"`
	Instance string        `json:"instance,omitempty"` // empty is the whole app
	Logger   string        `json:"logger"`
	Level    backend.Level `json:"level"`
	// Until is when it goes back to Was; zero is never.
	Until backend.Time  `json:"until,omitzero"`
	Was   backend.Level `json:"was,omitempty"`
	// Operation set it.
	Operation string `json:"operation,omitempty"`
}

// Key is what an idempotency key stands for.
type Key struct {
	Key       string           `json:"-"`
	Operation string           `json:"-"`
	Verb      string           `json:"verb"`
	Target    string           `json:"target"`
	Changes   []backend.Change `json:"changes,omitempty"`
}

// Audit is one accepted command.
type Audit struct {
	Attribution backend.Attribution
	Verb        string
	Target      string
	Operation   string
	Outcome     string
	Reason      string
}

// State is what a server keeps in memory.
type State struct {
	Index      uint64
	Compacted  uint64 // the newest index that is no longer kept
	Apps       []App
	Jobs       []Job
	Instances  []Instance // that have not ended
	Levels     []Level
	Operations []Operation // that have not ended, the oldest first
}
