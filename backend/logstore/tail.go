package logstore

import (
	"context"
	"errors"
	"io"

	"pitwall/backend/logstore/segment"
)

const (
	// tailBlock is what is read first when a log is read backwards; it doubles
	// up to tailMost while too little is found.
	tailBlock = 64 << 10
	tailMost  = 4 << 20
	// tailBytes is how much text of a tail is kept in memory. A larger tail is
	// found first, and then read once more, forwards.
	tailBytes = 16 << 20
)

// tailer reads one source backwards, block by block.
type tailer struct {
	s     *feedSource
	sc    *scanner
	at    segment.Place // the block that comes next ends here
	size  int64
	block []item // not taken yet, in log order
	start state  // before the first item of the block
	taken []item // the last one first
	done  bool
	lines int
}

// tail finds the last lines that the query wants, and sets the sources to begin
// with them.
func (f *feed) tail(ctx context.Context) error {
	var tails []*tailer
	for _, s := range f.srcs {
		if s.sc == nil {
			continue
		}
		sc := newScanner(s.dir, readWindow)
		defer sc.close()
		at := s.sc.start
		if f.before != nil {
			at = s.sc.end
		}
		tails = append(tails, &tailer{s: s, sc: sc, at: at, size: tailBlock})
	}
	lines, bytes, thin := 0, 0, false
	for lines < f.q.Tail {
		best, err := f.latest(ctx, tails)
		if err != nil {
			return err
		}
		if best == nil {
			break
		}
		it := best.block[len(best.block)-1]
		best.block = best.block[:len(best.block)-1]
		if it.kind == segment.Batch {
			lines++
		}
		bytes += len(it.text)
		best.lines++
		if thin = thin || bytes > f.s.tailBytes; thin {
			best.taken = nil
			continue
		}
		best.taken = append(best.taken, it)
	}
	for _, t := range tails {
		t.hand(f, thin)
	}
	f.markTail(tails)
	return nil
}

// latest returns the tailer with the latest item, or nil at the beginning of
// all logs.
func (f *feed) latest(ctx context.Context, tails []*tailer) (*tailer, error) {
	var best *tailer
	var most key
	for _, t := range tails {
		for len(t.block) == 0 && !t.done {
			if err := f.alive(ctx); err != nil {
				return nil, err
			}
			if err := t.fill(ctx, f); err != nil {
				return nil, err
			}
		}
		if len(t.block) == 0 {
			continue
		}
		k := key{t.block[len(t.block)-1].time, t.s.id}
		if best == nil || k.after(most) {
			best, most = t, k
		}
	}
	return best, nil
}

// fill reads the block before.
func (t *tailer) fill(ctx context.Context, f *feed) error {
	sc := t.sc
	sc.end = segment.Place{}
	if err := sc.seek(t.at); err != nil {
		return err
	}
	moved, err := sc.r.Back(t.size)
	if err != nil {
		return err
	}
	if err := sc.placed(nil); err != nil {
		return err
	}
	t.start = sc.st
	if !moved {
		t.done = true
		t.missing(f)
		return nil
	}
	sc.end, t.at = t.at, sc.start
	t.size = min(2*t.size, tailMost)
	if sc.start.Time < f.m.since || f.m.run != 0 && sc.start.Run < f.m.run || f.m.from != 0 && sc.start.Seq < f.m.from {
		t.done = true
	}
	return t.scan(ctx, f)
}

