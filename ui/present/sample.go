package present

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/safe"
)

// Urgent is how many of [AppVerbs] and [InstanceVerbs] come first on a screen:
// restart, block and kick with what takes them back.
const Urgent = 6

// Measured returns an app with what a sample says of it.
func Measured(a backend.App, s backend.Sample) backend.App {
	a.CPU, a.RSS, a.Connections = s.CPU, s.RSS, s.Connections
	a.ErrorsPerMinute = s.ErrorsPerMinute
	if len(s.ErrorTrend) > 0 {
		a.ErrorTrend = s.ErrorTrend
	}
	if s.LastError != "" && !s.LastErrorAt.Before(a.LastErrorAt) {
		a.LastError, a.LastErrorAt = s.LastError, s.LastErrorAt
	}
	return a
}

// Size writes bytes, and nothing for 0.
func Size(n int64) safe.Text {
	if n <= 0 {
		return safe.Text{}
	}
	return ui.Bytes(n)
}

// Retry has something done again after a failure, less and less often. The
// zero Retry is ready.
type Retry struct {
	tries int
	id    *int // of the attempt that is awaited
}

// RetryMsg says that it is time to try again.
type RetryMsg struct{ id *int }

// The pauses between attempts grow from the first to the last.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 15 * time.Second
)

// Again asks for a [RetryMsg].
func (r *Retry) Again() tea.Cmd {
	d := min(firstRetry<<min(r.tries, 10), lastRetry)
	r.tries++
	id := new(int)
	r.id = id
	return tea.Tick(d, func(time.Time) tea.Msg { return RetryMsg{id} })
}

// Mine reports whether a message is the one that was asked for last.
func (r *Retry) Mine(m RetryMsg) bool { return m.id != nil && m.id == r.id }

// Reset says that all is well again.
func (r *Retry) Reset() { r.tries, r.id = 0, nil }
