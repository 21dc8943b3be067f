package segment

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// SyncPolicy says when bytes are forced to the disk.
type SyncPolicy string

// The policies. With SyncInterval, the default, a power cut costs at most the
// interval; a killed process costs nothing under any of them.
const (
	SyncNever    SyncPolicy = "never"
	SyncInterval SyncPolicy = "interval"
	SyncAlways   SyncPolicy = "always"
)

const (
	// defaultBytes keeps a segment small enough to delete, seal and search as
	// one unit, and large enough that a busy app rolls seldom.
	defaultBytes = 16 << 20
	// defaultSync is what a power cut may cost.
	defaultSync = 200 * time.Millisecond
	// countBuffer is what the newline count reads at once from the page cache.
	countBuffer = 64 << 10
	// maxPending bounds the records remembered while the disk takes none.
	maxPending = 1024 * recordSize
)

// ErrIndexFull is returned by [Writer.Commit] when so many records wait for
// the disk that no more are taken. The bytes are not committed and may be
// written over; the caller stops writing until [Writer.Flush] succeeds.
var ErrIndexFull = errors.New("too many index records wait for the disk")

// Options configure a [Writer]; the zero value is the default.
type Options struct {
	SegmentBytes int64            // roll at about this size; default 16 MiB
	Sync         SyncPolicy       // default SyncInterval
	SyncEvery    time.Duration    // of SyncInterval; default 200 ms
	Now          func() time.Time // default time.Now

	// LockWait is how long to wait for the writer before this one: a killed
	// process gives up its files only after it is seen dead. Default none.
	LockWait time.Duration
}

// Writer appends to a log. One writer may have a folder open at a time, which
// a lock ensures. Its methods may be called from several goroutines.
type Writer struct {
	opts Options
	dir  *os.Root
	lock *os.File

	mu      sync.Mutex
	idx     *os.File
	raw     [2]*os.File
	head    header
	idxEnd  int64
	off     [2]int64  // end of the committed bytes in each raw file
	open    [2]uint64 // sequence of each unfinished line, or 0
	next    uint64
	run     uint32
	last    int64
	pending []byte // encoded records that the disk has not taken
	owed    [2]Record
	buf     []byte
	dirty   bool
	timer   *time.Timer
	syncing bool
	closing bool
	syncErr error
	retired sync.WaitGroup
}

// Target is where the next bytes of a stream go: the caller writes them there
// by whatever means, then calls [Writer.Commit]. The file stays open until the
// next call of a method of the writer.
func (w *Writer) Target(s Stream) (*os.File, int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.raw[s], w.off[s]
}

// Commit records that n bytes of a stream were written at its [Writer.Target].
// It counts lines by reading them back. An error other than [ErrIndexFull]
// means that the record is remembered but not on disk: see [Writer.Flush].
func (w *Writer) Commit(s Stream, n int64) error {
	return w.commit(s, n, 0, 0)
}

// Append writes p to a stream and commits it.
func (w *Writer) Append(s Stream, p []byte) error {
	f, off := w.Target(s)
	if n, err := f.WriteAt(p, off); err != nil {
		if n > 0 {
			err = errors.Join(err, w.Commit(s, int64(n)))
		}
		return fmt.Errorf("write %s: %w", s, err)
	}
	return w.Commit(s, int64(len(p)))
}

// Gap records that n bytes of a stream were dropped. Gaps are never refused:
// those that the disk does not take are added up until it does.
func (w *Writer) Gap(s Stream, n int64, why Reason) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := Record{Kind: Gap, Stream: s, Run: w.run, Time: w.now(), Count: 1, Dropped: uint64(n), Reason: why}
	if len(w.pending) >= maxPending || w.owed[s].Dropped > 0 {
		if err := w.settle(); err != nil {
			r.Dropped += w.owed[s].Dropped
			w.owed[s] = r
			return err
		}
	}
	w.gap(r)
	return w.settle()
}

// RunStart records that run number run began with process pid.
func (w *Writer) RunStart(run uint32, pid int) error {
	return w.mark(Record{Kind: RunStart, Run: run, PID: pid})
}

// RunEnd records how the current run ended: its exit code, or -1 and a signal,
// or -1 and the flag [ExitUnknown].
func (w *Writer) RunEnd(exit, signal int, flags Flags) error {
	w.mu.Lock()
	run := w.run
	w.mu.Unlock()
	return w.mark(Record{Kind: RunEnd, Run: run, Exit: exit, Signal: signal, Flags: flags})
}

// Next is the sequence that the next line will get.
func (w *Writer) Next() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next
}

// Flush writes the records that the disk refused before. It returns nil when
// nothing waits any more.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.settle()
}

func (w *Writer) mark(r Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settle() // owed gaps belong before the mark; an error comes up again below
	w.run = r.Run
	r.Time, r.Seq = w.now(), w.next
	w.open = [2]uint64{}
	if len(w.pending) < 2*maxPending {
		w.pending = r.encode(w.pending)
	}
	return w.settle()
}

func (w *Writer) gap(r Record) {
	r.Seq = w.next
	w.next++
	w.open[r.Stream] = 0
	w.pending = r.encode(w.pending)
}

