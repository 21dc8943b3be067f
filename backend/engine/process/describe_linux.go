package process

import "pitwall/backend/engine"

// Describe says what an engine could do on this machine, without one.
func Describe() engine.Description {
	h := detectHierarchy(false)
	return engine.Description{Name: "process", Cgroup: h.kind, Notes: append(h.notes, limitNotes()...)}
}
