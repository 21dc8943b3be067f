package segment

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
)

// DefaultWindow is how many raw bytes of a stream a [Reader] reads at once. It
// is large enough that the cost of a read is small beside that of the bytes,
// and small enough to stay in a core's cache.
const DefaultWindow = 256 << 10

// minWindow is what a reader that follows the end keeps.
const minWindow = 4 << 10

// Chunk is one step of a [Reader]: a record, or a part of a batch too long for
// the window.
type Chunk struct {
	Record
	Segment uint64
	Index   int64  // the number of the record in its segment
	Skip    int64  // batch: bytes of it before this chunk
	Abs     int64  // batch: absolute stream offset of the chunk's first byte
	Seq     uint64 // the sequence of the first line that starts in the chunk
	Line    uint64 // the line that the chunk's first byte continues, or 0
}

// Reader goes through a log record by record, across segments, and is the fast
// way to read it whole: the bytes it returns are a window on its own buffer. A
// Reader is for one goroutine.
type Reader struct {
	dir    *Dir
	window int
	x      *index
	rec    int64 // the next record
	skip   int64 // bytes of it already returned
	seq    uint64
	line   uint64
	next   uint64 // the sequence expected next, 0 for any
	buf    [2][]byte
	bufOff [2]int64
	gap    Chunk // a gap found, to be returned before the record
	found  bool
	why    Reason // of bytes that are not there
}

// Reader starts at the oldest byte kept. A window of 0 is [DefaultWindow].
func (d *Dir) Reader(window int) *Reader {
	if window <= 0 {
		window = DefaultWindow
	}
	return &Reader{dir: d, window: window, next: 1}
}

// Close releases the reader's files.
func (r *Reader) Close() {
	if r.x != nil {
		r.x.close()
		r.x = nil
	}
}

// Next returns the next record and, for a batch, its bytes, which are valid
// until the next call. It returns [io.EOF] when nothing more is visible yet;
// calling it again later goes on, and meanwhile the reader holds one descriptor
// and little memory. Sequences that are missing, because
// retention deleted them or the disk is damaged, are returned as gaps with the
// reasons [Deleted] and [Corrupt].
func (r *Reader) Next() (Chunk, []byte, error) {
	c, p, err := r.step()
	if err == io.EOF && r.x != nil {
		r.x.rest()
		for s := range r.buf {
			if cap(r.buf[s]) > minWindow {
				r.buf[s] = nil
			}
		}
	}
	return c, p, err
}

func (r *Reader) step() (Chunk, []byte, error) {
	for {
		if r.found {
			r.found = false
			return r.gap, nil, nil
		}
		if r.x == nil {
			if err := r.enter(0); err != nil {
				return Chunk{}, nil, err
			}
			continue
		}
		rec, err := r.x.record(r.rec)
		switch {
		case errors.Is(err, errRecord):
			if err := r.pass(); err != nil {
				return Chunk{}, nil, err
			}
			continue
		case err == io.EOF:
			if err := r.leave(); err != nil {
				return Chunk{}, nil, err
			}
			continue
		case err != nil:
			return Chunk{}, nil, err
		}
		if r.skip == 0 && r.next != 0 && rec.Seq > r.next {
			r.miss(rec.Seq, Corrupt)
			continue
		}
		if r.skip == 0 && rec.Seq < r.next {
			r.rec++ // numbers never repeat: a damaged record
			continue
		}
		if rec.Kind != Batch {
			r.rec++
			r.next = rec.Seq + uint64(rec.Count)
			return Chunk{Record: rec, Segment: r.x.head.number, Index: r.rec - 1, Seq: rec.Seq}, nil, nil
		}
		c, p, err := r.batch(rec)
		if err == errShort {
			continue
		}
		return c, p, err
	}
}

// errShort means that the raw file lacks bytes that a record names.
var errShort = errors.New("raw file is short")

// batch returns the next part of a batch.
func (r *Reader) batch(rec Record) (Chunk, []byte, error) {
	s, off := rec.Stream, rec.Offset+r.skip
	left := int64(rec.Length) - r.skip
	r.why = Corrupt
	p, err := r.view(s, off, left)
	if err != nil {
		return Chunk{}, nil, err
	}
	if r.skip == 0 {
		r.seq, r.line = rec.Seq, rec.Line
	}
	if len(p) == 0 {
		// The rest of the batch is not there.
		r.gap = Chunk{Record: Record{
			Kind: Gap, Stream: s, Run: rec.Run, Time: rec.Time, Dropped: uint64(left), Reason: r.why,
			Count: uint32(rec.Seq + uint64(rec.Count) - r.seq),
		}, Segment: r.x.head.number, Index: r.rec, Seq: r.seq, Skip: r.skip}
		r.found = true
		r.rec, r.skip, r.next = r.rec+1, 0, rec.Seq+uint64(rec.Count)
		return Chunk{}, nil, errShort
	}
	c := Chunk{
		Record: rec, Segment: r.x.head.number, Index: r.rec, Skip: r.skip,
		Abs: r.x.head.base[s] + off, Seq: r.seq, Line: r.line,
	}
	if int64(len(p)) == left {
		r.rec, r.skip, r.next = r.rec+1, 0, rec.Seq+uint64(rec.Count)
		return c, p, nil
	}
	r.skip += int64(len(p))
	r.advance(p)
	return c, p, nil
}

