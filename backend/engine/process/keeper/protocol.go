package keeper

import "time"

// The protocol versions that this program speaks: its own and the one before.
const (
	ProtocolVersion = 1
	oldestVersion   = 1
)

// maxPacket bounds a packet; a status is under 2 KiB.
const maxPacket = 64 << 10

// EventKind says what happened.
type EventKind string

// The events. Those of phases have the phase's name.
const (
	EventStarting  EventKind = "starting" // with Run, PID
	EventRunning   EventKind = "running"
	EventStopping  EventKind = "stopping"
	EventExited    EventKind = "exited"  // a run ended: Exit
	EventBackoff   EventKind = "backoff" // Until
	EventFailed    EventKind = "failed"  // the budget is spent: Reason
	EventStopped   EventKind = "stopped"
	EventRested    EventKind = "rested"   // ended by itself, and no restart follows
	EventAppended  EventKind = "appended" // Next; at most one in 25 ms
	EventDegraded  EventKind = "log-degraded"
	EventRecovered EventKind = "log-recovered" // Dropped
	EventEscaped   EventKind = "escaped"       // processes that could not be killed: Reason
)

// Event is something that a keeper pushes to its clients.
type Event struct {
	Kind    EventKind `json:"kind"`
	Time    time.Time `json:"time"`
	Run     uint32    `json:"run,omitempty"`
	PID     int       `json:"pid,omitempty"`
	Exit    *Exit     `json:"exit,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	Reason  string    `json:"reason,omitempty"`
	Next    uint64    `json:"next,omitempty"`    // the sequence of the next line
	Dropped int64     `json:"dropped,omitempty"` // bytes
}

// request is what a client sends.
type request struct {
	ID       uint64 `json:"id"`
	Op       string `json:"op"`
	Versions []int  `json:"versions,omitempty"`
	Signal   string `json:"signal,omitempty"`
	GraceMS  int64  `json:"graceMs,omitempty"`
	Force    bool   `json:"force,omitempty"`
}

// message is what a keeper sends: a reply, or an event where ID is 0.
type message struct {
	ID      uint64  `json:"id,omitempty"`
	Version int     `json:"version,omitempty"`
	Error   string  `json:"error,omitempty"`
	Status  *Status `json:"status,omitempty"`
	Event   *Event  `json:"event,omitempty"`
	Pipes   uint32  `json:"pipes,omitempty"` // the run whose pipes' read ends come with the packet
}

// StopOptions say how to stop a run; the zero value means as the spec says.
type StopOptions struct {
	Signal string        // "TERM", "SIGINT"
	Grace  time.Duration // before the whole tree is killed
	Force  bool          // kill the whole tree at once
}
