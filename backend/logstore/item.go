package logstore

import (
	"fmt"
	"time"

	"pitwall/backend"
	"pitwall/backend/logstore/segment"
)

// item is one thing in an instance's log: a line, a gap, or a run's start or
// end.
type item struct {
	kind   segment.Kind // Batch for a line
	stream segment.Stream
	level  rank
	part   lineKind // of a line
	run    uint32
	time   int64 // when it was completed, in ns; never decreasing in an instance
	seq    uint64
	text   []byte
	length int64 // of the whole line

	count   uint64 // gap
	dropped uint64
	reason  segment.Reason

	exit   int // run end
	signal int
	flags  segment.Flags

	after state // what was read of the instance up to and with it
}

// state says what was read of an instance: every number up to high, but for
// one line that began before and was not complete; and every run mark up to
// mark.
type state struct {
	high   uint64
	except uint64
	mark   uint64
}

// markOf numbers the starts and ends of runs in their order.
func markOf(run uint32, ended bool) uint64 {
	m := uint64(run) * 2
	if ended {
		m++
	}
	return m
}

// stateAt is the state at a place from which nothing was read yet.
func stateAt(p segment.Place) state {
	st := state{high: max(p.Seq, 1) - 1, mark: markOf(p.Run, p.Ended)}
	lo, hi := min(p.Open[0], p.Open[1]), max(p.Open[0], p.Open[1])
	st.except = hi
	if lo != 0 {
		// Of two unfinished lines the later one is the last that has begun.
		st.high, st.except = min(st.high, hi-1), lo
	}
	return st
}

// has reports whether an item was read.
func (st state) has(it *item) bool {
	switch it.kind {
	case segment.RunStart, segment.RunEnd:
		return it.seq <= st.high || markOf(it.run, it.kind == segment.RunEnd) <= st.mark
	case segment.Gap:
		return it.seq+max(it.count, 1)-1 <= st.high
	}
	return it.seq <= st.high && it.seq != st.except
}

// within reports whether everything that st has read, t has read too.
func (st state) within(t state) bool {
	if st.except == st.high && st.high != 0 {
		st.high, st.except = st.high-1, 0
	}
	return st.high <= t.high && st.mark <= t.mark && (t.except == 0 || t.except > st.high || t.except == st.except)
}

// oldest is the lowest number not read.
func (st state) oldest() uint64 {
	if st.except != 0 {
		return st.except
	}
	return st.high + 1
}

// entry makes of an item what callers see.
func (it *item) entry(src *Source) backend.LogEntry {
	e := backend.LogEntry{
		Time: time.Unix(0, it.time).UTC(), AppID: src.AppID, App: src.Owner,
		Instance: src.Instance, Process: src.Process, Index: src.Index, Run: int(it.run),
	}
	switch it.kind {
	case segment.Gap:
		e.Stream = streamOf(it.stream)
		e.Seq = it.seq
		e.Gap = &backend.LogGap{
			App: src.Owner, Instance: src.Instance, From: it.seq, To: it.seq + max(it.count, 1) - 1,
			Count: it.count, Bytes: int64(it.dropped), Reason: reasonText(it.reason),
		}
	case segment.RunStart, segment.RunEnd:
		e.Divider = it.divider(src)
	default:
		e.Seq, e.Stream, e.Level, e.Text = it.seq, streamOf(it.stream), it.level.level(), string(it.text)
		if it.length > int64(len(it.text)) {
			e.Cut = it.length
		}
	}
	return e
}

func (it *item) divider(src *Source) *backend.LogDivider {
	d := &backend.LogDivider{Kind: "start", Run: int(it.run)}
	name := src.name()
	if it.kind == segment.RunStart {
		d.Text = fmt.Sprintf("%s started · run %d", name, it.run)
		return d
	}
	d.Kind, d.Exit = "exit", it.exitStatus()
	d.Text = fmt.Sprintf("%s ended: %s · run %d", name, d.Exit, it.run)
	if d.Exit.Signal == "" && !d.Exit.Unknown && !d.Exit.OOM {
		d.Text = fmt.Sprintf("%s exited with %d · run %d", name, d.Exit.Code, it.run)
	}
	if it.length > 0 { // of a run's end: how long it lasted
		d.Text += " lasted " + lasted(time.Duration(it.length))
	}
	return d
}

// exitStatus is how the run ended.
func (it *item) exitStatus() *backend.Exit {
	x := &backend.Exit{Code: it.exit, Time: time.Unix(0, it.time).UTC()}
	x.Unknown = it.flags&segment.ExitUnknown != 0
	x.OOM = it.flags&segment.OutOfMemory != 0
	if it.signal != 0 {
		x.Code, x.Signal = 128+it.signal, signalName(it.signal)
	}
	return x
}

// lasted writes a duration as people say it: 1.9s, 4m10s, 3h20m.
func lasted(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
}

func streamOf(s segment.Stream) backend.Stream {
	if s == segment.Err {
		return backend.Stderr
	}
	return backend.Stdout
}

func reasonText(r segment.Reason) string {
	switch r {
	case segment.Deleted:
		return "retention"
	case slowReader:
		return "slow reader"
	}
	return r.String()
}
