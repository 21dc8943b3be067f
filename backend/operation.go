package backend

// OperationState is where an operation is.
type OperationState string

// The states of an operation.
const (
	OperationScheduled OperationState = "scheduled"
	OperationQueued    OperationState = "queued" // waits for the one that holds its target
	OperationRunning   OperationState = "running"
	OperationSucceeded OperationState = "succeeded"
	OperationFailed    OperationState = "failed"
	OperationCanceled  OperationState = "canceled"
)

// Ended reports whether the operation is over.
func (s OperationState) Ended() bool {
	return s == OperationSucceeded || s == OperationFailed || s == OperationCanceled
}

// Operation is one change, from the wish to the outcome. It is the receipt.
type Operation struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"`   // the command-line verb
	Target string `json:"target"` // the name of what it acts on
	Ref    Ref    `json:"ref"`    // the same, by id
	Also   []Ref  `json:"also,omitempty"`
	Scope
	State   OperationState `json:"state"`
	Steps   []Step         `json:"steps"`
	Percent int            `json:"percent"`

	Author string `json:"author"`
	Source string `json:"source"` // console, cli, api, tsuru, …
	Reason string `json:"reason"`

	Created Time `json:"created"`
	Started Time `json:"started,omitzero"`
	Ended   Time `json:"ended,omitzero"`

	Error      string `json:"error"`
	Code       Code   `json:"code,omitempty"` // of the error
	Cancelable bool   `json:"cancelable,omitempty"`
	// Undo is the verb that undoes it; empty when nothing does.
	Undo string `json:"undo,omitempty"`
	// Key is the idempotency key it was asked with.
	Key string `json:"key,omitempty"`
}

// AsRef names the operation itself.
func (o Operation) AsRef() Ref { return Ref{KindOperation, o.ID, o.Kind + " " + o.Target} }

// Step is one part of an operation.
type Step struct {
	Name    string         `json:"name"` // "stop main.0"
	State   OperationState `json:"state"`
	Detail  string         `json:"detail,omitempty"`
	Started Time           `json:"started,omitzero"`
	Ended   Time           `json:"ended,omitzero"`
}

// OperationQuery selects operations. Zero fields select all.
type OperationQuery struct {
	Scope
	IDs    []string         `json:"ids,omitempty"`
	Target string           `json:"target,omitempty"` // id of an app or job
	Kinds  []string         `json:"kinds,omitempty"`
	States []OperationState `json:"states,omitempty"`
	Page   Page             `json:"page,omitzero"`
}
