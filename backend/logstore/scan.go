package logstore

import (
	"bytes"
	"io"

	"pitwall/backend/logstore/segment"
)

// scanner reads the items of one instance in log order, forwards. It needs
// memory for the windows of its reader and for two lines, and allocates nothing
// a line. It is for one goroutine.
type scanner struct {
	dir    *segment.Dir
	r      *segment.Reader
	window int
	start  segment.Place // where it was placed
	end    segment.Place // where it ends; none where it is zero
	until  int64         // items later than that are not read; 0: all are
	done   bool

	chunk segment.Chunk
	whole []byte // of the chunk
	rest  []byte // of it, not yet split
	known int    // trail holds for the line that starts here in whole
	held  [2]held
	trail [2]trail
	queue [3]item
	taken int // of the queue
	count int
	it    item
	st    state
	time  int64 // of the last record
	began int64 // when the run started, 0 where that was not seen
	// blind scanners never look behind their start; they are the ones that
	// look there for others.
	blind   bool
	scanned int64
}

// held is a line that has begun and is not complete.
type held struct {
	on     bool
	absent bool // its bytes before the chunk were not read
	seq    uint64
	length int64
	buf    []byte
}

// trail is the level of the last line of a stream, for those that go on
// with it.
type trail struct {
	rank  rank
	known bool
}

// newScanner makes a scanner that must be placed before use.
func newScanner(dir *segment.Dir, window int) *scanner {
	return &scanner{dir: dir, r: dir.Reader(window), window: window}
}

func (sc *scanner) close() { sc.r.Close() }

// placed takes over where the reader stands.
func (sc *scanner) placed(err error) error {
	if err != nil {
		return err
	}
	p, err := sc.r.Place()
	if err != nil {
		return err
	}
	sc.start, sc.st, sc.time = p, stateAt(p), p.Time
	sc.rest, sc.whole, sc.count, sc.taken, sc.done, sc.began = nil, nil, 0, 0, false, 0
	sc.trail = [2]trail{}
	for s := range sc.held {
		sc.held[s] = held{on: p.Open[s] != 0, absent: true, seq: p.Open[s], buf: sc.held[s].buf[:0]}
	}
	return nil
}

func (sc *scanner) seekStart() error           { return sc.placed(sc.r.SeekSeq(1)) }
func (sc *scanner) seekEnd() error             { return sc.placed(sc.r.SeekEnd()) }
func (sc *scanner) seekSeq(seq uint64) error   { return sc.placed(sc.r.SeekSeq(seq)) }
func (sc *scanner) seekTime(t int64) error     { return sc.placed(sc.r.SeekTime(t)) }
func (sc *scanner) seekRun(run uint32) error   { return sc.placed(sc.r.SeekRun(run)) }
func (sc *scanner) seek(p segment.Place) error { return sc.placed(sc.r.SeekPlace(p)) }

// seekState goes back to where nothing lies before that st has not read.
func (sc *scanner) seekState(st state) error {
	if err := sc.r.SeekSeq(st.oldest()); err != nil {
		return err
	}
	return sc.placed(sc.r.BackMarks())
}

func (sc *scanner) place() (segment.Place, error) { return sc.r.Place() }

// next returns the next item that m wants, or nil when there was none in what
// was read at once: the caller then looks at its context and calls again. It
// returns io.EOF at the end of what is visible; calling it again goes on. The
// item is valid until the next call.
func (sc *scanner) next(m *matcher) (*item, error) {
	if sc.taken < sc.count {
		it := &sc.queue[sc.taken]
		sc.taken++
		sc.st = it.after
		if m.wants(it) {
			return it, nil
		}
		return nil, nil
	}
	if len(sc.rest) > 0 {
		return sc.split(m), nil
	}
	if sc.done {
		return nil, io.EOF
	}
	c, p, err := sc.r.Next()
	if err != nil {
		return nil, err
	}
	here := segment.Place{Segment: c.Segment, Record: c.Index, Skip: c.Skip}
	if sc.end.Segment != 0 && !here.Before(sc.end) || sc.until != 0 && c.Time > sc.until {
		sc.done = true
		return nil, io.EOF
	}
	sc.time = max(sc.time, c.Time)
	sc.scanned += int64(len(p))
	if c.Kind == segment.Batch {
		sc.chunk, sc.whole, sc.rest, sc.known = c, p, p, 0
		return sc.split(m), nil
	}
	sc.interrupt(c)
	return nil, nil
}

