package process

import (
	"bufio"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pitwall/backend/engine/process/keeper/proc"
)

// groupName is the parent of all instances' control groups.
const groupName = "pitwall"

// hierarchy is what this machine has of control groups.
type hierarchy struct {
	kind    string   // v2, v1 or none
	parents []string // for keepers, relative to the root of each hierarchy
	notes   []string
}

// filesEach is how many descriptors the engine holds for an instance: its
// keeper's socket and process, and its two pipes.
const filesEach = 4

// limitNotes says what else bounds the engine here.
func limitNotes() []string {
	var notes []string
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil && files.Max < 10_000*filesEach {
		notes = append(notes, fmt.Sprintf("this user may open %d files, enough for about %d instances (ulimit -n)", files.Max, files.Max/filesEach))
	}
	var name unix.Utsname
	var major, minor int
	if err := unix.Uname(&name); err != nil {
		return notes
	}
	release := unix.ByteSliceToString(name.Release[:])
	if n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor); n == 2 && (major < 6 || major == 6 && minor < 15) && os.Getuid() != 0 {
		notes = append(notes, "a program whose keeper was killed ends with an unknown exit: Linux "+release+" does not tell it, 6.15 does")
	}
	return notes
}

// detectHierarchy looks at what is mounted and may be written.
func detectHierarchy(without bool) hierarchy {
	const watched = "memory limits are watched once a second and cpu limits are not kept: "
	if without {
		return hierarchy{kind: "none", notes: []string{watched + "control groups are switched off"}}
	}
	mounted := proc.FindGroups()
	unified, memory := mounted.V2, mounted.V1["memory"]
	h := hierarchy{kind: "none", parents: []string{groupName}}
	if own := ownGroup(); own != "" && own != "/" {
		h.parents = append(h.parents, path.Join(strings.TrimPrefix(own, "/"), groupName))
	}
	controllers, _ := os.ReadFile(filepath.Join(unified, "cgroup.controllers"))
	switch {
	case unified != "" && (memory == "" || strings.Contains(string(controllers), "memory")):
		h.kind, memory = "v2", unified
	case memory != "":
		h.kind = "v1"
	default:
		h.notes = append(h.notes, watched+"no control groups are mounted")
		h.parents = nil
		return h
	}
	for _, parent := range h.parents {
		if groupWritable(filepath.Join(memory, parent)) {
			return h
		}
	}
	h.notes = append(h.notes, watched+"no control group can be written by this user (run as root, or delegate one)")
	return h
}

// ownGroup is the version 2 group of this process, where one may have been
// delegated to it.
func ownGroup() string {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if own, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return own
		}
	}
	return ""
}

// groupWritable reports whether groups can be made in a group, which need not
// exist yet.
func groupWritable(dir string) bool {
	for {
		err := unix.Access(dir, unix.W_OK)
		if err != unix.ENOENT {
			return err == nil
		}
		dir = filepath.Dir(dir)
	}
}

// group is an instance's control group: one folder in version 2, one of each
// controller in version 1. Folders that are not there are empty.
type group struct {
	unified string
	cpuacct string
	memory  string
}

// groupOf sorts the folders that a keeper names.
func groupOf(dirs []string) group {
	has := func(dir, file string) bool {
		_, err := os.Stat(filepath.Join(dir, file))
		return err == nil
	}
	var g group
	for _, dir := range dirs {
		if has(dir, "cgroup.kill") {
			g.unified = dir
		}
		if has(dir, "cpuacct.usage") {
			g.cpuacct = dir
		}
		if has(dir, "memory.stat") {
			g.memory = dir
		}
	}
	return g
}

// cpu is the CPU time of all that ever ran in the group.
func (g group) cpu() (time.Duration, bool) {
	if g.unified != "" {
		usec, ok := readKey(filepath.Join(g.unified, "cpu.stat"), "usage_usec")
		return time.Duration(usec) * time.Microsecond, ok
	}
	if g.cpuacct != "" {
		text, err := os.ReadFile(filepath.Join(g.cpuacct, "cpuacct.usage"))
		if err != nil {
			return 0, false
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		return time.Duration(n), err == nil
	}
	return 0, false
}

// rss is the memory of the group that cannot be given back by dropping caches.
func (g group) rss() (int64, bool) {
	if g.memory == "" {
		return 0, false
	}
	anonymous, mapped, file := "total_rss", "total_mapped_file", filepath.Join(g.memory, "memory.stat")
	if g.memory == g.unified {
		anonymous, mapped = "anon", "file_mapped"
	}
	a, ok := readKey(file, anonymous)
	if !ok {
		return 0, false
	}
	m, _ := readKey(file, mapped)
	return a + m, true
}

// readKey finds a number in a file of lines "key number".
func readKey(name, key string) (int64, bool) {
	f, err := os.Open(name)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		k, v, _ := strings.Cut(lines.Text(), " ")
		if k == key {
			n, err := strconv.ParseInt(v, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
