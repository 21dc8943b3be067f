package logstore

import (
	"math"

	"pitwall/backend/logstore/segment"
)

// source makes the source of an instance; it is opened later.
func (f *feed) source(in *instance) *feedSource {
	s := &feedSource{id: in.id, hash: hashOf(in.id), src: in.source(), in: in}
	in.watch(f)
	switch {
	case f.resume != nil:
		f.resumeAt(s)
	case f.before != nil:
		s.begin = func(sc *scanner) error { return f.beforeAt(s, sc) }
	case f.q.Tail > 0 || f.q.Follow && !f.hasStart():
		s.begin = func(sc *scanner) error { return f.toEnd(sc) }
	default:
		s.begin = func(sc *scanner) error { return f.toStart(sc) }
	}
	return s
}

// hasStart reports whether the query says where to begin.
func (f *feed) hasStart() bool {
	return f.m.since != 0 || f.m.from != 0 || f.m.run != 0
}

// toStart places a scanner at the first item that the query may want.
func (f *feed) toStart(sc *scanner) error {
	end, err := f.endPlace(sc)
	if err != nil {
		return err
	}
	if err := sc.seekStart(); err != nil {
		return err
	}
	if err := f.narrow(sc); err != nil {
		return err
	}
	f.bind(sc, end)
	return nil
}

// narrow moves a scanner that stands at the start of the log on to where the
// query's time, sequence and run begin.
func (f *feed) narrow(sc *scanner) error {
	var seeks []func() error
	if f.m.since != 0 {
		seeks = append(seeks, func() error { return sc.seekTime(f.m.since) })
	}
	if f.m.from != 0 {
		seeks = append(seeks, func() error { return sc.seekSeq(f.m.from) })
	}
	if f.m.run != 0 {
		seeks = append(seeks, func() error { return sc.seekRun(f.m.run) })
	}
	best := -1
	var place segment.Place
	for i, seek := range seeks {
		if err := seek(); err != nil {
			return err
		}
		if best < 0 || place.Before(sc.start) {
			best, place = i, sc.start
		}
	}
	if best >= 0 && best < len(seeks)-1 {
		return seeks[best]()
	}
	return nil
}

// bind sets where a scanner ends.
func (f *feed) bind(sc *scanner, end segment.Place) {
	sc.until = f.until
	if !f.q.Follow {
		sc.end = end
	}
}

// endPlace is where the query's run, time or the log ends now.
func (f *feed) endPlace(sc *scanner) (segment.Place, error) {
	if err := sc.seekEnd(); err != nil {
		return segment.Place{}, err
	}
	end := sc.start
	if f.m.run != 0 && f.m.run < math.MaxUint32 && !f.q.Follow {
		if err := sc.seekRun(f.m.run + 1); err != nil {
			return end, err
		}
		if sc.start.Segment != 0 && sc.start.Before(end) {
			end = sc.start
		}
	}
	if f.until != 0 {
		if err := sc.seekTime(f.until + 1); err != nil {
			return end, err
		}
		if sc.start.Segment != 0 && sc.start.Before(end) {
			end = sc.start
		}
	}
	return end, nil
}

// toEnd places a scanner at the end: what is there is the tail's, what comes is
// followed.
func (f *feed) toEnd(sc *scanner) error {
	end, err := f.endPlace(sc)
	if err != nil {
		return err
	}
	if err := sc.seek(end); err != nil {
		return err
	}
	f.bind(sc, end)
	return nil
}

// resumeAt sets a source to go on where the cursor was.
func (f *feed) resumeAt(s *feedSource) {
	p := f.resume
	n, ok := p.of(s.id)
	switch {
	case ok && n.exact:
		s.skip, s.resume = n.st, true
		s.st = n.st
		s.begin = func(sc *scanner) error {
			end, err := f.endPlace(sc)
			if err != nil {
				return err
			}
			f.bind(sc, end)
			return sc.seekState(n.st)
		}
		return
	case !ok && p.follow:
		f.join(s)
		return
	}
	from := p.last.time
	if s.id <= p.last.id {
		from++
	}
	s.begin = func(sc *scanner) error {
		end, err := f.endPlace(sc)
		if err != nil {
			return err
		}
		f.bind(sc, end)
		return sc.seekTime(from)
	}
}

// join sets a source that is new to the feed to begin, with a divider where one
// is wanted.
func (f *feed) join(s *feedSource) {
	s.begin = func(sc *scanner) error {
		end, err := f.endPlace(sc)
		if err != nil {
			return err
		}
		f.bind(sc, end)
		return sc.seekTime(f.floor)
	}
	if f.q.Dividers && s.src.Live && f.q.Follow {
		at := f.last.time
		if at == 0 {
			at = f.s.now().UnixNano()
		}
		s.prefix = []item{{kind: joinItem, time: at}}
	}
}

// markSource makes the source of an app's operations.
func (f *feed) markSource(id string, m *marks) *feedSource {
	s := &feedSource{id: "@" + id, hash: hashOf("@" + id), marks: m, src: Source{AppID: id}}
	switch {
	case f.resume != nil:
		s.st.high = m.since(f.resume.last.time + 1)
		if n, ok := f.resume.of(s.id); ok {
			s.st = n.st
		}
	case f.before != nil:
		s.only = true
	case f.q.Tail > 0 || f.q.Follow && !f.hasStart():
		s.st.high = m.since(f.s.now().UnixNano() + 1)
	}
	return s
}
