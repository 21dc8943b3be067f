package backend

// Concurrency says what happens when a job is due while it still runs.
type Concurrency string

// The concurrency policies.
const (
	ConcurrencyForbid  Concurrency = "forbid" // the new run is skipped, with an event
	ConcurrencyAllow   Concurrency = "allow"
	ConcurrencyReplace Concurrency = "replace" // the old run is canceled
)

// JobSpec is what an operator declares of a job.
type JobSpec struct {
	Name string `json:"name"`
	Scope
	Description string            `json:"description,omitempty"`
	Command     CommandLine       `json:"command"`
	Schedule    string            `json:"schedule,omitempty"` // cron of five fields; empty is manual only
	Timezone    string            `json:"timezone,omitempty"` // IANA name; empty is the server's
	Deadline    Duration          `json:"deadline,omitempty"` // 0 is none
	Concurrency Concurrency       `json:"concurrency,omitempty"`
	Keep        int               `json:"keep,omitempty"` // runs kept; 0 means 10
	Dir         string            `json:"dir,omitempty"`
	User        string            `json:"user,omitempty"`
	Env         map[string]string `json:"env,omitempty"`
	Memory      int64             `json:"memory,omitempty"`
	CPU         int               `json:"cpu,omitempty"`
	Stop        StopSpec          `json:"stop,omitzero"`
	Labels      map[string]string `json:"labels,omitempty"`
}

// Job is a program that runs to its end, by schedule or by hand.
type Job struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Scope
	Schedule string  `json:"schedule"`
	Next     Time    `json:"next,omitzero"`
	Running  int     `json:"running"`
	Last     *Run    `json:"last,omitempty"`
	Created  Time    `json:"created"`
	Updated  Time    `json:"updated"`
	Spec     JobSpec `json:"spec"`
}

// Ref names the job.
func (j Job) Ref() Ref { return Ref{KindJob, j.ID, j.Name} }

// JobQuery selects jobs. Zero fields select all.
type JobQuery struct {
	Scope
	IDs   []string `json:"ids,omitempty"`
	Names []string `json:"names,omitempty"`
	Page  Page     `json:"page,omitzero"`
}
