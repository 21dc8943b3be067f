package backend

import (
	"slices"
	"time"
)

// AppState is what an app as a whole is doing. Blocked and detached are flags
// beside it.
type AppState string

// The states of an app, the worst first.
const (
	AppFailed   AppState = "failed"   // an instance spent its restart budget
	AppCrashing AppState = "crashing" // an instance ends and is started again
	AppDegraded AppState = "degraded" // some instances are not ready
	AppStarting AppState = "starting"
	AppStopping AppState = "stopping"
	AppRunning  AppState = "running"
	AppStopped  AppState = "stopped"
)

// Severity orders app states, the worst first: 0 is worst.
func (s AppState) Severity() int {
	order := []AppState{AppFailed, AppCrashing, AppDegraded, AppStarting, AppStopping, AppRunning, AppStopped}
	if i := slices.Index(order, s); i >= 0 {
		return i
	}
	return len(order) // a later version's
}

// Desired is what the operator wants of an app.
type Desired string

// The desired states.
const (
	DesiredStarted Desired = "started"
	DesiredStopped Desired = "stopped"
)

// App is a deployed program.
type App struct {
	ID    string `json:"id"` // 24 hexadecimal digits, never reused
	Name  string `json:"name"`
	Scope        // team and space

	State    AppState `json:"state"`
	Desired  Desired  `json:"desired"`
	Blocked  bool     `json:"blocked"`
	Attached bool     `json:"attached"`

	// BlockedBy, BlockedReason and BlockedAt say who blocked it and why.
	BlockedBy     string `json:"blockedBy,omitempty"`
	BlockedReason string `json:"blockedReason,omitempty"`
	BlockedAt     Time   `json:"blockedAt,omitzero"`

	Ready     int `json:"ready"`     // instances that are ready
	Instances int `json:"instances"` // instances that are wanted
	Restarts  int `json:"restarts"`  // of the present instances, by themselves

	// ErrorsPerMinute counts lines of level error and above in the last
	// whole minute of now; ErrorTrend the last ten minutes, oldest first.
	ErrorsPerMinute int       `json:"errorsPerMinute"`
	ErrorTrend      []int     `json:"errorTrend,omitempty"`
	LastError       string    `json:"lastError"` // last exit and last error line, as last words
	LastErrorAt     time.Time `json:"lastErrorAt,omitzero"`

	Release int     `json:"release"` // the number that is current
	Routes  []Route `json:"routes"`
	Levels  bool    `json:"levels"` // follows a levels file
	Since   Time    `json:"since"`  // when it came to its state
	Created Time    `json:"created"`
	Updated Time    `json:"updated"`

	Connections int     `json:"connections"` // open through the edge
	CPU         float64 `json:"cpu"`         // a fraction of a core, all instances
	RSS         int64   `json:"rss"`         // bytes, all instances
	LogBytes    int64   `json:"logBytes"`    // kept on disk

	// Operation is the exclusive operation that holds the app now.
	Operation string `json:"operation,omitempty"`

	Spec AppSpec `json:"spec"`
}

// Ref names the app.
func (a App) Ref() Ref { return Ref{KindApp, a.ID, a.Name} }

