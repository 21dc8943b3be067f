// Package logview shows a log: a window onto the lines that are held, which
// are a bounded part of a log of any length. It follows the end or stands
// still; standing still loses nothing, it counts what came. Gaps are lines of
// their own, so that nothing is missing without a sign. Only the lines on the
// screen are styled.
//
// A Model knows nothing of where lines come from: its owner appends them, and
// is asked for older ones when the reader has come to the first.
package logview

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"pitwall/ui/line"
	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

// Kind is what an entry is.
type Kind uint8

// The kinds of entries.
const (
	Line    Kind = iota
	Gap          // lines that are not there
	Divider      // a start, an exit, an operation
)

// Level is how serious a line is, 0 for unknown, 1 trace to 6 fatal.
type Level uint8

// The levels.
const (
	Unknown Level = iota
	Trace
	Debug
	Info
	Warn
	Error
	Fatal
)

// Entry is a line, a gap or a divider.
type Entry struct {
	Kind  Kind
	Level Level
	Time  time.Time
	// Label says who wrote it: "main.0".
	Label safe.Text
	Text  safe.Text
	// Cursor is the owner's position of the entry; it finds gaps again.
	Cursor string
}

// defaultLines and defaultBytes bound what a Model holds: some minutes of a
// busy app, and no more than that of one with endless lines.
const (
	defaultLines = 50_000
	defaultBytes = 32 << 20
)

// entrySize is what an entry takes beside its text.
const entrySize = 128

// Options make a Model.
type Options struct {
	Theme *theme.Theme
	// Lines and Bytes bound what is held; 0 means 50,000 and 32 MiB.
	Lines, Bytes int
	// Older is called when the reader has come to the first line and wants
	// more; the answer is Prepend. Nil means there is never more.
	Older func() tea.Cmd
	// Oldest is called when the reader wants the very beginning; the answer
	// is Begin. Nil means Older, page by page.
	Oldest func() tea.Cmd
	// Newer is called when the reader has come to the last line held while
	// later ones were let go; the answer is Extend or Reset.
	Newer func() tea.Cmd
	// Latest is called to follow the end again after later lines were let
	// go; the answer is Reset and Append. Nil means Newer.
	Latest func() tea.Cmd
	// Empty is said where there are no lines.
	Empty safe.Text
}

// Model is the view of a log. Make it with [New].
type Model struct {
	o             Options
	width, height int

	held  deque
	bytes int

	shown  []int64 // numbers of entries that pass the filter, in order
	minLvl Level
	filter string // lower case; empty passes all

	following bool
	anchor    int // index in shown of the first row on the screen
	sub       int // rows of it above the screen, where lines wrap
	unseen    int // lines that came while standing still

	// detached says that lines after the last one held were let go.
	detached bool
	oldest   bool // there is nothing before the first
	asking   bool // Older or Newer was asked and has not answered

	wrap   bool
	left   int // cells scrolled to the right
	clock  clock
	search string // lower case
	found  int64  // number of the entry that n or N went to
	hit    bool   // found holds one
	missed bool   // the last n or N found nothing

	field   line.Editor
	typing  typing
	label   int // widest label
	loaded  bool
	stale   bool
	scratch []byte
}

// clock is how times are drawn.
type clock uint8

const (
	millis clock = iota
	seconds
	hidden
	clocks
)

// typing is what is typed into the field.
type typing uint8

const (
	nothing typing = iota
	searching
	filtering
)

// New makes an empty view that follows the end.
func New(o Options) *Model {
	if o.Theme == nil {
		o.Theme = theme.Plain(theme.Options{})
	}
	if o.Lines <= 0 {
		o.Lines = defaultLines
	}
	if o.Bytes <= 0 {
		o.Bytes = defaultBytes
	}
	if o.Latest == nil {
		o.Latest = o.Newer
	}
	return &Model{o: o, following: true}
}

// SetSize sets the cells that the view may draw in.
func (m *Model) SetSize(width, height int) {
	m.width, m.height = max(width, 0), max(height, 0)
	m.clamp()
}

// SetStale draws the log in grey, because no new lines can come.
func (m *Model) SetStale(stale bool) { m.stale = stale }

// Reset removes all lines and follows the end. Search and filter stay.
func (m *Model) Reset() {
	m.held, m.bytes = deque{}, 0
	m.shown = m.shown[:0]
	m.anchor, m.sub, m.unseen = 0, 0, 0
	m.following, m.detached, m.oldest, m.asking, m.loaded = true, false, false, false, false
	m.hit, m.missed = false, false
}

