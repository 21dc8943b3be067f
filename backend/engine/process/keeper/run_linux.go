package keeper

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// drainBefore is how long a run that ended may take to close its output
	// before what it left behind is killed, and drainAfter how long the last
	// bytes may take then.
	drainBefore = 250 * time.Millisecond
	drainAfter  = time.Second
	// watchEvery is how often memory is looked at where no group limits it.
	watchEvery = time.Second
)

// run is one start of the program.
type run struct {
	number  uint32
	proc    Proc
	started time.Time
	envHash string
	pipes   [2]*os.File
	movers  [2]*mover
	ended   chan syscall.WaitStatus // from the reaper
	adopted *pidfd
	result  *os.File // says why nothing was executed
	tree    tree
	limit   int64  // bytes of memory, where they must be watched
	memory  int64  // the limit of the spec
	why     string // it was not let go, and why

	killing sync.Mutex // held while the tree is killed
	over    bool       // nothing of the run is left to kill

	mu      sync.Mutex
	stopped bool
	oom     bool
	grace   *time.Timer
}

// envHash tells whether two runs had the same environment, without saying
// what it was.
func envHash(env []string) string {
	env = slices.Sorted(slices.Values(env))
	sum := sha256.Sum256([]byte(strings.Join(env, "\x00")))
	return hex.EncodeToString(sum[:6])
}

// makePipe makes a pipe whose read end does not block and whose write end does.
func makePipe() (r, w *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("make pipe: %w", err)
	}
	for size := pipeSize; size > 64<<10; size /= 2 {
		if _, err := unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, size); err == nil {
			break
		}
	}
	unix.SetNonblock(fds[0], true)
	return os.NewFile(uintptr(fds[0]), "output"), os.NewFile(uintptr(fds[1]), "output"), nil
}

// held is a process that waits to be let go.
type held struct {
	run  *run
	gate *os.File
}

// spawn starts a held process for run number n. It is registered with the
// reaper, but neither in its groups nor let go.
func (k *keeper) spawn(n uint32) (held, error) {
	var mine, theirs []*os.File
	fail := func(err error) (held, error) {
		for _, f := range append(mine, theirs...) {
			f.Close()
		}
		return held{}, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return fail(err)
	}
	theirs = append(theirs, null)
	for range 2 {
		r, w, err := makePipe()
		if err != nil {
			return fail(err)
		}
		mine, theirs = append(mine, r), append(theirs, w)
	}
	planR, planW, err := os.Pipe()
	if err != nil {
		return fail(fmt.Errorf("make pipe: %w", err))
	}
	mine, theirs = append(mine, planW), append(theirs, planR)
	resultR, resultW, err := os.Pipe()
	if err != nil {
		return fail(fmt.Errorf("make pipe: %w", err))
	}
	mine, theirs = append(mine, resultR), append(theirs, resultW)
	r := &run{
		number: n, started: time.Now(), envHash: envHash(k.spec.Env), pipes: [2]*os.File{mine[0], mine[1]},
		ended: make(chan syscall.WaitStatus, 1), result: resultR, tree: k.tree,
		limit: k.tree.group.watch, memory: k.spec.Limits.MemoryBytes,
	}
	if err := k.startHeld(r, theirs); err != nil {
		return fail(fmt.Errorf("start process: %w", err))
	}
	for _, f := range theirs {
		f.Close()
	}
	return held{run: r, gate: planW}, nil
}

func (k *keeper) startHeld(r *run, files []*os.File) error {
	// The lock keeps the reaper from meeting the process before it is known.
	k.reap.Lock()
	defer k.reap.Unlock()
	p, err := os.StartProcess("/proc/self/exe", []string{k.name, heldCommand}, &os.ProcAttr{
		Files: files, Env: k.tree.env(), Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return err
	}
	defer p.Release()
	r.proc, err = findProc(p.Pid)
	if err != nil {
		p.Kill()
		return err
	}
	k.children[p.Pid] = r
	return nil
}

// reapAll collects every child that has ended: the program, and what was
// orphaned to us.
func (k *keeper) reapAll() {
	k.reap.Lock()
	defer k.reap.Unlock()
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if r := k.children[pid]; r != nil {
			delete(k.children, pid)
			r.ended <- ws
		}
	}
}

// listen starts moving the output.
func (r *run) listen(s *sink) {
	for i, f := range r.pipes {
		if f == nil {
			continue
		}
		if m, err := s.move(streamOf(i), f); err == nil {
			r.movers[i] = m
		}
	}
}

