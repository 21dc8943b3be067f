package safe_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pitwall/ui/safe"
)

func TestCleanShowsWhatATerminalWouldObey(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "hello", "hello"},
		{"empty", "", ""},
		{"erase display", "ok\x1b[2J", "ok␛[2J"},
		{"window title", "\x1b]0;pwn\x07x", "␛]0;pwn␇x"},
		{"device control", "\x1bPq#0\x1b\\", "␛Pq#0␛\\"},
		{"colour", "\x1b[31mred\x1b[0m", "␛[31mred␛[0m"},
		{"raw C1", "a\x9b31mb", `a\x9b31mb`},
		{"encoded C1", "a\u009b31mb", `a\x9b31mb`},
		{"bidi", "a\u202eb\u2066c", "a<202E>b<2066>c"},
		{"zero width", "a\u200bb\ufeffc", "a<200B>b<FEFF>c"},
		{"invalid", "a\xff\xc3", `a\xff\xc3`},
		{"delete, null, bell", "\x7f\x00\x07", "␡␀␇"},
		{"carriage return inside", "10%\r20%", "10%␍20%"},
		{"line ending", "line\r\n", "line"},
		{"tab", "ab\tc", "ab      c"},
		{"tab after wide", "日\tc", "日      c"},
		{"wide", "日本", "日本"},
		{"accents", "é e\u0301", "é e\u0301"},
		{"stacked marks", "e\u0301\u0301\u0301\u0301\u0301", "e\u0301\u0301\u0301\u0301<0301>"},
		{"mark on nothing", "\u0301a", "◌\u0301a"},
		{"emoji form", "⚠\ufe0f x", "⚠ x"},
		{"soft hyphen", "a\u00adb", "a<00AD>b"},
		{"line separator", "a\u2028b", "a<2028>b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := safe.Clean(tt.in).String(); got != tt.want {
				t.Errorf("Clean(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestCleanSGRKeepsColoursAlone(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"closed", "\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[m"},
		{"left open", "\x1b[1;31mred", "\x1b[1;31mred\x1b[m"},
		{"reset alone", "\x1b[0mx", "x"},
		{"true colour", "\x1b[38;2;5;6;8mx", "\x1b[38;2;5;6;8mx\x1b[m"},
		{"indexed", "\x1b[38;5;208mx", "\x1b[38;5;208mx\x1b[m"},
		{"blink and conceal", "\x1b[5;8;31mx", "\x1b[31mx\x1b[m"},
		{"conceal alone", "\x1b[8mx", "x"},
		{"zero padded conceal", "\x1b[008mx", "x"},
		{"cursor", "\x1b[2Ax\x1b[H", "␛[2Ax␛[H"},
		{"private", "\x1b[?25lx", "␛[?25lx"},
		{"intermediate", "\x1b[>4;2mx", "␛[>4;2mx"},
		{"cut off", "x\x1b[31", "x␛[31"},
		{"escape at end", "x\x1b", "x␛"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := safe.CleanSGR(tt.in).String(); got != tt.want {
				t.Errorf("CleanSGR(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestWidthCountsCells(t *testing.T) {
	for in, want := range map[string]int{"abc": 3, "日本": 4, "e\u0301": 1, "\x1b[31mred\x1b[0m": 3} {
		if got := safe.CleanSGR(in).Width(); got != want {
			t.Errorf("CleanSGR(%q).Width() = %d, want %d", in, got, want)
		}
	}
}

func TestCutStaysInItsCells(t *testing.T) {
	tests := []struct {
		in          string
		left, right int
		want        string
	}{
		{"hello", 1, 3, "el"},
		{"hello", -2, 99, "hello"},
		{"hello", 3, 3, ""},
		{"hello", 9, 12, ""},
		{"日本語", 2, 4, "本"},
		{"日本語", 0, 3, "日"},
		{"\x1b[31mred\x1b[0m", 1, 2, "\x1b[31me\x1b[m"},
	}
	for _, tt := range tests {
		if got := safe.CleanSGR(tt.in).Cut(tt.left, tt.right).String(); got != tt.want {
			t.Errorf("CleanSGR(%q).Cut(%d, %d) = %q, want %q", tt.in, tt.left, tt.right, got, tt.want)
		}
	}
}

func TestTruncatePutsTheTailInside(t *testing.T) {
	tail := safe.Literal("…")
	for _, tt := range []struct {
		in   string
		n    int
		want string
	}{{"hello", 5, "hello"}, {"hello", 4, "hel…"}, {"hello", 1, "…"}, {"hello", 0, ""}, {"日本語", 4, "日…"}} {
		got := safe.Clean(tt.in).Truncate(tt.n, tail)
		if got.String() != tt.want {
			t.Errorf("Clean(%q).Truncate(%d) = %q, want %q", tt.in, tt.n, got, tt.want)
		}
		if got.Width() > tt.n {
			t.Errorf("Clean(%q).Truncate(%d) is %d cells wide", tt.in, tt.n, got.Width())
		}
	}
}

func TestASCIIWritesCommonSignsByTheirLike(t *testing.T) {
	if got, want := safe.ASCII("exited · run 4… “don’t” — ✓"), `exited - run 4~ "don't" - ?`; got != want {
		t.Errorf("ASCII() = %q, want %q", got, want)
	}
}

func TestASCIIKeepsSequencesAndWidth(t *testing.T) {
	if got, want := safe.ASCII("\x1b[31m日\x1b[m ✓ ok"), "\x1b[31m??\x1b[m ? ok"; got != want {
		t.Errorf("ASCII() = %q, want %q", got, want)
	}
}

func TestCleanOfASCIIDoesNotAllocate(t *testing.T) {
	s := strings.Repeat("plain words ", 20)
	if n := testing.AllocsPerRun(100, func() { safe.Clean(s) }); n != 0 {
		t.Errorf("Clean allocated %v times, want 0", n)
	}
}

// active returns the first thing in s that a terminal would obey or hide, or
// an empty string.
func active(s string) string {
	if !utf8.ValidString(s) {
		return "invalid UTF-8"
	}
	for _, r := range s {
		if unicode.Is(unicode.Cc, r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return string(r)
		}
	}
	return ""
}

// stripSGR removes well formed colour sequences, written without the package
// under test.
func stripSGR(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if strings.HasPrefix(s[i:], "\x1b[") {
			j := i + 2
			for j < len(s) && strings.IndexByte("0123456789;:", s[j]) >= 0 {
				j++
			}
			if j < len(s) && s[j] == 'm' {
				i = j
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "a", "\x1b[31mx", "\x1b]0;t\x07", "\x9b2J", "\u202e", "日\t本\xff", "e\u0301", "\x1b[8;5;38;5;5mx", "\u2028"} {
		f.Add(s, 1, 3)
	}
	f.Fuzz(func(t *testing.T, s string, left, right int) {
		plain := safe.Clean(s)
		if a := active(plain.String()); a != "" {
			t.Errorf("Clean(%q) = %q holds %q", s, plain, a)
		}
		styled := safe.CleanSGR(s)
		if a := active(stripSGR(styled.String())); a != "" {
			t.Errorf("CleanSGR(%q) = %q holds %q", s, styled, a)
		}
		left, right = left%200, right%200
		for _, x := range []safe.Text{plain, styled, styled.Plain()} {
			cut := x.Cut(left, right)
			if a := active(stripSGR(cut.String())); a != "" {
				t.Errorf("Cut of %q holds %q", x, a)
			}
			if cut.Width() > max(0, right-max(left, 0)) {
				t.Errorf("%q.Cut(%d, %d) is %d wide", x, left, right, cut.Width())
			}
		}
	})
}

func BenchmarkCleanASCII(b *testing.B) {
	s := strings.Repeat("plain words ", 10)
	b.ReportAllocs()
	for b.Loop() {
		safe.Clean(s)
	}
}

func BenchmarkCleanSGR(b *testing.B) {
	s := "\x1b[32mINFO\x1b[0m " + strings.Repeat("plain words ", 10)
	b.ReportAllocs()
	for b.Loop() {
		safe.CleanSGR(s)
	}
}
