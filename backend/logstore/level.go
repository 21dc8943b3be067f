package logstore

import (
	"bytes"

	"pitwall/backend"
)

// rank is a level as a small number, 0 for unknown; see [backend.Level.Rank].
type rank uint8

// The ranks, in the order of [backend.Levels].
const (
	unknown rank = iota
	trace
	debug
	info
	warn
	errorRank
	fatal
)

// level returns the level of a rank.
func (r rank) level() backend.Level {
	switch r {
	case trace:
		return backend.LevelTrace
	case debug:
		return backend.LevelDebug
	case info:
		return backend.LevelInfo
	case warn:
		return backend.LevelWarn
	case errorRank:
		return backend.LevelError
	case fatal:
		return backend.LevelFatal
	}
	return backend.LevelUnknown
}

// lineKind says how a line stands to the one before it on its stream.
type lineKind uint8

const (
	headLine lineKind = iota // speaks for itself
	contLine                 // goes on with the line before, whose level it has
	// closingLine ends a trace with what happened, as Python's do; alone it is
	// an error of its own.
	closingLine
)

// prefixBytes is how far into a line a level is looked for: after a time, a
// host, a program and a thread, but before the message is far along.
const prefixBytes = 120

// prefixWords is the same in words.
const prefixWords = 8

// classify reads the level that a line states, and whether it goes on with the
// line before. It allocates nothing and never looks at other lines.
func classify(b []byte) (rank, lineKind) {
	if len(b) == 0 {
		return unknown, contLine
	}
	switch c := b[0]; {
	case c == '{':
		if r := jsonRank(b); r != unknown {
			return r, headLine
		}
		return unknown, headLine
	case c == ' ' || c == '\t':
		return unknown, contLine
	case c == '<':
		if r := syslogRank(b); r != unknown {
			return r, headLine
		}
	case c == 'I' || c == 'W' || c == 'E' || c == 'F' || c == 'D':
		if r := klogRank(b); r != unknown {
			return r, headLine
		}
	}
	if r, kind, ok := traceLine(b); ok {
		return r, kind
	}
	if r := prefixRank(b); r != unknown {
		return r, headLine
	}
	if r := logfmtRank(b); r != unknown {
		return r, headLine
	}
	if closes(b) {
		return errorRank, closingLine
	}
	if frame(b) {
		return unknown, contLine
	}
	return unknown, headLine
}

// traceLine knows the lines by which panics and stack traces begin and go on.
func traceLine(b []byte) (rank, lineKind, bool) {
	switch b[0] {
	case 'p':
		if bytes.HasPrefix(b, []byte("panic: ")) {
			return errorRank, headLine, true
		}
	case 'f':
		if bytes.HasPrefix(b, []byte("fatal error: ")) {
			return fatal, headLine, true
		}
	case 'T':
		if bytes.HasPrefix(b, []byte("Traceback (most recent call")) {
			return errorRank, headLine, true
		}
	case 'E':
		if bytes.HasPrefix(b, []byte("Exception in thread")) {
			return errorRank, headLine, true
		}
	case 'C':
		if bytes.HasPrefix(b, []byte("Caused by: ")) {
			return unknown, contLine, true
		}
	case 'g':
		if bytes.HasPrefix(b, []byte("goroutine ")) && len(b) > 10 && digit(b[10]) {
			return unknown, contLine, true
		}
	case 'a':
		if bytes.HasPrefix(b, []byte("at ")) {
			return unknown, contLine, true
		}
	case 'c':
		if bytes.HasPrefix(b, []byte("created by ")) {
			return unknown, contLine, true
		}
	case 'D':
		if bytes.HasPrefix(b, []byte("During handling of the above exception")) {
			return unknown, contLine, true
		}
	case '[':
		if bytes.HasPrefix(b, []byte("[signal ")) {
			return unknown, contLine, true
		}
	case '.':
		if bytes.HasPrefix(b, []byte("... ")) {
			return unknown, contLine, true
		}
	}
	return unknown, headLine, false
}

// frame reports whether a line looks like a function in a Go stack trace:
// "main.(*Cart).add(0xc000, 0x1)" — a name with a dot and no space before the
// parameters, and nothing after them.
func frame(b []byte) bool {
	if b[len(b)-1] != ')' {
		return false
	}
	open := bytes.LastIndexByte(b, '(')
	if open <= 0 {
		return false
	}
	name := b[:open]
	return bytes.IndexByte(name, ' ') < 0 && bytes.IndexByte(name, '.') > 0
}

// closes reports whether a line is the last of a Python trace: a dotted name
// that ends in Error, Exception and the like, alone or before a colon.
func closes(b []byte) bool {
	name := b
	if i := bytes.IndexByte(b, ':'); i >= 0 {
		name = b[:i]
	}
	if len(name) > 80 || len(name) < 5 {
		return false
	}
	for _, c := range name {
		if !letter(c) && !digit(c) && c != '.' && c != '_' {
			return false
		}
	}
	for _, end := range closingWords {
		if bytes.HasSuffix(name, []byte(end)) {
			return true
		}
	}
	return false
}

var closingWords = [...]string{"Error", "Exception", "KeyboardInterrupt", "SystemExit"}

