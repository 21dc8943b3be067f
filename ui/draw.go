package ui

import (
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"pitwall/backend"
	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

// View draws the screen.
func (s *Shell) View() tea.View {
	lines, cursor := s.Lines()
	content := strings.Join(lines, "\n")
	if s.theme.ASCII {
		content = safe.ASCII(content)
	}
	v := tea.NewView(content)
	v.AltScreen = true
	v.Cursor = cursor
	v.WindowTitle = safe.Clean("pitwall " + s.o.Context.Name).String()
	if s.mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	return v
}

// Lines draws the screen as its rows, and says where the cursor is.
func (s *Shell) Lines() ([]string, *tea.Cursor) {
	if s.width == 0 || s.height == 0 {
		return nil, nil
	}
	s.ages.shown = false
	g := s.geometry()
	lines := make([]string, 0, s.height)
	if g.header {
		lines = append(lines, s.header())
	}
	if g.crumbs {
		lines = append(lines, s.crumbs())
	}
	t := s.top()
	var cursor *tea.Cursor
	lines, cursor = s.put(lines, t, g.mainH, cursor, g.sideH == 0 || t == nil || !t.onSide)
	if g.sideH > 0 {
		lines = append(lines, s.rule(t.beside.view, "", t.onSide))
		lines, cursor = s.put(lines, t.beside, g.sideH, cursor, t.onSide)
	}
	if g.footer {
		lines = append(lines, s.footer())
	}
	for i, l := range lines {
		lines[i] = clip(l, s.width)
	}
	if !s.dialogs.Empty() {
		cursor = nil
		if c := s.dialogs.Draw(s.theme, lines, s.width, s.height); c != nil {
			cursor = tea.NewCursor(c.X, c.Y)
		}
	}
	return lines, cursor
}

// put adds the rows of a view, exactly height of them.
func (s *Shell) put(lines []string, e *entry, height int, cursor *tea.Cursor, focus bool) ([]string, *tea.Cursor) {
	var f Frame
	if e != nil && e.view != nil {
		f = e.view.Render()
	}
	if f.Cursor != nil && focus && f.Cursor.Y < height {
		c := *f.Cursor
		c.Y += len(lines)
		c.X = min(c.X, max(s.width-1, 0))
		cursor = &c
	}
	for i := range height {
		if i < len(f.Lines) {
			lines = append(lines, f.Lines[i])
		} else {
			lines = append(lines, "")
		}
	}
	return lines, cursor
}

// clip cuts a row that is too wide.
func clip(l string, width int) string {
	if len(l) <= width || ansi.StringWidth(l) <= width {
		return l
	}
	return ansi.Truncate(l, width, "") + "\x1b[m"
}

// part is a piece of the header. Where there is no room, parts with the
// highest drop number go first; those with 0 stay.
type part struct {
	text  safe.Text
	style theme.Style
	drop  int
}

// header is the first row: where we are connected, the counts, the link.
func (s *Shell) header() string {
	left, right := s.headLeft(), s.headRight()
	for width(left)+width(right)+4 > s.width {
		if !dropOne(&left, &right) {
			break
		}
	}
	b := []byte(" ")
	b, n := s.join(b, left)
	r, m := s.join(nil, right)
	b = append(b, strings.Repeat(" ", max(1, s.width-n-m-2))...)
	return string(append(b, r...))
}

// width is that of parts with their separators.
func width(parts []part) int {
	n := 0
	for _, p := range parts {
		n += p.text.Width() + 3
	}
	return max(0, n-3)
}

// dropOne removes the part that matters least.
func dropOne(left, right *[]part) bool {
	from, at, worst := left, -1, 0
	for _, side := range []*[]part{left, right} {
		for i, p := range *side {
			if p.drop > worst {
				from, at, worst = side, i, p.drop
			}
		}
	}
	if at < 0 {
		return false
	}
	*from = append((*from)[:at:at], (*from)[at+1:]...)
	return true
}

// join draws parts with separators between, and returns their width.
func (s *Shell) join(b []byte, parts []part) ([]byte, int) {
	g := s.theme.Glyphs
	n := 0
	for i, p := range parts {
		if i > 0 {
			sep := g.Dot
			if parts[i-1].drop == brandDrop || parts[i-1].drop == contextDrop {
				sep = g.Bar
			}
			b = s.theme.Faint.Append(b, " "+sep.String()+" ")
			n += 3
		}
		b = p.style.Append(b, p.text.String())
		n += p.text.Width()
	}
	return b, n
}

// Two parts of the header have a bar after them, not a dot: the product's name
// and the context, which always stays.
const (
	contextDrop = -1
	brandDrop   = 4
)

func (s *Shell) headLeft() []part {
	th := s.theme
	name := s.o.Context.Name
	if s.o.Context.ReadOnly {
		name += " (read-only)"
	}
	parts := []part{{safe.Literal("pitwall"), th.Title, brandDrop}}
	if name != "" {
		parts = append(parts, part{safe.Clean(name), th.Context(s.o.Context.Color), contextDrop})
	}
	if !s.apps.Loaded() {
		return append(parts, part{safe.Join(safe.Text{}, safe.Literal("connecting"), th.Glyphs.Ellipsis), th.Dim, 0})
	}
	c := s.counts
	parts = append(parts, part{safe.Clean(Plural(c.apps, "app")), th.Text, 2})
	if c.failing > 0 {
		parts = append(parts, part{safe.Clean(strconv.Itoa(c.failing) + " failing"), th.Bad, 0})
	}
	if c.blocked > 0 {
		parts = append(parts, part{safe.Clean(strconv.Itoa(c.blocked) + " blocked"), th.Blocked, 1})
	}
	return append(parts, part{safe.Clean(Plural(c.instances, "instance")), th.Text, 7})
}

func (s *Shell) headRight() []part {
	th := s.theme
	rep := s.report()
	var parts []part
	switch {
	case s.link.stale():
		parts = append(parts, part{safe.Join(safe.Literal(" "), th.Glyphs.Bad, safe.Literal("stale"), s.age(s.link.state.Since)), th.Bad, 0})
		if s.link.state.Attempt > 0 {
			parts = append(parts, part{safe.Clean("try " + strconv.Itoa(s.link.state.Attempt)), th.Dim, 3})
		}
	case s.apps.Err() != nil && backend.CodeOf(s.apps.Err()) == backend.Unavailable:
		parts = append(parts, part{safe.Join(safe.Literal(" "), th.Glyphs.Bad, safe.Literal("unreachable")), th.Bad, 0})
	case s.apps.Err() != nil:
		parts = append(parts, part{safe.Clean(s.apps.Err().Error()).Truncate(40, th.Glyphs.Ellipsis), th.Bad, 0})
	case s.apps.Loaded():
		parts = append(parts, part{safe.Literal("live"), th.OK, 0})
	}
	if s.apps.Loaded() && !s.link.stale() {
		parts = append(parts, part{lag(rep.Lag), th.Dim, 6})
	}
	skipped := part{safe.Clean(strconv.FormatUint(rep.Skipped, 10) + " skipped"), th.Dim, 8}
	if rep.Skipped > 0 {
		skipped.style, skipped.drop = th.Gap, 1
	}
	parts = append(parts, skipped)
	if !s.latest.IsZero() {
		parts = append(parts, part{safe.Clean(s.latest.UTC().Format("15:04:05") + " UTC"), th.Dim, 5})
	}
	return parts
}

// lag is written to the tenth of a second, so that it rests at 0.0 when all is
// well.
func lag(d time.Duration) safe.Text {
	d = max(d, 0)
	if d >= 10*time.Second {
		return safe.Join(safe.Literal(" "), safe.Literal("lag"), Age(d))
	}
	return safe.Clean("lag " + strconv.FormatFloat(d.Round(100*time.Millisecond).Seconds(), 'f', 1, 64) + "s")
}

// report sums what the views on the screen say.
func (s *Shell) report() Report {
	var sum Report
	t := s.top()
	if t == nil {
		return sum
	}
	for _, v := range t.views() {
		if r, ok := v.(Reporter); ok {
			one := r.Report()
			sum.Lag = max(sum.Lag, one.Lag)
			sum.Skipped += one.Skipped
		}
	}
	return sum
}

// crumbs is the row that says where we are, below the first place.
func (s *Shell) crumbs() string {
	g := s.theme.Glyphs
	var path []string
	for _, e := range s.stack[:len(s.stack)-1] {
		if e.view != nil {
			path = append(path, e.view.Title().String())
		} else {
			path = append(path, safe.Clean(e.place.View).String())
		}
	}
	if len(path) > 2 {
		path = append([]string{path[0], g.Ellipsis.String()}, path[len(path)-1])
	}
	before := strings.Join(path, " "+g.Crumb.String()+" ") + " " + g.Crumb.String() + " "
	return s.rule(s.top().view, before, !s.top().onSide)
}

// rule is a line with a view's title and what it shows.
func (s *Shell) rule(v View, before string, focus bool) string {
	th, g := s.theme, s.theme.Glyphs
	if v == nil {
		return ""
	}
	title := v.Title().Plain().Truncate(max(8, s.width/2), g.Ellipsis)
	style := th.Dim
	if focus {
		style = th.Title
	}
	b := th.Rule.Append([]byte(" "), g.Rule.String()+g.Rule.String())
	b = append(b, ' ')
	used := 4
	lead := safe.Clean(before)
	if lead.Width() < s.width/2 {
		b = th.Dim.Append(b, lead.String())
		used += lead.Width()
	}
	b = style.Append(b, title.String())
	used += title.Width()
	if st, ok := v.(Statused); ok {
		if text := st.Status().Plain(); !text.Empty() {
			text = safe.Join(safe.Literal(" "), safe.Text{}, g.Dot, text).Truncate(max(0, s.width-used-2), g.Ellipsis)
			b = th.Dim.Append(b, text.String())
			used += text.Width()
		}
	}
	b = append(b, ' ')
	return string(th.Rule.Append(b, strings.Repeat(g.Rule.String(), max(0, s.width-used-1))))
}

// footer is the last row: the keys of what has the focus, and on the right
// what was just done or said.
func (s *Shell) footer() string {
	th := s.theme
	said := ""
	switch {
	case !s.notice.Text.Empty() && s.notice.Bad:
		said = th.Bad.Render(s.notice.Text.Truncate(s.width-2, th.Glyphs.Ellipsis).String())
	case !s.notice.Text.Empty():
		said = th.Warn.Render(s.notice.Text.Truncate(s.width-2, th.Glyphs.Ellipsis).String())
	default:
		said = s.strip(max(20, s.width*6/10))
	}
	n := ansi.StringWidth(said)
	room := s.width + 1 // the space after the last key may be beyond the edge
	if n > 0 {
		room = s.width - n - 2
	}
	keys, used := s.keys(room)
	if n == 0 {
		return " " + keys
	}
	return " " + keys + strings.Repeat(" ", max(1, s.width-used-n-2)) + said
}

// keys draws the footer's keys in at most room cells: "go to" and "help" are
// always among them, since they lead to the rest, and "leave" where there is
// room.
func (s *Shell) keys(room int) (string, int) {
	type hint struct{ key, label safe.Text }
	var first, last []hint
	var leave *hint
	globals := len(s.global())
	list := s.actions()
	for i, a := range list {
		if a.Label.Empty() || len(a.Keys) == 0 {
			continue
		}
		if ok, _ := a.Allowed(); !ok {
			continue
		}
		h := hint{s.keyName(a.Keys[0]), a.Label}
		switch {
		case a.ID == "global.quit":
			leave = &h
		case i >= len(list)-globals:
			last = append(last, h)
		default:
			first = append(first, h)
		}
	}
	cells := func(h hint) int { return h.key.Width() + 1 + h.label.Width() + 2 }
	need := 0
	for _, h := range last {
		need += cells(h)
	}
	var b []byte
	used := 0
	add := func(h hint) {
		b = s.theme.Key.Append(b, h.key.String())
		b = append(b, ' ')
		b = s.theme.Dim.Append(b, h.label.String())
		b = append(b, ' ', ' ')
		used += cells(h)
	}
	for _, h := range first {
		if used+cells(h)+need > room {
			break
		}
		add(h)
	}
	for _, h := range last {
		if used+cells(h) <= room {
			add(h)
		}
	}
	if leave != nil && used+cells(*leave) <= room {
		add(*leave)
	}
	return string(b), used
}