// watch follows the run from its execution to its end, and returns how it
// ended, with everything it left behind gone.
func (r *run) watch(k *keeper) Exit {
	if r.result != nil {
		p, _ := io.ReadAll(io.LimitReader(r.result, 4<<10))
		r.result.Close()
		if r.why += string(p); r.why == "" {
			k.post(func() { k.executed(r) })
		}
	} else if r.adopted.file != nil {
		// Adopted: a process that was still held ends with its keeper.
		k.post(func() { k.executed(r) })
	}
	if r.limit > 0 {
		end := make(chan struct{})
		defer close(end)
		go r.watchMemory(end)
	}
	ws, known := r.wait()
	e := Exit{
		Run: r.number, PID: r.proc.PID, Started: r.started, Ended: time.Now(), Code: -1, EnvHash: r.envHash,
	}
	if !r.drained(drainBefore) {
		r.kill(k)
		r.drained(drainAfter)
	}
	for _, m := range r.movers {
		if m != nil {
			m.finish()
			<-m.done
		}
	}
	r.kill(k)
	r.killing.Lock()
	r.over = true
	r.killing.Unlock()
	for _, f := range r.pipes {
		if f != nil {
			f.Close()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.grace != nil {
		r.grace.Stop()
	}
	e.Stopped = r.stopped
	r.describe(&e, ws, known)
	return e
}

func (r *run) wait() (syscall.WaitStatus, bool) {
	if r.adopted == nil {
		return <-r.ended, true
	}
	if r.adopted.file == nil {
		return 0, false // it was gone before we came
	}
	defer r.adopted.file.Close()
	if err := r.adopted.wait(); err != nil {
		return 0, false
	}
	return r.adopted.status()
}

// describe puts an end into words. It is called with the mutex held.
func (r *run) describe(e *Exit, ws syscall.WaitStatus, known bool) {
	oom := r.tree.group.newOOM() || r.oom
	atLimit := "killed at its memory limit (" + bytesText(r.memory) + ")"
	switch {
	case r.why != "":
		e.Code, e.Reason = ws.ExitStatus(), r.why
	case !known:
		e.Unknown, e.Reason = true, "exit unknown: its keeper was gone when it ended"
	case ws.Signaled():
		e.Signal = int(ws.Signal())
		e.Reason = "killed by " + unix.SignalName(ws.Signal())
	default:
		e.Code = ws.ExitStatus()
		e.Reason = fmt.Sprintf("exit %d", e.Code)
	}
	killed := e.Signal == int(unix.SIGKILL) || e.Code == 128+int(unix.SIGKILL) || e.Unknown
	switch {
	case oom && killed:
		e.OOM, e.Reason = true, atLimit
	case oom:
		e.OOM = true
		e.Reason += ", after a process of it was " + atLimit
	}
}

func bytesText(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size && n%u.size == 0 {
			return fmt.Sprintf("%d %s", n/u.size, u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// drained waits until both streams are at their end.
func (r *run) drained(limit time.Duration) bool {
	t := time.NewTimer(limit)
	defer t.Stop()
	for _, m := range r.movers {
		if m == nil {
			continue
		}
		select {
		case <-m.done:
		case <-t.C:
			return false
		}
	}
	return true
}

// killTree ends every process of the run, and none of the run after it: a kill
// that comes late does nothing.
func (r *run) killTree() error {
	r.killing.Lock()
	defer r.killing.Unlock()
	if r.over {
		return nil
	}
	return r.tree.kill(r.proc)
}

// kill ends every process of the run.
func (r *run) kill(k *keeper) {
	if err := r.killTree(); err != nil {
		k.complain(err)
		k.post(func() { k.tell(Event{Kind: EventEscaped, Run: r.number, Reason: err.Error()}) })
	}
}

// signal sends a signal to the process group and the program.
func (r *run) signal(s syscall.Signal) error {
	if r.adopted != nil && !r.proc.Alive() {
		return os.ErrProcessDone
	}
	err := syscall.Kill(-r.proc.PID, s)
	if errors.Is(err, syscall.ESRCH) {
		err = syscall.Kill(r.proc.PID, s)
	}
	if err != nil {
		return fmt.Errorf("signal process group %d: %w", r.proc.PID, err)
	}
	return nil
}

// watchMemory kills the tree when it uses more than its limit.
func (r *run) watchMemory(end chan struct{}) {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		select {
		case <-end:
			return
		case <-t.C:
		}
		if r.tree.rss(r.proc) > r.limit {
			r.mu.Lock()
			r.oom = true
			r.mu.Unlock()
			r.killTree()
		}
	}
}
