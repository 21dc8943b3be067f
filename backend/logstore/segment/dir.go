package segment

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Dir is a log opened for reading. It may be read while a [Writer] appends,
// and by any number of goroutines.
type Dir struct {
	root *os.Root
}

// OpenDir opens the log in a folder for reading.
func OpenDir(dir string) (*Dir, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open log folder: %w", err)
	}
	return &Dir{root: root}, nil
}

// Close closes the folder. Readers that were made from it end with errors.
func (d *Dir) Close() error {
	return d.root.Close()
}

// Info describes one segment.
type Info struct {
	Number  uint64
	First   uint64   // the sequence of its first line
	Base    [2]int64 // bytes of each stream in all earlier segments
	Created int64    // wall time in ns
	Size    int64    // bytes of its three files
	Sealed  bool     // a later segment exists, so this one grows no more
}

// Segments lists what is kept, oldest first. A segment whose header cannot be
// read is left out.
func (d *Dir) Segments() ([]Info, error) {
	numbers, err := listSegments(d.root)
	if err != nil {
		return nil, err
	}
	infos := make([]Info, 0, len(numbers))
	for i, n := range numbers {
		h, err := d.header(n)
		if err != nil {
			continue
		}
		info := Info{Number: n, First: h.first, Base: h.base, Created: h.created, Sealed: i < len(numbers)-1}
		for _, name := range []string{indexName(n), rawName(n, Out), rawName(n, Err)} {
			if st, err := d.root.Lstat(name); err == nil {
				info.Size += st.Size()
			}
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// Remove deletes a sealed segment, its index first: readers see it whole or
// not at all. The last segment cannot be removed.
func (d *Dir) Remove(number uint64) error {
	numbers, err := listSegments(d.root)
	if err != nil {
		return err
	}
	if len(numbers) == 0 || number >= numbers[len(numbers)-1] {
		return fmt.Errorf("remove log segment %d: it is being written", number)
	}
	for _, name := range []string{indexName(number), rawName(number, Out), rawName(number, Err)} {
		if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove log segment %d: %w", number, err)
		}
	}
	return nil
}

// Bounds is what a log holds at one moment.
type Bounds struct {
	First uint64    // the oldest sequence kept
	Next  uint64    // the sequence the next line will get
	Open  [2]uint64 // the sequence of each stream's unfinished line, or 0
	Run   uint32    // the last run
	Time  int64     // wall time in ns of the last record
	Bytes [2]int64  // bytes each stream ever had; those before the oldest segment included
	Base  [2]int64  // bytes of each stream that retention deleted
}

// Bounds reads the ends of the log. An empty folder has Next 1.
func (d *Dir) Bounds() (Bounds, error) {
	for range 8 { // a segment may go away between the listing and the reading
		numbers, err := listSegments(d.root)
		if err != nil {
			return Bounds{}, err
		}
		if len(numbers) == 0 {
			return Bounds{First: 1, Next: 1}, nil
		}
		first, err := d.header(numbers[0])
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Bounds{}, err
		}
		b, err := d.end(numbers[len(numbers)-1])
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		b.First, b.Base = first.first, first.base
		return b, err
	}
	return Bounds{}, errors.New("log segments go away faster than they can be read")
}

// end replays the tail of the last segment's index.
func (d *Dir) end(number uint64) (Bounds, error) {
	idx, err := openIndex(d.root, number)
	if err != nil {
		return Bounds{}, err
	}
	defer idx.close()
	h := idx.head
	b := Bounds{Next: h.first, Open: h.open, Run: h.run, Time: h.created, Bytes: h.base}
	count, err := idx.count()
	if err != nil {
		return Bounds{}, err
	}
	var seen, bytesSeen [2]bool
	whole := false
	for i := count - 1; i >= 0; i-- {
		r, err := idx.record(i)
		if err != nil {
			continue // damaged, or being written
		}
		if !whole {
			whole = true
			b.Next, b.Run, b.Time = max(b.Next, r.Seq+uint64(r.Count)), r.Run, r.Time
		}
		s := r.Stream
		switch {
		case r.Kind == RunStart || r.Kind == RunEnd:
			for i := range seen {
				if !seen[i] {
					b.Open[i], seen[i] = 0, true
				}
			}
		case r.Kind == Gap && !seen[s]:
			b.Open[s], seen[s] = 0, true
		case r.Kind == Batch:
			if !seen[s] {
				b.Open[s], seen[s] = r.unfinished(), true
			}
			if !bytesSeen[s] {
				b.Bytes[s], bytesSeen[s] = h.base[s]+r.Offset+int64(r.Length), true
			}
		}
		if seen[Out] && seen[Err] && bytesSeen[Out] && bytesSeen[Err] {
			break
		}
	}
	return b, nil
}

// ReadStreamAt reads the raw bytes of a stream from absolute offset off, across
// segments, as far as they are committed. It returns [io.EOF] with fewer bytes
// than asked at the end, and an error that wraps [fs.ErrNotExist] where
// retention deleted the bytes.
func (d *Dir) ReadStreamAt(s Stream, p []byte, off int64) (int, error) {
	total := 0
	b, err := d.Bounds()
	if err != nil {
		return 0, err
	}
	numbers, err := listSegments(d.root)
	if err != nil {
		return 0, err
	}
	for i, n := range numbers {
		if total == len(p) || off >= b.Bytes[s] {
			break
		}
		h, err := d.header(n)
		if err != nil {
			return total, err
		}
		end := b.Bytes[s]
		if i+1 < len(numbers) {
			next, err := d.header(numbers[i+1])
			if err != nil {
				return total, err
			}
			end = min(end, next.base[s])
		}
		if off >= end {
			continue
		}
		if off < h.base[s] {
			return total, fmt.Errorf("read %s at %d: the oldest kept is %d: %w", s, off, h.base[s], fs.ErrNotExist)
		}
		f, err := d.root.Open(rawName(n, s))
		if err != nil {
			return total, fmt.Errorf("open log segment: %w", err)
		}
		m, err := f.ReadAt(p[total:min(int64(len(p)), int64(total)+end-off)], off-h.base[s])
		f.Close()
		total, off = total+m, off+int64(m)
		if err != nil {
			return total, fmt.Errorf("read log segment: %w", err)
		}
	}
	if total < len(p) {
		return total, io.EOF
	}
	return total, nil
}

func (d *Dir) header(number uint64) (header, error) {
	f, err := d.root.Open(indexName(number))
	if err != nil {
		return header{}, fmt.Errorf("open log index: %w", err)
	}
	defer f.Close()
	return readHeader(f)
}

func readHeader(f io.ReaderAt) (header, error) {
	var p [headerSize]byte
	if _, err := f.ReadAt(p[:], 0); err != nil {
		return header{}, fmt.Errorf("read log index header: %w", err)
	}
	return decodeHeader(p[:])
}

func indexName(number uint64) string { return fmt.Sprintf("%08d.idx", number) }

func rawName(number uint64, s Stream) string { return fmt.Sprintf("%08d.%s", number, s) }

// listSegments returns the numbers of the segments in a folder, sorted. A
// listing made while the writer rolls may lack one amid others: it is made anew.
func listSegments(root *os.Root) ([]uint64, error) {
	for try := 0; ; try++ {
		numbers, err := listOnce(root)
		if n := len(numbers); err != nil || n == 0 || try == 3 || numbers[n-1]-numbers[0] == uint64(n-1) {
			return numbers, err
		}
	}
}

func listOnce(root *os.Root) ([]uint64, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("list log folder: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list log folder: %w", err)
	}
	var numbers []uint64
	for _, name := range names {
		digits, ok := strings.CutSuffix(name, ".idx")
		if !ok || len(digits) < 8 {
			continue
		}
		if n, err := strconv.ParseUint(digits, 10, 63); err == nil && indexName(n) == name {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}
