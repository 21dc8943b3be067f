package remote

import (
	"context"
	"encoding/json"
	"time"

	"pitwall/backend"
	"pitwall/backend/wire"
)

// Watch implements [backend.Backend].
func (c *Client) Watch(ctx context.Context, q backend.WatchQuery) (backend.Feed[backend.Event], error) {
	return subscribeTo[backend.Event](ctx, c, wire.WatchFeed, &watchPlace{q})
}

// Samples implements [backend.Backend].
func (c *Client) Samples(ctx context.Context, q backend.SampleQuery) (backend.Feed[backend.Sample], error) {
	return subscribeTo[backend.Sample](ctx, c, wire.SamplesFeed, samplesPlace{q})
}

// Logs implements [backend.Backend].
func (c *Client) Logs(ctx context.Context, q backend.LogQuery) (backend.Feed[backend.LogEntry], error) {
	return subscribeTo[backend.LogEntry](ctx, c, wire.LogsFeed, &logsPlace{asked: q})
}

// LogStats implements [backend.Backend]. Counts are told again after a link
// that was lost; counting that had begun and does not follow ends with
// Unavailable, since its parts could not be told from repeats.
func (c *Client) LogStats(ctx context.Context, q backend.LogQuery) (backend.Feed[backend.LogStats], error) {
	return subscribeTo[backend.LogStats](ctx, c, wire.LogStatsFeed, &statsPlace{asked: q})
}

// watchPlace is the index after which a watch goes on.
type watchPlace struct{ asked backend.WatchQuery }

func (p *watchPlace) query() (any, error) { return p.asked, nil }

func (p *watchPlace) opened(f wire.Frame) { p.asked.Since = max(p.asked.Since, f.Since) }

func (p *watchPlace) again() bool { return false }

func (p *watchPlace) received(items []json.RawMessage) ([]json.RawMessage, error) {
	if len(items) == 0 {
		return nil, nil
	}
	var last struct {
		Index uint64 `json:"index"`
	}
	if err := json.Unmarshal(items[len(items)-1], &last); err != nil {
		return nil, backend.Errorf(backend.Internal, "read the server's event: %w", err)
	}
	p.asked.Since = max(p.asked.Since, last.Index)
	return items, nil
}

// samplesPlace is none: samples start afresh with what is known then.
type samplesPlace struct{ asked backend.SampleQuery }

func (p samplesPlace) query() (any, error) { return p.asked, nil }
func (samplesPlace) opened(wire.Frame)     {}
func (samplesPlace) again() bool           { return false }
func (samplesPlace) received(items []json.RawMessage) ([]json.RawMessage, error) {
	return items, nil
}

// statsPlace is whether counts came already.
type statsPlace struct {
	asked backend.LogQuery
	begun bool
}

func (p *statsPlace) query() (any, error) {
	if p.begun && !p.asked.Follow {
		return nil, backend.Errorf(backend.Unavailable, "the connection was lost while lines were counted: count again")
	}
	return p.asked, nil
}

func (*statsPlace) opened(wire.Frame) {}
func (*statsPlace) again() bool       { return false }

func (p *statsPlace) received(items []json.RawMessage) ([]json.RawMessage, error) {
	p.begun = p.begun || len(items) > 0
	return items, nil
}

// logsPlace is the cursor after which a log goes on.
type logsPlace struct {
	asked backend.LogQuery
	after backend.Cursor // of the last entry that has one
	count int            // entries that came, and of them:
	lines int            // those that Limit counts
	skip  int            // entries that come again and are dropped
	since time.Time      // when the server first opened it, by its clock

	// A feed that follows from a tail and got nothing of it before the link
	// was lost asks for the two apart: the tail of what was there when it
	// was opened, then what came since.
	history, passed bool // asking for the first, and past it
}

func (p *logsPlace) opened(f wire.Frame) {
	if p.since.IsZero() {
		p.since = f.Time
	}
}

// query returns the rest of what was asked for.
func (p *logsPlace) query() (any, error) {
	q := p.asked
	p.history = false
	switch {
	case q.Before != "":
		// What lies before a cursor does not change: it is asked for
		// again and what came is dropped.
		p.skip = p.count
	case p.after != "":
		q.After, q.Tail = p.after, 0
		if q.Limit > 0 {
			q.Limit = max(1, q.Limit-p.lines)
		}
	case p.since.IsZero() || !q.Follow || q.After != "" || q.From != 0:
		// Where it starts does not depend on when it is asked.
	case q.Tail > 0 && !p.passed:
		p.history = true
		q.Follow, q.Until = false, p.since
	case q.Tail > 0 || q.Since.IsZero():
		q.Tail, q.Since = 0, p.since
	}
	return q, nil
}

// again tells whether the end of a feed is that of its history alone.
func (p *logsPlace) again() bool {
	if !p.history {
		return false
	}
	p.history, p.passed = false, true
	return true
}

func (p *logsPlace) received(items []json.RawMessage) ([]json.RawMessage, error) {
	drop := min(p.skip, len(items))
	p.skip -= drop
	items = items[drop:]
	p.count += len(items)
	for n := len(items) - 1; n >= 0; n-- {
		var e struct {
			Cursor backend.Cursor `json:"cursor"`
		}
		if err := json.Unmarshal(items[n], &e); err != nil {
			return nil, backend.Errorf(backend.Internal, "read the server's log entry: %w", err)
		}
		if e.Cursor != "" {
			p.after = e.Cursor
			break
		}
	}
	if p.asked.Limit > 0 {
		return items, p.countLines(items)
	}
	return items, nil
}

func (p *logsPlace) countLines(items []json.RawMessage) error {
	for _, item := range items {
		var e struct{ Gap, Divider, Progress *struct{} }
		if err := json.Unmarshal(item, &e); err != nil {
			return backend.Errorf(backend.Internal, "read the server's log entry: %w", err)
		}
		if e.Gap == nil && e.Divider == nil && e.Progress == nil {
			p.lines++
		}
	}
	return nil
}
