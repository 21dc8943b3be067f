package backend

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
)

// Command is one change that a caller wishes for. The set is closed: the
// structs of this file. Verb is the operation's kind and the command line's
// word; Needs lists what the caller must be permitted.
type Command interface {
	Verb() string
	Needs() []Need
	intent() Intent
}

// Intent goes with every command.
type Intent struct {
	// Reason is why, in the caller's words.
	Reason string `json:"reason,omitempty"`
	// Key makes a retried request the same operation.
	Key string `json:"key,omitempty"`
	// Source is the door: console, cli, api, or a dialect's name.
	Source string `json:"source,omitempty"`
	// NoQueue answers Conflict instead of waiting for another operation.
	NoQueue bool `json:"noQueue,omitempty"`
}

func (i Intent) intent() Intent { return i }

// IntentOf returns the intent that goes with c.
func IntentOf(c Command) Intent { return c.intent() }

// Apply declares apps and jobs: what is new is made and started, what differs
// gets a new release, what is the same is left alone. All of it or nothing.
type Apply struct {
	Intent
	Apps []AppSpec `json:"apps,omitempty"`
	Jobs []JobSpec `json:"jobs,omitempty"`
	// Set names where the declaration comes from. Prune deletes what an
	// earlier Apply of the same set declared and this one does not.
	Set    string `json:"set,omitempty"`
	Prune  bool   `json:"prune,omitempty"`
	DryRun bool   `json:"dryRun,omitempty"`
}

// Start starts an app, or one instance of it, and attaches it to the edge.
type Start struct {
	Intent
	App      string `json:"app"`
	Instance string `json:"instance,omitempty"`
}

// Stop stops an app, or one instance, with its signal and grace.
type Stop struct {
	Intent
	App      string `json:"app"`
	Instance string `json:"instance,omitempty"`
}

// Restart replaces an app's instances one by one: a new one must be ready
// before an old one is drained and stopped. The first that does not become
// ready stops the roll. It clears a kick and keeps a block.
type Restart struct {
	Intent
	App      string `json:"app"`
	Instance string `json:"instance,omitempty"`
}

// ForceRestart ends all instances at once, without grace, and starts them
// again. It cancels what runs on the app.
type ForceRestart struct {
	Intent
	App      string `json:"app"`
	Instance string `json:"instance,omitempty"`
}

// Block makes the edge refuse new connections; open ones live on. It outlives
// the server.
type Block struct {
	Intent
	App      string `json:"app"`
	Instance string `json:"instance,omitempty"`
}

// Unblock undoes Block.
type Unblock struct {
	Intent
	App      string `json:"app"`
	Instance string `json:"instance,omitempty"`
}

// Kick closes every open connection through the edge and takes the app out of
// the routing table until Attach, Start or a restart.
type Kick struct {
	Intent
	App      string `json:"app"`
	Instance string `json:"instance,omitempty"`
}

// Attach puts a kicked app back into the routing table.
type Attach struct {
	Intent
	App      string `json:"app"`
	Instance string `json:"instance,omitempty"`
}

// Scale sets how many instances of a process are wanted. The first process
// when Process is empty.
type Scale struct {
	Intent
	App       string `json:"app"`
	Process   string `json:"process,omitempty"`
	Instances int    `json:"instances"`
}

// Delete stops and removes an app or a job. Its log is kept until retention
// removes it.
type Delete struct {
	Intent
	App string `json:"app,omitempty"`
	Job string `json:"job,omitempty"`
}

// RunJob starts a run of a job. The run's id is in the operation's Also.
type RunJob struct {
	Intent
	Job string            `json:"job"`
	Env map[string]string `json:"env,omitempty"`
}

// Cancel calls off an operation, or a job's run with it. What was done is not
// undone.
type Cancel struct {
	Intent
	Operation string `json:"operation"`
}

// Undo does the inverse of an operation. It fails with Conflict when what it
// changed has been changed since.
type Undo struct {
	Intent
	Operation string `json:"operation"`
}

