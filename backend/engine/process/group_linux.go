package process

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// group is an instance's control group: one folder in version 2, one of each
// controller in version 1. Folders that are not there are empty.
type group struct {
	unified string
	cpuacct string
	memory  string
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
	anonymous, mapped, file := "anon", "file_mapped", g.unified
	if file == "" {
		anonymous, mapped, file = "total_rss", "total_mapped_file", g.memory
	}
	if file == "" {
		return 0, false
	}
	a, ok := readKey(filepath.Join(file, "memory.stat"), anonymous)
	if !ok {
		return 0, false
	}
	m, _ := readKey(filepath.Join(file, "memory.stat"), mapped)
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
