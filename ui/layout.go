package ui

import "math"

// What the screen must have for a companion: enough rows that list and log
// both show something.
const (
	splitWidth  = 80
	splitHeight = 24
	splitNeeds  = "80 columns and 24 rows"
)

// fits reports whether the screen has room for a companion.
func (s *Shell) fits() bool { return s.width >= splitWidth && s.height >= splitHeight }

// splits reports whether a companion is to be shown.
func (s *Shell) splits() bool { return s.split && s.fits() }

// geometry is where things are on the screen, in rows.
type geometry struct {
	header, crumbs, footer bool
	mainY, mainH           int
	ruleY, sideY, sideH    int // of the companion; sideH is 0 without one
}

// geometry lays the screen out. On a screen of few rows the view comes before
// the footer, the footer before the header, and both before the crumbs.
func (s *Shell) geometry() geometry {
	var g geometry
	room := s.height
	take := func(want bool) bool {
		if want && room > 1 {
			room--
			return true
		}
		return false
	}
	g.footer = take(true)
	g.header = take(true)
	g.crumbs = take(len(s.stack) > 1)
	if g.header {
		g.mainY++
	}
	if g.crumbs {
		g.mainY++
	}
	g.mainH = max(room, 0)
	if t := s.top(); t != nil && t.beside != nil && s.splits() {
		g.mainH = max(8, min(room*45/100, t.wants()))
		g.ruleY = g.mainY + g.mainH
		g.sideY = g.ruleY + 1
		g.sideH = room - g.mainH - 1
	}
	return g
}

// wants is how many rows the entry's view has a use for.
func (e *entry) wants() int {
	if s, ok := e.view.(Sized); ok {
		return s.Wants()
	}
	return math.MaxInt
}

// layout tells the views on the screen their sizes.
func (s *Shell) layout() {
	t := s.top()
	if t == nil {
		return
	}
	g := s.geometry()
	t.resize(s.width, g.mainH)
	if t.beside != nil && g.sideH > 0 {
		t.beside.resize(s.width, g.sideH)
	}
}
