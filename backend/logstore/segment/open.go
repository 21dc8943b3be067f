package segment

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked means that another process writes the log.
var ErrLocked = errors.New("log is being written by another process")

// Report says what [OpenWriter] had to repair.
type Report struct {
	Segment   uint64   // the segment that is written on
	Cut       int64    // bytes of torn index records cut off its end
	Damaged   int      // bad records amid good ones, left where they are
	Recovered [2]int64 // raw bytes of each stream that no record covered
	Missing   [2]int64 // raw bytes of each stream that records name and the file lacks
	Rebuilt   bool     // the last index was unreadable and was made anew
}

// Clean says that there was nothing to repair.
func (r Report) Clean() bool {
	return r == Report{Segment: r.Segment}
}

// rebuiltGap keeps numbers from repeating when the index that knew how far
// they had gone is lost. It is more lines than a segment holds.
const rebuiltGap = 1 << 31

// OpenWriter opens the log in a folder for writing, making the folder where it
// is missing and repairing what a crash left. It returns [ErrLocked] where
// another writer has it open and keeps it so for [Options.LockWait].
func OpenWriter(dir string, o Options) (*Writer, Report, error) {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = defaultBytes
	}
	if o.Sync == "" {
		o.Sync = SyncInterval
	}
	if o.SyncEvery <= 0 {
		o.SyncEvery = defaultSync
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, Report{}, fmt.Errorf("make log folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, Report{}, fmt.Errorf("open log folder: %w", err)
	}
	w := &Writer{opts: o, dir: root, next: 1, buf: make([]byte, countBuffer)}
	report, err := w.start()
	if err != nil {
		w.abandon()
		return nil, report, err
	}
	return w, report, nil
}

func (w *Writer) start() (Report, error) {
	if err := w.takeLock(); err != nil {
		return Report{}, err
	}
	numbers, err := listSegments(w.dir)
	if err != nil {
		return Report{}, err
	}
	if len(numbers) == 0 {
		return Report{Segment: 1}, w.roll()
	}
	return w.resume(numbers)
}

func (w *Writer) abandon() {
	for _, f := range []*os.File{w.raw[Out], w.raw[Err], w.idx, w.lock} {
		if f != nil {
			f.Close()
		}
	}
	w.dir.Close()
}

func (w *Writer) takeLock() error {
	f, err := w.dir.OpenFile("lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open log lock: %w", err)
	}
	w.lock = f
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	const pause = 10 * time.Millisecond
	for waited := time.Duration(0); ; waited += pause {
		var lerr error
		if err := conn.Control(func(fd uintptr) { lerr = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
			return err
		}
		if lerr == nil {
			return nil
		}
		if waited >= w.opts.LockWait {
			return fmt.Errorf("%w: %w", ErrLocked, lerr)
		}
		time.Sleep(pause)
	}
}

// resume goes on with the last segment.
func (w *Writer) resume(numbers []uint64) (Report, error) {
	number := numbers[len(numbers)-1]
	report := Report{Segment: number}
	var err error
	if w.idx, err = w.dir.OpenFile(indexName(number), os.O_RDWR, 0o600); err != nil {
		return report, fmt.Errorf("open log index: %w", err)
	}
	for s := range w.raw {
		if w.raw[s], err = w.dir.OpenFile(rawName(number, Stream(s)), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
			return report, fmt.Errorf("open log segment: %w", err)
		}
	}
	h, err := readHeader(w.idx)
	if err == nil && h.number != number {
		err = fmt.Errorf("log index %d says it is %d", number, h.number)
	}
	if err != nil {
		report.Rebuilt = true
		if err := w.rebuild(numbers); err != nil {
			return report, err
		}
		h = w.head
	}
	w.head = h
	w.next, w.run, w.open, w.last = h.first, h.run, h.open, h.created
	end, damaged, err := w.replay()
	if err != nil {
		return report, err
	}
	report.Damaged = damaged
	size, err := w.idx.Seek(0, io.SeekEnd)
	if err != nil {
		return report, fmt.Errorf("size of log index: %w", err)
	}
	if report.Cut = size - end; report.Cut > 0 {
		if err := w.idx.Truncate(end); err != nil {
			return report, fmt.Errorf("cut log index: %w", err)
		}
	}
	w.idxEnd = end
	return report, w.recover(&report)
}

