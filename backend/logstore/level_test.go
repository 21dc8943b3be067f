package logstore

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLevelOfFormats(t *testing.T) {
	tests := []struct {
		line string
		want rank
	}{
		{`{"time":"2024-01-01T00:00:00Z","level":"ERROR","msg":"x"}`, errorRank},
		{`{"ts":1,"lvl":"dbug","msg":"x"}`, debug},
		{`{"severity": "WARNING", "message": "level"}`, warn},
		{`{"level":30,"msg":"pino"}`, info},
		{`{"name":"b","level":50,"msg":"bunyan"}`, errorRank},
		{`{"level":60}`, fatal},
		{`{"version":"1.1","level":3,"short_message":"gelf"}`, errorRank},
		{`{"msg":"the \"level\": \"error\" is quoted"}`, unknown},
		{`{"msg":"no level"}`, unknown},
		{`{"log.level":"trace"}`, trace},
		{`{"level":{"nested":1},"severity":"info"}`, info},
		{`time=2024-01-01T00:00:00Z level=info msg="ERROR in text"`, info},
		{`ts=1 level="error" msg=x`, errorRank},
		{`lvl=warn x=y`, warn},
		{`msg="a" level=debug`, debug},
		{`sublevel=error msg=x`, unknown},
		{`<3>disk failed`, errorRank},
		{`<30>Jan  1 00:00:00 host app[1]: hi`, info},
		{`<34>1 2003-10-11T22:14:15.003Z host su - ID47 - failed`, fatal},
		{`<html>`, unknown},
		{`I0102 15:04:05.000000   1 file.go:1] hi`, info},
		{`E0102 15:04:05.000000   1 file.go:1] bad`, errorRank},
		{`W0102 15:04:05.000000   1 file.go:1] hm`, warn},
		{`2024-01-01 12:00:00,123 ERROR [main] com.shop.Cart - boom`, errorRank},
		{`2024-01-01 12:00:00.123  WARN 1 --- [main] o.s.Foo : x`, warn},
		{`[main] DEBUG com.shop.Cart - x`, debug},
		{`ERROR:root:bad thing`, errorRank},
		{`2024-01-01 12:00:00,123 - shop.cart - ERROR - boom`, errorRank},
		{`2024-01-01 12:00:00,123 - shop.cart - INFO - started`, info},
		{`panic: nil map in cart.go:41`, errorRank},
		{`fatal error: all goroutines are asleep - deadlock!`, fatal},
		{`2024/01/01 12:00:00 [error] 7#7: *1 open() failed`, errorRank},
		{`2024/01/01 12:00:00 [notice] 7#7: start worker`, info},
		{`[Wed Oct 11 14:32:52.123 2023] [core:error] [pid 1] AH0: x`, errorRank},
		{`[WARN] low memory`, warn},
		{`[ WARN ] low memory`, warn},
		{`[2024-01-01T00:00:00Z ERROR shop] boom`, errorRank},
		{`2024-01-01T00:00:00.000Z  INFO shop: hello`, info},
		{`E, [2024-01-01T00:00:00.000 #1] ERROR -- : boom`, errorRank},
		{`SEVERE: boom`, errorRank},
		{`INFO: fine`, info},
		{`[12:00:00 INF] hello`, info},
		{`3:04PM ERR failed x=y`, errorRank},
		{`fail: Shop.Cart[0]`, errorRank},
		{`info: Shop.Cart[14]`, info},
		{`error: pathspec did not match`, errorRank},
		{"\x1b[31mERROR\x1b[0m boom", errorRank},
		{"\x1b[90m12:00\x1b[0m \x1b[32mINF\x1b[0m ready", info},
		{`2024-01-01 12:00:00 UTC [12] FATAL:  no such role`, fatal},
		{`1:M 01 Jan 2024 12:00:00.000 * Ready to accept connections`, info},
		{`1:M 01 Jan 2024 12:00:00.000 # oom`, warn},
		{`Traceback (most recent call last):`, errorRank},
		{`Exception in thread "main" java.lang.NullPointerException`, errorRank},
		{`ValueError: not a number`, errorRank},
		{`ERROR`, errorRank},
		{`CRITICAL melted`, fatal},
		{`no error was found here`, unknown},
		{`GET /error HTTP/1.1 200`, unknown},
		{`10.0.0.1 - - [01/Jan/2024:12:00:00 +0000] "GET /ERROR HTTP/1.1" 200 12`, unknown},
		{`listening on :41233`, unknown},
		{`ERROR_CODE is 0`, unknown},
		{``, unknown},
	}
	for _, tt := range tests {
		if got, _ := classify([]byte(tt.line)); got != tt.want {
			t.Errorf("classify(%q) = %q, want %q", tt.line, got.level(), tt.want.level())
		}
	}
}

