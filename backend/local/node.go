package local

import (
	"context"
	"runtime"
	"strings"

	"pitwall/backend"
)

// Nodes lists the one machine that a process engine runs on.
func (b *Backend) Nodes(ctx context.Context, _ backend.NodeQuery) (backend.List[backend.Node], error) {
	if err := b.enter(ctx); err != nil {
		return backend.List[backend.Node]{}, err
	}
	n := b.cfg.Node
	d := b.eng.Describe()
	n.Engine, n.Cgroup, n.CPUs = d.Name, d.Cgroup, runtime.NumCPU()
	n.State = "ready"
	if len(d.Notes) > 0 {
		n.State, n.Reason = "degraded", strings.Join(d.Notes, "; ")
	}
	measureNode(&n)
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, m := range b.instances {
		if m.Instance.State.Live() {
			n.Instances++
		}
	}
	return backend.List[backend.Node]{Items: []backend.Node{n}, Index: b.index}, nil
}
