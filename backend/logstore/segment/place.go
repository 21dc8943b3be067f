package segment

import "io"

// Place is a spot between two records, or inside a batch at the start of a
// line, with what must be known to read on from there.
type Place struct {
	Segment uint64
	Record  int64
	Skip    int64     // bytes of the record that lie before the place
	Seq     uint64    // the number of the next line that begins
	Open    [2]uint64 // the line of each stream that began before and is unfinished
	Run     uint32    // of the record before
	Ended   bool      // that record ended its run
	Time    int64     // of the record before, or of the segment's creation
}

// Before reports whether p lies before q.
func (p Place) Before(q Place) bool {
	if p.Segment != q.Segment {
		return p.Segment < q.Segment
	}
	if p.Record != q.Record {
		return p.Record < q.Record
	}
	return p.Skip < q.Skip
}

// Place tells where the reader stands. It is the zero Place, with Seq 1 or
// what was sought, where the log is empty or the oldest segment is not yet
// entered.
func (r *Reader) Place() (Place, error) {
	if r.x == nil {
		return Place{Seq: max(r.next, 1)}, nil
	}
	h := r.x.head
	p := Place{Segment: h.number, Record: r.rec, Skip: r.skip, Seq: h.first, Open: h.open, Run: h.run, Time: h.created}
	var seen [2]bool
	whole := false
	if r.skip > 0 {
		rec, err := r.x.record(r.rec)
		if err != nil {
			return p, err
		}
		p.Open[rec.Stream], seen[rec.Stream] = r.line, true
		p.Seq, p.Run, p.Time, whole = r.seq, rec.Run, rec.Time, true
	}
	for i := r.rec - 1; i >= 0 && !(seen[Out] && seen[Err]); i-- {
		rec, err := r.x.record(i)
		if err != nil {
			continue // damaged
		}
		if !whole {
			whole = true
			p.Seq, p.Run, p.Time, p.Ended = rec.Seq+uint64(rec.Count), rec.Run, rec.Time, rec.Kind == RunEnd
		}
		p.note(rec, &seen)
	}
	if !whole && r.rec == 0 {
		p.Ended = r.endedBefore()
	}
	return p, nil
}

// endedBefore reports whether the segment before ends with the end of a run,
// which the header of this one does not say.
func (r *Reader) endedBefore() bool {
	numbers, err := listSegments(r.dir.root)
	if err != nil {
		return false
	}
	prev := uint64(0)
	for _, n := range numbers {
		if n < r.x.head.number {
			prev = n
		}
	}
	x, err := openIndex(r.dir.root, prev)
	if err != nil {
		return false
	}
	defer x.close()
	count, err := x.count()
	if err != nil || count == 0 {
		return false
	}
	rec, err := x.record(count - 1)
	return err == nil && rec.Kind == RunEnd
}

// note takes from a record what it says of unfinished lines.
func (p *Place) note(rec Record, seen *[2]bool) {
	for s := range seen {
		if seen[s] {
			continue
		}
		switch {
		case rec.Kind == RunStart || rec.Kind == RunEnd:
			p.Open[s], seen[s] = 0, true
		case int(rec.Stream) != s:
		case rec.Kind == Gap:
			p.Open[s], seen[s] = 0, true
		case rec.Kind == Batch:
			p.Open[s], seen[s] = rec.unfinished(), true
		}
	}
}

// SeekPlace goes to a place that [Reader.Place] told. Where its segment is
// gone, reading goes on at the oldest kept after it, with a gap before.
func (r *Reader) SeekPlace(p Place) error {
	r.Close()
	r.found, r.next = false, max(p.Seq, 1)
	if p.Segment == 0 {
		return nil
	}
	if err := r.enter(p.Segment); err != nil {
		return eofIsNil(err)
	}
	if r.x.head.number != p.Segment {
		return nil
	}
	r.found = false
	r.rec, r.skip, r.next = p.Record, p.Skip, p.Seq
	if p.Skip > 0 {
		rec, err := r.x.record(p.Record)
		if err != nil {
			return err
		}
		r.seq, r.line, r.next = p.Seq, p.Open[rec.Stream], rec.Seq
	}
	return nil
}

// SeekEnd goes to the end of what is visible.
func (r *Reader) SeekEnd() error { return r.SeekSeq(1 << 62) }

// SeekRun goes to the first record of a run.
func (r *Reader) SeekRun(run uint32) error {
	err := r.seekSegment(func(h header) bool { return h.run < run })
	if err != nil || r.x == nil {
		return err
	}
	_, _, err = r.lowerBound(func(rec Record) bool { return rec.Run >= run })
	return err
}

// Back goes back over records until they hold at least n raw bytes, and at
// least one record, or to the oldest record kept. It reports whether it moved.
func (r *Reader) Back(n int64) (bool, error) {
	if r.x == nil {
		return false, nil
	}
	moved := r.skip > 0
	r.skip, r.found = 0, false
	for got := int64(0); ; {
		for r.rec > 0 && (got < n || !moved) {
			r.rec--
			rec, err := r.x.record(r.rec)
			if err != nil {
				continue // damaged
			}
			moved = true
			if rec.Kind == Batch {
				got += int64(rec.Length)
			}
		}
		if got >= n && moved {
			break
		}
		ok, err := r.earlier()
		if err != nil {
			return moved, err
		}
		if !ok {
			break
		}
	}
	p, err := r.Place()
	r.next = p.Seq
	return moved, err
}

// BackMarks goes back over the starts and ends of runs that lie directly before
// the place: they have the number of the line after them, and so a seek to that
// line may land between them.
func (r *Reader) BackMarks() error {
	if r.x == nil || r.skip > 0 {
		return nil
	}
	r.found = false
	for {
		if r.rec == 0 {
			ok, err := r.earlier()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			continue
		}
		rec, err := r.x.record(r.rec - 1)
		if err != nil || rec.Kind != RunStart && rec.Kind != RunEnd {
			break
		}
		r.rec--
	}
	p, err := r.Place()
	r.next = p.Seq
	return err
}

// earlier enters the segment before this one at its end, if there is one.
func (r *Reader) earlier() (bool, error) {
	numbers, err := listSegments(r.dir.root)
	if err != nil {
		return false, err
	}
	prev := uint64(0)
	for _, n := range numbers {
		if n < r.x.head.number {
			prev = n
		}
	}
	if prev == 0 {
		return false, nil
	}
	x, err := openIndex(r.dir.root, prev)
	if err != nil {
		return false, nil // retention took it meanwhile, or it is unreadable
	}
	r.Close()
	r.x = x
	r.buf[Out], r.buf[Err] = r.buf[Out][:0], r.buf[Err][:0]
	r.rec, err = x.count()
	return err == nil, err
}

func eofIsNil(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}
