package backend

// InstanceState is what one instance is doing.
type InstanceState string

// The states of an instance. Stopped, complete, failed and lost are final:
// nothing but a command starts it again.
const (
	InstancePending  InstanceState = "pending"  // declared, not started yet
	InstanceStarting InstanceState = "starting" // its process runs, it was not ready yet
	InstanceRunning  InstanceState = "running"
	InstanceUnready  InstanceState = "unready"  // it was ready and is not
	InstanceCrashed  InstanceState = "crashed"  // it ended and waits to be started again
	InstanceStopping InstanceState = "stopping" // asked to end
	InstanceStopped  InstanceState = "stopped"
	InstanceComplete InstanceState = "complete" // ended well and is not wanted again
	InstanceFailed   InstanceState = "failed"   // its restart budget is spent, or policy says no
	InstanceLost     InstanceState = "lost"     // how it ended is not known
)

// Final reports whether nothing but a command leaves the state.
func (s InstanceState) Final() bool {
	switch s {
	case InstanceStopped, InstanceComplete, InstanceFailed, InstanceLost:
		return true
	}
	return false
}

// Live reports whether a process of the instance runs.
func (s InstanceState) Live() bool {
	switch s {
	case InstanceStarting, InstanceRunning, InstanceUnready, InstanceStopping:
		return true
	}
	return false
}

// Instance is one running copy of a process. Its ID is unique for ever; its
// process and index are its place in the app, which a rolling restart gives to
// a new instance.
type Instance struct {
	ID    string `json:"id"` // APP-PROCESS-INDEX-SUFFIX
	AppID string `json:"appId,omitempty"`
	App   string `json:"app"` // empty for a job's
	JobID string `json:"jobId,omitempty"`
	Job   string `json:"job,omitempty"`
	Scope
	Process string `json:"process"`
	Index   int    `json:"index"`

	State  InstanceState `json:"state"`
	Reason string        `json:"reason"` // why it is in that state, as a sentence
	Ready  bool          `json:"ready"`

	// Blocked instances get no new connections from the edge; a detached
	// one was kicked off it.
	Blocked  bool `json:"blocked"`
	Attached bool `json:"attached"`

	PID      int    `json:"pid"`
	Port     int    `json:"port"`
	Node     string `json:"node,omitempty"`
	Release  int    `json:"release"`
	Run      int    `json:"run"`      // number of the present or last run
	Restarts int    `json:"restarts"` // by itself, since it was made
	Since    Time   `json:"since"`    // when it came to its state
	Created  Time   `json:"created"`

	LastExit  *Exit  `json:"lastExit,omitempty"`
	NextStart Time   `json:"nextStart,omitzero"` // while crashed
	LastError string `json:"lastError,omitempty"`

	ErrorsPerMinute int     `json:"errorsPerMinute"`
	Connections     int     `json:"connections"`
	CPU             float64 `json:"cpu"` // a fraction of a core
	RSS             int64   `json:"rss"` // bytes
	FDs             int     `json:"fds"`
	MemoryLimit     int64   `json:"memoryLimit,omitempty"`
	EnvHash         string  `json:"envHash,omitempty"`
}

// Ref names the instance.
func (i Instance) Ref() Ref { return Ref{KindInstance, i.ID, i.ID} }

// Name returns how people write the instance inside its app: "main.0".
func (i Instance) Name() string { return InstanceName(i.Process, i.Index) }

// InstanceQuery selects instances. Zero fields select all.
type InstanceQuery struct {
	Scope
	Apps   []string        `json:"apps,omitempty"` // app ids
	Jobs   []string        `json:"jobs,omitempty"` // job ids
	IDs    []string        `json:"ids,omitempty"`
	States []InstanceState `json:"states,omitempty"`
	// Ended includes instances that were replaced or whose job has ended,
	// as long as they are kept.
	Ended bool `json:"ended,omitempty"`
	Page  Page `json:"page,omitzero"`
}
