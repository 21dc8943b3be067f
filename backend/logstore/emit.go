package logstore

import (
	"time"

	"pitwall/backend"
	"pitwall/backend/logstore/segment"
)

// emit makes the entry of a source's head.
func (f *feed) emit(s *feedSource) backend.LogEntry {
	it := s.head
	var e backend.LogEntry
	switch it.kind {
	case joinItem:
		e = backend.LogEntry{
			Time: time.Unix(0, it.time).UTC(), AppID: s.src.AppID, App: s.src.Owner, Instance: s.id,
			Process: s.src.Process, Index: s.src.Index,
			Divider: &backend.LogDivider{Kind: "join", Text: s.src.name() + " joined"},
		}
		it.after = s.st
	case markItem:
		e = backend.LogEntry{Time: time.Unix(0, it.time).UTC(), AppID: s.src.AppID, Divider: s.marks.divider(it.seq)}
	default:
		e = it.entry(&s.src)
		if it.kind == segment.Batch {
			f.lines++
			f.matched++
		}
	}
	k := s.key()
	s.head = nil
	s.st = it.after
	s.prev = s.st
	if k.after(f.last) {
		f.last = k
	}
	seq := it.seq
	if it.kind != segment.Batch && it.kind != segment.Gap && it.kind != markItem {
		seq = 0
	}
	f.pos.gap = it.kind == segment.Gap
	e.Cursor = f.cursor(s, seq)
	return e
}

// cursor writes the position after an entry of s.
func (f *feed) cursor(s *feedSource, seq uint64) backend.Cursor {
	p := &f.pos
	p.own, p.seq, p.last, p.follow, p.floor = s.id, seq, f.last, f.q.Follow, f.floor
	p.states = p.states[:0]
	for _, o := range f.srcs {
		n := named{hash: o.hash, exact: o == s || o.id == f.last.id || o.inexact(f)}
		if !n.exact && !p.follow {
			continue
		}
		if n.exact {
			n.st = o.st
			if o.head != nil {
				n.st = o.prev
			}
		}
		p.states = append(p.states, n)
	}
	c, buf := p.encode(f.buf)
	f.buf = buf
	return c
}

// inexact reports whether the latest key does not say what was delivered of a
// source.
func (s *feedSource) inexact(f *feed) bool {
	switch {
	case s.in == nil:
		return true
	case s.head != nil:
		return !s.key().after(f.last)
	case s.eof || s.final || s.ring || s.sc == nil:
		return !s.over()
	case len(s.prefix) > 0:
		return !(key{s.prefix[0].time, s.id}).after(f.last)
	}
	return !(key{s.bound, s.id}).after(f.last)
}

// progress tells how far a search is, from time to time.
func (f *feed) progress(out []backend.LogEntry, now time.Time) []backend.LogEntry {
	if !f.q.Progress || f.q.Follow || now.Sub(f.told) < progressSpan {
		return out
	}
	f.told = now
	return append(out, backend.LogEntry{Progress: f.progressNow()})
}

func (f *feed) progressNow() *backend.LogProgress {
	p := &backend.LogProgress{Scanned: f.read, Total: f.total, Matches: f.matched}
	for _, s := range f.srcs {
		if s.sc != nil {
			p.Scanned += s.sc.scanned
		}
	}
	p.Total = max(p.Total, p.Scanned)
	return p
}