func TestContinuationLines(t *testing.T) {
	tests := []struct {
		line string
		want lineKind
	}{
		{"\tat com.shop.Cart.add(Cart.java:41)", contLine},
		{"    raise ValueError(x)", contLine},
		{"goroutine 1 [running]:", contLine},
		{"goroutine pool is full", headLine},
		{"main.(*Cart).add(0xc000, 0x1)", contLine},
		{"created by main.main in goroutine 1", contLine},
		{"Caused by: java.io.IOException: x", contLine},
		{"at Object.<anonymous> (/srv/x.js:1:2)", contLine},
		{"[signal SIGSEGV: segmentation violation code=0x1]", contLine},
		{"", contLine},
		{"requests.exceptions.ConnectionError: refused", closingLine},
		{"KeyError", closingLine},
		{"started (pid 4)", headLine},
		{"hello", headLine},
	}
	for _, tt := range tests {
		if _, got := classify([]byte(tt.line)); got != tt.want {
			t.Errorf("classify(%q) kind = %d, want %d", tt.line, got, tt.want)
		}
	}
}

func TestMessageOfErrorLines(t *testing.T) {
	tests := []struct{ line, want string }{
		{`{"level":"error","msg":"card \"x\" declined","user":1}`, `card "x" declined`},
		{`{"level":"error","message":"late"}`, "late"},
		{`{"level":"error","error":"refused"}`, "refused"},
		{`{"level":"error","msg":"cut he`, "cut he"},
		{`level=error msg="no \"route\"" x=1`, `no "route"`},
		{`level=error err=EOF`, "EOF"},
		{`panic: nil map`, "panic: nil map"},
		{"  2024 ERROR x  ", "2024 ERROR x"},
	}
	for _, tt := range tests {
		if got := message([]byte(tt.line)); got != tt.want {
			t.Errorf("message(%q) = %q, want %q", tt.line, got, tt.want)
		}
	}
	long := message([]byte(strings.Repeat("é", 300)))
	if len(long) > maxMessage || !utf8.ValidString(long) || !strings.HasSuffix(long, "…") {
		t.Errorf("message of a long line = %d bytes %q, want at most %d, whole runes", len(long), long, maxMessage)
	}
}

func FuzzClassify(f *testing.F) {
	for _, s := range []string{`{"level":"error"}`, "<3>x", "I0102 15:04:05", "\x1b[", "a=", "level=", "1:M ", "x (", `{"level":`, "[", "ERROR"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		r, kind := classify(b)
		if r > fatal || kind > closingLine {
			t.Errorf("classify(%q) = %d, %d, out of range", b, r, kind)
		}
		if kind == contLine && r != unknown {
			t.Errorf("classify(%q) gives a continuation the level %q", b, r.level())
		}
		if !bytes.Equal(b, before) {
			t.Errorf("classify changed its input %q", before)
		}
		if m := message(b); len(m) > maxMessage || !utf8.ValidString(m) {
			t.Errorf("message(%q) = %q", b, m)
		}
	})
}

func BenchmarkClassify(b *testing.B) {
	lines := [][]byte{
		[]byte(`{"time":"2024-01-01T00:00:00.000Z","level":"INFO","msg":"request","method":"GET","path":"/api/cart/17","status":200,"ms":12}`),
		[]byte(`time=2024-01-01T00:00:00.000Z level=info msg="took a job" queue=mail id=17 ms=12 worker=3`),
		[]byte(`2024-01-01 12:00:00,123 INFO [main] com.shop.Cart - the cart 17 was filled with 3 things in 12 ms`),
		[]byte(`10.0.0.1 - - [01/Jan/2024:12:00:00 +0000] "GET /api/cart/17 HTTP/1.1" 200 1217 "-" "curl/8.0"`),
	}
	n := 0
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l := lines[i&3]
		n += len(l)
		classify(l)
	}
	b.SetBytes(int64(n / b.N))
}
