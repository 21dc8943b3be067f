package process

import (
	"sync"
	"time"

	"pitwall/backend/engine"
)

// target is what is measured of one instance.
type target struct {
	id      string
	pid     int
	keeper  int
	started time.Time // of its run
	group   group     // its control group, where it has one
}

// meter measures instances and remembers what it found, since CPU is a
// difference.
type meter struct {
	now func() time.Time

	mu   sync.Mutex
	last map[string]reading
}

// reading is one instance's CPU time as it was at a moment.
type reading struct {
	pid  int
	cpu  time.Duration
	at   time.Time
	rate float64 // that was made of it
}

// measure returns the usage of the targets that run. It reads the process table
// once for all of them.
func (m *meter) measure(targets []target) (map[string]engine.Usage, error) {
	out := make(map[string]engine.Usage, len(targets))
	if len(targets) == 0 {
		return out, nil
	}
	table, err := readProcesses()
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last == nil {
		m.last = map[string]reading{}
	}
	for _, t := range targets {
		tree := table.tree(t.pid, t.keeper)
		if len(tree) == 0 {
			continue
		}
		u := engine.Usage{Processes: len(tree)}
		var cpu time.Duration
		for _, p := range tree {
			u.RSS += p.RSS
			cpu += p.CPU
			u.FDs += countFDs(p.PID)
		}
		total, ok := t.group.cpu() // with that of processes that have ended
		if !ok {
			total = cpu
		}
		if rss, ok := t.group.rss(); ok {
			u.RSS = rss // with shared pages counted once
		}
		u.CPU = m.rate(t, cpu, total)
		out[t.id] = u
	}
	return out, nil
}

// minRate is the least time between two readings that make a rate: CPU time is
// counted in hundredths of a second.
const minRate = 20 * time.Millisecond

// rate is how much of a core was used since the last reading of the same
// process, or since it was started: cpu is what its living processes have used,
// total what its group has, from runs before this one on.
func (m *meter) rate(t target, cpu, total time.Duration) float64 {
	now := m.now()
	before, known := m.last[t.id]
	if known && before.pid == t.pid && now.Sub(before.at) < minRate {
		return before.rate
	}
	used, since := total-before.cpu, before.at
	if !known || before.pid != t.pid || used < 0 {
		used, since = cpu, t.started
	}
	r := reading{pid: t.pid, cpu: total, at: now}
	if wall := now.Sub(since); wall >= minRate {
		r.rate = float64(used) / float64(wall)
	}
	m.last[t.id] = r
	return r.rate
}

// forget drops what is remembered of an instance.
func (m *meter) forget(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.last, id)
}