// split returns the next wanted line of the chunk, or nil at its end.
func (sc *scanner) split(m *matcher) *item {
	c := &sc.chunk
	s := c.Stream
	if c.Line != 0 {
		if it := sc.finish(m); it != nil {
			return it
		}
	}
	if c.Line == 0 {
		sc.held[s].on = false
	}
	skip := m.skips(c)
	for len(sc.rest) > 0 && c.Line == 0 {
		if skip {
			sc.pass(m.candidate(c, sc.rest))
			if len(sc.rest) == 0 {
				break
			}
		}
		i := bytes.IndexByte(sc.rest, '\n')
		if i < 0 {
			sc.hold()
			break
		}
		text, length := sc.rest[:min(i, segment.MaxLine)], int64(i)
		at := len(sc.whole) - len(sc.rest)
		sc.rest = sc.rest[i+1:]
		seq := c.Seq
		c.Seq++
		sc.read(seq)
		sc.it = item{
			kind: segment.Batch, stream: s, run: c.Run, time: sc.time, seq: seq,
			text: text, length: length, after: sc.st,
		}
		if m.skipsLevel(&sc.it) {
			continue
		}
		sc.rate(&sc.it, at)
		if m.wants(&sc.it) {
			return &sc.it
		}
	}
	if len(sc.rest) == 0 {
		sc.settle()
	}
	return nil
}

// pass goes over n bytes of whole lines.
func (sc *scanner) pass(n int) {
	if n == 0 {
		return
	}
	c := &sc.chunk
	c.Seq += uint64(bytes.Count(sc.rest[:n], []byte{'\n'}))
	sc.rest = sc.rest[n:]
	sc.read(c.Seq - 1)
}

// read notes that everything up to number seq was read, but for the lines that
// are held.
func (sc *scanner) read(seq uint64) {
	sc.st.high = max(sc.st.high, seq)
	sc.st.except = 0
	for s := range sc.held {
		if h := &sc.held[s]; h.on && h.seq < sc.st.high {
			sc.st.except = h.seq
		}
	}
}

// hold keeps the beginning of a line that the chunk does not end.
func (sc *scanner) hold() {
	c := &sc.chunk
	h := &sc.held[c.Stream]
	*h = held{on: true, seq: c.Seq, buf: h.buf[:0]}
	h.add(sc.rest)
	c.Line = c.Seq
	c.Seq++
	sc.rest = nil
}

func (h *held) add(p []byte) {
	h.length += int64(len(p))
	if n := min(len(p), segment.MaxLine-len(h.buf)); n > 0 {
		h.buf = append(h.buf, p[:n]...)
	}
}

// finish goes on with the line that the chunk continues, and returns it when it
// is complete and wanted.
func (sc *scanner) finish(m *matcher) *item {
	c := &sc.chunk
	h := &sc.held[c.Stream]
	if !h.on || h.seq != c.Line {
		*h = held{on: true, absent: true, seq: c.Line, buf: h.buf[:0]}
	}
	if h.absent {
		sc.load(h, c.Stream, c.Abs)
	}
	i := bytes.IndexByte(sc.rest, '\n')
	if i < 0 {
		h.add(sc.rest)
		sc.rest = nil
		return nil
	}
	h.add(sc.rest[:i])
	sc.rest = sc.rest[i+1:]
	sc.known = len(sc.whole) - len(sc.rest)
	c.Line = 0
	h.on = false
	sc.read(h.seq)
	sc.it = item{
		kind: segment.Batch, stream: c.Stream, run: c.Run, time: sc.time, seq: h.seq,
		text: h.buf, length: h.length, after: sc.st,
	}
	sc.rateAlone(&sc.it)
	if m.wants(&sc.it) {
		return &sc.it
	}
	return nil
}

