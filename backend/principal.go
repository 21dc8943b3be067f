package backend

import "context"

// Permission is one thing that a principal may be allowed to do.
type Permission string

// The permissions.
const (
	PermitRead     Permission = "read"
	PermitLogs     Permission = "logs"
	PermitExec     Permission = "exec"
	PermitApply    Permission = "apply"
	PermitStart    Permission = "start"
	PermitStop     Permission = "stop"
	PermitRestart  Permission = "restart"
	PermitBlock    Permission = "block"
	PermitKick     Permission = "kick"
	PermitScale    Permission = "scale"
	PermitDelete   Permission = "delete"
	PermitRun      Permission = "run"
	PermitCancel   Permission = "cancel"
	PermitUndo     Permission = "undo"
	PermitLevel    Permission = "loglevel"
	PermitSignal   Permission = "signal"
	PermitDocument Permission = "document"
	PermitBundle   Permission = "bundle"
	PermitDown     Permission = "down"
)

// Need is a permission on a resource, or, with a zero Ref, on everything.
type Need struct {
	Permission Permission `json:"permission"`
	Ref        Ref        `json:"ref,omitzero"`
}

// Principal is who is calling. The zero value is nobody.
type Principal struct {
	Name  string `json:"name"`
	Admin bool   `json:"admin,omitempty"`
}

// IsZero reports whether it is nobody.
func (p Principal) IsZero() bool { return p == Principal{} }

// Attribution says who did a thing and through which door.
type Attribution struct {
	Principal Principal `json:"principal"`
	Door      string    `json:"door"`    // socket, tcp, in-process
	Address   string    `json:"address"` // of the caller, where there is one
	Request   string    `json:"request"` // id of the request
}

type attributionKey struct{}

// WithAttribution returns a context that carries a. Doors set it; guard reads
// it and refuses a context without.
func WithAttribution(ctx context.Context, a Attribution) context.Context {
	return context.WithValue(ctx, attributionKey{}, a)
}

// AttributionFrom returns what the context carries, the zero value if nothing.
func AttributionFrom(ctx context.Context) Attribution {
	a, _ := ctx.Value(attributionKey{}).(Attribution)
	return a
}
