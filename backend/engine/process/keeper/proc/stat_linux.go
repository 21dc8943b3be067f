package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticks is the unit of CPU time in /proc: a hundredth of a second on every
// machine that Linux runs Go programs on.
const ticks = 10 * time.Millisecond

// Stat is what /proc/PID/stat says of a process.
type Stat struct {
	PID, Parent, Session int

	State byte
	CPU   time.Duration // its own, and its children's that it waited for
	Start uint64        // in ticks since boot
	RSS   int64         // bytes
	Exit  int           // wait status of a zombie; 0 to those who may not trace it
}

// Zombie reports whether the process has ended and only waits to be reaped.
func (s Stat) Zombie() bool { return s.State == 'Z' || s.State == 'X' }

// Read returns what is said of one process. Its error wraps [os.ErrNotExist]
// when there is none of that number.
func Read(pid int) (Stat, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Stat{}, err
	}
	return parse(pid, text)
}

// parse reads a line of /proc/PID/stat. The program's name stands in
// parentheses and may hold anything, so fields count from the last one.
func parse(pid int, text []byte) (Stat, error) {
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(f) < 50 {
		return Stat{}, fmt.Errorf("read process %d: its line is too short", pid)
	}
	var err error
	number := func(i int) int64 {
		n, e := strconv.ParseInt(f[i], 10, 64)
		err = errors.Join(err, e)
		return n
	}
	s := Stat{
		PID: pid, Parent: int(number(1)), Session: int(number(3)), State: f[0][0],
		CPU:   time.Duration(number(11)+number(12)+number(13)+number(14)) * ticks,
		Start: uint64(number(19)), RSS: number(21) * int64(os.Getpagesize()), Exit: int(number(49)),
	}
	if err != nil {
		return Stat{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	return s, nil
}

// All returns the process table by number. What ends meanwhile is left out.
func All() (map[int]Stat, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	all := map[int]Stat{}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if s, err := Read(pid); err == nil {
			all[pid] = s
		}
	}
	return all, nil
}
