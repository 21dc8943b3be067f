package logstore

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"

	"pitwall/backend/logstore/segment"
)

const (
	// turnBytes is what one instance may have read before another one's turn.
	turnBytes = 4 << 20
	// ingestWindow balances the cost of reads against the memory of the
	// scanners that stay open.
	ingestWindow = 128 << 10
	// maxOpen bounds the scanners, and so the files, that stay open.
	maxOpen = 64
	// primeBytes is read of every log when it is registered, however old it
	// is, so that its last error is known; primeMost is the most that is read
	// of one that had much output in the last ten minutes.
	primeBytes = 256 << 10
	primeMost  = 8 << 20
	primeTime  = trendSize * time.Minute
)

// enqueue gives an instance a turn. It is called with the lock held.
func (s *Store) enqueue(in *instance) {
	if in.running {
		in.again = true
		return
	}
	if in.queued {
		return
	}
	in.queued = true
	s.queue = append(s.queue, in)
	s.work.Signal()
}

// ingest is a worker: it gives instances their turns until the store is closed.
func (s *Store) ingest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		for len(s.queue) == 0 && !s.closed {
			s.work.Wait()
		}
		if s.closed {
			return
		}
		in := s.queue[0]
		s.queue = slices.Delete(s.queue, 0, 1)
		in.queued, in.running = false, true
		s.mu.Unlock()
		more, news := s.turn(in)
		s.mu.Lock()
		if news {
			s.changed(in.id)
		}
		in.running = false
		if more || in.again {
			in.again = false
			s.enqueue(in)
		} else {
			s.keepOpen(in)
		}
	}
}

// keepOpen closes the scanner that was used longest ago where there are too
// many. It is called with the lock held.
func (s *Store) keepOpen(in *instance) {
	if i := slices.Index(s.open, in); i >= 0 {
		s.open = slices.Delete(s.open, i, i+1)
	}
	if s.instances[in.id] != in {
		in.closeFiles()
		return
	}
	if in.scan == nil {
		return
	}
	s.open = append(s.open, in)
	for i := 0; len(s.open) > maxOpen && i < len(s.open); {
		if old := s.open[i]; !old.running && !old.queued {
			old.closeFiles()
			s.open = slices.Delete(s.open, i, i+1)
			continue
		}
		i++
	}
}

// turn reads what is new of an instance, up to a bound. It reports whether
// there is more, and whether there was anything.
func (s *Store) turn(in *instance) (more, news bool) {
	in.mu.Lock()
	dir, gone, ended := in.src.Dir, in.gone, in.ended
	in.mu.Unlock()
	if gone {
		in.closeFiles()
		return false, false
	}
	if in.scan == nil {
		if err := s.begin(in, dir); err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				s.log.Warn("read log", "instance", in.id, "err", err)
			}
			return false, false
		}
	}
	from := in.scan.scanned
	for in.scan.scanned-from < turnBytes {
		some, err := in.readChunk()
		news = news || some
		if errors.Is(err, io.EOF) {
			if ended {
				in.closeFiles()
				in.mu.Lock()
				in.wake()
				in.mu.Unlock()
			}
			return false, news
		}
		if err != nil {
			s.log.Warn("read log", "instance", in.id, "err", err)
			in.closeFiles()
			return false, news
		}
	}
	return true, news
}

// readChunk takes in the items that the scanner has at hand.
func (in *instance) readChunk() (news bool, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	sc := in.scan
	for err == nil {
		var it *item
		if it, err = sc.next(nil); it == nil {
			break
		}
		if in.seen.has(it) {
			continue // before an error made the scanner go back
		}
		news = true
		if it.kind == segment.Batch {
			in.counter.add(it)
			if it.seq >= in.sized {
				in.bytes += it.length + 1 // its newline
			}
		}
		if in.recent.on {
			in.recent.add(it)
		}
	}
	if !sc.st.within(in.seen) {
		in.st = sc.st
	}
	if errors.Is(err, io.EOF) {
		if p, perr := sc.place(); perr == nil {
			in.place = p
		}
	}
	if news {
		in.wake()
	}
	return news, err
}

// begin opens the scanner where the last turn ended, or, the first time, not
// far before the end.
func (s *Store) begin(in *instance, path string) error {
	dir, err := segment.OpenDir(path)
	if err != nil {
		return err
	}
	sc := newScanner(dir, ingestWindow)
	in.mu.Lock()
	primed, place := in.primed, in.place
	in.mu.Unlock()
	if primed {
		err = sc.seek(place)
	} else {
		err = sc.prime(s.now())
	}
	if err != nil {
		sc.close()
		dir.Close()
		return err
	}
	in.dir, in.scan = dir, sc
	in.mu.Lock()
	defer in.mu.Unlock()
	in.seen = in.st
	if !in.primed {
		in.seen = sc.st
		in.primed, in.place, in.st = true, sc.start, sc.st
		in.bytes, in.sized = 0, 0
		if b, err := dir.Bounds(); err == nil {
			in.bytes, in.sized = diskBytes(dir), b.Next
		}
	}
	return nil
}

// prime places a scanner so that the last error and the last minutes are read,
// and not much more.
func (sc *scanner) prime(now time.Time) error {
	if err := sc.seekEnd(); err != nil {
		return err
	}
	end := sc.start
	back := func(n int64) (segment.Place, error) {
		if err := sc.seek(end); err != nil {
			return segment.Place{}, err
		}
		if _, err := sc.r.Back(n); err != nil {
			return segment.Place{}, err
		}
		return sc.r.Place()
	}
	start, err := back(primeBytes)
	if err != nil {
		return err
	}
	if err := sc.seekTime(now.Add(-primeTime).UnixNano()); err != nil {
		return err
	}
	if sc.start.Before(start) {
		start = sc.start
		most, err := back(primeMost)
		if err != nil {
			return err
		}
		if start.Before(most) {
			start = most
		}
	}
	return sc.seek(start)
}

// diskBytes is what a log takes on disk.
func diskBytes(dir *segment.Dir) int64 {
	infos, err := dir.Segments()
	if err != nil {
		return 0
	}
	n := int64(0)
	for _, info := range infos {
		n += info.Size
	}
	return n
}
