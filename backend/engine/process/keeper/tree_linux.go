package keeper

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pitwall/backend/engine/process/keeper/proc"
)

// tree finds the processes of an instance.
type tree struct {
	group    *group
	instance string
	mark     string
	// contained says that every process of the run is in its groups.
	contained bool
}

// members lists what belongs to the run whose main process is child: its
// session, all descendants, everything that was orphaned to this keeper, who is
// in its control groups and, if environ is set, who has the instance's mark in
// its environment. Zombies are left out.
func (t tree) members(child Proc, environ bool) []proc.Stat {
	if t.contained {
		return t.inGroup()
	}
	all, _ := proc.All()
	if p, ok := all[child.PID]; ok && p.Start != child.Start {
		child = Proc{} // the number is another's by now, and so is its session
	}
	in := map[int]bool{}
	for _, pid := range t.group.procs() {
		in[pid] = true
	}
	self := os.Getpid()
	var found []proc.Stat
	for pid, p := range all {
		if pid == self || pid <= 1 || p.Zombie() {
			continue
		}
		if in[pid] || descends(all, p, self) || child.PID > 1 && (p.Session == child.PID || descends(all, p, child.PID)) ||
			environ && t.marked(pid) {
			found = append(found, p)
		}
	}
	return found
}

// descends says whether p is, or comes from, the process with a pid.
func descends(all map[int]proc.Stat, p proc.Stat, pid int) bool {
	for range 64 { // deeper than any tree; a cycle cannot happen but is bounded
		if p.PID == pid {
			return true
		}
		up, ok := all[p.Parent]
		if !ok {
			return false
		}
		p = up
	}
	return false
}

func (t tree) inGroup() []proc.Stat {
	var found []proc.Stat
	for _, pid := range t.group.procs() {
		if st, err := proc.Read(pid); err == nil && !st.Zombie() {
			found = append(found, st)
		}
	}
	return found
}

// env is what the environment of each process of the instance has in it.
func (t tree) env() []string {
	return []string{envInstance + "=" + t.instance, envMark + "=" + t.mark}
}

func (t tree) marked(pid int) bool {
	p, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	found := 0
	for v := range bytes.SplitSeq(p, []byte{0}) {
		for _, want := range t.env() {
			if string(v) == want {
				found++
			}
		}
	}
	return found >= 2
}

// kill ends every member, and returns an error that names those that did not
// die within two seconds.
func (t tree) kill(child Proc) error {
	var left []proc.Stat
	for round := range 200 {
		t.group.killAll()
		if left = t.members(child, true); len(left) == 0 {
			return nil
		}
		for _, p := range left {
			killProc(p)
		}
		time.Sleep(min(time.Duration(round+1)*time.Millisecond, 10*time.Millisecond))
	}
	var names []string
	for _, p := range left {
		names = append(names, strconv.Itoa(p.PID))
	}
	return fmt.Errorf("processes that SIGKILL does not end: %s", strings.Join(names, ", "))
}

// killProc kills a process that was listed, and no later one with its pid.
func killProc(p proc.Stat) {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if st, err := proc.Read(p.PID); err == nil && st.Start == p.Start {
		unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}

// rss is the memory of all members in bytes.
func (t tree) rss(child Proc) int64 {
	total := int64(0)
	for _, p := range t.members(child, false) {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/statm")
		if f := strings.Fields(string(b)); err == nil && len(f) > 1 {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			total += n * int64(os.Getpagesize())
		}
	}
	return total
}