// SetLoaded says that what there is has been asked for, so that an empty log
// is empty and not on its way.
func (m *Model) SetLoaded() { m.loaded = true }

// Append adds lines at the end. Where there is no more room the oldest go; if
// the reader stands still on those, the new lines are let go instead, counted,
// and asked for when the reader comes to the end.
func (m *Model) Append(entries ...Entry) {
	m.loaded = true
	for _, e := range entries {
		if m.detached {
			m.count(e)
			continue
		}
		if m.full(e) && !m.following && !m.makeRoom(e) {
			m.detached = true
			m.count(e)
			continue
		}
		m.push(e)
		if !m.following {
			m.count(e)
		}
	}
	m.trim()
}

// count notes a line that came while the reader stands still.
func (m *Model) count(e Entry) {
	if m.passes(e) {
		m.unseen++
	}
}

func (m *Model) full(e Entry) bool {
	return m.held.len()+1 > m.o.Lines || m.bytes+size(e) > m.o.Bytes
}

// makeRoom drops lines above the reader's screen, and reports whether that was
// enough.
func (m *Model) makeRoom(e Entry) bool {
	for m.full(e) {
		if m.held.len() == 0 || len(m.shown) == 0 || m.anchor == 0 && m.shown[0] == m.held.first {
			return false
		}
		m.dropFirst()
	}
	return true
}

func (m *Model) push(e Entry) {
	n := m.held.pushBack(e)
	m.bytes += size(e)
	m.label = max(m.label, min(e.Label.Width(), maxLabel))
	if m.passes(e) {
		m.shown = append(m.shown, n)
	}
}

// trim drops the oldest lines until there is no more than is allowed.
func (m *Model) trim() {
	for m.held.len() > 1 && (m.held.len() > m.o.Lines || m.bytes > m.o.Bytes) {
		m.dropFirst()
	}
}

func (m *Model) dropFirst() {
	n, e := m.held.popFront()
	m.bytes -= size(e)
	m.oldest = false
	if len(m.shown) > 0 && m.shown[0] == n {
		m.shown = m.shown[1:]
		if m.anchor > 0 {
			m.anchor--
		} else {
			m.sub = 0
		}
	}
}

// Prepend answers Older with the lines before the first one, oldest first.
// Oldest says that there are none before those. The screen stays where it is;
// where there is no more room the newest lines are let go.
func (m *Model) Prepend(entries []Entry, oldest bool) {
	m.asking, m.oldest, m.loaded = false, oldest, true
	if len(entries) == 0 {
		return
	}
	m.stop()
	at := m.number(m.anchor)
	for i := len(entries) - 1; i >= 0; i-- {
		e := entries[i]
		m.held.pushFront(e)
		m.bytes += size(e)
		m.label = max(m.label, min(e.Label.Width(), maxLabel))
	}
	for m.held.len() > m.o.Lines || m.bytes > m.o.Bytes && m.held.len() > 1 {
		_, e := m.held.popBack()
		m.bytes -= size(e)
		m.detached = true
	}
	m.refilter(at)
}

// Begin answers Oldest with the first lines there are. They replace what is
// held, and the reader stands at the first of them.
func (m *Model) Begin(entries []Entry) {
	unseen := m.unseen
	m.Reset()
	for _, e := range entries {
		m.push(e)
	}
	m.following, m.loaded, m.oldest, m.detached = false, true, true, true
	m.unseen = unseen
	m.trim()
}

// Extend answers Newer with the lines after the last one. Live says that they
// reach the end, so that Append goes on from there.
func (m *Model) Extend(entries []Entry, live bool) {
	m.asking = false
	for _, e := range entries {
		m.push(e)
	}
	m.unseen = max(0, m.unseen-len(entries))
	if live {
		m.detached = false
	}
	m.trim()
	m.clamp()
}

// Fill replaces the gap with that cursor by the lines that were fetched for
// it, and reports whether it was there.
func (m *Model) Fill(cursor string, entries []Entry) bool {
	at := m.number(m.anchor)
	old := m.held
	m.held = deque{first: old.first}
	m.bytes = 0
	filled := false
	for i := range old.len() {
		e := *old.at(old.first + int64(i))
		if e.Kind != Gap || e.Cursor != cursor || filled {
			m.held.pushBack(e)
			m.bytes += size(e)
			continue
		}
		filled = true
		for _, f := range entries {
			m.held.pushBack(f)
			m.bytes += size(f)
		}
	}
	m.refilter(at)
	m.trim()
	return filled
}

// First and Last return the ends of what is held.
func (m *Model) First() (Entry, bool) { return m.end(m.held.first) }

