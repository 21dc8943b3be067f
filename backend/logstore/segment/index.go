package segment

import (
	"fmt"
	"io"
	"os"
)

// index reads one segment: its records, and the raw bytes they name.
type index struct {
	root *os.Root
	head header
	file *os.File
	raw  [2]*os.File
	// buf holds n records from record number at on.
	buf []byte
	at  int64
	n   int64
}

// indexBuffer is how many records are read at once, and indexBufferMin how
// many while following the end, where there are a few: a server may follow ten
// thousand logs.
const (
	indexBuffer    = 256
	indexBufferMin = 8
)

func openIndex(root *os.Root, number uint64) (*index, error) {
	f, err := root.Open(indexName(number))
	if err != nil {
		return nil, fmt.Errorf("open log index: %w", err)
	}
	h, err := readHeader(f)
	if err == nil && h.number != number {
		err = fmt.Errorf("log index %d says it is %d", number, h.number)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &index{root: root, head: h, file: f, buf: make([]byte, indexBufferMin*recordSize)}, nil
}

func (x *index) close() {
	for _, f := range []*os.File{x.file, x.raw[Out], x.raw[Err]} {
		if f != nil {
			f.Close()
		}
	}
}

// count is the number of whole records, good or bad.
func (x *index) count() (int64, error) {
	st, err := x.file.Stat()
	if err != nil {
		return 0, fmt.Errorf("size of log index: %w", err)
	}
	return max(0, st.Size()-headerSize) / recordSize, nil
}

// record reads record number i: io.EOF where there is none yet, errRecord
// where it is bad.
func (x *index) record(i int64) (Record, error) {
	if i < x.at || i >= x.at+x.n {
		if err := x.fill(i); err != nil {
			return Record{}, err
		}
	}
	r, err := decodeRecord(x.buf[(i-x.at)*recordSize:])
	if err != nil {
		x.n = i - x.at // it may be half written: read it anew the next time
	}
	return r, err
}

// fill loads the buffer so that it holds record i: from it on when reading
// forwards, up to it when reading backwards.
func (x *index) fill(i int64) error {
	if x.n*recordSize == int64(len(x.buf)) && len(x.buf) < indexBuffer*recordSize {
		x.buf = make([]byte, indexBuffer*recordSize) // there is more to read than a tail
	}
	from := i
	if i < x.at {
		from = max(0, i-int64(len(x.buf)/recordSize)+1)
	}
	n, err := x.file.ReadAt(x.buf, headerSize+from*recordSize)
	if err != nil && err != io.EOF {
		return fmt.Errorf("read log index: %w", err)
	}
	x.at, x.n = from, int64(n/recordSize)
	if i >= x.at+x.n {
		return io.EOF
	}
	return nil
}

// lookahead returns the end of the bytes of stream s that the buffered records
// from i on cover without a hole, starting at off.
func (x *index) lookahead(i int64, s Stream, off, limit int64) int64 {
	end := off
	for ; i < x.at+x.n && end < limit; i++ {
		r, err := decodeRecord(x.buf[(i-x.at)*recordSize:])
		if err != nil {
			break
		}
		if r.Kind == Batch && r.Stream == s {
			if r.Offset > end {
				break
			}
			end = max(end, r.Offset+int64(r.Length))
		}
	}
	return min(end, limit)
}

// open returns the raw file of a stream.
func (x *index) open(s Stream) (*os.File, error) {
	if x.raw[s] == nil {
		f, err := x.root.Open(rawName(x.head.number, s))
		if err != nil {
			return nil, fmt.Errorf("open log segment: %w", err)
		}
		x.raw[s] = f
	}
	return x.raw[s], nil
}

// rest gives up what costs memory and descriptors while nothing is read.
func (x *index) rest() {
	for s, f := range x.raw {
		if f != nil {
			f.Close()
			x.raw[s] = nil
		}
	}
	if len(x.buf) > indexBufferMin*recordSize {
		x.buf, x.n = make([]byte, indexBufferMin*recordSize), 0
	}
}
