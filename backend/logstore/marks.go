package logstore

import (
	"sync"
	"time"

	"pitwall/backend"
)

// maxMarks is how many operations of an app are remembered between its lines.
const maxMarks = 200

// marks are the recent operations of an app.
type marks struct {
	mu    sync.Mutex
	items []item
	texts []backend.LogDivider
}

// Mark places an operation's divider in the merged log of an app or a job, by
// its id. The recent ones are kept in memory.
func (s *Store) Mark(appID string, d backend.LogDivider, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.marksOf(appID).add(d, at)
	for f := range s.feeds {
		f.poke()
	}
}

// marksOf is called with the lock held.
func (s *Store) marksOf(appID string) *marks {
	m := s.marks[appID]
	if m == nil {
		m = &marks{}
		s.marks[appID] = m
	}
	return m
}

func (m *marks) add(d backend.LogDivider, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	it := item{kind: markItem, time: at.UnixNano(), seq: uint64(max(1, at.UnixNano()))}
	if n := len(m.items); n > 0 {
		it.seq = max(it.seq, m.items[n-1].seq+1)
		it.time = max(it.time, m.items[n-1].time)
	}
	it.after = state{high: it.seq}
	m.items, m.texts = append(m.items, it), append(m.texts, d)
	if n := len(m.items) - maxMarks; n > 0 {
		m.items, m.texts = m.items[n:], m.texts[n:]
	}
}

// after returns the first mark with a number above seq.
func (m *marks) after(seq uint64) (item, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, it := range m.items {
		if it.seq > seq {
			return it, true
		}
	}
	return item{}, false
}

// since returns the number before that of the first mark not older than t.
func (m *marks) since(t int64) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	high := uint64(0)
	for _, it := range m.items {
		if it.time < t {
			high = it.seq
		}
	}
	return high
}

// divider returns the text of a mark.
func (m *marks) divider(seq uint64) *backend.LogDivider {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, it := range m.items {
		if it.seq == seq {
			d := m.texts[i]
			return &d
		}
	}
	return &backend.LogDivider{Kind: "operation"}
}
