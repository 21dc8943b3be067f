package wire

import (
	"encoding/json"
	"time"

	"pitwall/backend"
)

// FrameType says what a frame is.
type FrameType string

// The types of frames.
const (
	Open   FrameType = "open"   // to the server: feed, kind, query, credit
	Credit FrameType = "credit" // to the server: feed, credit
	Close  FrameType = "close"  // to the server: feed
	Opened FrameType = "opened" // to the client: feed, since, time
	Items  FrameType = "items"  // to the client: feed, items
	Lagged FrameType = "lagged" // to the client: feed, lagged
	End    FrameType = "end"    // to the client: feed, error
)

// The kinds of feeds.
const (
	WatchFeed    = "watch"
	SamplesFeed  = "samples"
	LogsFeed     = "logs"
	LogStatsFeed = "logstats"
)

// Frame is one message of the feeds' websocket.
type Frame struct {
	Type   FrameType            `json:"type"`
	Feed   uint64               `json:"feed"`
	Kind   string               `json:"kind,omitempty"`
	Query  json.RawMessage      `json:"query,omitempty"`
	Credit int                  `json:"credit,omitempty"`
	Since  uint64               `json:"since,omitempty"` // index after which a watch starts
	Time   time.Time            `json:"time,omitzero"`   // of the server when it opened the feed
	Items  []json.RawMessage    `json:"items,omitempty"`
	Lagged *backend.LaggedError `json:"lagged,omitempty"`
	Error  *Error               `json:"error,omitempty"`
}

// DecodeFrame reads one message. It fails with Invalid when the message is not
// a whole frame of a known type. Fields that are not known are passed over, so
// that either side may be newer.
func DecodeFrame(message []byte) (Frame, error) {
	var f Frame
	if err := json.Unmarshal(message, &f); err != nil {
		return Frame{}, backend.Errorf(backend.Invalid, "read frame: %w", err)
	}
	if f.Feed == 0 {
		return Frame{}, backend.Errorf(backend.Invalid, "read frame %q: a feed's number starts at 1", f.Type)
	}
	switch f.Type {
	case Open:
		switch f.Kind {
		case WatchFeed, SamplesFeed, LogsFeed, LogStatsFeed:
		default:
			return Frame{}, backend.Errorf(backend.Invalid, "read frame: %q is not a kind of feed", f.Kind)
		}
		if f.Credit < 0 || f.Credit > MaxCredit {
			return Frame{}, backend.Errorf(backend.Invalid, "read frame: a credit of %d", f.Credit)
		}
	case Credit:
		if f.Credit < 1 || f.Credit > MaxCredit {
			return Frame{}, backend.Errorf(backend.Invalid, "read frame: a credit of %d", f.Credit)
		}
	case Lagged:
		if f.Lagged == nil {
			return Frame{}, backend.Errorf(backend.Invalid, "read frame: a lag of nothing")
		}
	case Close, Opened, Items, End:
	default:
		return Frame{}, backend.Errorf(backend.Invalid, "read frame: %q is not a type of frame", f.Type)
	}
	return f, nil
}

// Encode writes the frame as one message.
func (f Frame) Encode() ([]byte, error) { return json.Marshal(f) }

// Cut returns how many of the items fit into one frame: those within [MaxOut]
// bytes, at least one.
func Cut(items []json.RawMessage) int {
	size := 0
	for n, item := range items {
		size += len(item) + 1
		if size > MaxOut && n > 0 {
			return n
		}
	}
	return len(items)
}

// ControlType says what a control message of an attachment is.
type ControlType string

// The types of control messages.
const (
	Resize      ControlType = "resize" // to the server: size
	EOF         ControlType = "eof"    // to the server: no more input
	Exit        ControlType = "exit"   // to the client: code or error
	GrantInput  ControlType = "input"  // to the client: bytes of credit for input
	GrantOutput ControlType = "output" // to the server: bytes of credit for output
)

// Control is a text message of an attachment.
type Control struct {
	Type   ControlType   `json:"type"`
	Size   *backend.Size `json:"size,omitempty"`
	Code   int           `json:"code,omitempty"`
	Credit int           `json:"credit,omitempty"`
	Error  *Error        `json:"error,omitempty"`
}

// DecodeControl reads one text message of an attachment. It fails with
// Invalid.
func DecodeControl(message []byte) (Control, error) {
	var c Control
	if err := json.Unmarshal(message, &c); err != nil {
		return Control{}, backend.Errorf(backend.Invalid, "read control message: %w", err)
	}
	switch c.Type {
	case EOF, Exit:
	case Resize:
		if c.Size == nil || c.Size.Columns < 1 || c.Size.Rows < 1 || c.Size.Columns > 1<<15 || c.Size.Rows > 1<<15 {
			return Control{}, backend.Errorf(backend.Invalid, "read control message: a terminal cannot have that size")
		}
	case GrantInput, GrantOutput:
		if c.Credit < 1 || c.Credit > 1<<30 {
			return Control{}, backend.Errorf(backend.Invalid, "read control message: a credit of %d", c.Credit)
		}
	default:
		return Control{}, backend.Errorf(backend.Invalid, "read control message: %q is not a type", c.Type)
	}
	return c, nil
}

// Encode writes the control message.
func (c Control) Encode() ([]byte, error) { return json.Marshal(c) }
