package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"pitwall/backend/engine/process/keeper/proc"
)

// processes is the process table at one moment.
type processes struct {
	all      map[int]proc.Stat
	children map[int][]int
	sessions map[int][]int
}

// readProcesses reads the process table.
func readProcesses() (*processes, error) {
	all, err := proc.All()
	if err != nil {
		return nil, err
	}
	p := &processes{all: all, children: map[int][]int{}, sessions: map[int][]int{}}
	for pid, s := range all {
		p.children[s.Parent] = append(p.children[s.Parent], pid)
		p.sessions[s.Session] = append(p.sessions[s.Session], pid)
	}
	return p, nil
}

// tree returns the living processes of an instance: the main process, all that
// is in its session, and all that descends from these or from the keeper,
// which inherits what they orphan. The keeper itself is not one of them.
func (p *processes) tree(main, keeper int) []proc.Stat {
	queue := append([]int{main}, p.sessions[main]...)
	if keeper > 0 {
		queue = append(queue, p.children[keeper]...)
	}
	seen := map[int]bool{keeper: true}
	var out []proc.Stat
	for len(queue) > 0 {
		pid := queue[0]
		queue = queue[1:]
		s, known := p.all[pid]
		if !known || seen[pid] {
			continue
		}
		seen[pid] = true
		queue = append(queue, p.children[pid]...)
		if !s.Zombie() {
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
		if !s.Zombie() && hasMark(pid, mark) {
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
