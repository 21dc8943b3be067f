package wire

import (
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"pitwall/backend"
)

// Prefix is where the native protocol lives.
const Prefix = "/pitwall/v1"

// The bounds of the protocol.
const (
	MaxIn        = 64 << 10  // bytes of a frame to the server
	MaxOut       = 256 << 10 // bytes of items in a frame to the client, one item at least
	MaxFrame     = 64 << 20  // bytes of any frame that a client accepts
	MaxFeeds     = 256       // open feeds of one connection
	MaxCredit    = 1 << 16   // frames that a client may grant a feed in all
	MaxRange     = 4 << 20   // bytes of an answer to a Range request
	AttachWindow = 256 << 10 // bytes each side of an attachment may send at first

	PingEvery  = 15 * time.Second
	DeadAfter  = 45 * time.Second
	WriteLimit = 10 * time.Second // for one message to be taken by the network
)

// Names of headers and trailers.
const (
	KeyHeader     = "Idempotency-Key"
	RequestHeader = "X-Request-Id"
	ErrorTrailer  = "Pitwall-Error"
)

// The listings, by the last part of their path.
const (
	Apps       = "apps"
	Instances  = "instances"
	Jobs       = "jobs"
	Runs       = "runs"
	Releases   = "releases"
	Loggers    = "loggers"
	Operations = "operations"
	Events     = "events"
	Nodes      = "nodes"
	Documents  = "documents"
)

// ListPath returns the path and query of a listing.
func ListPath(name string, query any) (string, error) {
	q, err := json.Marshal(query)
	if err != nil {
		return "", backend.Errorf(backend.Invalid, "write query: %w", err)
	}
	if string(q) == "{}" {
		return Prefix + "/" + name, nil
	}
	return Prefix + "/" + name + "?q=" + url.QueryEscape(string(q)), nil
}

// DoPath returns the path of a command.
func DoPath(verb string) string { return Prefix + "/do/" + url.PathEscape(verb) }

// BlobsPath is where bundles are put.
const BlobsPath = Prefix + "/blobs"

// BlobPath returns the path and query of a blob.
func BlobPath(ref backend.BlobRef) string {
	q := url.Values{}
	if ref.Stream != "" {
		q.Set("stream", string(ref.Stream))
	}
	if ref.Offset != 0 {
		q.Set("offset", strconv.FormatInt(ref.Offset, 10))
	}
	if ref.Length != 0 {
		q.Set("length", strconv.FormatInt(ref.Length, 10))
	}
	if ref.FromTail {
		q.Set("tail", "true")
	}
	path := BlobsPath + "/" + url.PathEscape(string(ref.Kind)) + "/" + url.PathEscape(ref.ID)
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// ParseBlob reads what BlobPath wrote. It fails with Invalid.
func ParseBlob(kind, id string, q url.Values) (backend.BlobRef, error) {
	ref := backend.BlobRef{Kind: backend.BlobKind(kind), ID: id, Stream: backend.Stream(q.Get("stream"))}
	for name, to := range map[string]*int64{"offset": &ref.Offset, "length": &ref.Length} {
		text := q.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return ref, backend.Errorf(backend.Invalid, "the %s %q is not a count of bytes", name, text)
		}
		*to = n
	}
	switch tail := q.Get("tail"); tail {
	case "", "false":
	case "true":
		ref.FromTail = true
	default:
		return ref, backend.Errorf(backend.Invalid, "tail is %q: write true or false", tail)
	}
	return ref, nil
}

// The paths of the websockets and of the description.
const (
	FeedsPath   = Prefix + "/feeds"
	AttachPath  = Prefix + "/attach"
	OpenAPIPath = Prefix + "/openapi.json"
)

// Result is backend.Result on the wire, the one place where Once is plain.
type Result struct {
	Operation backend.Operation `json:"operation"`
	Changes   []backend.Change  `json:"changes,omitempty"`
	Once      string            `json:"once,omitempty"`
}

// EncodeResult reveals r for the one reply that may have it.
func EncodeResult(r backend.Result) Result {
	return Result{Operation: r.Operation, Changes: r.Changes, Once: r.Once.Reveal()}
}

// Decode hides the value again.
func (r Result) Decode() backend.Result {
	return backend.Result{Operation: r.Operation, Changes: r.Changes, Once: backend.NewSecret(r.Once)}
}
