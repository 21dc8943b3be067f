package proc

import (
	"os"
	"strings"
)

// Groups is where control groups are mounted on this machine.
type Groups struct {
	V2 string            // root of version 2; empty: not mounted
	V1 map[string]string // roots of version 1, by controller
}

// FindGroups reads the mounts of this process. What cannot be read is not
// mounted.
func FindGroups() Groups {
	g := Groups{V1: map[string]string{}}
	text, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(text)) {
		mount, kind, _ := strings.Cut(line, " - ")
		m, k := strings.Fields(mount), strings.Fields(kind)
		if len(m) < 5 || len(k) < 3 {
			continue
		}
		switch {
		case k[0] == "cgroup2" && g.V2 == "":
			g.V2 = m[4]
		case k[0] == "cgroup":
			for controller := range strings.SplitSeq(k[2], ",") {
				g.V1[controller] = m[4]
			}
		}
	}
	return g
}
