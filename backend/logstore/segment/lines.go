package segment

import (
	"bytes"
	"io"
)

// MaxLine is how much of a line [Lines] returns. A longer one is whole on disk:
// [Dir.ReadStreamAt] reads it.
const MaxLine = 64 << 10

// Entry is a line, or what came between lines.
type Entry struct {
	Kind   Kind // Batch for a line, or Gap, RunStart, RunEnd
	Stream Stream
	Flags  Flags
	Run    uint32
	Time   int64  // wall time in ns when its first byte was seen
	Seq    uint64 // of a run's start or end: the number of the next line
	Bytes  []byte // line: without its newline, at most MaxLine; valid until the next call
	Length int64  // line: true length
	Offset int64  // line: absolute offset of its first byte in the stream

	Count   uint64 // gap: sequences that it takes
	Dropped uint64 // gap: bytes, where known
	Reason  Reason // gap
	PID     int    // run start
	Exit    int    // run end
	Signal  int    // run end
}

// Cursor is a place between two entries. The zero Cursor is the beginning. It
// can be stored, and stays good until retention deletes its segment; then
// reading goes on at the oldest entry kept, after a gap that says what is gone.
type Cursor struct {
	Segment uint64
	Record  int64
	Sub     int64  // bytes of the batch, or entries of another record, that are read
	Seq     uint64 // the number expected next
	Open    uint64 // the oldest line that was begun but not returned, or 0
}

func (c Cursor) before(d Cursor) bool {
	if c.Segment != d.Segment {
		return c.Segment < d.Segment
	}
	if c.Record != d.Record {
		return c.Record < d.Record
	}
	return c.Sub < d.Sub
}

// Lines reads a log entry by entry, in the order in which lines were completed.
// Both streams come unless Only is set. A Lines is for one goroutine, and needs
// memory for its windows and for two lines of [MaxLine], however long lines are.
type Lines struct {
	r     *Reader
	chunk Chunk
	rest  []byte // of the chunk, not yet split
	pos   Cursor // of what was read last
	held  [2]held
	queue [3]Entry // the lines that a record ended, by stream, and the record
	sent  int      // of the queue
	sub   int64    // what the queue's places in the record count from
	after Cursor   // entries up to here were read before a resume
	min   uint64   // lines that start earlier are not wanted
	from  [2]int64
	only  [2]bool // streams that are left out
}

// held is a line that has begun and is not complete.
type held struct {
	on     bool
	seq    uint64
	time   int64
	run    uint32
	flags  Flags
	offset int64
	length int64
	buf    []byte
}

// Lines reads a log as lines, the plain way: one instance, in order, without
// levels. It is what the log store's own scan is held against. It starts at the
// oldest entry kept. Seek it before the first [Lines.Next].
func (d *Dir) Lines() *Lines {
	return newLines(d.Reader(0))
}

// Close releases the files.
func (l *Lines) Close() { l.r.Close() }

// Only leaves out the lines and gaps of the other stream.
func (l *Lines) Only(s Stream) { l.only[1-s] = true }

// SeekSeq goes to line seq: only lines with this number or a later one come.
func (l *Lines) SeekSeq(seq uint64) error {
	l.reset()
	l.min = seq
	return l.r.SeekSeq(seq)
}

// SeekTime goes to the first line that began at t or later, in ns since 1970.
func (l *Lines) SeekTime(t int64) error {
	l.reset()
	return l.r.SeekTime(t)
}

// SeekOffset goes to the line of stream s that holds byte off.
func (l *Lines) SeekOffset(s Stream, off int64) error {
	l.reset()
	l.from[s] = off
	return l.r.SeekOffset(s, off)
}

// Tail goes to the place after which n entries follow at this moment.
func (l *Lines) Tail(n int) error {
	b, err := l.r.dir.Bounds()
	if err != nil {
		return err
	}
	return l.SeekSeq(max(b.TailSeq(n), b.First))
}

// SeekCursor goes to where [Lines.Cursor] was taken: what was not returned
// before it comes, and nothing twice.
func (l *Lines) SeekCursor(c Cursor) error {
	l.reset()
	if c == (Cursor{}) {
		return nil
	}
	l.after = c
	seq := c.Seq
	if c.Open != 0 {
		seq = c.Open
	}
	numbers, err := listSegments(l.r.dir.root)
	if err != nil {
		return err
	}
	if len(numbers) == 0 || c.Segment < numbers[0] || c.Open != 0 {
		l.min = seq
		return l.r.SeekSeq(seq)
	}
	if err := l.r.enter(c.Segment); err != nil && err != io.EOF {
		return err
	}
	if l.r.x == nil || l.r.x.head.number != c.Segment {
		l.min = seq
		return l.r.SeekSeq(seq)
	}
	l.r.found = false
	l.r.rec, l.r.skip, l.r.next = c.Record, 0, 0
	return nil
}

// Cursor is the place after the entry that was returned last.
func (l *Lines) Cursor() Cursor {
	c := l.pos
	for _, h := range l.held {
		if h.on && (c.Open == 0 || h.seq < c.Open) {
			c.Open = h.seq
		}
	}
	for _, e := range l.queue[l.sent:] {
		if e.Kind == Batch && (c.Open == 0 || e.Seq < c.Open) {
			c.Open = e.Seq // begun, ended by a record, and not returned yet
		}
	}
	return c
}

func (l *Lines) reset() {
	only := l.only
	l.r.Close()
	*l = *newLines(l.r.dir.Reader(0))
	l.only = only
}

func newLines(r *Reader) *Lines {
	l := &Lines{r: r}
	l.sent = len(l.queue)
	return l
}

