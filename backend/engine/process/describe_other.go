//go:build !linux

package process

import "pitwall/backend/engine"

// Describe says that there is no engine here.
func Describe() engine.Description {
	return engine.Description{Name: "process", Cgroup: "none", Notes: []string{"processes are kept on Linux only"}}
}
