package logstore

import (
	"bytes"
	"regexp"
	"regexp/syntax"

	"pitwall/backend"
	"pitwall/backend/logstore/segment"
)

// matcher decides which items a query wants. A nil matcher wants all. It is
// not written after it is made, and may be shared.
type matcher struct {
	streams  [2]bool // wanted
	level    backend.Level
	passes   [fatal + 1]bool // ranks that are serious enough
	text     []byte
	re       *regexp.Regexp
	invert   bool
	literal  []byte // every match has it; may be nil
	run      uint32
	from, to uint64
	since    int64
	dividers bool
}

func newMatcher(q backend.LogQuery) (*matcher, error) {
	m := &matcher{
		text: []byte(q.Text), invert: q.Invert, run: uint32(max(q.Run, 0)), level: q.Level,
		from: q.From, to: q.To, dividers: q.Dividers,
	}
	if q.Run < 0 {
		return nil, backend.Errorf(backend.Invalid, "run %d: runs are numbered from 1", q.Run)
	}
	if !q.Since.IsZero() {
		m.since = q.Since.UnixNano()
	}
	if q.Level != "" && q.Level.Rank() == 0 {
		_, err := backend.ParseLevel(string(q.Level))
		if err != nil {
			return nil, err
		}
		m.level, _ = backend.ParseLevel(string(q.Level))
	}
	for r := unknown; r <= fatal; r++ {
		m.passes[r] = m.level == "" || r.level().AtLeast(m.level)
	}
	m.streams = [2]bool{len(q.Streams) == 0, len(q.Streams) == 0}
	for _, s := range q.Streams {
		switch s {
		case backend.Stdout:
			m.streams[segment.Out] = true
		case backend.Stderr:
			m.streams[segment.Err] = true
		default:
			return nil, backend.Errorf(backend.Invalid, "%q is not a stream: use stdout or stderr", s)
		}
	}
	if q.Regexp != "" {
		re, err := regexp.Compile(q.Regexp)
		if err != nil {
			return nil, backend.Errorf(backend.Invalid, "the regular expression %q: %w", q.Regexp, err)
		}
		m.re = re
	}
	if !m.invert {
		m.literal = m.text
		if m.re != nil {
			if lit := requiredLiteral(q.Regexp); len(lit) > len(m.literal) {
				m.literal = lit
			}
		}
	}
	if len(m.literal) == 0 {
		m.literal = nil
	}
	return m, nil
}

// wants reports whether an item is to be delivered.
func (m *matcher) wants(it *item) bool {
	if m == nil {
		return true
	}
	if m.run != 0 && it.run != m.run || it.time < m.since {
		return false
	}
	switch it.kind {
	case segment.RunStart, segment.RunEnd:
		return m.dividers && m.from == 0 && m.to == 0
	case segment.Gap:
		last := it.seq + max(it.count, 1) - 1
		found := it.reason == segment.Deleted || it.reason == segment.Corrupt
		return (found || m.streams[it.stream]) && last >= m.from && (m.to == 0 || it.seq <= m.to)
	}
	if !m.streams[it.stream] || it.seq < m.from || m.to != 0 && it.seq > m.to || !m.passes[it.level] {
		return false
	}
	return m.matches(it.text)
}

// matches applies the text and the regular expression.
func (m *matcher) matches(text []byte) bool {
	if len(m.text) == 0 && m.re == nil {
		return true
	}
	ok := len(m.text) == 0 || bytes.Contains(text, m.text)
	if ok && m.re != nil {
		ok = m.re.Match(text)
	}
	return ok != m.invert
}

// skips reports whether lines of a chunk can be passed over in bulk.
func (m *matcher) skips(c *segment.Chunk) bool {
	return m != nil && (m.literal != nil || m.passesOver(c))
}

// passesOver reports whether nothing in a chunk can be wanted.
func (m *matcher) passesOver(c *segment.Chunk) bool {
	return !m.streams[c.Stream] || m.run != 0 && c.Run != m.run
}

// candidate returns the offset of the first line in p that may be wanted; lines
// before it are not. The last line in p may be incomplete: its start is
// returned where none before it matches.
func (m *matcher) candidate(c *segment.Chunk, p []byte) int {
	if !m.passesOver(c) {
		if i := bytes.Index(p, m.literal); i >= 0 {
			return bytes.LastIndexByte(p[:i], '\n') + 1
		}
	}
	return bytes.LastIndexByte(p, '\n') + 1
}

// skipsLevel reports whether a line is not wanted whatever its level, so that
// its level need not be known now.
func (m *matcher) skipsLevel(it *item) bool {
	return m != nil && (m.invert || m.re != nil || m.literal != nil) && !m.matches(it.text)
}

// requiredLiteral returns the longest text that every match of a regular
// expression is known to contain, or nil.
func requiredLiteral(expr string) []byte {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	return []byte(longest(re.Simplify()))
}

func longest(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return string(re.Rune)
		}
	case syntax.OpCapture, syntax.OpPlus:
		return longest(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return longest(re.Sub[0])
		}
	case syntax.OpConcat:
		best := ""
		for _, sub := range re.Sub {
			if s := longest(sub); len(s) > len(best) {
				best = s
			}
		}
		return best
	}
	return ""
}
