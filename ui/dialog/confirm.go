package dialog

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"pitwall/ui/action"
	"pitwall/ui/line"
	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

// Confirm asks before an action, the harder the more it can break: by y, by
// the name of what it hits, or by the name of the context.
type Confirm struct {
	act  action.Action
	ask  action.Ask
	word string // what must be typed; empty means y

	typed, reason line.Editor
	field         field
	wrong         bool // what was typed is not the word
}

// field is where keys go.
type field uint8

const (
	noField field = iota
	wordField
	reasonField
)

// NewConfirm asks about an action. Context is the name to type at the highest
// risk.
func NewConfirm(a action.Action, context string) *Confirm {
	c := &Confirm{act: a}
	if a.Ask != nil {
		c.ask = a.Ask()
	}
	switch {
	case a.Risk >= action.Highest && context != "":
		c.word = context
	case a.Risk >= action.High && c.ask.Name != "":
		c.word = c.ask.Name
	}
	switch {
	case c.word != "":
		c.field = wordField
	case a.Risk < action.Medium:
		c.field = reasonField
	}
	return c
}

func (c *Confirm) oneLetter() bool { return c.field == noField }

// Typing reports whether a name or a reason is typed.
func (c *Confirm) Typing() bool { return c.field != noField }

// Update takes a key.
func (c *Confirm) Update(msg tea.Msg) (tea.Cmd, bool) {
	key, isKey := msg.(tea.KeyPressMsg)
	if isKey {
		switch key.String() {
		case "esc", "ctrl+c":
			return c.escape(key.String() == "ctrl+c")
		case "enter":
			return c.enter()
		case "tab":
			c.next()
			return nil, false
		}
	}
	switch c.field {
	case wordField:
		c.typed.Update(msg)
		c.wrong = false
	case reasonField:
		c.reason.Update(msg)
	case noField:
		if isKey && !key.IsRepeat {
			return c.answer(key.String())
		}
	}
	return nil, false
}

func (c *Confirm) answer(key string) (tea.Cmd, bool) {
	switch key {
	case "y", "Y":
		return c.run()
	case "n", "N", "q":
		return nil, true
	case "r":
		if c.ask.Reason {
			c.field = reasonField
		}
	}
	return nil, false
}

// escape leaves the reason's field first, then the dialog.
func (c *Confirm) escape(all bool) (tea.Cmd, bool) {
	if !all && c.field == reasonField && c.word == "" && c.act.Risk >= action.Medium {
		c.reason.Set("")
		c.field = noField
		return nil, false
	}
	return nil, true
}

func (c *Confirm) enter() (tea.Cmd, bool) {
	switch {
	case c.word != "":
		if c.typed.Value() != c.word {
			c.wrong, c.field = true, wordField
			return nil, false
		}
		return c.run()
	case c.act.Risk < action.Medium:
		return c.run()
	}
	c.field = noField // enter alone never confirms
	return nil, false
}

// next moves between the fields.
func (c *Confirm) next() {
	switch {
	case !c.ask.Reason:
	case c.field != reasonField:
		c.field = reasonField
	case c.word != "":
		c.field = wordField
	case c.act.Risk >= action.Medium:
		c.field = noField
	}
}

func (c *Confirm) run() (tea.Cmd, bool) {
	if c.act.Run == nil {
		return nil, true
	}
	return c.act.Run(action.Input{Reason: c.reason.Value()}), true
}

// Box draws the question.
func (c *Confirm) Box(th *theme.Theme, width, _ int) Box {
	b := Box{Title: c.ask.Question, Bad: c.act.Risk >= action.High}
	if b.Title.Empty() {
		b.Title = c.act.Title
	}
	for _, e := range c.ask.Effect {
		for _, l := range Wrap(e, width) {
			b.Lines = append(b.Lines, l.String())
		}
	}
	if c.word != "" {
		b.gap()
		what := "Type " + th.Title.Render(safe.Clean(c.word).String()) + " to go on."
		if c.wrong {
			what += "  " + th.Bad.Render("That is not it.")
		}
		b.Lines = append(b.Lines, what)
		b.input(th, safe.Text{}, &c.typed, width, c.field == wordField)
	}
	if c.ask.Reason && (c.field == reasonField || c.reason.Value() != "" || c.word != "") {
		b.gap()
		b.input(th, safe.Literal("Reason (may be empty): "), &c.reason, width, c.field == reasonField)
	}
	b.gap()
	b.Lines = append(b.Lines, c.keys(th))
	return b
}

// keys is the line that says how to answer.
func (c *Confirm) keys(th *theme.Theme) string {
	k := func(key, word string) string { return th.Key.Render(key) + " " + word + "   " }
	verb := c.ask.Verb.String()
	if verb == "" {
		verb = c.act.Label.String()
	}
	if verb == "" {
		verb = "do it"
	}
	out := ""
	switch {
	case c.word != "" || c.act.Risk < action.Medium:
		out = k(th.Glyphs.Enter.String(), verb)
	case c.field == reasonField:
		out = k(th.Glyphs.Enter.String(), "keep reason")
	default:
		out = k("y", verb)
		if c.ask.Reason {
			out += k("r", "reason")
		}
	}
	if c.word != "" && c.ask.Reason {
		out += k("tab", "reason")
	}
	back := "cancel"
	if strings.HasPrefix(verb, back) {
		back = "leave it" // two keys with one word would be a trap
	}
	return strings.TrimRight(out+k("esc", back), " ")
}

// gap puts an empty line after what there is.
func (b *Box) gap() {
	if n := len(b.Lines); n > 0 && b.Lines[n-1] != "" {
		b.Lines = append(b.Lines, "")
	}
}

// input adds a line with a field and puts the cursor there.
func (b *Box) input(th *theme.Theme, label safe.Text, e *line.Editor, width int, focus bool) {
	w := max(1, min(44, width-label.Width()))
	text, at := e.View(w, th.Field)
	if focus {
		b.Cursor = &Cell{label.Width() + at, len(b.Lines)}
	}
	b.Lines = append(b.Lines, label.String()+text)
}