func (w *Writer) commit(s Stream, n int64, flags Flags, at int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n <= 0 {
		return nil
	}
	if n > maxBatch {
		return fmt.Errorf("batch of %d bytes, the most is %d", n, maxBatch)
	}
	if len(w.pending) >= maxPending || w.owed[Out].Dropped > 0 || w.owed[Err].Dropped > 0 {
		if err := w.settle(); err != nil {
			return errors.Join(ErrIndexFull, err)
		}
	}
	lines, ended, err := w.count(s, n)
	if err != nil {
		// The bytes lie in the file but cannot be read: a gap covers them.
		w.off[s] += n
		w.gap(Record{Kind: Gap, Stream: s, Run: w.run, Time: w.now(), Count: 1, Dropped: uint64(n), Reason: IOError})
		return errors.Join(err, w.settle())
	}
	if at == 0 {
		at = w.now()
	}
	r := Record{
		Kind: Batch, Stream: s, Flags: flags, Run: w.run, Time: at, Seq: w.next,
		Count: lines, Length: uint32(n), Offset: w.off[s], Line: w.open[s],
	}
	w.next += uint64(lines)
	w.off[s] += n
	if ended {
		w.open[s] = 0
	} else {
		r.Flags |= Unfinished
		if lines > 0 {
			w.open[s] = w.next - 1
		}
	}
	w.pending = r.encode(w.pending)
	return w.settle()
}

// count reads the n bytes after the committed ones back, and says how many
// lines start in them and whether the last is complete.
func (w *Writer) count(s Stream, n int64) (lines uint32, ended bool, err error) {
	if w.open[s] == 0 {
		lines = 1
	}
	for off, end := w.off[s], w.off[s]+n; off < end; {
		p := w.buf[:min(int64(len(w.buf)), end-off)]
		m, err := w.raw[s].ReadAt(p, off)
		if m < len(p) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, false, fmt.Errorf("read back %s: %w", s, err)
		}
		lines += uint32(bytes.Count(p, []byte{'\n'}))
		off += int64(m)
		if ended = p[m-1] == '\n'; ended && off == end {
			lines--
		}
	}
	return lines, ended, nil
}

// now is the time of a record: the wall clock, never going back.
func (w *Writer) now() int64 {
	w.last = max(w.last, w.opts.Now().UnixNano())
	return w.last
}

// settle brings the pending records to disk, rolls when it is time, and sees
// to it that what was written is synced by the policy.
func (w *Writer) settle() error {
	if err := w.flush(); err != nil {
		return err
	}
	for s := range w.owed {
		if w.owed[s].Dropped == 0 {
			continue
		}
		w.gap(w.owed[s])
		w.owed[s] = Record{}
		if err := w.flush(); err != nil {
			return err
		}
	}
	if err := w.synced(); err != nil {
		return err
	}
	size := w.off[Out] + w.off[Err] + w.idxEnd
	whole := w.open == [2]uint64{}
	if size >= w.opts.SegmentBytes && whole || size >= 2*w.opts.SegmentBytes {
		// Where no new segment can be made, the old one goes on.
		_ = w.roll()
	}
	return nil
}

func (w *Writer) flush() error {
	if len(w.pending) == 0 {
		return nil
	}
	if _, err := w.idx.WriteAt(w.pending, w.idxEnd); err != nil {
		return fmt.Errorf("write log index: %w", err)
	}
	w.idxEnd += int64(len(w.pending))
	w.pending = w.pending[:0]
	w.dirty = true
	return nil
}

// roll begins the next segment. The index is renamed into place when it is
// whole, so that a reader never meets half a header.
func (w *Writer) roll() error {
	h := header{number: w.head.number + 1, first: w.next, created: w.now(), run: w.run, open: w.open}
	for s := range w.off {
		h.base[s] = w.head.base[s] + w.off[s]
	}
	var raw [2]*os.File
	drop := func() {
		for _, f := range raw {
			if f != nil {
				f.Close()
			}
		}
	}
	for s := range raw {
		f, err := w.dir.OpenFile(rawName(h.number, Stream(s)), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			drop()
			return fmt.Errorf("open log segment: %w", err)
		}
		raw[s] = f
	}
	idx, err := w.writeIndex(h)
	if err != nil {
		drop()
		return err
	}
	old := []*os.File{w.idx, w.raw[Out], w.raw[Err]}
	w.idx, w.raw, w.head, w.idxEnd, w.off = idx, raw, h, headerSize, [2]int64{}
	w.retire(old)
	return nil
}

func (w *Writer) writeIndex(h header) (*os.File, error) {
	name, tmp := indexName(h.number), indexName(h.number)+".tmp"
	idx, err := w.dir.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log index: %w", err)
	}
	if _, err := idx.WriteAt(h.encode(), 0); err != nil {
		idx.Close()
		return nil, fmt.Errorf("write log index header: %w", err)
	}
	if err := w.dir.Rename(tmp, name); err != nil {
		idx.Close()
		return nil, fmt.Errorf("name log index: %w", err)
	}
	return idx, nil
}
