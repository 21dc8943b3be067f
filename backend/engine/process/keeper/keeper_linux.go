package keeper

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pitwall/backend/logstore/segment"
)

// The first arguments by which a copy of the binary knows its part.
const (
	keeperCommand = "keeper"
	heldCommand   = "keeper-exec"
)

// The descriptors of a new keeper.
const (
	readyFile = 3 // told "" or why the keeper cannot work, then closed
	pipeFile  = 4 // and 5: the read ends of an orphaned child's pipes
)

// Dispatch runs a keeper, or a process that a keeper holds, if the arguments
// (without the program's name) say that this process is one, and returns its
// exit code. Otherwise mine is false, and the program goes on as itself. It is
// the first thing that main calls.
func Dispatch(args []string) (code int, mine bool) {
	if len(args) == 0 {
		return 0, false
	}
	switch args[0] {
	case keeperCommand:
		return Main(args[1:]), true
	case heldCommand:
		return hold(), true
	}
	return 0, false
}

// The ways in which a keeper comes to be.
const (
	modeStart  = "start"  // a run follows, unless one is on
	modeResume = "resume" // go on where a dead keeper stopped
	modePipes  = "pipes"  // resume, with the child's pipes at pipeFile
)

// Main is the body of a keeper: the arguments are the instance's folder and
// the mode.
func Main(args []string) int {
	if len(args) != 2 {
		fmt.Fprintln(os.Stderr, "keeper: this command is started by the server, not by hand")
		return 2
	}
	// One thread at work is enough to move bytes, and each more costs memory; a
	// keeper's live heap is some hundred KiB, so a small heap is kept small.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(8 << 20)
	closeForeign(args[1])
	ready := os.NewFile(readyFile, "ready")
	unix.CloseOnExec(readyFile)
	k, err := newKeeper(args[0], args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "keeper:", err)
		io.WriteString(ready, err.Error())
		return 1
	}
	ready.Close()
	debug.FreeOSMemory()
	k.loop()
	return k.close()
}

// closeForeign closes what the server inherited from whoever started it. Our
// own descriptors are all closed by an exec, which is how they are told apart.
func closeForeign(mode string) {
	last := readyFile
	if mode == modePipes {
		last = pipeFile + 1
	}
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, e := range fds {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= last {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
}

// keeper is the state of the process. All fields without a mutex belong to
// the goroutine of loop; others reach it by post.
type keeper struct {
	dir   string
	name  string
	umask int
	spec  Spec
	state State
	last  *Exit
	tree  tree
	sink  *sink
	runs  runLog
	cur   *run
	owing bool // a record of runs.jsonl waits for the disk
	// regroup says that the limits may have changed.
	regroup bool
	again   bool // start again when the current run has ended
	quit    bool
	timer   *time.Timer
	turn    int // tells a stale timer from the current one
	idle    []func(error)
	conns   map[*peer]bool
	srv     *server

	calls chan func()
	done  chan struct{}

	reap     sync.Mutex
	children map[int]*run
}

func newKeeper(dir, mode string) (*keeper, error) {
	if err := os.Chdir(dir); err != nil {
		return nil, fmt.Errorf("enter instance folder: %w", err)
	}
	k := &keeper{
		dir: dir, name: filepath.Base(os.Args[0]), umask: unix.Umask(0o077), conns: map[*peer]bool{},
		calls: make(chan func(), 16), done: make(chan struct{}), children: map[int]*run{},
		runs: runLog{name: "runs.jsonl"},
	}
	spec, err := ReadSpec(".")
	if err != nil {
		return nil, err
	}
	k.spec = spec.withDefaults()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become subreaper: %w", err)
	}
	w, report, err := openLog(k.spec.Log, mode)
	if err != nil {
		return nil, err
	}
	if !report.Clean() {
		k.complain(fmt.Errorf("log repaired: %+v", report))
	}
	k.sink = &sink{log: w, block: k.spec.Log.Block, grown: make(chan struct{}, 1)}
	k.sink.report = func(e Event) { k.post(func() { k.tell(e) }) }
	k.tree = tree{instance: k.spec.Instance, mark: mark(".")}
	k.tree.group = makeGroup(k.spec, k.tree.mark)
	if k.srv, err = listen(k); err != nil {
		w.Close()
		return nil, err
	}
	return k, k.takeOver(mode)
}

// openLog opens the log, whose lock makes this the folder's only keeper. One
// that takes over waits for the one before it.
func openLog(l Log, mode string) (*segment.Writer, segment.Report, error) {
	o := segment.Options{SegmentBytes: l.SegmentBytes, Sync: segment.SyncPolicy(l.Fsync)}
	if mode != modeStart {
		o.LockWait = time.Second
	}
	return segment.OpenWriter("log", o)
}

// takeOver reads what a keeper before this one left, and adopts its child or
// records that it is gone.
func (k *keeper) takeOver(mode string) error {
	self, err := findProc(os.Getpid())
	if err != nil {
		return fmt.Errorf("find own process: %w", err)
	}
	old, err := ReadState(".")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		k.complain(err)
	}
	k.state = old
	k.state.Version, k.state.Instance, k.state.Keeper = ProtocolVersion, k.spec.Instance, self
	if runs, err := Runs("."); err == nil && len(runs) > 0 && !runs[len(runs)-1].Ended.IsZero() {
		k.last = &runs[len(runs)-1]
	}
	if mode == modePipes {
		unix.CloseOnExec(pipeFile)
		unix.CloseOnExec(pipeFile + 1)
	}
	if mode == modeStart {
		k.state.Restarts, k.state.Delay = nil, 0
	}
	switch running := old.Phase == Starting || old.Phase == Running || old.Phase == Stopping; {
	case running && k.last != nil && k.last.Run == old.Run:
		k.post(func() { k.settle(mode) })
	case running:
		k.adopt(old, mode)
	case mode == modeStart || old.Phase == "":
		k.post(k.begin)
	case old.Phase == Backoff:
		k.save()
		k.later(max(time.Until(old.Until), 0))
	default:
		k.save()
	}
	return nil
}

