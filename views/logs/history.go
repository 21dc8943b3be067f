package logs

import (
	"context"
	"errors"
	"io"
	"slices"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/logview"
	"pitwall/ui/present"
	"pitwall/ui/safe"
)

// read reads a query that ends.
func read(ctx context.Context, b backend.Backend, q backend.LogQuery) ([]backend.LogEntry, error) {
	feed, err := b.Logs(ctx, q)
	if err != nil {
		return nil, err
	}
	defer feed.Close()
	var out []backend.LogEntry
	for {
		items, err := feed.Next(ctx)
		out = append(out, items...)
		var lag *backend.LaggedError
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return out, nil
		case errors.As(err, &lag):
			out = append(out, backend.LogEntry{Gap: &backend.LogGap{Count: lag.Missed, From: lag.From, To: lag.To}})
		default:
			return out, err
		}
	}
}

// lines counts the entries that are lines.
func lines(entries []backend.LogEntry) int {
	n := 0
	for _, e := range entries {
		if e.Divider == nil && e.Progress == nil {
			n++
		}
	}
	return n
}

// cursor is the backend's cursor of an entry on the screen.
func (v *view) cursor(e logview.Entry) backend.Cursor {
	if g, ok := v.gaps[e.Cursor]; ok {
		return g.cursor
	}
	return backend.Cursor(e.Cursor)
}

// older asks for the page before the first line held.
func (v *view) older() tea.Cmd {
	e, ok := v.log.First()
	if !ok || v.cursor(e) == "" {
		return func() tea.Msg { return older{of: v, stream: v.stream} }
	}
	q := v.query
	q.Before, q.Tail = v.cursor(e), page
	b, ctx, msg := v.deps.Backend, v.ctx, older{of: v, stream: v.stream}
	return func() tea.Msg {
		msg.entries, msg.err = read(ctx, b, q)
		return msg
	}
}

func (v *view) gotOlder(msg older) tea.Cmd {
	if msg.of != v || msg.stream != v.stream {
		return nil
	}
	v.log.Prepend(v.entries(msg.entries), msg.err == nil && lines(msg.entries) < page)
	return v.said(msg.err)
}

// oldest asks for the first page that is kept.
func (v *view) oldest() tea.Cmd {
	q := v.query
	q.Limit = page
	b, ctx, msg := v.deps.Backend, v.ctx, oldest{of: v, stream: v.stream}
	return func() tea.Msg {
		msg.entries, msg.err = read(ctx, b, q)
		return msg
	}
}

func (v *view) gotOldest(msg oldest) tea.Cmd {
	if msg.of != v || msg.stream != v.stream {
		return nil
	}
	if msg.err != nil {
		v.log.Prepend(nil, false)
		return v.said(msg.err)
	}
	clear(v.gaps)
	v.log.Begin(v.entries(msg.entries))
	return nil
}

// newer asks for the page after the last line held, while later ones were let
// go.
func (v *view) newer() tea.Cmd {
	e, ok := v.log.Last()
	if !ok || v.cursor(e) == "" {
		return v.latest()
	}
	q := v.query
	q.After, q.Limit = v.cursor(e), page
	b, ctx, msg := v.deps.Backend, v.ctx, newer{of: v, stream: v.stream}
	return func() tea.Msg {
		msg.entries, msg.err = read(ctx, b, q)
		return msg
	}
}

// gotNewer adds a page. Where it reaches the end the stream goes on from
// there, so that nothing that came meanwhile is missing or doubled.
func (v *view) gotNewer(msg newer) tea.Cmd {
	if msg.of != v || msg.stream != v.stream {
		return nil
	}
	live := msg.err == nil && lines(msg.entries) < page
	v.log.Extend(v.entries(msg.entries), live)
	if !live {
		return v.said(msg.err)
	}
	if n := len(msg.entries); n > 0 && msg.entries[n-1].Cursor != "" {
		v.last = msg.entries[n-1].Cursor
	} else if e, ok := v.log.Last(); ok {
		v.last = v.cursor(e)
	}
	return v.again()
}

// refetch asks for the lines of the gap on the screen.
func (v *view) refetch() tea.Cmd {
	e, ok := v.log.GapOnScreen()
	g, known := v.gaps[e.Cursor]
	if !ok || !known || !fetchable(g.LogGap) {
		return v.deps.Notify(ui.Notice{Text: safe.Literal("there is no gap on the screen that can be fetched")})
	}
	q := backend.LogQuery{Instances: []string{g.Instance}, From: g.From, To: g.To, Level: v.query.Level, Regexp: v.query.Regexp}
	b, ctx, msg := v.deps.Backend, v.ctx, filled{of: v, id: e.Cursor}
	return func() tea.Msg {
		msg.entries, msg.err = read(ctx, b, q)
		return msg
	}
}

func (v *view) gotFilled(msg filled) tea.Cmd {
	if msg.of != v {
		return nil
	}
	g, ok := v.gaps[msg.id]
	if msg.err != nil || !ok {
		return v.said(msg.err)
	}
	msg.entries = slices.DeleteFunc(msg.entries, func(e backend.LogEntry) bool {
		return e.Gap != nil && e.Gap.From == g.From && e.Gap.To == g.To // the same, written down
	})
	if len(msg.entries) == 0 {
		return v.deps.Notify(ui.Notice{Text: safe.Literal("those lines are not kept any more, or the filter hides them all")})
	}
	entries := v.entries(msg.entries)
	for i := range entries {
		// What was fetched answers another query; its place in this one is
		// the gap's.
		if _, inner := v.gaps[entries[i].Cursor]; !inner {
			entries[i].Cursor = string(g.cursor)
		}
	}
	if v.log.Fill(msg.id, entries) {
		delete(v.gaps, msg.id)
		v.skipped -= min(v.skipped, g.Count)
	}
	return nil
}

// said tells the operator why older or newer lines did not come.
func (v *view) said(err error) tea.Cmd {
	if err == nil || v.ctx.Err() != nil {
		return nil
	}
	return v.deps.Notify(ui.Notice{Text: present.Why("read the log", err), Bad: true})
}
