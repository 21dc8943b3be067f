package backend

import "strings"

// Level is how serious a line or an event is. The zero value is unknown, which
// sorts below trace.
type Level string

// The levels, the least serious first.
const (
	LevelUnknown Level = ""
	LevelTrace   Level = "trace"
	LevelDebug   Level = "debug"
	LevelInfo    Level = "info"
	LevelWarn    Level = "warn"
	LevelError   Level = "error"
	LevelFatal   Level = "fatal"
)

// Levels lists the levels from the least serious to the most.
func Levels() []Level {
	return []Level{LevelTrace, LevelDebug, LevelInfo, LevelWarn, LevelError, LevelFatal}
}

// Rank orders levels: 0 for unknown, 1 for trace, up to 6 for fatal.
func (l Level) Rank() int {
	switch l {
	case LevelTrace:
		return 1
	case LevelDebug:
		return 2
	case LevelInfo:
		return 3
	case LevelWarn:
		return 4
	case LevelError:
		return 5
	case LevelFatal:
		return 6
	}
	return 0
}

// AtLeast reports whether l is as serious as min. Unknown passes everything up
// to info, since a line without a level may be any.
func (l Level) AtLeast(min Level) bool {
	if l == LevelUnknown {
		return min.Rank() <= LevelInfo.Rank()
	}
	return l.Rank() >= min.Rank()
}

// ParseLevel reads a level and its common synonyms in any case; it fails with
// Invalid and lists the levels.
func ParseLevel(s string) (Level, error) {
	switch strings.ToLower(s) {
	case "trace", "trc":
		return LevelTrace, nil
	case "debug", "dbg":
		return LevelDebug, nil
	case "info", "inf", "information", "notice":
		return LevelInfo, nil
	case "warn", "warning", "wrn":
		return LevelWarn, nil
	case "error", "err":
		return LevelError, nil
	case "fatal", "critical", "crit", "panic", "alert", "emerg":
		return LevelFatal, nil
	}
	return "", Errorf(Invalid, "%q is not a level: use trace, debug, info, warn, error or fatal", s)
}