// AppSpec is what an operator declares of an app.
type AppSpec struct {
	Name        string            `json:"name"`
	Scope                         // empty fields mean the defaults
	Description string            `json:"description,omitempty"`
	Processes   []ProcessSpec     `json:"processes"`
	Env         map[string]string `json:"env,omitempty"`
	Routes      []Route           `json:"routes,omitempty"`
	Levels      LevelsSpec        `json:"levels,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Logs        LogPolicy         `json:"logs,omitzero"`
}

// LevelsSpec says how an app takes its log levels.
type LevelsSpec string

// The ways to take log levels.
const (
	LevelsNone LevelsSpec = ""
	LevelsFile LevelsSpec = "file" // the app follows $PITWALL_LOGGERS
)

// LogPolicy says how an app's log is kept. Zero fields mean the defaults:
// 256 MiB, 7 days, never blocking the program.
type LogPolicy struct {
	MaxBytes int64    `json:"maxBytes,omitempty"`
	MaxAge   Duration `json:"maxAge,omitempty"`
	Block    bool     `json:"block,omitempty"`
}

// ProcessSpec is one kind of process of an app.
type ProcessSpec struct {
	Name      string      `json:"name"`
	Command   CommandLine `json:"command"`
	Dir       string      `json:"dir,omitempty"`
	User      string      `json:"user,omitempty"`
	Instances int         `json:"instances"`
	Restart   RestartSpec `json:"restart,omitzero"`
	Memory    int64       `json:"memory,omitempty"` // bytes; 0 is no limit
	CPU       int         `json:"cpu,omitempty"`    // thousandths of a core; 0 is no limit
	Health    *Check      `json:"health,omitempty"` // failing restarts the instance
	Ready     *Check      `json:"ready,omitempty"`  // failing takes it off the edge
	Stop      StopSpec    `json:"stop,omitzero"`
}

// CommandLine is a list that is exec'd, with $NAME and ${NAME} of the
// instance's environment replaced and $$ for $, or a text for sh -c.
type CommandLine struct {
	Args  []string `json:"args,omitempty"`
	Shell string   `json:"shell,omitempty"`
}

// RestartPolicy says when an instance that ended is started again.
type RestartPolicy string

// The restart policies.
const (
	RestartAlways    RestartPolicy = "always"
	RestartOnFailure RestartPolicy = "on-failure"
	RestartNever     RestartPolicy = "never"
)

// RestartSpec bounds restarts. More than Budget starts within Window fail the
// instance. Zero fields mean always, 10 and 10 minutes.
type RestartSpec struct {
	Policy RestartPolicy `json:"policy,omitempty"`
	Budget int           `json:"budget,omitempty"`
	Window Duration      `json:"window,omitempty"`
}

// OrDefault returns s with zero fields set to the defaults.
func (s RestartSpec) OrDefault() RestartSpec {
	if s.Policy == "" {
		s.Policy = RestartAlways
	}
	if s.Budget == 0 {
		s.Budget = 10
	}
	if s.Window == 0 {
		s.Window = Duration(10 * time.Minute)
	}
	return s
}

// StopSpec says how an instance is stopped: the signal, then after the grace
// the whole process tree is killed. Zero fields mean TERM and 10 seconds.
type StopSpec struct {
	Signal string   `json:"signal,omitempty"` // without SIG
	Grace  Duration `json:"grace,omitempty"`
}

// OrDefault returns s with zero fields set to the defaults.
func (s StopSpec) OrDefault() StopSpec {
	if s.Signal == "" {
		s.Signal = "TERM"
	}
	if s.Grace == 0 {
		s.Grace = Duration(10 * time.Second)
	}
	return s
}

// Check asks an instance whether it is well: exactly one of TCP, HTTP and Exec
// is set. TCP and HTTP ask 127.0.0.1 on the instance's port. Zero fields mean
// every 10 seconds, 1 second at most, 3 failures in a row.
type Check struct {
	TCP      bool     `json:"tcp,omitempty"`
	HTTP     string   `json:"http,omitempty"` // a path; 2xx and 3xx are well
	Exec     []string `json:"exec,omitempty"` // exit 0 is well
	Interval Duration `json:"interval,omitempty"`
	Timeout  Duration `json:"timeout,omitempty"`
	Failures int      `json:"failures,omitempty"`
}

// OrDefault returns c with zero fields set to the defaults.
func (c Check) OrDefault() Check {
	if c.Interval == 0 {
		c.Interval = Duration(10 * time.Second)
	}
	if c.Timeout == 0 {
		c.Timeout = Duration(time.Second)
	}
	if c.Failures == 0 {
		c.Failures = 3
	}
	return c
}

// Route is a way in through the edge. Exactly one of HTTP and TCP is set.
type Route struct {
	HTTP    string `json:"http,omitempty"` // a host name on the edge's HTTP listener
	TCP     string `json:"tcp,omitempty"`  // its own listener, HOST:PORT
	Process string `json:"process,omitempty"`
}

// String returns the route as a person writes it.
func (r Route) String() string {
	if r.HTTP != "" {
		return "http://" + r.HTTP
	}
	return "tcp://" + r.TCP
}

// AppQuery selects apps. Zero fields select all.
type AppQuery struct {
	Scope
	IDs    []string   `json:"ids,omitempty"`
	Names  []string   `json:"names,omitempty"` // exact, in any scope that Scope contains
	States []AppState `json:"states,omitempty"`
	Page   Page       `json:"page,omitzero"`
}

// Process returns the process of that name, the first one for "".
func (s AppSpec) Process(name string) (ProcessSpec, bool) {
	for _, p := range s.Processes {
		if name == "" || p.Name == name {
			return p, true
		}
	}
	return ProcessSpec{}, false
}
