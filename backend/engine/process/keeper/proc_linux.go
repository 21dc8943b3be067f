package keeper

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"pitwall/backend/engine/process/keeper/proc"
)

// findProc names the process that has a pid now.
func findProc(pid int) (Proc, error) {
	st, err := proc.Read(pid)
	return Proc{PID: pid, Start: st.Start}, err
}

// Alive says whether the process still exists, as more than a zombie.
func (p Proc) Alive() bool {
	st, err := proc.Read(p.PID)
	return p.PID > 0 && err == nil && st.Start == p.Start && !st.Zombie()
}

// BootID identifies this boot of the host.
func BootID() string {
	p, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(p))
}

// pidfd is a process that cannot be mistaken for a later one with its number.
type pidfd struct {
	proc Proc
	file *os.File
}

func openPidfd(p Proc) (*pidfd, error) {
	fd, err := unix.PidfdOpen(p.PID, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", p.PID, err)
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	if st, err := proc.Read(p.PID); err != nil || st.Start != p.Start {
		f.Close()
		return nil, fmt.Errorf("open process %d: %w", p.PID, os.ErrProcessDone)
	}
	return &pidfd{proc: p, file: f}, nil
}

// wait blocks until the process has ended or the file is closed. It occupies
// no thread.
func (p *pidfd) wait() error {
	conn, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	return conn.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
}

// pidfdInfo is struct pidfd_info of the kernel, first version.
type pidfdInfo struct {
	mask, cgroup uint64
	ids          [11]uint32
	exit         int32
}

const (
	pidfdGetInfo  = 0xC040FF0B // _IOWR(0xFF, 11, struct pidfd_info)
	pidfdInfoExit = 1 << 3
)

// status asks the kernel how a process that is not our child ended: from its
// zombie, or from the pidfd once it is reaped (Linux 6.15). It never guesses.
func (p *pidfd) status() (syscall.WaitStatus, bool) {
	// Whoever is the parent now may take a moment to reap it.
	for range 100 {
		if st, err := proc.Read(p.proc.PID); err == nil && st.Start == p.proc.Start && st.State == 'Z' && mayTrace(p.proc.PID) {
			return syscall.WaitStatus(st.Exit), true
		}
		info := pidfdInfo{mask: pidfdInfoExit}
		conn, err := p.file.SyscallConn()
		if err != nil {
			return 0, false
		}
		var errno unix.Errno
		conn.Control(func(fd uintptr) {
			_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, pidfdGetInfo, uintptr(unsafe.Pointer(&info)))
		})
		if errno == 0 && info.mask&pidfdInfoExit != 0 {
			return syscall.WaitStatus(info.exit), true
		}
		if errno != 0 && errno != unix.EINTR {
			return 0, false // too old a kernel, or gone without a trace
		}
		time.Sleep(10 * time.Millisecond)
	}
	return 0, false
}

// mayTrace says whether the kernel shows us the exit code of a zombie, which
// it gives as 0 to those who may not see it: root may, and who is in all
// respects the same user and group.
func mayTrace(pid int) bool {
	if os.Geteuid() == 0 {
		return true
	}
	p, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return false
	}
	same := 0
	for line := range strings.Lines(string(p)) {
		f := strings.Fields(line)
		if len(f) != 5 || f[0] != "Uid:" && f[0] != "Gid:" {
			continue
		}
		own := os.Geteuid()
		if f[0] == "Gid:" {
			own = os.Getegid()
		}
		for _, id := range f[1:] {
			if id == strconv.Itoa(own) {
				same++
			}
		}
	}
	return same == 8
}

// parseSignal reads "TERM" or "SIGTERM".
func parseSignal(name string) (syscall.Signal, error) {
	name = strings.ToUpper(name)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if s := unix.SignalNum(name); s != 0 {
		return s, nil
	}
	return 0, fmt.Errorf("unknown signal %q; use a name such as TERM, INT or HUP", name)
}
