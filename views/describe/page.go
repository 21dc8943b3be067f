package describe

import (
	"strings"

	"pitwall/ui/dialog"
	"pitwall/ui/present"
	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

// page puts sections, fields and lines into rows.
type page struct {
	th    *theme.Theme
	width int
	rows  []string
	stale bool
}

// label is the width of a field's name.
const label = 14

// title begins the page: a mark, a name and a state.
func (p *page) title(name safe.Text, w present.Word) {
	m := p.th.Mark(w.State)
	row := " " + p.paint(m.Style, m.Glyph) + " " + p.paint(p.th.Title, name) + "  " + p.paint(m.Style, w.Text)
	p.rows = append(p.rows, row)
}

// head begins a section.
func (p *page) head(t safe.Text) {
	p.rows = append(p.rows, "", " "+p.paint(p.th.Head, t))
}

// field adds a name and its value, which is wrapped; without a value nothing.
func (p *page) field(name, value safe.Text) { p.styled(name, value, theme.Style{}) }

func (p *page) styled(name, value safe.Text, style theme.Style) {
	if value.Empty() {
		return
	}
	lead := "   " + p.paint(p.th.Dim, name) + strings.Repeat(" ", max(1, label-name.Width()))
	indent := label + 3
	if p.width < 50 {
		p.rows = append(p.rows, "   "+p.paint(p.th.Dim, name))
		lead, indent = "     ", 5
	}
	for _, row := range dialog.Wrap(value, max(1, p.width-indent-1)) {
		p.rows = append(p.rows, lead+p.paint(style, row))
		lead = strings.Repeat(" ", indent)
	}
}

// line adds a row of words, each in its style, cut at the width.
func (p *page) line(indent int, words ...word) {
	row := strings.Repeat(" ", indent)
	room := p.width - indent - 1
	for _, w := range words {
		if w.text.Empty() || room <= 0 {
			continue
		}
		t := w.text
		if w.pad > t.Width() {
			t = safe.Join(safe.Text{}, t, safe.Clean(strings.Repeat(" ", w.pad-t.Width())))
		}
		t = t.Truncate(room, p.th.Glyphs.Ellipsis)
		row += p.paint(w.style, t) + "  "
		room -= t.Width() + 2
	}
	p.rows = append(p.rows, row)
}

// word is a piece of a line, as wide as pad at least.
type word struct {
	text  safe.Text
	style theme.Style
	pad   int
}

// none says that a section is empty.
func (p *page) none(t safe.Text) { p.line(3, word{text: t, style: p.th.Dim}) }

func (p *page) paint(style theme.Style, t safe.Text) string {
	if p.stale {
		return p.th.Stale.Render(t.Plain().String())
	}
	return style.Render(t.String())
}
