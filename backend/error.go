package backend

import (
	"context"
	"errors"
	"fmt"
)

// Code says what kind of failure an error is. It crosses every wire.
type Code string

// The codes.
const (
	Invalid         Code = "invalid"         // the request is malformed or asks for the impossible
	Unauthenticated Code = "unauthenticated" // who is calling is not known
	Denied          Code = "denied"          // the caller may not
	NotFound        Code = "not-found"       // there is no such thing
	Ambiguous       Code = "ambiguous"       // a name that means several things
	Conflict        Code = "conflict"        // another operation or state is in the way
	Canceled        Code = "canceled"        // it was called off
	Timeout         Code = "timeout"         // it took too long
	Exhausted       Code = "exhausted"       // a limit, a quota or the disk
	Unavailable     Code = "unavailable"     // the server cannot be reached
	Unsupported     Code = "unsupported"     // this server or engine cannot do it
	Compacted       Code = "compacted"       // the index is older than what is kept: list again
	Reset           Code = "reset"           // what the caller may see has changed: list again
	Lagged          Code = "lagged"          // a slow reader missed something, see LaggedError
	Internal        Code = "internal"        // a defect or a broken machine
)

// Error is a failure that a caller may want to tell from others.
type Error struct {
	Code Code
	Op   string // what was attempted, for example "restart"; may be empty
	Ref  Ref    // what it was attempted on; may be zero
	Err  error  // why, as a plain sentence without a period
}

// Error returns one sentence that a person can act on.
func (e *Error) Error() string {
	msg := string(e.Code)
	if e.Err != nil {
		msg = e.Err.Error()
	}
	if e.Ref.Name != "" && e.Op != "" {
		return fmt.Sprintf("%s %s: %s", e.Op, e.Ref.Name, msg)
	}
	if e.Op != "" {
		return fmt.Sprintf("%s: %s", e.Op, msg)
	}
	return msg
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error of the same code, so that
// errors.Is(err, &Error{Code: NotFound}) holds for wrapped errors.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Op == "" && t.Ref == (Ref{}) && t.Err == nil
}

// Errorf makes an [*Error] with a code and a formatted reason, which may wrap.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// CodeOf returns the code of err: that of the first [*Error] in its chain,
// Canceled or Timeout for a context's error, Lagged for a [*LaggedError], ""
// for nil and Internal for anything else.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	var lag *LaggedError
	switch {
	case errors.As(err, &lag):
		return Lagged
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	}
	return Internal
}

// LaggedError says what a slow reader of a feed has missed. The feed goes on
// after it.
type LaggedError struct {
	Missed uint64 `json:"missed"`         // items
	From   uint64 `json:"from,omitempty"` // first number missed, where items are numbered
	To     uint64 `json:"to,omitempty"`   // last number missed
}

// Error returns how much was missed.
func (e *LaggedError) Error() string {
	return fmt.Sprintf("%d items were skipped because the reader was slow", e.Missed)
}