// settle finishes what a keeper began that died between recording a run's end
// and acting on it.
func (k *keeper) settle(mode string) {
	k.tree.kill(Proc{})
	k.endInLog(*k.last)
	again := k.state.Again || mode == modeStart
	k.state.Child, k.state.Stopping, k.state.Again = Proc{}, false, false
	if again {
		k.begin()
		return
	}
	k.decide(*k.last)
}

// adopt goes on with a run that another keeper started.
func (k *keeper) adopt(old State, mode string) {
	r := &run{
		number: old.Run, proc: old.Child, started: old.Started, envHash: old.EnvHash, tree: k.tree,
		limit: k.tree.group.watch, memory: k.spec.Limits.MemoryBytes, adopted: &pidfd{proc: old.Child}, stopped: old.Stopping,
	}
	if old.Boot == BootID() {
		if fd, err := openPidfd(old.Child); err == nil {
			r.adopted = fd
		}
	}
	k.again = old.Again || r.adopted.file == nil && mode == modeStart
	if mode == modePipes {
		for i := range r.pipes {
			unix.SetNonblock(pipeFile+i, true)
			r.pipes[i] = os.NewFile(uintptr(pipeFile+i), "output")
		}
	}
	lost := ""
	if old.Boot != BootID() {
		lost = "lost: host restarted"
		r.proc = Proc{} // the number means nothing in this boot
	}
	k.cur = r
	r.listen(k.sink)
	k.state.Boot = BootID()
	if k.state.Phase == Starting {
		k.state.Phase = Running // it was let go, or ends without executing anything
	}
	k.save()
	go k.follow(r, lost)
	if old.Phase == Stopping {
		k.post(func() { k.stop(StopOptions{}, func(error) {}) })
	}
}

// follow waits for a run's end and hands it to the loop.
func (k *keeper) follow(r *run, lost string) {
	e := r.watch(k)
	if lost != "" && e.Unknown {
		e.Reason = lost
	}
	k.post(func() { k.finished(r, e) })
}

// loop is the keeper at work.
func (k *keeper) loop() {
	signals := make(chan os.Signal, 16)
	// All are caught rather than ignored: a child would inherit the latter.
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	defer signal.Stop(signals)
	go k.notify()
	reaper := make(chan struct{}, 1)
	go func() {
		for range reaper {
			k.reapAll()
		}
	}()
	defer close(reaper)
	k.reapAll()
	for !k.quit {
		select {
		case f := <-k.calls:
			f()
		case s := <-signals:
			switch s {
			case syscall.SIGCHLD:
				select {
				case reaper <- struct{}{}:
				default:
				}
			case syscall.SIGTERM:
				k.shutdown(true, func(error) {})
			}
		}
	}
	close(k.done)
}

// post has f run by the loop.
func (k *keeper) post(f func()) {
	select {
	case k.calls <- f:
	case <-k.done:
	}
}

// notify tells clients that the log has grown: at once, and then at most
// every 25 ms, which no eye sees.
func (k *keeper) notify() {
	const pause = 25 * time.Millisecond
	for {
		select {
		case <-k.sink.grown:
		case <-k.done:
			return
		}
		k.post(func() {
			if len(k.conns) > 0 {
				k.tell(Event{Kind: EventAppended, Run: k.state.Run, Next: k.sink.log.Next()})
			}
		})
		time.Sleep(pause)
	}
}

// close leaves the folder as it should be found.
func (k *keeper) close() int {
	k.srv.close()
	k.tree.group.remove()
	code := 0
	k.sink.mu.Lock()
	defer k.sink.mu.Unlock()
	if err := k.sink.log.Close(); err != nil {
		k.complain(err)
		code = 1
	}
	return code
}

// complain writes to keeper.log.
func (k *keeper) complain(err error) {
	fmt.Fprintf(os.Stderr, "%s %v\n", time.Now().UTC().Format(time.RFC3339Nano), err)
}

func streamOf(i int) segment.Stream { return segment.Stream(i) }
