package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ticks is the unit of CPU time in /proc: a hundredth of a second on every
// machine that Linux runs Go programs on.
const ticks = 10 * time.Millisecond

// procStat is what /proc/PID/stat says of a process.
type procStat struct {
	pid, parent, session int
	zombie               bool
	cpu                  time.Duration // its own, and its children's that it waited for
	start                uint64        // in ticks since boot
	rss                  int64         // bytes
}

// readStat reads one process's line.
func readStat(pid int) (procStat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procStat{}, err
	}
	return parseStat(pid, text)
}

// parseStat reads a line of /proc/PID/stat. The program's name stands in
// parentheses and may hold anything, so fields count from the last one.
func parseStat(pid int, text []byte) (procStat, error) {
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return procStat{}, errors.New("read process: no name")
	}
	f := strings.Fields(string(text[end+1:]))
	if len(f) < 22 {
		return procStat{}, errors.New("read process: too few fields")
	}
	s := procStat{pid: pid, zombie: f[0] == "Z" || f[0] == "X"}
	var err error
	number := func(i int) int64 {
		n, e := strconv.ParseInt(f[i], 10, 64)
		err = errors.Join(err, e)
		return n
	}
	s.parent, s.session = int(number(1)), int(number(3))
	s.cpu = time.Duration(number(11)+number(12)+number(13)+number(14)) * ticks
	s.start = uint64(number(19))
	s.rss = number(21) * int64(os.Getpagesize())
	return s, err
}

// processes is the process table at one moment.
type processes struct {
	all      map[int]procStat
	children map[int][]int
	sessions map[int][]int
}

// readProcesses reads the process table. What ends meanwhile is left out.
func readProcesses() (*processes, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	p := &processes{all: map[int]procStat{}, children: map[int][]int{}, sessions: map[int][]int{}}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		s, err := readStat(pid)
		if err != nil {
			continue
		}
		p.all[pid] = s
		p.children[s.parent] = append(p.children[s.parent], pid)
		p.sessions[s.session] = append(p.sessions[s.session], pid)
	}
	return p, nil
}

// tree returns the living processes of an instance: the main process, all that
// is in its session, and all that descends from these or from the keeper,
// which inherits what they orphan. The keeper itself is not one of them.
func (p *processes) tree(main, keeper int) []procStat {
	queue := append([]int{main}, p.sessions[main]...)
	if keeper > 0 {
		queue = append(queue, p.children[keeper]...)
	}
	seen := map[int]bool{keeper: true}
	var out []procStat
	for len(queue) > 0 {
		pid := queue[0]
		queue = queue[1:]
		s, known := p.all[pid]
		if !known || seen[pid] {
			continue
		}
		seen[pid] = true
		queue = append(queue, p.children[pid]...)
		if !s.zombie {
			out = append(out, s)
		}
	}
	return out
}

// countFDs counts the open files of a process; 0 where that may not be read.
func countFDs(pid int) int {
	dir, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return 0
	}
	return len(names)
}

// killMarked kills every process whose environment has the mark, again until
// none is left: one that forks meanwhile is found the next time.
func killMarked(mark string) error {
	for range 100 {
		found, err := marked(mark)
		if err != nil || len(found) == 0 {
			return err
		}
		for _, pid := range found {
			if err := killIfMarked(pid, mark); err != nil {
				return err
			}
		}
	}
	return errors.New("processes are started faster than they can be killed")
}

// marked returns the living processes whose environment has the mark.
func marked(mark string) ([]int, error) {
	p, err := readProcesses()
	if err != nil {
		return nil, err
	}
	var out []int
	for pid, s := range p.all {
		if !s.zombie && hasMark(pid, mark) {
			out = append(out, pid)
		}
	}
	return out, nil
}

func hasMark(pid int, mark string) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && bytes.Contains(append([]byte{0}, text...), []byte("\x00"+mark+"\x00"))
}

// killIfMarked kills a process by a pidfd, after another look at it: its number
// may belong to another one by now.
func killIfMarked(pid int, mark string) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	if !hasMark(pid, mark) {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	return nil
}
