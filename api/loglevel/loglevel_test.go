package loglevel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pitwall/api/loglevel"
)

// replace writes the file as the platform does: a new one, renamed over it.
func replace(t *testing.T, file, text string) {
	t.Helper()
	temp := file + ".new"
	if err := os.WriteFile(temp, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temp, file); err != nil {
		t.Fatal(err)
	}
}

func levelsFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "loggers.json")
	if text != "" {
		replace(t, file, text)
	}
	t.Setenv(loglevel.Env, file)
	return file
}

func discard() slog.Handler { return slog.NewJSONHandler(&bytes.Buffer{}, nil) }

func TestLongestNameWins(t *testing.T) {
	levelsFile(t, `{"default":"warn","loggers":{"http":"debug","http.access":"error","db.pool.wait":"trace"}}`)
	h := loglevel.New(t.Context(), discard())
	tests := map[string]slog.Level{
		"":               slog.LevelWarn,
		"http":           slog.LevelDebug,
		"http.router":    slog.LevelDebug,
		"http.access":    slog.LevelError,
		"http.access.v2": slog.LevelError,
		"httpd":          slog.LevelWarn,
		"db":             slog.LevelWarn,
		"db.pool":        slog.LevelWarn,
		"db.pool.wait":   loglevel.LevelTrace,
	}
	for name, want := range tests {
		if got := h.Level(name); got != want {
			t.Errorf("Level(%q) = %v, want %v", name, got, want)
		}
		log := slog.New(h)
		if name != "" {
			log = h.Logger(name)
		}
		if !log.Enabled(t.Context(), want) || log.Enabled(t.Context(), want-1) {
			t.Errorf("Logger(%q) is not enabled from %v on", name, want)
		}
	}
}

func TestChangeIsSeenWithinASecond(t *testing.T) {
	file := levelsFile(t, `{"default":"info"}`)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		h := loglevel.New(ctx, discard())
		log := h.Logger("http").With("a", 1).WithGroup("g")
		if log.Enabled(ctx, slog.LevelDebug) {
			t.Fatal("debug is enabled before the change")
		}
		replace(t, file, `{"default":"info","loggers":{"http":"debug"}}`)
		time.Sleep(time.Second)
		synctest.Wait()
		if !log.Enabled(ctx, slog.LevelDebug) {
			t.Error("debug is not enabled a second after the change")
		}
		replace(t, file, `{"default":"error"}`)
		time.Sleep(time.Second)
		synctest.Wait()
		if log.Enabled(ctx, slog.LevelWarn) {
			t.Error("warn is enabled a second after the level became error")
		}
	})
}

func TestBadFileKeepsLastGoodLevels(t *testing.T) {
	for name, text := range map[string]string{
		"torn":          `{"default":"error","log`,
		"empty":         "",
		"unknown level": `{"default":"loud"}`,
		"wrong logger":  `{"default":"error","loggers":{"http":"loud"}}`,
		"wrong shape":   `["error"]`,
		"huge":          `{"default":"error"}` + strings.Repeat(" ", 2<<20),
	} {
		t.Run(name, func(t *testing.T) {
			file := levelsFile(t, `{"default":"debug"}`)
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				h := loglevel.New(ctx, discard())
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if got := h.Level(""); got != slog.LevelDebug {
					t.Errorf("Level() = %v after a bad file, want DEBUG", got)
				}
				replace(t, file, `{"default":"warn"}`)
				time.Sleep(time.Second)
				synctest.Wait()
				if got := h.Level(""); got != slog.LevelWarn {
					t.Errorf("Level() = %v after the file was mended, want WARN", got)
				}
			})
		})
	}
}

func TestFileThatComesLate(t *testing.T) {
	file := levelsFile(t, "")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		h := loglevel.New(ctx, discard())
		if got := h.Level("x"); got != slog.LevelInfo {
			t.Errorf("Level() = %v without a file, want INFO", got)
		}
		replace(t, file, `{"default":"trace"}`)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := h.Level("x"); got != loglevel.LevelTrace {
			t.Errorf("Level() = %v after the file came, want trace", got)
		}
	})
}

func TestNothingToFollow(t *testing.T) {
	t.Setenv(loglevel.Env, "")
	// A goroutine left over would hang the bubble.
	synctest.Test(t, func(t *testing.T) {
		h := loglevel.New(context.Background(), discard())
		if got := h.Logger("http").Enabled(t.Context(), slog.LevelDebug); got {
			t.Error("debug is enabled by default")
		}
	})
}

func TestRecordsCarryTheirLogger(t *testing.T) {
	levelsFile(t, `{"default":"trace"}`)
	var out bytes.Buffer
	h := loglevel.New(t.Context(), slog.NewJSONHandler(&out, &slog.HandlerOptions{ReplaceAttr: loglevel.ReplaceAttr}))
	h.Logger("http").Log(t.Context(), loglevel.LevelTrace, "in", "path", "/")
	slog.New(h).Log(t.Context(), loglevel.LevelFatal, "out")
	var got []map[string]any
	for line := range strings.Lines(out.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		delete(record, "time")
		got = append(got, record)
	}
	want := []map[string]any{
		{"level": "TRACE", "msg": "in", "logger": "http", "path": "/"},
		{"level": "FATAL", "msg": "out"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestLoggersAreAnnounced(t *testing.T) {
	file := levelsFile(t, `{}`)
	h := loglevel.New(t.Context(), discard())
	for _, name := range []string{"http", "db", "http", "cache"} {
		h.Logger(name)
	}
	text, err := os.ReadFile(file + ".known")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if diff := cmp.Diff([]string{"cache", "db", "http"}, got); diff != "" {
		t.Errorf("announced (-want +got):\n%s", diff)
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("folder holds %v, want the file and its list alone", entries)
	}
}

func TestEnabledAllocatesNothing(t *testing.T) {
	levelsFile(t, `{"default":"info","loggers":{"http":"debug"}}`)
	log := loglevel.New(t.Context(), discard()).Logger("http.access.v2")
	ctx := t.Context()
	log.Enabled(ctx, slog.LevelDebug)
	if got := testing.AllocsPerRun(100, func() { log.Enabled(ctx, slog.LevelDebug) }); got != 0 {
		t.Errorf("Enabled() allocates %v times, want 0", got)
	}
}
