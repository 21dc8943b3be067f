package safe

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// reset ends every style.
const reset = "\x1b[m"

// maxMarks is how many combining marks may sit on one character. Real scripts
// need four at most; more of them paint over the lines above and below.
const maxMarks = 4

// tabStop is the distance of tab stops, as terminals have it.
const tabStop = 8

// cleaner writes the visible form of a text.
type cleaner struct {
	b     strings.Builder
	keep  bool // let SGR through
	sgr   bool // a style was let through
	open  bool // a style is in force
	marks int  // combining marks since the last character
	base  bool // there is a character for a mark to sit on
}

func clean(s string, keepSGR bool) Text {
	c := cleaner{keep: keepSGR}
	c.b.Grow(len(s) + 16)
	stop := 0 // where the output was at the last tab stop
	for i := 0; i < len(s); {
		b := s[i]
		switch {
		case b == '\t':
			col := int(width(c.b.String()[stop:]))
			c.plain(strings.Repeat(" ", tabStop-col%tabStop))
			stop = c.b.Len()
			i++
		case b == 0x1b && keepSGR:
			i += c.escape(s[i:])
		case b < 0x20:
			c.plain(string(rune(0x2400 + int(b))))
			i++
		case b == 0x7f:
			c.plain("␡")
			i++
		case b < 0x80:
			c.b.WriteByte(b)
			c.marks, c.base = 0, true
			i++
		default:
			i += c.wide(s[i:])
		}
	}
	if c.open {
		c.b.WriteString(reset)
	}
	out := c.b.String()
	return Text{s: out, width: width(out), sgr: c.sgr}
}

// plain writes glyphs of our own.
func (c *cleaner) plain(s string) {
	c.b.WriteString(s)
	c.marks, c.base = 0, true
}

// wide writes the character at the start of s, which is not ASCII, and returns
// how many bytes it read.
func (c *cleaner) wide(s string) int {
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case r == utf8.RuneError && n <= 1:
		c.plain(`\x` + hex(uint32(s[0]), 2))
		return 1
	case r == 0xfe0e || r == 0xfe0f:
		// These choose a plain or a coloured form of the character before
		// them, and say nothing else. Terminals disagree on the width, so the
		// character is left to its own.
		return n
	case r < 0xa0:
		c.plain(`\x` + hex(uint32(r), 2))
	case hidden(r):
		c.plain("<" + strings.ToUpper(hex(uint32(r), 4)) + ">")
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc):
		c.mark(r)
	default:
		c.b.WriteRune(r)
		c.marks, c.base = 0, true
	}
	return n
}

// mark writes a combining mark: on the character before it, on a dotted circle
// where there is none, and spelled out where too many are stacked.
func (c *cleaner) mark(r rune) {
	if c.marks >= maxMarks {
		c.b.WriteString("<" + strings.ToUpper(hex(uint32(r), 4)) + ">")
		return
	}
	if !c.base {
		c.b.WriteRune('◌')
		c.base = true
	}
	c.b.WriteRune(r)
	c.marks++
}

// escape writes the sequence at the start of s, which begins with ESC, if it
// sets colours, and a visible ESC if it does anything else. It returns how
// many bytes it read.
func (c *cleaner) escape(s string) int {
	end := sgrEnd(s)
	if end == 0 {
		c.plain("␛")
		return 1
	}
	params := s[2 : end-1]
	kept := allowed(params)
	switch {
	case params == "" || kept == "0" || kept == "00":
		if c.open {
			c.b.WriteString(reset)
			c.open = false
		}
	case kept != "":
		c.b.WriteString("\x1b[" + kept + "m")
		c.sgr, c.open = true, true
	}
	return end
}

// maxSGR is more than the longest colour sequence a program has a use for.
const maxSGR = 64

// sgrEnd returns the length of the SGR sequence that s starts with, or 0.
func sgrEnd(s string) int {
	if len(s) < 3 || s[1] != '[' {
		return 0
	}
	for i := 2; i < len(s) && i < maxSGR; i++ {
		switch b := s[i]; {
		case b == 'm':
			return i + 1
		case b >= '0' && b <= '9', b == ';', b == ':':
		default:
			return 0
		}
	}
	return 0
}

// allowed returns the parameters without those that blink or conceal.
func allowed(params string) string {
	if !strings.ContainsAny(params, "568") {
		return params
	}
	fields := strings.Split(params, ";")
	kept := fields[:0]
	for i := 0; i < len(fields); i++ {
		f := fields[i]
		if f == "38" || f == "48" || f == "58" {
			n := colourFields(fields[i:])
			kept = append(kept, fields[i:i+n]...)
			i += n - 1
			continue
		}
		if n, err := strconv.Atoi(f); err == nil && (n == 5 || n == 6 || n == 8) {
			continue
		}
		kept = append(kept, f)
	}
	return strings.Join(kept, ";")
}

// colourFields returns how many fields an extended colour takes.
func colourFields(f []string) int {
	n := 1
	if len(f) > 1 && f[1] == "5" {
		n = 3
	} else if len(f) > 1 && f[1] == "2" {
		n = 5
	}
	return min(n, len(f))
}

// hidden reports whether a character is drawn as nothing, or changes how
// others are ordered or joined.
func hidden(r rune) bool {
	if r < 0x300 {
		return r == 0xad
	}
	if unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
		return true
	}
	switch {
	case r == 0x034f, r == 0x115f, r == 0x1160, r == 0x3164, r == 0xffa0,
		r == 0x17b4, r == 0x17b5, r >= 0x180b && r <= 0x180f,
		r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0000 && r <= 0xe0fff:
		return true
	}
	return false
}

func hex(n uint32, digits int) string {
	s := strconv.FormatUint(uint64(n), 16)
	if len(s) < digits {
		s = strings.Repeat("0", digits-len(s)) + s
	}
	return s
}
