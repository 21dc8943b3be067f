package dialog

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"pitwall/ui/line"
	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

// Message is a text to read; any of enter, esc, q and space closes it. Arrows
// scroll one that is longer than the screen.
type Message struct {
	Title safe.Text
	Lines []safe.Text
	// Bad marks it as an error.
	Bad bool
	// Indent is how far the rest of a line that is broken stands in.
	Indent int

	top, shown, total int
}

// Update takes a key.
func (m *Message) Update(msg tea.Msg) (tea.Cmd, bool) {
	step := 0
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		switch msg.String() {
		case "enter", "esc", "q", "ctrl+c", "space", "?":
			return nil, true
		case "up", "k":
			step = -1
		case "down", "j":
			step = 1
		case "pgup":
			step = -m.shown
		case "pgdown":
			step = m.shown
		}
	case tea.MouseWheelMsg:
		step = 3
		if msg.Button == tea.MouseWheelUp {
			step = -3
		}
	}
	m.top = max(0, min(m.top+step, m.total-m.shown))
	return nil, false
}

// Box draws the text.
func (m *Message) Box(th *theme.Theme, width, height int) Box {
	b := Box{Title: m.Title, Bad: m.Bad}
	var all []string
	for _, t := range m.Lines {
		all = append(all, hang(t, width, m.Indent)...)
	}
	m.total, m.shown = len(all), min(len(all), max(1, height-2))
	m.top = max(0, min(m.top, m.total-m.shown))
	b.Lines = append(b.Lines, all[m.top:m.top+m.shown]...)
	hint := th.Key.Render("esc") + " close"
	if m.total > m.shown {
		hint += "   " + th.Key.Render(th.Glyphs.Up.String()+th.Glyphs.Down.String()) + " scroll"
	}
	b.gap()
	b.Lines = append(b.Lines, hint)
	return b
}

// hang breaks a line; what follows its first row stands in by indent.
func hang(t safe.Text, width, indent int) []string {
	if t.Width() <= width || indent <= 0 || indent >= width/2 {
		var out []string
		for _, l := range Wrap(t, width) {
			out = append(out, l.String())
		}
		return out
	}
	head, rest := t.Cut(0, indent), t.Cut(indent, t.Width())
	var out []string
	for i, l := range Wrap(rest, width-indent) {
		if i == 0 {
			out = append(out, head.String()+l.String())
			continue
		}
		out = append(out, strings.Repeat(" ", indent)+l.String())
	}
	return out
}

// Prompt asks for a line of text.
type Prompt struct {
	Title safe.Text
	// Label stands before the field, Help below it.
	Label, Help safe.Text
	Field       line.Editor
	// Verb is what enter does: "scale". Empty means "ok".
	Verb safe.Text
	// Check refuses a value with a sentence; nil takes all.
	Check func(string) error
	// Done gets the value. It may return nil.
	Done func(string) tea.Cmd

	edited bool // what stood in the field at first is kept
	wrong  safe.Text
}

// Update takes a key. A letter typed first replaces what stands in the field;
// any other key keeps it, to be edited.
func (p *Prompt) Update(msg tea.Msg) (tea.Cmd, bool) {
	if key, ok := msg.(tea.KeyPressMsg); ok {
		switch key.String() {
		case "esc", "ctrl+c":
			return nil, true
		case "enter":
			return p.enter()
		}
		if !p.edited && key.Text != "" {
			p.Field.Set("")
		}
	}
	p.edited = true
	if changed, _ := p.Field.Update(msg); changed {
		p.wrong = safe.Text{}
	}
	return nil, false
}

// Typing is true: a prompt is for typing.
func (p *Prompt) Typing() bool { return true }

func (p *Prompt) enter() (tea.Cmd, bool) {
	if p.Check != nil {
		if err := p.Check(p.Field.Value()); err != nil {
			p.wrong = safe.Clean(err.Error())
			return nil, false
		}
	}
	if p.Done == nil {
		return nil, true
	}
	return p.Done(p.Field.Value()), true
}

// Box draws the field.
func (p *Prompt) Box(th *theme.Theme, width, _ int) Box {
	b := Box{Title: p.Title}
	label := p.Label
	if !label.Empty() {
		label = safe.Join(safe.Literal(""), label, safe.Literal(" "))
	}
	b.input(th, label, &p.Field, width, true)
	if !p.wrong.Empty() {
		for _, l := range Wrap(p.wrong, width) {
			b.Lines = append(b.Lines, th.Bad.Render(l.String()))
		}
	} else if !p.Help.Empty() {
		for _, l := range Wrap(p.Help, width) {
			b.Lines = append(b.Lines, th.Dim.Render(l.String()))
		}
	}
	b.gap()
	verb := p.Verb
	if verb.Empty() {
		verb = safe.Literal("ok")
	}
	b.Lines = append(b.Lines, th.Key.Render(th.Glyphs.Enter.String())+" "+verb.String()+"   "+th.Key.Render("esc")+" cancel")
	return b
}

// Choice is one answer of a Choose.
type Choice struct {
	Key  string
	Text safe.Text
	Run  func() tea.Cmd
}

// Choose asks for one of a few answers, each on a key.
type Choose struct {
	Title   safe.Text
	Lines   []safe.Text
	Choices []Choice
	// Default is what enter does; nil means nothing.
	Default func() tea.Cmd
}

func (c *Choose) oneLetter() bool { return true }

// Update takes a key.
func (c *Choose) Update(msg tea.Msg) (tea.Cmd, bool) {
	key, ok := msg.(tea.KeyPressMsg)
	if !ok {
		return nil, false
	}
	k := key.String()
	for _, ch := range c.Choices {
		if ch.Key == k {
			if ch.Run == nil {
				return nil, true
			}
			return ch.Run(), true
		}
	}
	if k == "enter" && c.Default != nil {
		return c.Default(), true
	}
	return nil, k == "esc" || k == "ctrl+c"
}

// Box draws the answers.
func (c *Choose) Box(th *theme.Theme, width, _ int) Box {
	b := Box{Title: c.Title}
	for _, t := range c.Lines {
		for _, l := range Wrap(t, width) {
			b.Lines = append(b.Lines, l.String())
		}
	}
	b.gap()
	for i, ch := range c.Choices {
		l := th.Key.Render(safe.Clean(ch.Key).String()) + "  " + ch.Text.String()
		if i == 0 && c.Default != nil {
			l += "  " + th.Dim.Render(th.Glyphs.Enter.String())
		}
		b.Lines = append(b.Lines, l)
	}
	b.Lines = append(b.Lines, th.Key.Render("esc")+"  cancel")
	return b
}