// advance counts the lines of a part, so that the next part knows its own.
func (r *Reader) advance(p []byte) {
	starts := uint64(bytes.Count(p, newline))
	if r.line == 0 {
		starts++
	}
	if p[len(p)-1] == '\n' {
		starts--
		r.line = 0
	} else if starts > 0 {
		r.line = r.seq + starts - 1
	}
	r.seq += starts
}

var newline = []byte{'\n'}

// view returns up to n bytes of a stream at off, by way of the window.
func (r *Reader) view(s Stream, off, n int64) ([]byte, error) {
	buf, at := r.buf[s], r.bufOff[s]
	if off < at || off >= at+int64(len(buf)) || off+n > at+int64(len(buf)) && n <= int64(r.window) {
		f, err := r.x.open(s)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				r.why = Deleted
				return nil, nil
			}
			return nil, err
		}
		end := r.x.lookahead(r.rec, s, off, off+int64(r.window))
		buf = sized(buf, int(max(0, end-off)))
		m, err := f.ReadAt(buf, off)
		if err != nil && err != io.EOF {
			return nil, err
		}
		buf, at = buf[:m], off
		r.buf[s], r.bufOff[s] = buf, at
	}
	p := buf[off-at:]
	return p[:min(int64(len(p)), n)], nil
}

// sized returns a buffer of n bytes, from b where it is large enough.
func sized(b []byte, n int) []byte {
	if cap(b) < n {
		size := minWindow
		for size < n {
			size *= 2
		}
		b = make([]byte, size)
	}
	return b[:n]
}

// miss notes a gap from the sequence expected up to seq.
func (r *Reader) miss(seq uint64, why Reason) {
	count := min(seq-r.next, 1<<32-1)
	r.gap = Chunk{
		Record:  Record{Kind: Gap, Run: r.x.head.run, Time: r.x.head.created, Count: uint32(count), Reason: why},
		Segment: r.x.head.number, Index: r.rec, Seq: r.next,
	}
	r.found = true
	r.next = seq
}

// pass steps over a bad record if a good one follows; else it is the tail,
// half written or torn, and not yet visible: io.EOF.
func (r *Reader) pass() error {
	count, err := r.x.count()
	if err != nil {
		return err
	}
	for i := r.rec + 1; i < count; i++ {
		if _, err := r.x.record(i); err == nil {
			r.rec = i
			return nil
		}
	}
	later, err := r.later()
	if err != nil {
		return err
	}
	if later == 0 {
		return io.EOF
	}
	return r.enter(later)
}

// leave goes on to the next segment, if there is one and this one is done.
func (r *Reader) leave() error {
	later, err := r.later()
	if err != nil {
		return err
	}
	if later == 0 {
		return io.EOF
	}
	// A record may have come between looking for it and finding the segment
	// after it.
	if _, err := r.x.record(r.rec); err == nil {
		return nil
	}
	return r.enter(later)
}

// later is the number of the next segment, or 0.
func (r *Reader) later() (uint64, error) {
	number := r.x.head.number + 1
	if _, err := r.dir.root.Lstat(indexName(number)); err == nil {
		return number, nil
	}
	numbers, err := listSegments(r.dir.root)
	if err != nil {
		return 0, err
	}
	i, _ := slices.BinarySearch(numbers, number)
	if i == len(numbers) {
		return 0, nil
	}
	// A listing made while the writer rolls may lack a segment and have the
	// one after it. What is not there now was deleted.
	if _, err := r.dir.root.Lstat(indexName(number)); err == nil {
		return number, nil
	}
	return numbers[i], nil
}

// enter opens a segment at its beginning; 0 is the oldest. A segment that
// retention takes away meanwhile is skipped.
func (r *Reader) enter(number uint64) error {
	for range 8 {
		numbers, err := listSegments(r.dir.root)
		if err != nil {
			return err
		}
		i, found := slices.BinarySearch(numbers, number)
		if _, err := r.dir.root.Lstat(indexName(number)); err == nil && !found {
			numbers = slices.Insert(numbers, i, number) // younger than the listing
		}
		if i == len(numbers) {
			return io.EOF
		}
		x, err := openIndex(r.dir.root, numbers[i])
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			number = numbers[i] + 1 // unreadable: what it held is told by the next
			if i+1 < len(numbers) {
				continue
			}
			return err
		}
		skipped := r.x != nil && x.head.number > r.x.head.number+1 || r.x == nil
		r.Close()
		r.x, r.rec, r.skip = x, 0, 0
		r.buf[Out], r.buf[Err] = r.buf[Out][:0], r.buf[Err][:0]
		if r.next != 0 && x.head.first > r.next && skipped {
			r.miss(x.head.first, Deleted)
		}
		return nil
	}
	return io.EOF
}
