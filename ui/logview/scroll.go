package logview

import (
	"strings"

	tea "charm.land/bubbletea/v2"
)

// Following reports whether the view stays at the end.
func (m *Model) Following() bool { return m.following }

// Unseen returns how many lines came since the view stands still.
func (m *Model) Unseen() int { return m.unseen }

// Follow goes to the end and stays there.
func (m *Model) Follow() tea.Cmd {
	m.following, m.unseen, m.sub = true, 0, 0
	if m.detached && m.o.Latest != nil && !m.asking {
		m.asking = true
		return m.o.Latest()
	}
	return nil
}

// stop makes the view stand still where it is.
func (m *Model) stop() {
	if !m.following {
		return
	}
	m.anchor, m.sub = m.bottom()
	m.following = false
}

// Pause makes the view stand still.
func (m *Model) Pause() { m.stop() }

// Scroll moves the screen by rows, down where n is positive. Coming to the
// last line follows again; going past the first asks for older ones.
func (m *Model) Scroll(n int) tea.Cmd {
	if n < 0 {
		return m.up(-n)
	}
	return m.down(n)
}

func (m *Model) up(n int) tea.Cmd {
	if a, sub := m.bottom(); m.following && a == 0 && sub == 0 {
		return m.older() // all of it is on the screen: there is nothing to stand still at
	}
	m.stop()
	for range n {
		switch {
		case m.sub > 0:
			m.sub--
		case m.anchor > 0:
			m.anchor--
			m.sub = m.rows(m.anchor) - 1
		default:
			return m.older()
		}
	}
	if m.anchor == 0 && m.sub == 0 {
		return m.older()
	}
	return nil
}

func (m *Model) older() tea.Cmd {
	if m.o.Older == nil || m.oldest || m.asking {
		return nil
	}
	m.asking = true
	return m.o.Older()
}

func (m *Model) down(n int) tea.Cmd {
	if m.following {
		return nil
	}
	lastAnchor, lastSub := m.bottom()
	for range n {
		if m.anchor > lastAnchor || m.anchor == lastAnchor && m.sub >= lastSub {
			break
		}
		if m.sub+1 < m.rows(m.anchor) {
			m.sub++
		} else {
			m.anchor++
			m.sub = 0
		}
	}
	if m.anchor < lastAnchor || m.anchor == lastAnchor && m.sub < lastSub {
		return nil
	}
	if !m.detached {
		return m.Follow()
	}
	if m.o.Newer == nil || m.asking {
		return nil
	}
	m.asking = true
	return m.o.Newer()
}

// Top goes to the first line there is, which is asked for where it is not held.
func (m *Model) Top() tea.Cmd {
	if a, sub := m.bottom(); m.following && a == 0 && sub == 0 {
		return m.older()
	}
	m.stop()
	m.anchor, m.sub = 0, 0
	if m.o.Oldest == nil || m.oldest || m.asking {
		return m.older()
	}
	m.asking = true
	return m.o.Oldest()
}

// bottom is where the screen begins when the last row is on its last line.
func (m *Model) bottom() (anchor, sub int) {
	room := m.rowsHigh()
	for i := len(m.shown) - 1; i >= 0; i-- {
		r := m.rows(i)
		if r >= room {
			return i, r - room
		}
		room -= r
	}
	return 0, 0
}

// clamp brings the screen back into what is held.
func (m *Model) clamp() {
	if m.following {
		return
	}
	m.anchor = max(0, min(m.anchor, len(m.shown)-1))
	if len(m.shown) == 0 {
		m.sub = 0
		return
	}
	m.sub = max(0, min(m.sub, m.rows(m.anchor)-1))
	if a, s := m.bottom(); m.anchor > a || m.anchor == a && m.sub > s {
		m.anchor, m.sub = a, s
	}
}

// rows is how many rows an entry takes.
func (m *Model) rows(i int) int {
	if !m.wrap {
		return 1
	}
	e := m.held.at(m.shown[i])
	w := max(1, m.width-m.prefix())
	t := e.Text
	if e.Kind != Line || t.Width() <= w {
		return 1
	}
	if !t.Styled() && t.Width() == len(t.String()) {
		return (t.Width() + w - 1) / w
	}
	return len(t.Wrap(w))
}

// rowsHigh is the height without the field's line.
func (m *Model) rowsHigh() int {
	h := m.height
	if m.fieldLine() && h > 1 {
		h--
	}
	return max(h, 1)
}

func (m *Model) fieldLine() bool {
	return m.typing != nothing || m.search != "" || m.filter != ""
}

// Search sets what is looked for and goes to the last match at or above the
// end of the screen; empty ends the search.
func (m *Model) Search(text string) {
	m.search = strings.ToLower(text)
	m.hit, m.missed = false, false
	if m.search == "" {
		m.clamp()
		return
	}
	m.find(min(len(m.shown)-1, m.start()+m.rowsHigh()-1), -1)
}

// Next goes to the match after the present one.
func (m *Model) Next() { m.find(m.from()+1, 1) }

// Previous goes to the match before the present one.
func (m *Model) Previous() { m.find(m.from()-1, -1) }

// from is the index of the present match, or the top of the screen.
func (m *Model) from() int {
	if m.hit {
		for i, n := range m.shown {
			if n == m.found {
				return i
			}
		}
	}
	return m.start()
}

// find goes to the first match from an index on, in a direction.
func (m *Model) find(i, step int) {
	if m.search == "" {
		return
	}
	for ; i >= 0 && i < len(m.shown); i += step {
		if strings.Contains(strings.ToLower(m.held.at(m.shown[i]).Text.Plain().String()), m.search) {
			m.found, m.hit, m.missed = m.shown[i], true, false
			m.show(i)
			return
		}
	}
	m.missed = true
}

// show brings an entry onto the screen, a third from its top.
func (m *Model) show(i int) {
	top := m.start()
	if i >= top && i < top+m.rowsHigh() && !m.wrap {
		m.stop()
		return
	}
	m.stop()
	m.anchor, m.sub = max(0, i-m.rowsHigh()/3), 0
	m.clamp()
}

// Size returns the cells that the view may draw in.
func (m *Model) Size() (width, height int) { return m.width, m.height }
