package backend

// Stream is one of a program's two outputs.
type Stream string

// The streams.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// MaxLine is the longest text of an entry, in bytes. A longer line is shown
// cut and kept whole on disk.
const MaxLine = 64 << 10

// LogEntry is a line, or, when one of Gap, Divider and Progress is set, that.
// The text is as the program wrote it, not safe for a terminal.
type LogEntry struct {
	Seq      uint64 `json:"seq,omitempty"` // in its instance; never repeats
	Time     Time   `json:"time,omitzero"` // when the keeper read it
	AppID    string `json:"appId,omitempty"`
	App      string `json:"app,omitempty"` // name of the app or job
	Instance string `json:"instance,omitempty"`
	Process  string `json:"process,omitempty"`
	Index    int    `json:"index,omitempty"`
	Run      int    `json:"run,omitempty"`
	Stream   Stream `json:"stream,omitempty"`
	Level    Level  `json:"level,omitempty"`
	Text     string `json:"text,omitempty"`
	// Cut is the line's full length in bytes when Text is not all of it.
	Cut int64 `json:"cut,omitempty"`

	Gap      *LogGap      `json:"gap,omitempty"`
	Divider  *LogDivider  `json:"divider,omitempty"`
	Progress *LogProgress `json:"progress,omitempty"`

	// Cursor is the position after this entry in this query: a query with
	// After set to it goes on without a loss or a repeat.
	Cursor Cursor `json:"cursor"`
}

// LogGap stands for lines that are not there.
type LogGap struct {
	App      string `json:"app"`
	Instance string `json:"instance"`
	From     uint64 `json:"from"` // first sequence that is missing
	To       uint64 `json:"to"`   // last one
	Count    uint64 `json:"count"`
	Bytes    int64  `json:"bytes,omitempty"`
	// Reason is "slow reader" (they can be fetched by sequence),
	// "retention", "disk full" or another sentence.
	Reason string `json:"reason,omitempty"`
}

// LogDivider marks the start or the end of a run, or an operation.
type LogDivider struct {
	Kind string `json:"kind"` // start, exit, join, operation
	Text string `json:"text"`
	Run  int    `json:"run,omitempty"`
	Exit *Exit  `json:"exit,omitempty"`
}

// LogProgress says how far a search is.
type LogProgress struct {
	Scanned int64 `json:"scanned"` // bytes
	Total   int64 `json:"total"`   // bytes
	Matches int64 `json:"matches"`
	Done    bool  `json:"done,omitempty"`
}

// LogQuery selects log entries. Zero fields select all. Apps, Jobs and
// Instances add up; the others narrow.
type LogQuery struct {
	Apps      []string `json:"apps,omitempty"`      // ids
	Jobs      []string `json:"jobs,omitempty"`      // ids
	Instances []string `json:"instances,omitempty"` // ids
	Process   string   `json:"process,omitempty"`
	Index     *int     `json:"index,omitempty"`
	Run       int      `json:"run,omitempty"`
	Streams   []Stream `json:"streams,omitempty"`
	Level     Level    `json:"level,omitempty"` // that and above
	Text      string   `json:"text,omitempty"`  // a substring
	Regexp    string   `json:"regexp,omitempty"`
	Invert    bool     `json:"invert,omitempty"` // of Text and Regexp
	Since     Time     `json:"since,omitzero"`
	Until     Time     `json:"until,omitzero"`

	// From and To bound the sequence, both included; for one instance.
	From uint64 `json:"from,omitempty"`
	To   uint64 `json:"to,omitempty"`

	// After continues where an entry with that cursor ended.
	After Cursor `json:"after,omitempty"`
	// Before lists what lies before the entry with that cursor, with Tail.
	Before Cursor `json:"before,omitempty"`
	// Tail starts with the last n matching lines. 0 starts at the oldest,
	// or, with Follow and nothing else to start from, at the end.
	Tail int `json:"tail,omitempty"`
	// Limit ends the feed after that many lines.
	Limit int `json:"limit,omitempty"`

	Follow bool `json:"follow,omitempty"`
	// Dividers asks for run starts, exits and joins between the lines.
	Dividers bool `json:"dividers,omitempty"`
	// Progress asks for progress entries of a long search.
	Progress bool `json:"progress,omitempty"`
	// MaxLag is how many lines a following reader may be behind before it
	// is moved to the end, with a gap. 0 never skips.
	MaxLag int `json:"maxLag,omitempty"`
}

// LogStats are counts of one time bucket, or, in the last item, of all.
type LogStats struct {
	From   Time             `json:"from"`
	To     Time             `json:"to"`
	Counts map[Level]uint64 `json:"counts"`
	Lines  uint64           `json:"lines"`
	Bytes  int64            `json:"bytes"`
	Gaps   uint64           `json:"gaps"`
	Total  bool             `json:"total,omitempty"`
}
