package logstore

import "bytes"

// prefixRank looks for a level among the first words of a line: in upper case
// anywhere there, in any case in brackets, or first before a colon.
func prefixRank(b []byte) rank {
	if len(b) > prefixBytes {
		b = b[:prefixBytes]
	}
	if r := redisRank(b); r != unknown {
		return r
	}
	for i, words := 0, 0; i < len(b) && words < prefixWords; {
		start, bracket := i, false
		for start < len(b) && !letter(b[start]) {
			switch {
			case b[start] == 0x1b:
				start = skipEscape(b, start)
				continue
			case b[start] == '=' && start > i:
				// a value: what names a level there is logfmt's
				start++
				for start < len(b) && b[start] > ' ' {
					start++
				}
				continue
			}
			bracket = b[start] == '[' || b[start] == '(' || bracket && b[start] == ' '
			start++
		}
		end := start
		for end < len(b) && letter(b[end]) {
			end++
		}
		if end == start {
			return unknown
		}
		after := byte(0)
		if end < len(b) {
			after = b[end]
		}
		glued := start > 0 && (digit(b[start-1]) || b[start-1] == '_' || b[start-1] == '/' || b[start-1] == '.' || b[start-1] == '"')
		if r := markRank(b[start:end], mark{first: words == 0, bracket: bracket, after: after}); r != unknown && !glued {
			return r
		}
		if b[start] != 'T' && b[start] != 'Z' || !glued {
			words++ // the T and Z of a time are no words
		}
		i = end
	}
	return unknown
}

// mark says where a word stands.
type mark struct {
	first   bool
	bracket bool
	after   byte // the byte after it, 0 at the end
}

// markRank is the level that a word states where it stands.
func markRank(w []byte, m mark) rank {
	if len(w) < 3 || len(w) > 11 {
		return unknown
	}
	switch m.after {
	case '_', '/', '.', '=', '-', '(', '"', '\'', '@':
		return unknown // part of a name
	}
	if digit(m.after) {
		return unknown
	}
	r := wordRank(w)
	if r == unknown {
		return unknown
	}
	if upper(w) || m.bracket && (m.after == ']' || m.after == ')' || m.after == ' ') {
		return r
	}
	if m.after == ':' && m.first {
		return r
	}
	if m.bracket && m.after == ':' {
		return r
	}
	// nginx and Apache: [core:error]
	if m.after == ']' {
		return r
	}
	return unknown
}

// redisRank reads "1:M 02 Jan 2024 12:00:00.000 # text".
func redisRank(b []byte) rank {
	i := 0
	for i < len(b) && digit(b[i]) {
		i++
	}
	if i == 0 || i+4 > len(b) || b[i] != ':' || bytes.IndexByte([]byte("MSCX"), b[i+1]) < 0 || b[i+2] != ' ' {
		return unknown
	}
	rest := b[i+3:]
	for range 4 {
		sp := bytes.IndexByte(rest, ' ')
		if sp < 0 {
			return unknown
		}
		rest = rest[sp+1:]
	}
	if len(rest) < 2 || rest[1] != ' ' {
		return unknown
	}
	switch rest[0] {
	case '.':
		return debug
	case '-', '*':
		return info
	case '#':
		return warn
	}
	return unknown
}