// Next returns the next entry, or [io.EOF] when none is complete yet; calling
// it again later goes on.
func (l *Lines) Next() (Entry, error) {
	for {
		e, err := l.step()
		if err != nil {
			return Entry{}, err
		}
		if e.Kind == 0 || !l.wants(e) {
			continue
		}
		return e, nil
	}
}

// wants applies what seeking asked for.
func (l *Lines) wants(e Entry) bool {
	if !l.after.before(l.pos) && l.after.Segment != 0 {
		return false
	}
	if e.Kind == RunStart || e.Kind == RunEnd {
		return true
	}
	if e.Reason == Deleted || e.Reason == Corrupt && e.Kind == Gap {
		return true
	}
	if l.only[e.Stream] || e.Seq < l.min {
		return false
	}
	return e.Kind != Batch || l.from[e.Stream] == 0 || e.Offset+e.Length >= l.from[e.Stream]
}

// step returns one entry, or one of Kind 0 where it only went forward.
func (l *Lines) step() (Entry, error) {
	if l.sent < len(l.queue) {
		e := l.queue[l.sent]
		l.queue[l.sent] = Entry{}
		l.sent++
		l.pos.Sub = l.sub + int64(l.sent)
		return e, nil
	}
	if len(l.rest) > 0 {
		return l.split(), nil
	}
	c, p, err := l.r.Next()
	if err != nil {
		return Entry{}, err
	}
	l.sub = 0
	l.pos = Cursor{Segment: c.Segment, Record: c.Index, Sub: c.Skip, Seq: c.Seq}
	if c.Kind == Batch {
		l.chunk, l.rest = c, p
		l.join()
		return Entry{}, nil
	}
	l.pos.Seq = c.Seq + uint64(c.Count)
	l.interrupt(c)
	if c.Reason == Deleted || c.Reason == Corrupt {
		// Found before a record, not a record: it must not take the places of
		// the record's own entries.
		l.sub = c.Skip - int64(len(l.queue))
	}
	return Entry{}, nil
}

// join makes the held line agree with the chunk's first byte.
func (l *Lines) join() {
	h := &l.held[l.chunk.Stream]
	if h.on && h.seq != l.chunk.Line {
		// What lay between is lost; the gap told it.
		h.on = false
	}
}

// interrupt queues the lines that a record other than a batch ends, and it.
func (l *Lines) interrupt(c Chunk) {
	for s := range l.held {
		h := &l.held[s]
		if !h.on || c.Kind == Gap && (c.Stream != Stream(s) || c.Reason == Deleted) {
			continue
		}
		h.flags |= Unterminated
		l.queue[s] = h.entry(Stream(s), nil)
		h.on = false
	}
	l.queue[2] = Entry{
		Kind: c.Kind, Stream: c.Stream, Flags: c.Flags, Run: c.Run, Time: c.Time, Seq: c.Seq,
		Count: uint64(c.Count), Dropped: c.Dropped, Reason: c.Reason, PID: c.PID, Exit: c.Exit, Signal: c.Signal,
	}
	l.sent = 0
}

// split takes one line, or the beginning of one, off the chunk.
func (l *Lines) split() Entry {
	c, h := &l.chunk, &l.held[l.chunk.Stream]
	i := bytes.IndexByte(l.rest, '\n')
	p, n := l.rest, len(l.rest)
	if i >= 0 {
		p, n = l.rest[:i], i+1
	}
	abs := c.Abs
	l.rest = l.rest[n:]
	c.Abs += int64(n)
	l.pos.Sub += int64(n)
	line := c.Line
	starts := line == 0
	if starts {
		line = c.Seq
		c.Seq++
		l.pos.Seq = c.Seq
		if cap(h.buf) > minWindow {
			h.buf = nil // a long line was an exception
		}
		*h = held{
			on: true, seq: line, time: c.Time, run: c.Run, offset: abs, buf: h.buf[:0],
			flags: c.Flags & (Recovered | OrderUnknown),
		}
	}
	c.Line = line
	if i >= 0 {
		c.Line = 0
	}
	if !h.on {
		return Entry{} // the end of a line that began before what was asked for
	}
	if i >= 0 {
		e := h.entry(c.Stream, p)
		h.on = false
		return e
	}
	h.hold(p)
	return Entry{}
}

func (h *held) hold(p []byte) {
	h.length += int64(len(p))
	h.buf = append(h.buf, p[:min(len(p), MaxLine-len(h.buf))]...)
}

// entry is the line with its last piece; a line in one piece is not copied.
func (h *held) entry(s Stream, last []byte) Entry {
	e := Entry{
		Kind: Batch, Stream: s, Flags: h.flags, Run: h.run, Time: h.time, Seq: h.seq,
		Bytes: last, Length: int64(len(last)), Offset: h.offset,
	}
	if h.length > 0 {
		h.hold(last)
		e.Bytes, e.Length = h.buf, h.length
	}
	if len(e.Bytes) > MaxLine {
		e.Bytes = e.Bytes[:MaxLine]
	}
	if e.Length > int64(len(e.Bytes)) {
		e.Flags |= Cut
	}
	return e
}

// Partial is the unfinished line of a stream as far as it was seen, if there
// is one. It comes whole from [Lines.Next] once it is complete.
func (l *Lines) Partial(s Stream) (Entry, bool) {
	h := &l.held[s]
	if !h.on {
		return Entry{}, false
	}
	e := Entry{
		Kind: Batch, Stream: s, Flags: h.flags | Unfinished, Run: h.run, Time: h.time, Seq: h.seq,
		Bytes: h.buf, Length: h.length, Offset: h.offset,
	}
	if h.length > int64(len(h.buf)) {
		e.Flags |= Cut
	}
	return e, true
}

// All calls f with every entry up to the end of what is visible.
func (l *Lines) All(f func(Entry) error) error {
	for {
		e, err := l.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f(e); err != nil {
			return err
		}
	}
}
