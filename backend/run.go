package backend

import (
	"fmt"
	"time"
)

// RunState is where a run is.
type RunState string

// The states of a run.
const (
	RunPending   RunState = "pending"
	RunRunning   RunState = "running"
	RunSucceeded RunState = "succeeded"
	RunFailed    RunState = "failed"
	RunCanceled  RunState = "canceled"
	RunLost      RunState = "lost" // how it ended is not known
)

// Ended reports whether the run is over.
func (s RunState) Ended() bool { return s != RunPending && s != RunRunning }

// Run is one start of an instance, or one execution of a job.
type Run struct {
	ID     string `json:"id"`
	Number int    `json:"number"` // in its app's process and index, or in its job; from 1
	AppID  string `json:"appId,omitempty"`
	App    string `json:"app,omitempty"`
	JobID  string `json:"jobId,omitempty"`
	Job    string `json:"job,omitempty"`
	Scope
	Instance string `json:"instance,omitempty"`
	Process  string `json:"process,omitempty"`
	Index    int    `json:"index"`

	State     RunState `json:"state"`
	Exit      *Exit    `json:"exit,omitempty"`
	PID       int      `json:"pid,omitempty"`
	Release   int      `json:"release,omitempty"`
	EnvHash   string   `json:"envHash,omitempty"`
	Trigger   string   `json:"trigger,omitempty"` // "schedule", "manual", "restart" …
	Author    string   `json:"author,omitempty"`
	Scheduled Time     `json:"scheduled,omitzero"`
	Started   Time     `json:"started,omitzero"`
	Ended     Time     `json:"ended,omitzero"`
	LastLines []string `json:"lastLines,omitempty"`
}

// Duration is how long the run lasted, or lasts by now.
func (r Run) Duration(now time.Time) time.Duration {
	if r.Started.IsZero() {
		return 0
	}
	if r.Ended.IsZero() {
		return now.Sub(r.Started)
	}
	return r.Ended.Sub(r.Started)
}

// Ref names the run.
func (r Run) Ref() Ref {
	owner := r.Job
	if owner == "" {
		owner = r.App + " " + InstanceName(r.Process, r.Index)
	}
	return Ref{KindRun, r.ID, fmt.Sprintf("%s run %d", owner, r.Number)}
}

// Exit is how a process ended.
type Exit struct {
	Code    int    `json:"code"`             // 128 + signal when it was killed by one
	Signal  string `json:"signal,omitempty"` // "KILL"
	OOM     bool   `json:"oom,omitempty"`    // killed at its memory limit
	Unknown bool   `json:"unknown,omitempty"`
	Reason  string `json:"reason,omitempty"` // more than the code says, as a sentence
	Time    Time   `json:"time"`
}

// String returns "exit 2", "killed by SEGV" or the reason where there is one.
func (e Exit) String() string {
	switch {
	case e.Reason != "":
		return e.Reason
	case e.Unknown:
		return "exit unknown"
	case e.OOM:
		return "killed at its memory limit"
	case e.Signal != "":
		return "killed by " + e.Signal
	}
	return fmt.Sprintf("exit %d", e.Code)
}

// RunQuery selects runs. Zero fields select all.
type RunQuery struct {
	Scope
	Apps      []string   `json:"apps,omitempty"` // app ids
	Jobs      []string   `json:"jobs,omitempty"` // job ids
	Instances []string   `json:"instances,omitempty"`
	IDs       []string   `json:"ids,omitempty"`
	States    []RunState `json:"states,omitempty"`
	Page      Page       `json:"page,omitzero"`
}