// scan reads the block's items, and keeps as many of the last as can be wanted.
func (t *tailer) scan(ctx context.Context, f *feed) error {
	arena := recent{}
	for {
		it, err := t.sc.next(f.m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if it == nil {
			if err := f.alive(ctx); err != nil {
				return err
			}
			continue
		}
		if !f.delivered(t.s, it) {
			continue
		}
		kept := *it
		kept.text = arena.copied(it.text)
		t.block = append(t.block, kept)
		if n := len(t.block) - f.q.Tail; n > f.q.Tail+64 {
			// Items between lines are few; lines beyond the tail go.
			t.trim(f.q.Tail)
		}
	}
}

// trim keeps the last n lines of the block, and what lies between them.
func (t *tailer) trim(n int) {
	i := len(t.block)
	for i > 0 && n > 0 {
		i--
		if t.block[i].kind == segment.Batch {
			n--
		}
	}
	if i > 0 {
		t.start = t.block[i-1].after
		t.block = append([]item(nil), t.block[i:]...)
	}
}

// missing tells what retention took before the oldest record.
func (t *tailer) missing(f *feed) {
	if first := t.sc.start.Seq; first > 1 && t.sc.start.Segment != 0 {
		gap := item{
			kind: segment.Gap, reason: segment.Deleted, seq: 1, count: first - 1,
			time: t.sc.start.Time, after: t.start,
		}
		if f.m.wants(&gap) && f.delivered(t.s, &gap) {
			t.block = append(t.block, gap)
			t.start = state{}
		}
	}
}

// delivered reports whether an item lies before the cursor of a query that asks
// for that; true for others.
func (f *feed) delivered(s *feedSource, it *item) bool {
	if f.before == nil {
		return true
	}
	st, exact := f.before.bounds(s.id)
	return !exact || st.has(it) // else the source's end says it
}

// hand gives the source what was found.
func (t *tailer) hand(f *feed, thin bool) {
	s := t.s
	s.only = !f.q.Follow && !thin
	if t.lines == 0 {
		s.only = !f.q.Follow
		return
	}
	before := t.start
	if n := len(t.block); n > 0 {
		before = t.block[n-1].after
	}
	if !thin {
		s.prefix = make([]item, 0, len(t.taken))
		for i := len(t.taken) - 1; i >= 0; i-- {
			s.prefix = append(s.prefix, t.taken[i])
		}
		s.prev, s.st = before, before
		s.bound = s.prefix[0].time
		return
	}
	end := s.sc.end
	s.skip, s.resume, s.st, s.prev = before, true, before, before
	if s.sc.seekState(before) == nil {
		s.sc.end = end
		s.bound = s.sc.start.Time
	}
}

// markTail sets the operations to begin with those since the first line found.
func (f *feed) markTail(tails []*tailer) {
	first := int64(0)
	for _, t := range tails {
		if n := len(t.taken); n > 0 && (first == 0 || t.taken[n-1].time < first) {
			first = t.taken[n-1].time
		}
	}
	for _, s := range f.srcs {
		if s.marks != nil && first != 0 {
			s.st.high = s.marks.since(first)
		}
	}
}

// beforeAt finds where what lies before the cursor ends in a source.
func (f *feed) beforeAt(s *feedSource, sc *scanner) error {
	p := f.before
	_, named := p.of(s.id)
	st, exact := p.bounds(s.id)
	var err error
	switch {
	case exact:
		s.skip, s.resume = st, true
		err = sc.past(st)
	case !named && p.follow:
		err = sc.seekStart() // it was not there yet
	case s.id <= p.last.id:
		err = sc.seekTime(p.last.time + 1)
	default:
		err = sc.seekTime(p.last.time)
	}
	if err != nil {
		return err
	}
	end := sc.start
	most, err := f.endPlace(sc)
	if err != nil {
		return err
	}
	if end.Segment == 0 || most.Before(end) {
		end = most
	}
	if err := sc.seek(end); err != nil {
		return err
	}
	sc.end = end
	return nil
}

// past places a scanner where everything that a state has was read.
func (sc *scanner) past(st state) error {
	if err := sc.seekSeq(st.high + 1); err != nil {
		return err
	}
	for {
		p, err := sc.place()
		if err != nil {
			return err
		}
		open := false
		for _, seq := range p.Open {
			open = open || seq != 0 && seq <= st.high && seq != st.except
		}
		mark := markOf(p.Run, p.Ended)
		if !open && (mark >= st.mark || p.Seq > st.high+1) {
			sc.start = p
			return nil
		}
		if _, _, err := sc.r.Next(); errors.Is(err, io.EOF) {
			sc.start = p
			return nil
		} else if err != nil {
			return err
		}
	}
}
