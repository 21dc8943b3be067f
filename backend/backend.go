package backend

import (
	"context"
	"io"
)

// Backend is everything that a door, a view or a dialect may ask of Pitwall.
//
// It is safe for concurrent use. Every method takes a context; when the
// context ends the method returns soon with the context's error. Values that
// are passed in are not kept or changed, values that are returned belong to
// the caller. Reads return what the principal of the context may see. Errors
// have a [Code], see [CodeOf]: [NotFound] for a reference to nothing,
// [Invalid] for a malformed query, [Denied], [Unavailable] when the server
// cannot be reached.
type Backend interface {
	// Apps lists apps, worst first unless the query sorts otherwise.
	Apps(ctx context.Context, q AppQuery) (List[App], error)

	// Instances lists instances by app, process and index.
	Instances(ctx context.Context, q InstanceQuery) (List[Instance], error)

	// Jobs lists jobs by name.
	Jobs(ctx context.Context, q JobQuery) (List[Job], error)

	// Runs lists runs of instances and jobs, newest first.
	Runs(ctx context.Context, q RunQuery) (List[Run], error)

	// Releases lists an app's releases, newest first.
	Releases(ctx context.Context, q ReleaseQuery) (List[Release], error)

	// Loggers lists the loggers of an app, with the level of each on each
	// instance. An app without levels has none.
	Loggers(ctx context.Context, q LoggerQuery) (List[Logger], error)

	// Operations lists operations, newest first.
	Operations(ctx context.Context, q OperationQuery) (List[Operation], error)

	// Events lists events that are still kept, newest first.
	Events(ctx context.Context, q EventQuery) (List[Event], error)

	// Nodes lists the machines that run instances; one for the process
	// engine. The first describes the server itself.
	Nodes(ctx context.Context, q NodeQuery) (List[Node], error)

	// Documents lists stored documents of a kind.
	Documents(ctx context.Context, q DocumentQuery) (List[Document], error)

	// Do carries out a command. It returns as soon as the operation is
	// accepted (queued or running), not when it has ended; follow it with
	// Watch on its reference. A command that is refused changes nothing.
	// [Conflict] means that another exclusive operation holds the target
	// and the command asked not to queue.
	Do(ctx context.Context, c Command) (Result, error)

	// Watch follows changes after the query's index. It fails with
	// [Compacted] when that index is older than what is kept. The feed ends
	// with Compacted or [Reset] when the caller must list again.
	Watch(ctx context.Context, q WatchQuery) (Feed[Event], error)

	// Samples follows measurements, latest value only. The first batch is
	// what is known now.
	Samples(ctx context.Context, q SampleQuery) (Feed[Sample], error)

	// Logs reads log entries: tail, history, range and search are one
	// query. Without Follow the feed ends with io.EOF.
	Logs(ctx context.Context, q LogQuery) (Feed[LogEntry], error)

	// LogStats counts a query's lines by time bucket and level. Without
	// Follow the feed ends with io.EOF after the final counts.
	LogStats(ctx context.Context, q LogQuery) (Feed[LogStats], error)

	// Attach runs a command beside an instance, in its folder, environment
	// and user, and connects its input and output.
	Attach(ctx context.Context, s AttachSpec) (Conn, error)

	// Open reads stored bytes: a raw log range, an operation's output, a
	// bundle. The caller closes the reader.
	Open(ctx context.Context, ref BlobRef) (io.ReadCloser, error)

	// Put stores a bundle and names it by its digest. It reads r to its
	// end and keeps nothing when r fails.
	Put(ctx context.Context, r io.Reader) (BlobRef, error)

	// Close releases what the Backend holds. Apps run on.
	Close() error
}

// List is one page of a listing.
type List[T any] struct {
	Items []T `json:"items"`

	// Index is the change index as of which the items are true. A watch
	// since it continues the list without a gap.
	Index uint64 `json:"index"`

	// Next continues the listing in the next query's Page; empty at the end.
	Next Cursor `json:"next,omitempty"`
}

// Page bounds a listing. The zero value asks for everything in one page, up
// to the server's limit of 10,000 items.
type Page struct {
	After Cursor `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// Cursor is an opaque position. Only who made it can read it.
type Cursor string

// Feed is a stream of values.
//
// Next waits until there is at least one item, then returns all that are
// queued, in order. It returns a [*LaggedError] once for what was missed; the
// feed goes on after it. io.EOF is the regular end. Any other error is final.
// An error never comes with items. Next may be called by one goroutine at a
// time; Close may be called at any time, any number of times, and wakes Next.
type Feed[T any] interface {
	Next(ctx context.Context) ([]T, error)
	Close() error
}

// Result is what a command gave at once.
type Result struct {
	Operation Operation `json:"operation"`

	// Changes is the difference that an [Apply] made, or would make.
	Changes []Change `json:"changes,omitempty"`

	// Once is a value shown this one time: a new token, a revealed secret.
	// It is never stored, watched or audited.
	Once Secret `json:"once,omitzero"`
}

// BlobKind says what a blob is.
type BlobKind string

// The kinds of blobs.
const (
	LogBlob    BlobKind = "log"    // raw bytes of one stream of one instance
	OutputBlob BlobKind = "output" // an operation's output
	BundleBlob BlobKind = "bundle" // what Put stored, by digest
)

// BlobRef names stored bytes. For a log: Instance, Stream, and the byte range
// from Offset, Length bytes long, to the end when Length is 0.
type BlobRef struct {
	Kind     BlobKind `json:"kind"`
	ID       string   `json:"id"` // instance id, operation id, or "sha256:…"
	Stream   Stream   `json:"stream,omitempty"`
	Offset   int64    `json:"offset,omitempty"`
	Length   int64    `json:"length,omitempty"`
	FromTail bool     `json:"fromTail,omitempty"` // Offset counts back from the end
}

// AttachSpec asks for a command beside an instance.
type AttachSpec struct {
	Instance string   `json:"instance"`
	Command  []string `json:"command"`
	TTY      bool     `json:"tty,omitempty"`
	Size     Size     `json:"size,omitzero"`
}

// Size is a terminal's size in cells.
type Size struct {
	Columns int `json:"columns"`
	Rows    int `json:"rows"`
}

// Conn is a running attachment. Write sends input, CloseWrite ends it. Read
// gives the output, standard error folded in when there is a terminal, and
// io.EOF when the command has ended; Exit then says how.
type Conn interface {
	io.ReadWriteCloser
	CloseWrite() error
	Resize(Size) error
	// Exit waits for the command's exit status.
	Exit(ctx context.Context) (int, error)
}

// LinkState is what is known of the way to a server.
type LinkState struct {
	State LinkStatus `json:"state"`
	// Since is when the link came to this state, by this machine's clock.
	Since Time `json:"since"`
	// Err is why it is not up, as a sentence.
	Err string `json:"err,omitempty"`
	// Attempt counts the tries to connect since it was last up.
	Attempt int `json:"attempt,omitempty"`
}

// LinkStatus is one of the states of a link.
type LinkStatus string

// The states of a link.
const (
	LinkConnecting LinkStatus = "connecting"
	LinkUp         LinkStatus = "up"
	LinkDown       LinkStatus = "down" // waiting to try again
)

// LinkReporter is implemented by backends that reach their server over a
// link. The feed starts with the state of now.
type LinkReporter interface {
	Link(ctx context.Context) (Feed[LinkState], error)
}
