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
	pid int
	cpu time.Duration
	at  time.Time
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
			u.RSS += p.rss
			cpu += p.cpu
			u.FDs += countFDs(p.pid)
		}
		if total, ok := t.group.cpu(); ok {
			cpu = total // with that of processes that have ended
		}
		if rss, ok := t.group.rss(); ok {
			u.RSS = rss // with shared pages counted once
		}
		u.CPU = m.rate(t, cpu)
		out[t.id] = u
	}
	return out, nil
}

// minRate is the least time between two readings that make a rate: CPU time is
// counted in hundredths of a second.
const minRate = 20 * time.Millisecond

// rate is how much of a core was used since the last reading of the same
// process, or since it was started.
func (m *meter) rate(t target, cpu time.Duration) float64 {
	now := m.now()
	before, known := m.last[t.id]
	if !known || before.pid != t.pid || before.cpu > cpu {
		before = reading{pid: t.pid, at: t.started}
	}
	m.last[t.id] = reading{pid: t.pid, cpu: cpu, at: now}
	wall := now.Sub(before.at)
	if wall < minRate {
		m.last[t.id] = before
		return 0
	}
	return max(0, float64(cpu-before.cpu)/float64(wall))
}

// forget drops what is remembered of an instance.
func (m *meter) forget(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.last, id)
}
