package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"pitwall/backend"
)

// Error is a failure on the wire.
type Error struct {
	Code    backend.Code         `json:"code"`
	Op      string               `json:"op,omitempty"`
	Message string               `json:"message"`
	Ref     *backend.Ref         `json:"ref,omitempty"`
	Lagged  *backend.LaggedError `json:"lagged,omitempty"`
}

// ErrorBody is the body of every reply that is a failure.
type ErrorBody struct {
	Error Error `json:"error"`
}

// EncodeError makes err ready for the wire. Err must not be nil.
func EncodeError(err error) Error {
	out := Error{Code: backend.CodeOf(err), Message: err.Error()}
	var lag *backend.LaggedError
	if errors.As(err, &lag) {
		out.Lagged = lag
	}
	var e *backend.Error
	if !errors.As(err, &e) {
		return out
	}
	if e.Ref != (backend.Ref{}) {
		ref := e.Ref
		out.Ref = &ref
	}
	// Only an error that is not wrapped can be split into op and reason; of
	// another the whole text is the reason.
	if err == error(e) {
		out.Op, out.Message = e.Op, string(e.Code)
		if e.Err != nil {
			out.Message = e.Err.Error()
		}
	}
	return out
}

// Decode returns the failure as the server had it: a *backend.LaggedError or
// a *backend.Error.
func (e Error) Decode() error {
	if e.Code == backend.Lagged && e.Lagged != nil {
		lag := *e.Lagged
		return &lag
	}
	out := &backend.Error{Code: e.Code, Op: e.Op, Err: errors.New(e.Message)}
	if e.Code == "" {
		out.Code = backend.Internal
	}
	if e.Ref != nil {
		out.Ref = *e.Ref
	}
	return out
}

// Status returns the HTTP status of a code.
func Status(code backend.Code) int {
	switch code {
	case backend.Invalid, backend.Ambiguous:
		return http.StatusBadRequest
	case backend.Unauthenticated:
		return http.StatusUnauthorized
	case backend.Denied:
		return http.StatusForbidden
	case backend.NotFound:
		return http.StatusNotFound
	case backend.Conflict, backend.Reset:
		return http.StatusConflict
	case backend.Canceled:
		return 499 // the client closed the request
	case backend.Timeout:
		return http.StatusGatewayTimeout
	case backend.Exhausted:
		return http.StatusInsufficientStorage
	case backend.Unavailable:
		return http.StatusServiceUnavailable
	case backend.Unsupported:
		return http.StatusNotImplemented
	case backend.Compacted:
		return http.StatusGone
	case backend.Lagged:
		return http.StatusTooManyRequests
	}
	return http.StatusInternalServerError
}

// DecodeErrorBody returns the failure that a reply with that status has. A
// body that is not the protocol's gives an error by the status alone, since
// then something else answered.
func DecodeErrorBody(status int, body []byte) error {
	var b ErrorBody
	if err := json.Unmarshal(body, &b); err == nil && b.Error.Code != "" {
		return b.Error.Decode()
	}
	code := backend.Internal
	switch status {
	case http.StatusUnauthorized:
		code = backend.Unauthenticated
	case http.StatusForbidden:
		code = backend.Denied
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		code = backend.Unsupported
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		code = backend.Unavailable
	}
	return &backend.Error{Code: code, Err: fmt.Errorf("the server answered %d %s, not in Pitwall's protocol", status, http.StatusText(status))}
}
