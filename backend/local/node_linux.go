package local

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"pitwall/backend"
)

// bootID names this machine's present boot, "" where it is not known.
func bootID() string {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}

// measureNode fills in what the kernel says of this machine. What cannot be
// read stays zero.
func measureNode(n *backend.Node) {
	if raw, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Sscanf(string(raw), "%f", &n.Load)
	}
	if raw, err := os.ReadFile("/proc/meminfo"); err == nil {
		lines := bufio.NewScanner(bytes.NewReader(raw))
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ":")
			var kib int64
			fmt.Sscanf(value, "%d", &kib)
			switch name {
			case "MemTotal":
				n.Memory = kib << 10
			case "MemAvailable":
				n.MemoryFree = kib << 10
			}
		}
	}
	dir := n.StateDir
	if dir == "" {
		dir = "/"
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err == nil {
		n.Disk, n.DiskFree = int64(fs.Blocks)*fs.Bsize, int64(fs.Bavail)*fs.Bsize
	}
}
