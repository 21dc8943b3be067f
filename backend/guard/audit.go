package guard

import (
	"context"
	"net"
	"sync"
	"time"

	"pitwall/backend"
)

// Refusal is a call that was refused, or several that differ in nothing but
// their time.
type Refusal struct {
	Attribution backend.Attribution
	Op          string       // the verb or the read
	Need        backend.Need // the one that was lacking; zero without a principal
	Code        backend.Code
	Count       int
	First, Last time.Time
}

// Auditor writes down what was refused. Refused is called by many goroutines
// at once; it should not wait long, since the caller waits for it.
type Auditor interface {
	Refused(ctx context.Context, r Refusal)
}

// mergeFor is how long repeats of a refusal are only counted, and maxMerged of
// how many kinds at once: somebody who hammers at a door must not fill the
// audit.
const (
	mergeFor  = time.Minute
	maxMerged = 1024
)

// merger tells the first of a kind of refusals at once and counts its repeats.
type merger struct {
	audit Auditor

	mu    sync.Mutex
	kinds map[kind]*Refusal // Count is of the repeats that were not told
}

// kind is what repeats have in common.
type kind struct {
	principal, door, host, op string
	need                      backend.Need
	code                      backend.Code
}

func kindOf(r Refusal) kind {
	host, _, err := net.SplitHostPort(r.Attribution.Address)
	if err != nil {
		host = r.Attribution.Address
	}
	return kind{r.Attribution.Principal.Name, r.Attribution.Door, host, r.Op, r.Need, r.Code}
}

// refused takes one refusal.
func (m *merger) refused(ctx context.Context, r Refusal) {
	if m.audit == nil {
		return
	}
	now := time.Now()
	for _, told := range m.add(r, now) {
		m.audit.Refused(ctx, told)
	}
}

// add returns what is to be told now.
func (m *merger) add(r Refusal, now time.Time) []Refusal {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := kindOf(r)
	known := m.kinds[k]
	if known != nil && now.Sub(known.First) < mergeFor {
		known.Count++
		known.Last = now
		return nil
	}
	var told []Refusal
	if known == nil && len(m.kinds) >= maxMerged {
		told = m.drain()
	}
	if known != nil && known.Count > 0 {
		told = append(told, *known)
	}
	if m.kinds == nil {
		m.kinds = make(map[kind]*Refusal)
	}
	r.First, r.Last = now, now
	counted := r
	m.kinds[k] = &counted
	r.Count = 1
	return append(told, r)
}

// drain forgets every kind and returns the repeats that were not told.
func (m *merger) drain() []Refusal {
	var told []Refusal
	for _, r := range m.kinds {
		if r.Count > 0 {
			told = append(told, *r)
		}
	}
	m.kinds = nil
	return told
}

// flush tells every repeat.
func (m *merger) flush(ctx context.Context) {
	if m.audit == nil {
		return
	}
	m.mu.Lock()
	told := m.drain()
	m.mu.Unlock()
	for _, r := range told {
		m.audit.Refused(ctx, r)
	}
}
