package segment

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
)

// SeekSeq places the reader at the start of line seq, or at the end of the log
// where it is not written yet. Where retention deleted it, the next record is
// a gap that says so.
func (r *Reader) SeekSeq(seq uint64) error {
	seq = max(seq, 1)
	err := r.seekSegment(func(h header) bool { return h.first <= seq })
	if err != nil || r.x == nil {
		return err
	}
	if seq < r.x.head.first {
		r.Close()
		r.next = seq
		return nil // Next enters the oldest segment and tells the gap
	}
	rec, found, err := r.lowerBound(func(rec Record) bool {
		return rec.Seq >= seq || rec.Seq+uint64(rec.Count) > seq
	})
	if err != nil || !found || rec.Kind != Batch || rec.Seq >= seq {
		return err
	}
	pos, err := r.lineStart(rec, seq)
	if err != nil {
		return err
	}
	r.skip, r.seq, r.line = pos, seq, 0
	return nil
}

// SeekTime places the reader at the first record that is not older than t, in
// ns since 1970.
func (r *Reader) SeekTime(t int64) error {
	err := r.seekSegment(func(h header) bool { return h.created < t })
	if err != nil || r.x == nil {
		return err
	}
	_, _, err = r.lowerBound(func(rec Record) bool { return rec.Time >= t })
	return err
}

// SeekOffset places the reader at or before the start of the line that holds
// byte off of stream s.
func (r *Reader) SeekOffset(s Stream, off int64) error {
	err := r.seekSegment(func(h header) bool { return h.base[s] <= off })
	if err != nil || r.x == nil {
		return err
	}
	off -= r.x.head.base[s]
	for ; ; r.rec++ {
		rec, err := r.x.record(r.rec)
		if errors.Is(err, errRecord) {
			continue
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		r.next = rec.Seq
		if rec.Kind != Batch || rec.Stream != s || off >= rec.Offset+int64(rec.Length) {
			continue
		}
		if rec.Line == 0 {
			return nil
		}
		return r.SeekSeq(rec.Line)
	}
}

// seekSegment opens the last segment whose header satisfies before, which is
// true of a beginning of the list; the oldest where it is true of none.
func (r *Reader) seekSegment(before func(header) bool) error {
	r.Close()
	r.found = false
	numbers, err := listSegments(r.dir.root)
	if err != nil {
		return err
	}
	n := sort.Search(len(numbers), func(i int) bool {
		h, err := r.dir.header(numbers[i])
		return err == nil && !before(h)
	})
	if len(numbers) == 0 {
		r.next = 1
		return nil
	}
	r.next = 0
	if err := r.enter(numbers[max(0, n-1)]); err != nil && err != io.EOF {
		return err
	}
	if r.x != nil {
		r.next = r.x.head.first
	}
	return nil
}

// lowerBound places the reader at the first record that satisfies at, which
// must be true of an end of the index, or at its end.
func (r *Reader) lowerBound(at func(Record) bool) (Record, bool, error) {
	count, err := r.x.count()
	if err != nil {
		return Record{}, false, err
	}
	good := func(i int64) (Record, int64, error) {
		for ; i < count; i++ {
			rec, err := r.x.record(i)
			if err == nil {
				return rec, i, nil
			}
			if !errors.Is(err, errRecord) && err != io.EOF {
				return Record{}, i, err
			}
		}
		return Record{}, count, nil
	}
	lo, hi := int64(0), count
	for lo < hi {
		mid := lo + (hi-lo)/2
		rec, i, err := good(mid)
		if err != nil {
			return Record{}, false, err
		}
		if i >= hi || at(rec) {
			hi = mid
		} else {
			lo = i + 1
		}
	}
	rec, i, err := good(lo)
	if err != nil {
		return Record{}, false, err
	}
	r.rec, r.skip = lo, 0
	if i < count {
		r.rec, r.next = i, rec.Seq
		return rec, true, nil
	}
	for lo--; lo >= 0; lo-- {
		if rec, err := r.x.record(lo); err == nil {
			r.next = rec.Seq + uint64(rec.Count)
			break
		}
	}
	return Record{}, false, nil
}

// lineStart finds where line seq starts in a batch, from the nearer end.
func (r *Reader) lineStart(rec Record, seq uint64) (int64, error) {
	f, err := r.x.open(rec.Stream)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, min(64<<10, int(rec.Length)))
	k := int64(seq - rec.Seq)
	if k > int64(rec.Count)/2 {
		return lastNewline(f, buf, rec, int64(rec.Count)-k)
	}
	if rec.Line != 0 {
		k++
	}
	for pos := int64(0); pos < int64(rec.Length); {
		p := buf[:min(int64(len(buf)), int64(rec.Length)-pos)]
		if n, err := f.ReadAt(p, rec.Offset+pos); n < len(p) {
			return 0, fmt.Errorf("read log segment: %w", err)
		}
		if n := int64(bytes.Count(p, newline)); n < k {
			k, pos = k-n, pos+int64(len(p))
			continue
		}
		for ; k > 0; k-- {
			i := int64(bytes.IndexByte(p, '\n') + 1)
			p, pos = p[i:], pos+i
		}
		return pos, nil
	}
	return int64(rec.Length), nil
}

// lastNewline returns the position after the k-th newline from the end of a
// batch, not counting one that is its last byte.
func lastNewline(f io.ReaderAt, buf []byte, rec Record, k int64) (int64, error) {
	for end := int64(rec.Length) - 1; end > 0; {
		p := buf[:min(int64(len(buf)), end)]
		from := end - int64(len(p))
		if n, err := f.ReadAt(p, rec.Offset+from); n < len(p) {
			return 0, fmt.Errorf("read log segment: %w", err)
		}
		if n := int64(bytes.Count(p, newline)); n < k {
			k, end = k-n, from
			continue
		}
		for {
			i := bytes.LastIndexByte(p, '\n')
			if k--; k == 0 {
				return from + int64(i) + 1, nil
			}
			p = p[:i]
		}
	}
	return 0, nil
}

// TailSeq is the sequence to seek to so that n entries follow, unfinished lines
// not counted.
func (b Bounds) TailSeq(n int) uint64 {
	open := []uint64{}
	for _, s := range b.Open {
		if s != 0 {
			open = append(open, s)
		}
	}
	slices.Sort(open)
	from := b.Next - min(uint64(max(n, 0)), b.Next-1)
	for i := len(open) - 1; i >= 0; i-- {
		if open[i] >= from && from > 1 {
			from--
		}
	}
	return from
}