// load reads what lies of a line before the scanner's start: up to stream
// offset end, or to where the line ends where end is negative. A beginning
// that retention deleted stays unknown.
func (sc *scanner) load(h *held, s segment.Stream, end int64) {
	h.absent = false
	r := sc.dir.Reader(segment.MaxLine)
	defer r.Close()
	if r.SeekSeq(h.seq) != nil {
		return
	}
	for begun := false; ; {
		c, p, err := r.Next()
		ours := c.Kind == segment.Batch && c.Stream == s
		switch {
		case err != nil, ours && end >= 0 && c.Abs >= end, !begun && c.Seq > h.seq:
			return
		case !ours && (!begun || c.Kind == segment.Batch || c.Kind == segment.Gap && c.Stream != s):
			continue
		case !ours:
			return
		}
		if !begun && c.Line != 0 { // the end of the line before comes first
			i := bytes.IndexByte(p, '\n')
			if i < 0 {
				continue
			}
			p = p[i+1:]
			c.Abs += int64(i) + 1
			c.Line = 0
		}
		if len(p) == 0 {
			continue
		}
		if begun && c.Line != h.seq || !begun && c.Seq != h.seq {
			return
		}
		begun = true
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			p = p[:i]
		}
		if end >= 0 {
			p = p[:min(int64(len(p)), end-c.Abs)]
		}
		h.add(p)
		if end >= 0 && len(h.buf) == segment.MaxLine {
			h.length += max(0, end-c.Abs-int64(len(p)))
			return
		}
	}
}

// interrupt queues a record that is no batch, after the lines that it ends.
func (sc *scanner) interrupt(c segment.Chunk) {
	before := sc.st
	defer func() { sc.st = before }() // until the items are taken
	sc.count, sc.taken = 0, 0
	mark := c.Kind != segment.Gap
	found := c.Reason == segment.Deleted || c.Reason == segment.Corrupt
	order := [2]segment.Stream{segment.Out, segment.Err}
	if sc.held[segment.Err].seq < sc.held[segment.Out].seq {
		order = [2]segment.Stream{segment.Err, segment.Out}
	}
	for _, s := range order {
		h := &sc.held[s]
		if !h.on || !mark && (c.Stream != s || found) {
			continue
		}
		if h.absent {
			sc.load(h, s, -1)
		}
		h.on = false
		sc.read(h.seq)
		it := item{
			kind: segment.Batch, stream: s, run: sc.chunk.Run, time: sc.time, seq: h.seq,
			text: h.buf, length: h.length, flags: segment.Unterminated, after: sc.st,
		}
		if it.run == 0 {
			it.run = c.Run
		}
		sc.rateAlone(&it)
		sc.push(it)
	}
	it := item{
		kind: c.Kind, stream: c.Stream, run: c.Run, time: sc.time, seq: c.Seq, flags: c.Flags,
		count: uint64(c.Count), dropped: c.Dropped, reason: c.Reason, exit: c.Exit, signal: c.Signal,
	}
	if mark {
		sc.mark(c, &it)
	} else if c.Count > 0 {
		sc.read(c.Seq + uint64(c.Count) - 1)
	}
	it.after = sc.st
	sc.push(it)
}

// mark notes the start or end of a run.
func (sc *scanner) mark(c segment.Chunk, it *item) {
	sc.st.high, sc.st.except = max(sc.st.high, c.Seq-1), 0
	sc.st.mark = max(sc.st.mark, markOf(c.Run, c.Kind == segment.RunEnd))
	sc.trail = [2]trail{{known: true}, {known: true}}
	if c.Kind == segment.RunStart {
		sc.began = c.Time
		return
	}
	if sc.began == 0 {
		sc.began = sc.startOf(c.Run)
	}
	if sc.began != 0 {
		it.length = max(1, c.Time-sc.began)
	}
	sc.began = 0
}

// startOf finds when a run began that started before the scanner did.
func (sc *scanner) startOf(run uint32) int64 {
	if sc.blind {
		return 0
	}
	r := sc.dir.Reader(4 << 10)
	defer r.Close()
	if r.SeekRun(run) != nil {
		return 0
	}
	c, _, err := r.Next()
	if err != nil || c.Kind != segment.RunStart || c.Run != run {
		return 0
	}
	return c.Time
}

func (sc *scanner) push(it item) {
	sc.queue[sc.count] = it
	sc.count++
}
