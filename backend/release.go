package backend

// Release is what an app was declared to be at one time. Instance counts are
// not part of it.
type Release struct {
	AppID   string  `json:"appId"`
	App     string  `json:"app"`
	Number  int     `json:"number"` // from 1
	Current bool    `json:"current"`
	Spec    AppSpec `json:"spec"`
	// From is the release that a rollback took this one from.
	From    int    `json:"from,omitempty"`
	Author  string `json:"author"`
	Reason  string `json:"reason,omitempty"`
	Created Time   `json:"created"`
	// Diff is the difference from the release before.
	Diff []FieldChange `json:"diff,omitempty"`
}

// ReleaseQuery selects an app's releases.
type ReleaseQuery struct {
	App  string `json:"app"` // id
	Page Page   `json:"page,omitzero"`
}

// ChangeKind says what an [Apply] does to a resource.
type ChangeKind string

// The kinds of changes.
const (
	ChangeCreate ChangeKind = "create"
	ChangeUpdate ChangeKind = "update"
	ChangeDelete ChangeKind = "delete"
	ChangeNone   ChangeKind = "none"
)

// Change is what an [Apply] does to one resource.
type Change struct {
	Kind   ChangeKind    `json:"kind"`
	Ref    Ref           `json:"ref"`
	Fields []FieldChange `json:"fields,omitempty"`
}

// FieldChange is one difference, values as a person reads them.
type FieldChange struct {
	Path string `json:"path"` // "processes.main.memory"
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}
