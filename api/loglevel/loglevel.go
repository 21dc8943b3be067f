// Package loglevel lets a Go program's log levels be set from outside while it
// runs. It wraps any [slog.Handler] and follows the file that the environment
// variable PITWALL_LOGGERS names:
//
//	{"default": "info", "loggers": {"http": "debug", "http.access": "warn"}}
//
// Logger names are dotted, and the longest name that matches wins: http.access
// above is at warn, http.router at debug, db at info. A change is seen within
// a second. A file that is missing, half written or wrong changes nothing: the
// last good levels stay.
//
// A program announces its loggers in a file beside it, with .known at the end
// of its name: a JSON array of names, replaced atomically, so that an operator
// can be shown what there is to set.
//
//	levels := loglevel.New(ctx, slog.NewJSONHandler(os.Stdout, nil))
//	slog.SetDefault(slog.New(levels))
//	log := levels.Logger("http")
//
// The package imports the standard library alone. Without the variable it is
// a handler at info, and starts nothing.
package loglevel

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Env is the environment variable that names the file of levels.
const Env = "PITWALL_LOGGERS"

// The two levels that slog has no name for.
const (
	LevelTrace = slog.Level(-8)
	LevelFatal = slog.Level(12)
)

const (
	// interval is how often the file is looked at: one stat, so that a change
	// is seen well within the promised second on every file system.
	interval = 400 * time.Millisecond

	// maxFile bounds what is read: thousands of loggers fit.
	maxFile = 1 << 20
)

// Handler is a [slog.Handler] that passes on the records its logger's level
// lets through. The level of the handler below is not asked.
type Handler struct {
	set   *set
	name  string
	next  slog.Handler
	cache *atomic.Pointer[resolved]
}

// New returns the handler of the program's default level and begins to follow
// the file, until ctx ends. The levels in the file hold from the first record
// on. After ctx ends the handler goes on with the levels it has.
func New(ctx context.Context, next slog.Handler) *Handler {
	s := &set{file: os.Getenv(Env)}
	s.levels.Store(&levels{})
	if s.file != "" {
		s.look()
		go s.follow(ctx)
	}
	return &Handler{set: s, next: next, cache: new(atomic.Pointer[resolved])}
}

// Logger returns a logger with a name of its own, which it adds to every record
// as the attribute "logger", and announces the name.
func (h *Handler) Logger(name string) *slog.Logger {
	h.set.announce(name)
	next := h.next.WithAttrs([]slog.Attr{slog.String("logger", name)})
	return slog.New(&Handler{set: h.set, name: name, next: next, cache: new(atomic.Pointer[resolved])})
}

// Level returns the level that a logger of this name has now.
func (h *Handler) Level(name string) slog.Level {
	return h.set.levels.Load().of(name)
}

// Enabled reports whether a record of the level passes.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	now := h.set.levels.Load()
	known := h.cache.Load()
	if known == nil || known.from != now {
		known = &resolved{from: now, level: now.of(h.name)}
		h.cache.Store(known)
	}
	return level >= known.level
}

// Handle passes the record to the handler below.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	return h.next.Handle(ctx, r)
}

// WithAttrs returns a handler of the same logger with the attributes added.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(h.next.WithAttrs(attrs))
}

// WithGroup returns a handler of the same logger that opens a group.
func (h *Handler) WithGroup(name string) slog.Handler {
	return h.with(h.next.WithGroup(name))
}

func (h *Handler) with(next slog.Handler) *Handler {
	return &Handler{set: h.set, name: h.name, next: next, cache: h.cache}
}

// ReplaceAttr is for [slog.HandlerOptions]: it writes the levels trace and
// fatal by their names, where slog would write DEBUG-4 and ERROR+4.
func ReplaceAttr(groups []string, a slog.Attr) slog.Attr {
	if len(groups) != 0 || a.Key != slog.LevelKey {
		return a
	}
	switch level, _ := a.Value.Any().(slog.Level); level {
	case LevelTrace:
		a.Value = slog.StringValue("TRACE")
	case LevelFatal:
		a.Value = slog.StringValue("FATAL")
	}
	return a
}

// resolved is a logger's level as one version of the file has it.
type resolved struct {
	from  *levels
	level slog.Level
}

// levels is one version of the file. It is never written after it is made.
type levels struct {
	fallback slog.Level
	loggers  map[string]slog.Level
}

// of returns the level of the longest dotted prefix of name that has one.
func (l *levels) of(name string) slog.Level {
	for name != "" {
		if level, ok := l.loggers[name]; ok {
			return level
		}
		name = name[:max(0, strings.LastIndexByte(name, '.'))]
	}
	return l.fallback
}

// parse reads the file's text. It returns an error for anything but one whole
// JSON object whose levels all have names.
func parse(text []byte) (*levels, error) {
	var file struct {
		Default string            `json:"default"`
		Loggers map[string]string `json:"loggers"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("read levels: %w", err)
	}
	l := &levels{loggers: make(map[string]slog.Level, len(file.Loggers))}
	if file.Default != "" {
		level, err := parseLevel(file.Default)
		if err != nil {
			return nil, err
		}
		l.fallback = level
	}
	for name, word := range file.Loggers {
		level, err := parseLevel(word)
		if err != nil {
			return nil, fmt.Errorf("logger %q: %w", name, err)
		}
		l.loggers[name] = level
	}
	return l, nil
}

// parseLevel returns the level of a word, in any case.
func parseLevel(word string) (slog.Level, error) {
	switch strings.ToLower(word) {
	case "trace":
		return LevelTrace, nil
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	case "fatal":
		return LevelFatal, nil
	}
	return 0, fmt.Errorf("unknown level %q", word)
}

// set is what the loggers of one program share.
type set struct {
	file   string
	levels atomic.Pointer[levels]

	seen fs.FileInfo // of the file last looked at; [set.follow]'s alone

	mu    sync.Mutex
	known []string // sorted
}

// follow looks at the file until ctx ends.
func (s *set) follow(ctx context.Context) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.look()
		}
	}
}

// look reads the file when it is another one than last time.
func (s *set) look() {
	info, err := os.Stat(s.file)
	if err != nil || same(s.seen, info) {
		return
	}
	text, err := readFile(s.file)
	if err != nil {
		return
	}
	s.seen = info
	if l, err := parse(text); err == nil {
		s.levels.Store(l)
	}
}

// same reports whether nothing shows that a file was written or replaced.
func same(a, b fs.FileInfo) bool {
	return a != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// readFile reads a file up to the bound.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("read levels: more than %d bytes", maxFile)
	}
	return bytes.TrimSpace(text), nil
}

// announce adds a name to the list beside the file. It is a courtesy to the
// operator: where the list cannot be written the program runs on without.
func (s *set) announce(name string) {
	if s.file == "" || name == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at, found := slices.BinarySearch(s.known, name)
	if found {
		return
	}
	s.known = slices.Insert(s.known, at, name)
	text, err := json.Marshal(s.known)
	if err != nil {
		return
	}
	target := s.file + ".known"
	// The process's own number keeps two programs that were given one file
	// from writing into each other's half of it.
	temp := fmt.Sprintf("%s.%d", target, os.Getpid())
	if err := os.WriteFile(temp, append(text, '\n'), 0o600); err != nil {
		return
	}
	if err := os.Rename(temp, target); err != nil {
		os.Remove(temp)
	}
}