// Last returns the last entry that is held.
func (m *Model) Last() (Entry, bool) { return m.end(m.held.first + int64(m.held.len()) - 1) }

func (m *Model) end(n int64) (Entry, bool) {
	if m.held.len() == 0 {
		return Entry{}, false
	}
	return *m.held.at(n), true
}

// Len returns how many entries are held, and how many pass the filter.
func (m *Model) Len() (held, shown int) { return m.held.len(), len(m.shown) }

// GapOnScreen returns the first gap that can be seen.
func (m *Model) GapOnScreen() (Entry, bool) {
	for i := m.start(); i < min(len(m.shown), m.start()+m.rowsHigh()); i++ {
		if e := m.held.at(m.shown[i]); e.Kind == Gap {
			return *e, true
		}
	}
	return Entry{}, false
}

// OnScreen returns the entries that can be seen, of which the last may be cut.
func (m *Model) OnScreen() []Entry {
	var out []Entry
	room := m.rowsHigh()
	for i := m.start(); i < len(m.shown) && room > 0; i++ {
		out = append(out, *m.held.at(m.shown[i]))
		room -= m.rows(i)
	}
	return out
}

func (m *Model) start() int {
	if m.following {
		i, _ := m.bottom()
		return i
	}
	return m.anchor
}

// SetLevel hides lines below a level. Lines without a level, gaps and dividers
// are always shown up to info.
func (m *Model) SetLevel(l Level) {
	m.minLvl = l
	m.refilter(m.number(m.anchor))
}

// Level returns the lowest level that is shown.
func (m *Model) Level() Level { return m.minLvl }

// SetFilter hides lines without a text, in any case; empty shows all.
func (m *Model) SetFilter(text string) {
	m.filter = strings.ToLower(text)
	m.refilter(m.number(m.anchor))
}

// Filter returns the text that lines must have to be shown, in lower case.
func (m *Model) Filter() string { return m.filter }

// number is the entry number at an index in shown.
func (m *Model) number(i int) int64 {
	if i >= 0 && i < len(m.shown) {
		return m.shown[i]
	}
	return m.held.first
}

// refilter makes shown anew and puts the screen at the entry with a number, or
// the first one shown after it.
func (m *Model) refilter(at int64) {
	m.shown = m.shown[:0]
	m.anchor, m.sub = 0, 0
	for i := range m.held.len() {
		n := m.held.first + int64(i)
		if !m.passes(*m.held.at(n)) {
			continue
		}
		if n <= at {
			m.anchor = len(m.shown)
		}
		m.shown = append(m.shown, n)
	}
	m.clamp()
}

// passes reports whether an entry is shown.
func (m *Model) passes(e Entry) bool {
	if e.Kind != Line {
		return true
	}
	if e.Level < m.minLvl && (e.Level != Unknown || m.minLvl > Info) {
		return false
	}
	return m.filter == "" || strings.Contains(strings.ToLower(e.Text.Plain().String()), m.filter)
}

func size(e Entry) int { return entrySize + len(e.Text.String()) }

// deque holds entries by number; numbers go on at both ends.
type deque struct {
	ring  []Entry
	head  int
	n     int
	first int64 // number of the first
}

func (d *deque) len() int { return d.n }

// at returns the entry with a number, which must be held.
func (d *deque) at(number int64) *Entry {
	return &d.ring[(d.head+int(number-d.first))&(len(d.ring)-1)]
}

func (d *deque) pushBack(e Entry) int64 {
	d.grow()
	number := d.first + int64(d.n)
	d.n++
	*d.at(number) = e
	return number
}

func (d *deque) pushFront(e Entry) {
	d.grow()
	d.head = (d.head - 1 + len(d.ring)) & (len(d.ring) - 1)
	d.first--
	d.n++
	*d.at(d.first) = e
}

func (d *deque) popFront() (int64, Entry) {
	number, e := d.first, *d.at(d.first)
	*d.at(d.first) = Entry{}
	d.head = (d.head + 1) & (len(d.ring) - 1)
	d.first++
	d.n--
	return number, e
}

func (d *deque) popBack() (int64, Entry) {
	number := d.first + int64(d.n) - 1
	e := *d.at(number)
	*d.at(number) = Entry{}
	d.n--
	return number, e
}

// grow makes room for one more; the length of the ring is a power of two.
func (d *deque) grow() {
	if d.n < len(d.ring) {
		return
	}
	ring := make([]Entry, max(256, 2*len(d.ring)))
	for i := range d.n {
		ring[i] = d.ring[(d.head+i)&(len(d.ring)-1)]
	}
	d.ring, d.head = ring, 0
}
