// Package safe makes text that may be written to a terminal.
//
// Whatever a program logs, and every name, label, event and error that came
// from outside, can hold bytes that a terminal obeys: they move the cursor,
// rename the window, answer a query as if the operator had typed, or turn the
// reading order around. [Clean] replaces each of those with a visible glyph,
// so that nothing is hidden and nothing is obeyed. Widgets accept [Text] alone;
// a plain string does not compile where text is drawn.
//
//	safe.Clean("ok\x1b[2J")     // ok␛[2J
//	safe.Clean("a\u202eb")      // a<202E>b
//	safe.Clean("a\x9bb")        // a\x9bb, spelled out
//	safe.CleanSGR("\x1b[31mred") // red in red, closed by a reset
package safe

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Text is a single line that no terminal obeys, except for colours where it
// came from [CleanSGR]. It holds no newline and no tab. The zero Text is
// empty. Texts are comparable values.
type Text struct {
	s     string
	width int32
	// sgr says that s may hold colour sequences.
	sgr bool
}

// constant accepts untyped constants alone, since no variable of another
// package can have this type.
type constant string

// Literal makes a Text of words written in our own source. It panics at
// nothing and cleans nothing, so the constant must be printable.
func Literal(s constant) Text {
	return Text{s: string(s), width: width(string(s))}
}

// Clean makes a Text of s. Controls, escape sequences, bidirectional
// overrides, invisible characters and invalid UTF-8 become visible; a tab
// becomes spaces up to the next multiple of eight; one line ending at the end
// of s is dropped. It does not allocate when s is plain ASCII.
func Clean(s string) Text {
	s = trimEOL(s)
	if plain(s) {
		return Text{s: s, width: int32(len(s))}
	}
	return clean(s, false)
}

// CleanSGR is like [Clean], and lets colour and emphasis through. Blinking and
// concealed text is not let through. A text that changes the style ends with a
// reset, so that it does not colour what is drawn after it.
func CleanSGR(s string) Text {
	s = trimEOL(s)
	if plain(s) {
		return Text{s: s, width: int32(len(s))}
	}
	return clean(s, true)
}

// Join puts sep between the texts.
func Join(sep Text, texts ...Text) Text {
	if len(texts) == 1 {
		return texts[0]
	}
	var b strings.Builder
	var out Text
	for i, t := range texts {
		if i > 0 {
			b.WriteString(sep.s)
			out.width += sep.width
		}
		b.WriteString(t.s)
		out.width += t.width
		out.sgr = out.sgr || t.sgr
	}
	out.s = b.String()
	return out
}

// String returns the text. It is safe to write to a terminal.
func (t Text) String() string { return t.s }

// Width returns the number of cells the text takes.
func (t Text) Width() int { return int(t.width) }

// Empty reports whether the text takes no cell.
func (t Text) Empty() bool { return t.width == 0 }

// Styled reports whether the text holds colour sequences.
func (t Text) Styled() bool { return t.sgr }

// Plain returns the text without its colours.
func (t Text) Plain() Text {
	if !t.sgr {
		return t
	}
	return Text{s: ansi.Strip(t.s), width: t.width}
}

// Cut returns the cells from left up to, and not including, right.
func (t Text) Cut(left, right int) Text {
	left = max(left, 0)
	right = min(right, int(t.width))
	if left >= right {
		return Text{}
	}
	if left == 0 && right == int(t.width) {
		return t
	}
	if !t.sgr && int(t.width) == len(t.s) {
		return Text{s: t.s[left:right], width: int32(right - left)}
	}
	return t.cutWide(left, right)
}

// cutWide cuts a text in which a byte is not a cell. A character two cells
// wide that lies across an edge is left out. The styles in force outside the
// range are kept, and closed.
func (t Text) cutWide(left, right int) Text {
	s := ansi.Cut(t.s, left, right)
	if w := width(s); w > int32(right-left) {
		s = ansi.Truncate(s, right-left, "")
	}
	out := Text{s: s, width: width(s), sgr: t.sgr}
	if t.sgr && !strings.HasSuffix(s, reset) {
		out.s += reset
	}
	return out
}

// Truncate returns the text in at most n cells. Where cells are cut off, tail
// takes the place of the last ones.
func (t Text) Truncate(n int, tail Text) Text {
	if int(t.width) <= n {
		return t
	}
	if n <= 0 {
		return Text{}
	}
	if tail.Width() >= n {
		return tail.Cut(0, n)
	}
	return Join(Text{}, t.Cut(0, n-tail.Width()), tail)
}

// longStyled is the width from which a wrapped text loses its colours, since
// each of its rows would have to be cut out of the whole.
const longStyled = 4096

// Wrap breaks the text into rows of at most width cells, anywhere. It returns
// one row at least.
func (t Text) Wrap(width int) []Text {
	width = max(width, 1)
	if int(t.width) <= width {
		return []Text{t}
	}
	rows := make([]Text, 0, int(t.width)/width+1)
	if t.sgr && t.width < longStyled || !t.sgr && int(t.width) == len(t.s) {
		for left := 0; left < int(t.width); {
			row := t.Cut(left, left+width)
			if row.width == 0 { // a wide character in a cell
				row = Text{s: "?", width: 1}
				left++
			}
			rows = append(rows, row)
			left += int(row.width)
		}
		return rows
	}
	for s := range strings.SplitSeq(ansi.Hardwrap(t.Plain().s, width, true), "\n") {
		w := int32(ansi.StringWidth(s))
		rows = append(rows, Text{s: s, width: w})
	}
	return rows
}

// ASCII returns s with each cell that is not ASCII replaced, for a terminal
// whose locale is not UTF-8. Escape sequences in s are kept.
func ASCII(s string) string {
	i := 0
	for i < len(s) && s[i] < 0x80 {
		i++
	}
	if i == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	var state byte
	for len(s) > 0 {
		seq, w, n, next := ansi.DecodeSequence(s, state, nil)
		switch like := likeASCII(seq); {
		case w == 0 || seq[0] < 0x80 && w == n:
			b.WriteString(asciiOnly(seq))
		case w == 1 && like != 0:
			b.WriteByte(like)
		default:
			for range w {
				b.WriteByte('?')
			}
		}
		s, state = s[n:], next
	}
	return b.String()
}

// likeASCII is the sign that stands for another where only ASCII can be drawn;
// 0 where none does.
func likeASCII(s string) byte {
	switch s {
	case "·", "–", "—", "─", "•":
		return '-'
	case "…":
		return '~'
	case "‘", "’":
		return '\''
	case "“", "”":
		return '"'
	}
	return 0
}

// asciiOnly drops what is not ASCII from a sequence that takes no cell.
func asciiOnly(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return ""
		}
	}
	return s
}

func trimEOL(s string) string {
	s = strings.TrimSuffix(s, "\n")
	return strings.TrimSuffix(s, "\r")
}

// plain reports whether every byte is a printable ASCII character.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}

func width(s string) int32 {
	if plain(s) {
		return int32(len(s))
	}
	return int32(ansi.StringWidth(s))
}
