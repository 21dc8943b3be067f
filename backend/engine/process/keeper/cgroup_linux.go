package keeper

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"pitwall/backend/engine/process/keeper/proc"
)

// group is the control groups of an instance: one folder in each hierarchy
// that serves a purpose here. Any of them may be missing.
type group struct {
	kill    string // version 2: has cgroup.kill
	freezer string // version 1, where there is no kill
	memory  string
	cpu     string
	v2mem   bool
	limits  string // in words
	watch   int64  // the memory limit that must be watched, as no group keeps it
	ooms    int64
}

// mark is the same for every keeper of a folder and no other: it tells this
// instance's leftovers from those of a namesake elsewhere.
func mark(dir string) string {
	h := fnv.New64a()
	var st unix.Stat_t
	if unix.Stat(dir, &st) == nil {
		fmt.Fprintf(h, "%d.%d.", st.Dev, st.Ino)
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// makeGroup makes the groups below the first parent where that works, and sets
// the limits. What no group can keep is said in limits and left to be watched.
func makeGroup(s Spec, mark string) *group {
	g := &group{}
	h := proc.FindGroups()
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune("/\\ \n\t", r) {
			return '_'
		}
		return r
	}, s.Instance) + "-" + mark
	for _, parent := range s.Cgroup {
		g.place(h, parent, name, s.Limits)
	}
	var words []string
	if n := s.Limits.MemoryBytes; n > 0 {
		if g.memory == "" || g.limitMemory(n) != nil {
			g.watch = n
			words = append(words, "memory watched each second")
		} else {
			words = append(words, "memory by control group")
		}
	}
	if n := s.Limits.CPUMillis; n > 0 {
		if g.cpu == "" || g.limitCPU(n) != nil {
			words = append(words, "cpu not limited: no writable control group")
		} else {
			words = append(words, "cpu by control group")
		}
	}
	g.limits = strings.Join(words, "; ")
	g.ooms = g.oomKills()
	return g
}

// place fills what is still missing from below one parent.
func (g *group) place(h proc.Groups, parent, name string, l Limits) {
	if h.V2 != "" && g.kill == "" {
		dir := filepath.Join(h.V2, parent, name)
		if makeDir(dir) && exists(dir, "cgroup.kill") {
			g.kill = dir
			if l.MemoryBytes > 0 && g.memory == "" && enable(h.V2, parent, "memory", dir+"/memory.max") {
				g.memory, g.v2mem = dir, true
			}
			if l.CPUMillis > 0 && g.cpu == "" && enable(h.V2, parent, "cpu", dir+"/cpu.max") {
				g.cpu = dir
			}
		}
	}
	v1 := func(controller string, dir *string) {
		if root := h.V1[controller]; root != "" && *dir == "" {
			if d := filepath.Join(root, parent, name); makeDir(d) {
				*dir = d
			}
		}
	}
	if g.kill == "" {
		v1("freezer", &g.freezer)
	}
	if l.MemoryBytes > 0 {
		v1("memory", &g.memory)
	}
	if l.CPUMillis > 0 {
		v1("cpu", &g.cpu)
	}
}

// makeDir makes a group that we may put processes into.
func makeDir(dir string) bool {
	if os.MkdirAll(dir, 0o755) != nil {
		// Once more, as a keeper that ends may have removed the parent in between.
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return false
		}
	}
	if unix.Access(filepath.Join(dir, "cgroup.procs"), unix.W_OK) != nil {
		unix.Rmdir(dir)
		return false
	}
	return true
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// enable delegates a controller of version 2 down to a parent's children.
func enable(root, parent, controller, file string) bool {
	at := root
	put(at, "cgroup.subtree_control", "+"+controller)
	for _, part := range strings.Split(filepath.Clean(parent), "/") {
		at = filepath.Join(at, part)
		put(at, "cgroup.subtree_control", "+"+controller)
	}
	_, err := os.Stat(file)
	return err == nil
}

func put(dir, name, value string) error {
	return os.WriteFile(filepath.Join(dir, name), []byte(value), 0)
}

func (g *group) limitMemory(n int64) error {
	v := strconv.FormatInt(n, 10)
	if g.v2mem {
		put(g.memory, "memory.swap.max", "0")
		put(g.memory, "memory.oom.group", "1")
		return put(g.memory, "memory.max", v)
	}
	err := put(g.memory, "memory.limit_in_bytes", v)
	put(g.memory, "memory.memsw.limit_in_bytes", v)
	put(g.memory, "memory.swappiness", "0")
	return err
}

func (g *group) limitCPU(millis int64) error {
	// The kernel's usual period: short enough to be even, long enough to be cheap.
	const period = 100_000
	quota := strconv.FormatInt(max(millis*period/1000, 1000), 10)
	if exists(g.cpu, "cpu.max") {
		return put(g.cpu, "cpu.max", quota+" "+strconv.Itoa(period))
	}
	put(g.cpu, "cpu.cfs_period_us", strconv.Itoa(period))
	return put(g.cpu, "cpu.cfs_quota_us", quota)
}

// dirs are the distinct folders.
func (g *group) dirs() []string {
	var dirs []string
	for _, d := range []string{g.kill, g.freezer, g.memory, g.cpu} {
		seen := d == ""
		for _, e := range dirs {
			seen = seen || d == e
		}
		if !seen {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

// add puts a process into all groups.
func (g *group) add(pid int) error {
	var all error
	for _, d := range g.dirs() {
		if err := put(d, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			all = errors.Join(all, fmt.Errorf("join control group: %w", err))
		}
	}
	return all
}

// procs lists who is in any of the groups.
func (g *group) procs() []int {
	var pids []int
	for _, d := range g.dirs() {
		p, _ := os.ReadFile(filepath.Join(d, "cgroup.procs"))
		for _, f := range strings.Fields(string(p)) {
			if n, err := strconv.Atoi(f); err == nil && n > 0 {
				pids = append(pids, n)
			}
		}
	}
	return pids
}

// killAll sends SIGKILL to all of them, so that none can fork away.
func (g *group) killAll() {
	if g.kill != "" && put(g.kill, "cgroup.kill", "1") == nil {
		return
	}
	if g.freezer != "" {
		put(g.freezer, "freezer.state", "FROZEN")
		defer put(g.freezer, "freezer.state", "THAWED")
	}
	for _, pid := range g.procs() {
		unix.Kill(pid, unix.SIGKILL)
	}
}

// oomKills is how many processes were killed at the memory limit, ever.
func (g *group) oomKills() int64 {
	if g.memory == "" {
		return 0
	}
	name := "memory.oom_control"
	if g.v2mem {
		name = "memory.events"
	}
	p, _ := os.ReadFile(filepath.Join(g.memory, name))
	for line := range strings.Lines(string(p)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "oom_kill" {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}

// newOOM says whether there were more since the last call.
func (g *group) newOOM() bool {
	n := g.oomKills()
	more := n > g.ooms
	g.ooms = n
	return more
}

// remove deletes the empty groups, and their parents after the last of them.
func (g *group) remove() {
	for _, d := range g.dirs() {
		if unix.Rmdir(d) == nil {
			unix.Rmdir(filepath.Dir(d))
		}
	}
}
