// Package httpx reads requests and writes replies for every dialect: who is
// calling, JSON in with a bound, JSON, lines of JSON and errors out.
package httpx

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"pitwall/backend"
)

// MaxBody is the longest JSON body that is read, in bytes.
const MaxBody = 1 << 20

// Bearer returns the token of "Authorization: Bearer TOKEN".
func Bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !ok || !strings.EqualFold(scheme, "bearer") || token == "" {
		return "", false
	}
	return token, true
}

// ReadBody returns the whole body, of [MaxBody] bytes at most. It fails with
// Invalid when there is more.
func ReadBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return nil, backend.Errorf(backend.Invalid, "the body is longer than %d bytes", big.Limit)
	}
	if err != nil {
		return nil, backend.Errorf(backend.Invalid, "read body: %w", err)
	}
	return body, nil
}

// ReadJSON reads the body into v, which is a pointer. It fails with Invalid
// for a body that is too long, is not JSON, or has a field that v has not.
func ReadJSON(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := ReadBody(w, r)
	if err != nil {
		return err
	}
	return Unmarshal(body, v)
}

// Unmarshal reads one JSON value into v, which is a pointer. It fails with
// Invalid for anything else, and for a field that v has not.
func Unmarshal(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return backend.Errorf(backend.Invalid, "read JSON: %w", explain(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return backend.Errorf(backend.Invalid, "read JSON: there is more behind the value")
	}
	return nil
}

// explain names the place of a mistake in JSON where it is known.
func explain(err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		return errors.New("the field " + kind.Field + " cannot be a " + kind.Value)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends too soon")
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

// WriteJSON replies with v. A value that cannot be written is a 500.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(v); err != nil {
		http.Error(w, `{"error":{"code":"internal","message":"the reply cannot be written"}}`, http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(body.Bytes())
}

// Lines writes a stream of JSON values, one a line, each one sent at once.
type Lines struct {
	w   http.ResponseWriter
	out *json.Encoder
}

// NewLines starts the reply.
func NewLines(w http.ResponseWriter) *Lines {
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	return &Lines{w: w, out: json.NewEncoder(w)}
}

// Write sends values. It fails when the client is gone.
func (l *Lines) Write(values ...any) error {
	for _, v := range values {
		if err := l.out.Encode(v); err != nil {
			return err
		}
	}
	return http.NewResponseController(l.w).Flush()
}
