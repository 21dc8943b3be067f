package keeper

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"pitwall/backend/logstore/segment"
)

const (
	// pipeSize is what a child can write while nobody reads. It is the most
	// that an unprivileged process may ask for.
	pipeSize = 1 << 20
	// moveSize is how much one splice moves.
	moveSize = 1 << 20
	// retryEvery is how soon a disk that refused is tried again.
	retryEvery = 250 * time.Millisecond
	// smallMove and hotMoves tell a child that writes many small pieces, which
	// are then let gather for gather, so that each need not cost a record.
	smallMove = 32 << 10
	hotMoves  = 8
	hotGap    = 2 * time.Millisecond
	gather    = time.Millisecond
	// copyBuffer is the read where splice is not possible, and what can be lost
	// there if the keeper is killed.
	copyBuffer = 64 << 10
)

// sink is the log, as the movers of both streams share it.
type sink struct {
	mu       sync.Mutex
	log      *segment.Writer
	block    bool
	grown    chan struct{} // has a token after something was appended
	report   func(Event)
	bad      [2]bool
	why      string
	dropped  atomic.Int64
	noSplice atomic.Bool
}

// mover moves the bytes of one stream of one run.
type mover struct {
	sink   *sink
	stream segment.Stream
	file   *os.File
	conn   interface {
		Read(func(uintptr) bool) error
		Control(func(uintptr)) error
	}
	stop chan struct{}
	done chan struct{}
	back bool  // the disk took bytes again, of which nobody was told
	owed int64 // bytes in the file that the log has not accepted
	buf  []byte
	kept []byte // of buf, not yet written
}

func (s *sink) move(stream segment.Stream, file *os.File) (*mover, error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	m := &mover{sink: s, stream: stream, file: file, conn: conn, stop: make(chan struct{}), done: make(chan struct{})}
	go m.run()
	return m, nil
}

// finish makes the mover store what the pipe holds now and end.
func (m *mover) finish() {
	select {
	case <-m.stop:
	default:
		close(m.stop)
	}
	m.file.SetReadDeadline(time.Unix(1, 0))
}

// run ends when every writer has closed the pipe, or after finish.
func (m *mover) run() {
	defer close(m.done)
	hot, last := 0, time.Now()
	for {
		n, err := m.next()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed):
			m.rest()
			return
		case err != nil:
			if !m.ride(err) {
				return
			}
			continue
		case n == 0:
			return
		}
		if m.back {
			m.back = false
			m.sink.heal(m.stream)
		}
		now := time.Now()
		if n < smallMove && now.Sub(last) < hotGap {
			hot++
		} else {
			hot = 0
		}
		last = now
		if hot > hotMoves {
			time.Sleep(gather)
			last = time.Now()
		}
	}
}

// next waits for bytes and moves them. It returns 0 at the end of the stream.
func (m *mover) next() (n int64, err error) {
	werr := m.conn.Read(func(fd uintptr) bool {
		n, err = m.step(int(fd))
		return err != unix.EAGAIN
	})
	if werr != nil {
		return 0, werr
	}
	return n, err
}

// rest moves what is in the pipe without waiting for more. What the disk does
// not take is dropped: the run is over and its pipe goes away.
func (m *mover) rest() {
	for {
		var n int64
		var err error
		cerr := m.conn.Control(func(fd uintptr) { n, err = m.step(int(fd)) })
		if cerr != nil || err == unix.EAGAIN || err == nil && n == 0 {
			return
		}
		if err != nil {
			m.sink.fail(m.stream, err)
			m.lose(m.drop(0), err)
			return
		}
	}
}

// step moves once, without blocking on the pipe.
func (m *mover) step(fd int) (int64, error) {
	s := m.sink
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.owed > 0 {
		if err := s.log.Commit(m.stream, m.owed); errors.Is(err, segment.ErrIndexFull) {
			return 0, err
		}
		m.owed = 0
	}
	if s.noSplice.Load() || len(m.kept) > 0 {
		return m.copy(fd)
	}
	n, err := m.splice(fd)
	if n <= 0 {
		return 0, err
	}
	if err := s.log.Commit(m.stream, n); err != nil {
		if errors.Is(err, segment.ErrIndexFull) {
			m.owed = n
		}
		return n, err
	}
	m.back = s.bad[m.stream]
	s.ok()
	return n, nil
}

