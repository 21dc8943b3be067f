package logs

import (
	"strings"
	"testing"
	"time"

	"pitwall/backend"
)

func TestBrief(t *testing.T) {
	at := time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC)
	tests := []struct {
		level    backend.Level
		in, want string
	}{
		{"", "hello", "hello"},
		{"", "", ""},
		{"", "    at cart.go:41", "    at cart.go:41"},
		{"info", "2026-03-01T14:00:00.1Z INFO  checkout is open", "checkout is open"},
		{"", "2026-03-01T14:00:00.1Z INFO  checkout is open", "INFO  checkout is open"},
		{"info", "2026-03-01T10:00:00Z INFO  replayed", "2026-03-01T10:00:00Z INFO  replayed"},
		{"info", "2026-03-01T14:00:00.1Z ", "2026-03-01T14:00:00.1Z "},
		{"error", `{"time":"2026-03-01T14:00:00Z","level":"ERROR","msg":"refused","status":500,"path":"/a b"}`, `refused status=500 path="/a b"`},
		{"error", `{"time":"2026-03-01T10:00:00Z","level":"INFO","message":"odd","a":{"b":1}}`, `odd time=2026-03-01T10:00:00Z level=INFO a={"b":1}`},
		{"", `{"msg":"a"} {"msg":"b"}`, `{"msg":"a"} {"msg":"b"}`},
		{"", `{"msg":"cut off`, `{"msg":"cut off`},
		{"", `{"a":1}`, `{"a":1}`},
		{"", `{"msg":"a","message":"b"}`, `{"msg":"a","message":"b"}`},
		{"warn", `time=2026-03-01T14:00:00Z level=WARN msg="slow query" ms=312 empty=""`, `slow query ms=312 empty=""`},
		{"", `the msg=x is not logfmt`, `the msg=x is not logfmt`},
		{"", `msg="a"b`, `msg="a"b`},
	}
	for _, tt := range tests {
		e := backend.LogEntry{Time: at, Level: tt.level, Text: tt.in}
		if got := brief(e); got != tt.want {
			t.Errorf("brief(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzBrief(f *testing.F) {
	for _, s := range []string{`{"msg":"a","b":[1]}`, `a="b c" msg=d`, "2026-03-01T14:00:00Z INFO x", "{", `msg="`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e := backend.LogEntry{Level: backend.LevelInfo, Text: s}
		if got := brief(e); strings.TrimSpace(got) == "" && got != s {
			t.Errorf("brief(%q) = %q", s, got)
		}
	})
}

func BenchmarkBrief(b *testing.B) {
	e := backend.LogEntry{
		Time: time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC), Level: backend.LevelInfo,
		Text: `{"time":"2026-03-01T14:00:00Z","level":"INFO","msg":"answered","logger":"http","status":200,"path":"/cart/12","took":"12ms"}`,
	}
	for b.Loop() {
		brief(e)
	}
}