// jsonRank reads the level member of a JSON object.
func jsonRank(b []byte) rank {
	for _, key := range levelKeys {
		from := 0
		for {
			i := bytes.Index(b[from:], []byte(key))
			if i < 0 {
				break
			}
			at := from + i
			from = at + len(key)
			if b[at-1] == '\\' {
				continue
			}
			v := skipSpace(b[from:])
			if len(v) == 0 || v[0] != ':' {
				continue
			}
			if r := jsonValueRank(skipSpace(v[1:])); r != unknown {
				return r
			}
		}
	}
	return unknown
}

var levelKeys = [...]string{`"level"`, `"lvl"`, `"severity"`, `"levelname"`, `"log.level"`, `"loglevel"`, `"LEVEL"`, `"Level"`}

func jsonValueRank(v []byte) rank {
	if len(v) == 0 {
		return unknown
	}
	if v[0] == '"' {
		end := bytes.IndexByte(v[1:], '"')
		if end < 0 || end > 16 {
			return unknown
		}
		return wordRank(v[1 : 1+end])
	}
	n, digits := 0, 0
	for digits < len(v) && digits < 4 && digit(v[digits]) {
		n = n*10 + int(v[digits]-'0')
		digits++
	}
	if digits == 0 {
		return unknown
	}
	return numberRank(n)
}

// numberRank reads bunyan's and pino's numbers, 10 to 60, and below them the
// severities of syslog.
func numberRank(n int) rank {
	switch {
	case n < 8:
		return severityRank(n)
	case n < 10:
		return unknown
	case n < 20:
		return trace
	case n < 30:
		return debug
	case n < 40:
		return info
	case n < 50:
		return warn
	case n < 60:
		return errorRank
	case n <= 100:
		return fatal
	}
	return unknown
}

// severityRank reads a severity of syslog, 0 the worst.
func severityRank(n int) rank {
	switch {
	case n <= 2:
		return fatal
	case n == 3:
		return errorRank
	case n == 4:
		return warn
	case n <= 6:
		return info
	}
	return debug
}

// syslogRank reads the priority of "<n>".
func syslogRank(b []byte) rank {
	n, i := 0, 1
	for i < len(b) && i < 4 && digit(b[i]) {
		n = n*10 + int(b[i]-'0')
		i++
	}
	if i == 1 || i == len(b) || b[i] != '>' || n > 191 {
		return unknown
	}
	return severityRank(n & 7)
}

// klogRank reads "I0102 15:04:05".
func klogRank(b []byte) rank {
	if len(b) < 7 || b[5] != ' ' || !digit(b[6]) {
		return unknown
	}
	for _, c := range b[1:5] {
		if !digit(c) {
			return unknown
		}
	}
	switch b[0] {
	case 'I':
		return info
	case 'W':
		return warn
	case 'E':
		return errorRank
	case 'F':
		return fatal
	case 'D':
		return debug
	}
	return unknown
}

// logfmtRank reads "level=" and its kind, at the start of a word.
func logfmtRank(b []byte) rank {
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], '=')
		if i < 0 {
			return unknown
		}
		at := from + i
		from = at + 1
		if !logfmtKey(b[:at]) {
			continue
		}
		v := bytes.TrimLeft(b[from:min(len(b), from+18)], `"`)
		end := 0
		for end < len(v) && (letter(v[end]) || digit(v[end])) {
			end++
		}
		if r := wordRank(v[:end]); r != unknown {
			return r
		}
		if end > 0 && digit(v[0]) {
			return jsonValueRank(v)
		}
	}
}

// logfmtKey reports whether b ends in a key that names a level.
func logfmtKey(b []byte) bool {
	for _, key := range logfmtKeys {
		if bytes.HasSuffix(b, []byte(key)) {
			return len(b) == len(key) || b[len(b)-len(key)-1] <= ' '
		}
	}
	return false
}

var logfmtKeys = [...]string{"level", "lvl", "severity", "loglevel", "LEVEL"}

// wordRank reads the name of a level in any case.
func wordRank(w []byte) rank {
	if len(w) < 3 || len(w) > 11 {
		return unknown
	}
	var buf [11]byte
	for i, c := range w {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	switch string(buf[:len(w)]) {
	case "trace", "trc", "verbose", "finest", "vrb", "trce":
		return trace
	case "debug", "dbg", "dbug", "fine", "finer":
		return debug
	case "info", "inf", "information", "notice", "log", "informational":
		return info
	case "warn", "warning", "wrn":
		return warn
	case "error", "err", "fail", "severe", "eror":
		return errorRank
	case "fatal", "critical", "crit", "panic", "alert", "emerg", "ftl", "emergency", "dpanic":
		return fatal
	}
	return unknown
}

func upper(w []byte) bool {
	for _, c := range w {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func digit(c byte) bool { return c >= '0' && c <= '9' }

func skipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

// skipEscape returns the index after a colour sequence that starts at i.
func skipEscape(b []byte, i int) int {
	i++
	if i < len(b) && b[i] == '[' {
		i++
		for i < len(b) && (b[i] < '@' || b[i] > '~') {
			i++
		}
		i++
	}
	return min(i, len(b))
}
