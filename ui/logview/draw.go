package logview

import (
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

// maxLabel is the widest label; longer ones are cut.
const maxLabel = 18

// narrow is the width below which times and levels are shortened.
const narrow = 72

// View draws the screen: as many lines as the height.
func (m *Model) View() []string {
	if m.height == 0 || m.width == 0 {
		return nil
	}
	out := make([]string, 0, m.height)
	room := m.rowsHigh()
	if len(m.shown) == 0 {
		out = append(out, m.o.Theme.Dim.Render(" "+m.whyEmpty()))
	}
	i, sub := m.anchor, m.sub
	if m.following {
		i, sub = m.bottom()
	}
	for ; i < len(m.shown) && len(out) < room; i++ {
		out = m.entry(out, m.shown[i], sub, room)
		sub = 0
	}
	if m.fieldLine() && m.height > 1 {
		for len(out) < room {
			out = append(out, "")
		}
		out = append(out, ansi.Truncate(m.fieldText(), m.width, m.o.Theme.Glyphs.Ellipsis.String()))
	}
	return out
}

func (m *Model) whyEmpty() string {
	switch {
	case !m.loaded:
		return "waiting for the first line" + m.o.Theme.Glyphs.Ellipsis.String()
	case m.held.len() > 0:
		return "No line passes the filter; " + strconv.Itoa(m.held.len()) + " do not."
	}
	return m.o.Empty.String()
}

// Cursor returns the cell of the terminal's cursor while something is typed.
func (m *Model) Cursor() (x, y int, ok bool) {
	if m.typing == nothing || m.height < 2 {
		return 0, 0, false
	}
	_, at := m.field.View(m.fieldWidth(), theme.Style{})
	return 2 + at, m.height - 1, true
}

// Status says in words what is shown: "info and above · following".
func (m *Model) Status() safe.Text {
	g := m.o.Theme.Glyphs
	parts := make([]safe.Text, 0, 4)
	if m.minLvl > Unknown {
		parts = append(parts, safe.Clean(levelName(m.minLvl)+" and above"))
	}
	if m.filter != "" {
		parts = append(parts, safe.Clean("only \""+m.filter+"\""))
	}
	switch {
	case m.following:
		parts = append(parts, safe.Literal("following"))
	case m.unseen > 0:
		parts = append(parts, safe.Clean(g.Paused.String()+" paused, "+Thousands(m.unseen)+" new"))
	default:
		parts = append(parts, safe.Clean(g.Paused.String()+" paused"))
	}
	return safe.Join(safe.Clean(" "+g.Dot.String()+" "), parts...)
}

// Thousands writes a count with commas.
func Thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func levelName(l Level) string {
	return [...]string{"any level", "trace", "debug", "info", "warn", "error", "fatal"}[min(l, Fatal)]
}

// entry adds the rows of an entry, from its row sub on, until there is no room.
func (m *Model) entry(out []string, number int64, sub, room int) []string {
	e := m.held.at(number)
	switch e.Kind {
	case Gap:
		return append(out, m.gap(e))
	case Divider:
		return append(out, m.divider(e))
	}
	b := m.head(m.scratch[:0], e)
	w := max(1, m.width-m.prefix())
	here := m.hit && number == m.found
	if !m.wrap {
		b = m.text(b, m.window(e.Text, w), e.Level, here)
		m.scratch = b
		return append(out, string(b))
	}
	rows := e.Text.Wrap(w)
	for i := sub; i < len(rows) && len(out) < room; i++ {
		if i > 0 {
			b = append(b[:0], strings.Repeat(" ", m.prefix())...)
		}
		b = m.text(b, rows[i], e.Level, here)
		out = append(out, string(b))
	}
	m.scratch = b
	return out
}

// window cuts the part of a line that is on the screen.
func (m *Model) window(t safe.Text, w int) safe.Text {
	if m.left > 0 {
		t = t.Cut(m.left, t.Width())
	}
	return t.Truncate(w, m.o.Theme.Glyphs.Ellipsis)
}

// text draws the words of a line: with the colours that the program gave it
// or, where something is searched, with the matches marked.
func (m *Model) text(b []byte, t safe.Text, l Level, here bool) []byte {
	th := m.o.Theme
	style := theme.Style{}
	if l >= Error || l == Trace || l == Debug {
		style = th.Levels[min(l, Error)]
	}
	switch {
	case m.stale:
		return th.Stale.Append(b, t.Plain().String())
	case m.search != "":
		return m.matches(b, t.Plain().String(), style, here)
	case t.Styled() && !th.NoColor:
		return append(b, t.String()...)
	}
	return style.Append(b, t.Plain().String())
}

func (m *Model) matches(b []byte, s string, style theme.Style, here bool) []byte {
	mark := m.o.Theme.Match
	if here {
		mark = m.o.Theme.MatchHere
	}
	low := strings.ToLower(s)
	if len(low) != len(s) {
		low = s // lower case has other bytes: find exact matches alone
	}
	for {
		i := strings.Index(low, m.search)
		if i < 0 {
			return style.Append(b, s)
		}
		b = style.Append(b, s[:i])
		b = mark.Append(b, s[i:i+len(m.search)])
		s, low = s[i+len(m.search):], low[i+len(m.search):]
	}
}

// prefix is the width of what stands before the text.
func (m *Model) prefix() int {
	n := 1 + m.clockWidth() + m.labelWidth() + 1
	return n + m.levelWidth() + 1
}

func (m *Model) levelWidth() int {
	if m.width < narrow {
		return 1
	}
	return 5
}

func (m *Model) labelWidth() int { return min(m.label, max(3, m.width/5)) }

// clockWidth includes the space after the time.
func (m *Model) clockWidth() int {
	switch {
	case m.clock == hidden:
		return 0
	case m.clock == seconds || m.width < narrow:
		return 9
	}
	return 13
}

// head draws time, label and level.
func (m *Model) head(b []byte, e *Entry) []byte {
	th := m.o.Theme
	dim, label, level := th.Dim, th.Instance(e.Label.String()), th.Levels[min(e.Level, Fatal)]
	if m.stale {
		dim, label, level = th.Stale, th.Stale, th.Stale
	}
	b = append(b, ' ')
	if w := m.clockWidth(); w > 0 {
		b = dim.Append(b, m.time(e, w-1))
		b = append(b, ' ')
	}
	name := e.Label.Truncate(m.labelWidth(), th.Glyphs.Ellipsis)
	b = label.Append(b, name.String())
	for range m.labelWidth() - name.Width() + 1 {
		b = append(b, ' ')
	}
	word := levelWord(e.Level)[:m.levelWidth()]
	b = level.Append(b, word)
	return append(b, ' ')
}

func (m *Model) time(e *Entry, width int) string {
	if e.Time.IsZero() {
		return strings.Repeat(" ", width)
	}
	if width > 8 {
		return e.Time.UTC().Format("15:04:05.000")
	}
	return e.Time.UTC().Format("15:04:05")
}

// levelWord is five cells wide.
func levelWord(l Level) string {
	return [...]string{"     ", "TRACE", "DEBUG", "INFO ", "WARN ", "ERROR", "FATAL"}[min(l, Fatal)]
}

// gap draws lines that are not there.
func (m *Model) gap(e *Entry) string {
	g := m.o.Theme.Glyphs
	t := safe.Join(safe.Literal(" "), g.Ellipsis, e.Text)
	if !e.Label.Empty() {
		t = safe.Join(safe.Literal(" "), g.Ellipsis, e.Label, e.Text)
	}
	return " " + m.o.Theme.Gap.Render(t.Truncate(m.width-1, g.Ellipsis).String())
}

// divider draws something that happened between the lines.
func (m *Model) divider(e *Entry) string {
	g := m.o.Theme.Glyphs
	parts := []safe.Text{g.Rule}
	if w := m.clockWidth(); w > 0 && !e.Time.IsZero() {
		parts = append(parts, safe.Clean(m.time(e, w-1)))
	}
	if !e.Label.Empty() {
		parts = append(parts, e.Label)
	}
	t := safe.Join(safe.Literal(" "), append(parts, e.Text, g.Rule)...)
	style := m.o.Theme.Divider
	if m.stale {
		style = m.o.Theme.Stale
	}
	return " " + style.Render(t.Plain().Truncate(m.width-1, g.Ellipsis).String())
}

func (m *Model) fieldWidth() int { return max(8, min(50, m.width-30)) }

// fieldText is the last line: what is searched or filtered.
func (m *Model) fieldText() string {
	th := m.o.Theme
	if m.typing != nothing {
		sign := "/"
		if m.typing == filtering {
			sign = "&"
		}
		text, _ := m.field.View(m.fieldWidth(), th.Field)
		return th.Key.Render(" "+sign) + text
	}
	out := ""
	if m.search != "" {
		out += th.Key.Render(" /") + safe.Clean(m.search).String()
		if m.missed {
			out += "  " + th.Warn.Render("no more matches this way")
		}
	}
	if m.filter != "" {
		out += th.Key.Render(" &") + safe.Clean(m.filter).String() + "  " +
			th.Dim.Render(Thousands(len(m.shown))+" of "+Thousands(m.held.len()))
	}
	return out + th.Dim.Render("  esc clears")
}
