package ui

import (
	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

// pieces puts styled words on a line until it is full.
type pieces struct {
	b     []byte
	used  int
	width int
	tail  safe.Text
}

func newPieces(width int, tail safe.Text) *pieces { return &pieces{width: width, tail: tail} }

// add puts a word on the line, after a space. One that does not fit is cut.
func (p *pieces) add(style theme.Style, t safe.Text) {
	if t.Empty() {
		return
	}
	if p.used > 0 {
		if p.width-p.used < 2 {
			return
		}
		p.b = append(p.b, ' ')
		p.used++
	}
	t = t.Truncate(p.width-p.used, p.tail)
	p.b = style.Append(p.b, t.String())
	p.used += t.Width()
}

// String returns the line.
func (p *pieces) String() string { return string(p.b) }
