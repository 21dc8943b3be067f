package backend

// EventKind says what happened to the resource of an event.
type EventKind string

// The kinds of events.
const (
	EventCreated  EventKind = "created"
	EventUpdated  EventKind = "updated"
	EventDeleted  EventKind = "deleted"
	EventBookmark EventKind = "bookmark" // nothing for this watcher up to Index
)

// Event is one change. Exactly one of the resource pointers is set, to the
// resource after the change (before it, when it was deleted), except in a
// bookmark.
type Event struct {
	Index uint64    `json:"index"`
	Time  Time      `json:"time"`
	Kind  EventKind `json:"kind"`
	Ref   Ref       `json:"ref"`
	Scope

	// Message tells a person what happened. Changes that nobody needs to
	// read about have none.
	Message string `json:"message,omitempty"`
	Level   Level  `json:"level,omitempty"`
	// App is the name of the app or job that the event belongs to.
	Owner     string `json:"owner,omitempty"`
	OwnerID   string `json:"ownerId,omitempty"`
	Operation string `json:"operation,omitempty"` // id of what caused it
	Author    string `json:"author,omitempty"`

	App      *App       `json:"app,omitempty"`
	Instance *Instance  `json:"instance,omitempty"`
	Job      *Job       `json:"job,omitempty"`
	Run      *Run       `json:"run,omitempty"`
	Release  *Release   `json:"release,omitempty"`
	Op       *Operation `json:"op,omitempty"`
	Logger   *Logger    `json:"logger,omitempty"`
	Node     *Node      `json:"node,omitempty"`
	Document *Document  `json:"document,omitempty"`
}

// WatchQuery selects changes after an index. Since 0 starts with what comes
// next. Zero fields select all.
type WatchQuery struct {
	Since uint64 `json:"since,omitempty"`
	Kinds []Kind `json:"kinds,omitempty"`
	Scope Scope  `json:"scope,omitzero"`
	// Ref selects one resource, and for an app or a job what belongs to it.
	Ref Ref `json:"ref,omitzero"`
}

// EventQuery selects events that are kept.
type EventQuery struct {
	Scope
	Kinds []Kind `json:"kinds,omitempty"`
	Owner string `json:"owner,omitempty"` // id of an app or job
	Level Level  `json:"level,omitempty"` // that and above
	Since Time   `json:"since,omitzero"`
	Until Time   `json:"until,omitzero"`
	// Quiet includes events without a message.
	Quiet bool `json:"quiet,omitempty"`
	Page  Page `json:"page,omitzero"`
}