func (m *mover) splice(fd int) (int64, error) {
	to, off := m.sink.log.Target(m.stream)
	conn, err := to.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int64
	cerr := conn.Control(func(tfd uintptr) {
		for {
			n, err = unix.Splice(fd, nil, int(tfd), &off, moveSize, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
			if err != unix.EINTR {
				return
			}
		}
	})
	if cerr != nil {
		return 0, cerr
	}
	if err == unix.EINVAL || err == unix.ENOSYS {
		m.sink.noSplice.Store(true)
		return m.copy(fd)
	}
	return n, err
}

// copy is splice for file systems without it.
func (m *mover) copy(fd int) (int64, error) {
	if m.buf == nil {
		m.buf = make([]byte, copyBuffer)
	}
	if len(m.kept) == 0 {
		n, err := unix.Read(fd, m.buf)
		if n <= 0 {
			return 0, err
		}
		m.kept = m.buf[:n]
	}
	to, off := m.sink.log.Target(m.stream)
	n, err := to.WriteAt(m.kept, off)
	m.kept = m.kept[n:]
	if n > 0 {
		if cerr := m.sink.log.Commit(m.stream, int64(n)); errors.Is(cerr, segment.ErrIndexFull) {
			m.owed = int64(n)
		} else if err == nil {
			err = cerr
		}
		m.sink.ok()
	}
	return int64(n), err
}

// ok tells whoever follows that there is more. The caller holds the mutex.
func (s *sink) ok() {
	select {
	case s.grown <- struct{}{}:
	default:
	}
}

// ride goes through a time in which the disk takes nothing: the pipe is the
// buffer, and where it would fill up, its oldest bytes are dropped, so that the
// child goes on. It returns false if the run ended meanwhile.
func (m *mover) ride(cause error) bool {
	m.sink.fail(m.stream, cause)
	dropped, tried := int64(0), time.Now()
	for wait := retryEvery; ; {
		t := time.NewTimer(wait)
		select {
		case <-m.stop:
			t.Stop()
			m.lose(dropped, cause)
			m.rest()
			return false
		case <-t.C:
		}
		wait = retryEvery
		if !m.sink.block {
			if n := m.drop(m.room()); n > 0 {
				dropped += n
				wait = gather // it writes fast: look again before it is full
			}
		}
		if time.Since(tried) < retryEvery {
			continue
		}
		tried = time.Now()
		if err := m.probe(); err != nil {
			cause = err
			continue
		}
		m.lose(dropped, cause)
		m.sink.heal(m.stream)
		return true
	}
}

// probe asks whether the disk takes records and bytes again.
func (m *mover) probe() error {
	s := m.sink
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.log.Flush(); err != nil {
		return err
	}
	to, off := s.log.Target(m.stream)
	conn, err := to.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := conn.Control(func(fd uintptr) {
		err = unix.Fallocate(int(fd), unix.FALLOC_FL_KEEP_SIZE, off, copyBuffer)
	}); cerr != nil {
		return cerr
	}
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS {
		return nil
	}
	return err
}

// room is how many bytes the pipe may hold before old ones are dropped.
func (m *mover) room() int {
	size := 64 << 10
	m.conn.Control(func(fd uintptr) {
		if n, err := unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0); err == nil {
			size = n
		}
	})
	return size * 3 / 4
}

// drop reads and forgets until the pipe holds at most keep/2 bytes, if it
// holds more than keep.
func (m *mover) drop(keep int) int64 {
	if m.buf == nil {
		m.buf = make([]byte, copyBuffer)
	}
	dropped := int64(0)
	m.conn.Control(func(fd uintptr) {
		held, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		if err != nil || held <= keep {
			return
		}
		if len(m.kept) > 0 {
			dropped += int64(len(m.kept)) // older than what is in the pipe
			m.kept = nil
		}
		for held > keep/2 {
			n, err := unix.Read(int(fd), m.buf[:min(len(m.buf), held)])
			if n <= 0 || err != nil {
				return
			}
			dropped, held = dropped+int64(n), held-n
		}
	})
	return dropped
}

// lose records dropped bytes as a gap.
func (m *mover) lose(n int64, cause error) {
	if n == 0 {
		return
	}
	why := segment.IOError
	if errors.Is(cause, unix.ENOSPC) || errors.Is(cause, unix.EDQUOT) {
		why = segment.DiskFull
	}
	s := m.sink
	s.dropped.Add(n)
	s.mu.Lock()
	s.log.Gap(m.stream, n, why)
	s.ok()
	s.mu.Unlock()
}

// fail and heal report the first stream that goes bad and the last that
// recovers.
func (s *sink) fail(stream segment.Stream, err error) {
	s.mu.Lock()
	first := !s.bad[0] && !s.bad[1]
	s.bad[stream], s.why = true, reason(err)
	s.mu.Unlock()
	if first {
		s.report(Event{Kind: EventDegraded, Reason: reason(err)})
	}
}

func (s *sink) heal(stream segment.Stream) {
	s.mu.Lock()
	s.bad[stream] = false
	last := !s.bad[0] && !s.bad[1]
	if last {
		s.why = ""
	}
	s.mu.Unlock()
	if last {
		s.report(Event{Kind: EventRecovered, Dropped: s.dropped.Load()})
	}
}

// degraded is why output is not being stored, or empty.
func (s *sink) degraded() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}