// SetLevel sets the level of a logger for an app, or for one of its instances.
// An empty level inherits. With For, the old level comes back after that time,
// whoever is still connected.
type SetLevel struct {
	Intent
	App      string   `json:"app"`
	Instance string   `json:"instance,omitempty"`
	Logger   string   `json:"logger"`
	Level    Level    `json:"level"`
	For      Duration `json:"for,omitempty"`
}

// Rollback makes the spec of an earlier release a new release. 0 is the one
// before the present.
type Rollback struct {
	Intent
	App     string `json:"app"`
	Release int    `json:"release,omitempty"`
}

// Signal sends a signal to the main process of one instance, or of each.
type Signal struct {
	Intent
	App      string `json:"app"`
	Instance string `json:"instance,omitempty"`
	Signal   string `json:"signal"` // without SIG
}

// PutDocument stores a document; its version is one more than the last.
// Version, when not 0, must be the present one, else Conflict.
type PutDocument struct {
	Intent
	Document Document `json:"document"`
}

// DeleteDocument removes a document.
type DeleteDocument struct {
	Intent
	Scope Scope  `json:"scope,omitzero"`
	Kind  string `json:"kind"`
	Name  string `json:"name"`
}

// Down ends the server; with Apps, everything it runs before.
type Down struct {
	Intent
	Apps bool `json:"apps,omitempty"`
}

// The verbs.

func (Apply) Verb() string          { return "apply" }
func (Start) Verb() string          { return "start" }
func (Stop) Verb() string           { return "stop" }
func (Restart) Verb() string        { return "restart" }
func (ForceRestart) Verb() string   { return "force-restart" }
func (Block) Verb() string          { return "block" }
func (Unblock) Verb() string        { return "unblock" }
func (Kick) Verb() string           { return "kick" }
func (Attach) Verb() string         { return "attach" }
func (Scale) Verb() string          { return "scale" }
func (Delete) Verb() string         { return "delete" }
func (RunJob) Verb() string         { return "run" }
func (Cancel) Verb() string         { return "cancel" }
func (Undo) Verb() string           { return "undo" }
func (SetLevel) Verb() string       { return "loglevel" }
func (Rollback) Verb() string       { return "rollback" }
func (Signal) Verb() string         { return "signal" }
func (PutDocument) Verb() string    { return "put-document" }
func (DeleteDocument) Verb() string { return "delete-document" }
func (Down) Verb() string           { return "down" }

// The needs.

func (c Apply) Needs() []Need {
	needs := make([]Need, 0, len(c.Apps)+len(c.Jobs)+1)
	for _, a := range c.Apps {
		needs = append(needs, Need{PermitApply, Ref{Kind: KindApp, Name: a.OrDefault().Qualify(a.Name)}})
	}
	for _, j := range c.Jobs {
		needs = append(needs, Need{PermitApply, Ref{Kind: KindJob, Name: j.OrDefault().Qualify(j.Name)}})
	}
	if c.Prune {
		needs = append(needs, Need{Permission: PermitDelete})
	}
	return needs
}
func (c Start) Needs() []Need        { return needApp(PermitStart, c.App) }
func (c Stop) Needs() []Need         { return needApp(PermitStop, c.App) }
func (c Restart) Needs() []Need      { return needApp(PermitRestart, c.App) }
func (c ForceRestart) Needs() []Need { return needApp(PermitRestart, c.App) }
func (c Block) Needs() []Need        { return needApp(PermitBlock, c.App) }
func (c Unblock) Needs() []Need      { return needApp(PermitBlock, c.App) }
func (c Kick) Needs() []Need         { return needApp(PermitKick, c.App) }
func (c Attach) Needs() []Need       { return needApp(PermitKick, c.App) }
func (c Scale) Needs() []Need        { return needApp(PermitScale, c.App) }
func (c Delete) Needs() []Need {
	if c.Job != "" {
		return []Need{{PermitDelete, Ref{Kind: KindJob, ID: c.Job}}}
	}
	return needApp(PermitDelete, c.App)
}