// replay reads the records of the open index and leaves the writer as it was
// after the last good one, whose end it returns.
func (w *Writer) replay() (end int64, damaged int, err error) {
	end = headerSize
	bad := 0
	buf := make([]byte, 1024*recordSize)
	for at := int64(headerSize); ; {
		n, err := w.idx.ReadAt(buf, at)
		if err != nil && err != io.EOF {
			return 0, 0, fmt.Errorf("read log index: %w", err)
		}
		n -= n % recordSize
		if n == 0 {
			return end, damaged, nil
		}
		for i := 0; i < n; i += recordSize {
			at += recordSize
			r, err := decodeRecord(buf[i:])
			if err != nil {
				bad++
				continue
			}
			w.apply(r)
			damaged += bad
			bad, end = 0, at
		}
	}
}

func (w *Writer) apply(r Record) {
	w.next = max(w.next, r.Seq)
	w.last = max(w.last, r.Time)
	w.run = r.Run
	switch r.Kind {
	case Batch:
		w.next = max(w.next, r.Seq+uint64(r.Count))
		w.off[r.Stream] = max(w.off[r.Stream], r.Offset+int64(r.Length))
		w.open[r.Stream] = r.unfinished()
	case Gap:
		w.next = max(w.next, r.Seq+uint64(r.Count))
		w.open[r.Stream] = 0
	default:
		w.open = [2]uint64{}
	}
}

// unfinished is the sequence of the line that the batch leaves unfinished.
func (r Record) unfinished() uint64 {
	if r.Flags&Unfinished == 0 {
		return 0
	}
	if r.Count > 0 {
		return r.Seq + uint64(r.Count) - 1
	}
	return r.Line
}

// recover gives a record to the raw bytes that have none.
func (w *Writer) recover(report *Report) error {
	var left, at [2]int64
	for s := range w.raw {
		st, err := w.raw[s].Stat()
		if err != nil {
			return fmt.Errorf("size of log segment: %w", err)
		}
		left[s] = st.Size() - w.off[s]
		at[s] = st.ModTime().UnixNano()
		if left[s] < 0 {
			report.Missing[s], left[s] = -left[s], 0
		}
	}
	report.Recovered = left
	rollAt := w.opts.SegmentBytes
	w.opts.SegmentBytes = math.MaxInt64 / 2 // what is left lies in this segment
	defer func() { w.opts.SegmentBytes = rollAt }()
	flags := Recovered
	if left[Out] > 0 && left[Err] > 0 {
		flags |= OrderUnknown
	}
	for s := range left {
		w.last = max(w.last, min(at[s], w.opts.Now().UnixNano()))
		for left[s] > 0 {
			n := min(left[s], defaultBytes)
			if err := w.commit(Stream(s), n, flags, w.last); err != nil {
				return fmt.Errorf("recover log: %w", err)
			}
			left[s] -= n
		}
	}
	if report.Missing != [2]int64{} {
		// What follows must not lie where lost bytes should be.
		return w.roll()
	}
	return nil
}

// rebuild makes a new index for the last segment, whose own cannot be read.
func (w *Writer) rebuild(numbers []uint64) error {
	number := numbers[len(numbers)-1]
	prev := &Writer{opts: w.opts, dir: w.dir, next: 1}
	if len(numbers) > 1 {
		idx, err := w.dir.Open(indexName(numbers[len(numbers)-2]))
		if err != nil {
			return fmt.Errorf("open log index: %w", err)
		}
		defer idx.Close()
		if prev.head, err = readHeader(idx); err != nil {
			return err
		}
		prev.idx, prev.next, prev.run, prev.last = idx, prev.head.first, prev.head.run, prev.head.created
		if _, _, err := prev.replay(); err != nil {
			return err
		}
	}
	w.head = header{number: number, first: prev.next + rebuiltGap, run: prev.run, created: prev.last}
	for s := range prev.off {
		w.head.base[s] = prev.head.base[s] + prev.off[s]
	}
	bad := w.idx
	if err := w.dir.Rename(indexName(number), indexName(number)+".bad"); err != nil {
		return fmt.Errorf("set bad log index aside: %w", err)
	}
	idx, err := w.writeIndex(w.head)
	if err != nil {
		return err
	}
	w.idx = idx
	return bad.Close()
}
