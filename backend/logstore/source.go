package logstore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"pitwall/backend/logstore/segment"
)

const (
	// readWindow is what a feed reads of an instance at once.
	readWindow = 128 << 10
	// ringStep bounds what is taken of recent items in one step.
	ringStep = 256
)

// Kinds of items that are not on disk.
const (
	joinItem segment.Kind = 100 + iota
	markItem
)

// slowReader is the reason of a gap that a feed makes itself.
const slowReader segment.Reason = 100

// feedSource is one instance, or the marks of one app, as a feed reads it.
type feedSource struct {
	id    string
	hash  uint32 // of id
	src   Source
	in    *instance // nil for marks
	marks *marks

	dir *segment.Dir
	sc  *scanner
	// begin places the scanner when the log's folder is there at last.
	begin func(*scanner) error

	prefix []item // come first
	past   bool   // the last of them was taken
	only   bool   // nothing comes after them
	head   *item  // read and not delivered
	hold   item   // where head may point
	st     state  // what was delivered, or is not wanted
	prev   state  // the same before head
	skip   state  // of a resumed feed: delivered before
	resume bool   // skip is set
	bound  int64  // what comes is not older
	eof    bool   // nothing more now
	final  bool   // nothing more ever
	ring   bool   // it reads recent items, from number at on
	at     uint64
	tries  int // to go over to recent items
}

// open opens the log and places the scanner. A folder that is not there yet is
// opened later.
func (s *feedSource) open() error {
	dir, err := segment.OpenDir(s.src.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	sc := newScanner(dir, readWindow)
	if err := s.begin(sc); err != nil {
		sc.close()
		dir.Close()
		return fmt.Errorf("read log of %s: %w", s.id, err)
	}
	s.dir, s.sc, s.bound = dir, sc, sc.start.Time
	if s.resume {
		s.st = s.skip
	} else {
		s.st = sc.st
	}
	s.prev = s.st
	return nil
}

func (s *feedSource) close() {
	if s.sc != nil {
		s.sc.close()
		s.dir.Close()
		s.sc, s.dir = nil, nil
	}
}

func (s *feedSource) key() key { return key{s.head.time, s.id} }

// step reads some more: after it there is a head, or a higher bound, or the
// end.
func (s *feedSource) step(f *feed) error {
	s.prev = s.st
	switch {
	case len(s.prefix) > 0:
		s.head = &s.prefix[0]
		s.prefix = s.prefix[1:]
		s.bound = s.head.time
		s.past = len(s.prefix) == 0 && s.sc != nil && !s.resume
		return nil
	case s.only:
		s.final = true
		return nil
	case s.marks != nil:
		s.stepMarks(f)
		return nil
	}
	if s.past { // what lies between the last of them and here was not wanted
		s.past, s.st, s.prev = false, s.sc.st, s.sc.st
	}
	if f.q.Follow && s.lags(f) {
		return nil
	}
	if s.ring {
		if s.stepRing(f) {
			return nil
		}
		// It fell behind what is kept: the disk has it.
		s.ring, s.resume, s.skip = false, true, s.st
		st := s.st
		s.begin = func(sc *scanner) error {
			sc.until = f.until
			return sc.seekState(st)
		}
	}
	return s.stepDisk(f)
}

// stepDisk reads some of the log on disk.
func (s *feedSource) stepDisk(f *feed) error {
	if s.sc == nil {
		if err := s.open(); err != nil {
			return err
		}
		if s.sc == nil {
			s.eof, s.final = true, !f.q.Follow
			return nil
		}
	}
	it, err := s.sc.next(f.m)
	s.bound = max(s.bound, s.sc.time)
	if !s.resume || !s.sc.st.within(s.skip) {
		s.st, s.resume = s.sc.st, false
	}
	switch {
	case errors.Is(err, io.EOF):
		s.atEnd(f)
		return nil
	case err != nil:
		return fmt.Errorf("read log of %s: %w", s.id, err)
	case it == nil:
		return nil
	}
	s.take(f, it)
	return nil
}

// take makes an item the head unless it was delivered before a resume, or lies
// after what is asked for.
func (s *feedSource) take(f *feed, it *item) {
	if s.skip != (state{}) && s.skip.has(it) || !f.delivered(s, it) {
		return
	}
	if s.skip != (state{}) && it.kind == segment.Gap && it.seq <= s.skip.high && s.skip.except == 0 {
		s.hold = *it
		s.hold.count -= s.skip.high + 1 - it.seq
		s.hold.seq = s.skip.high + 1
		it = &s.hold
	}
	s.head = it
	s.bound = it.time
}

// atEnd is called where the disk has nothing more now.
func (s *feedSource) atEnd(f *feed) {
	if !f.q.Follow || s.sc.done {
		s.final = true
		s.close()
		return
	}
	s.eof = true
	in := s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.primed || in.gone {
		return
	}
	if !in.recent.on {
		in.recent.begin(in.st)
	}
	if in.recent.from.within(s.st) {
		s.ring, s.at, s.tries = true, in.recent.base, 0
		s.eof = false
		s.skip, s.resume = s.st, true
		s.close()
		return
	}
	// Since the disk was read, more has come and gone by: read it again.
	if s.tries++; s.tries < 3 {
		s.eof = false
	}
}

// stepRing reads some of the recent items. It reports false where they are no
// longer kept.
func (s *feedSource) stepRing(f *feed) bool {
	in := s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	for range ringStep {
		it, ok, more := in.recent.at(s.at)
		if !ok {
			return false
		}
		if !more {
			s.eof = true
			return true
		}
		s.at++
		if s.skip.has(it) {
			continue
		}
		s.bound = max(s.bound, it.time)
		if f.m.since <= it.time && f.m.wants(it) && (f.until == 0 || it.time <= f.until) {
			s.hold = *it
			s.head = &s.hold
			s.st = it.after
			return true
		}
		s.st = it.after
		s.prev = s.st
	}
	return true
}

// lags moves a reader that is too far behind to the end, with a gap as the
// next entry.
func (s *feedSource) lags(f *feed) bool {
	if f.q.MaxLag <= 0 || s.in == nil {
		return false
	}
	in := s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.primed || in.st.high < s.st.high+uint64(f.q.MaxLag)+1 {
		return false
	}
	from := s.st.high + 1
	s.hold = item{
		kind: segment.Gap, reason: slowReader, seq: from, count: in.st.high - s.st.high,
		time: max(s.bound, f.last.time), after: in.st,
	}
	s.head, s.st = &s.hold, in.st
	s.skip, s.resume = in.st, true
	s.close()
	if !in.recent.on {
		in.recent.begin(in.st)
	}
	s.ring, s.at = true, in.recent.base+uint64(len(in.recent.items))
	return true
}

// stepMarks takes the next mark of an operation.
func (s *feedSource) stepMarks(f *feed) {
	it, ok := s.marks.after(s.st.high)
	switch {
	case ok && it.time >= f.m.since:
		s.hold = it
		s.head, s.bound = &s.hold, it.time
		s.st = it.after
	case ok:
		s.st = it.after
	default:
		s.eof, s.final = true, !f.q.Follow
	}
}