func (c RunJob) Needs() []Need {
	return []Need{{PermitRun, Ref{Kind: KindJob, ID: c.Job}}}
}

func (c Cancel) Needs() []Need {
	return []Need{{PermitCancel, Ref{Kind: KindOperation, ID: c.Operation}}}
}

func (c Undo) Needs() []Need {
	return []Need{{PermitUndo, Ref{Kind: KindOperation, ID: c.Operation}}}
}
func (c SetLevel) Needs() []Need { return needApp(PermitLevel, c.App) }
func (c Rollback) Needs() []Need { return needApp(PermitApply, c.App) }
func (c Signal) Needs() []Need   { return needApp(PermitSignal, c.App) }
func (c PutDocument) Needs() []Need {
	return []Need{{PermitDocument, c.Document.Ref()}}
}

func (c DeleteDocument) Needs() []Need {
	return []Need{{PermitDocument, Document{Kind: c.Kind, Name: c.Name}.Ref()}}
}
func (c Down) Needs() []Need { return []Need{{PermitDown, Ref{Kind: KindServer}}} }

func needApp(p Permission, id string) []Need {
	return []Need{{p, Ref{Kind: KindApp, ID: id}}}
}

// Commands returns the zero value of every command, by verb. The map is fresh.
func Commands() map[string]Command {
	all := []Command{
		Apply{},
		Start{},
		Stop{},
		Restart{},
		ForceRestart{},
		Block{},
		Unblock{},
		Kick{},
		Attach{},
		Scale{},
		Delete{},
		RunJob{},
		Cancel{},
		Undo{},
		SetLevel{},
		Rollback{},
		Signal{},
		PutDocument{},
		DeleteDocument{},
		Down{},
	}
	m := make(map[string]Command, len(all))
	for _, c := range all {
		m[c.Verb()] = c
	}
	return m
}

// DecodeCommand reads the JSON body of the command with that verb. It fails
// with Invalid for a verb or a field that does not exist, and for more than one
// value.
func DecodeCommand(verb string, body []byte) (Command, error) {
	zero, ok := Commands()[verb]
	if !ok {
		return nil, Errorf(Invalid, "%q is not a command", verb)
	}
	v := reflect.New(reflect.TypeOf(zero))
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v.Interface()); err != nil {
		return nil, Errorf(Invalid, "read command %s: %w", verb, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, Errorf(Invalid, "read command %s: there is more behind its fields", verb)
	}
	return v.Elem().Interface().(Command), nil
}

// WithIntent returns a copy of c that carries i.
func WithIntent(c Command, i Intent) Command {
	v := reflect.New(reflect.TypeOf(c)).Elem()
	v.Set(reflect.ValueOf(c))
	v.FieldByName("Intent").Set(reflect.ValueOf(i))
	return v.Interface().(Command)
}

// Exclusive reports whether operations of that verb hold their target, so that
// only one at a time runs.
func Exclusive(verb string) bool {
	return slices.Contains([]string{
		"apply", "start", "stop", "restart", "force-restart", "scale", "delete", "rollback",
	}, verb)
}

// Risk says how much a command can break, and so how hard it is confirmed.
type Risk int

// The risks.
const (
	RiskNone   Risk = iota // undone by one key, or changes nothing for users
	RiskLow                // users notice at most a moment
	RiskMedium             // connections or work in flight are lost
	RiskHigh               // the app or its history goes away
)

// RiskOf returns the risk of c, for one target.
func RiskOf(c Command) Risk {
	switch c := c.(type) {
	case Delete:
		return RiskHigh
	case Down:
		return RiskHigh
	case Kick, ForceRestart, Stop:
		return RiskMedium
	case Restart, Block, Rollback, Signal, Scale, Cancel, Undo:
		return RiskLow
	case Apply:
		if c.Prune {
			return RiskHigh
		}
	}
	return RiskNone
}
