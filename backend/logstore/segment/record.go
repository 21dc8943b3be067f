package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Stream is one of the two outputs of a child.
type Stream uint8

// The streams of an instance.
const (
	Out Stream = 0
	Err Stream = 1
)

// String is the extension of the stream's raw files.
func (s Stream) String() string {
	if s == Err {
		return "err"
	}
	return "out"
}

// Kind says what an index record records.
type Kind uint8

// The kinds of record.
const (
	Batch    Kind = 1 // bytes of one stream
	Gap      Kind = 2 // bytes that were dropped
	RunStart Kind = 3 // a process was started
	RunEnd   Kind = 4 // it ended
)

// Flags qualify a record, and the entries read from it.
type Flags uint16

// The flags. The first three are on disk in batches, the next two in run ends;
// the last three are given to entries by [Lines].
const (
	Recovered    Flags = 1 << 0 // written after a crash; the time is a guess
	OrderUnknown Flags = 1 << 1 // how the streams interleaved is not known
	Unfinished   Flags = 1 << 2 // the last line of the batch has no newline yet
	ExitUnknown  Flags = 1 << 3 // nobody could learn how the run ended
	OutOfMemory  Flags = 1 << 4 // it was killed at its memory limit
	Unterminated Flags = 1 << 8 // the line was ended by a gap or a run's end
	Cut          Flags = 1 << 9 // longer than MaxLine: Bytes is its beginning
)

// Reason says why bytes are missing.
type Reason uint32

// The reasons of a gap. Deleted and Corrupt are never on disk: a reader finds
// them.
const (
	DiskFull Reason = 1 // the disk took no more
	DiskSlow Reason = 2 // the disk was slower than the child
	IOError  Reason = 3 // the disk failed
	Lost     Reason = 4 // the process that held the bytes was lost
	Deleted  Reason = 5 // retention removed the segment
	Corrupt  Reason = 6 // the index or the raw file is damaged
)

// String is the reason in plain words.
func (r Reason) String() string {
	switch r {
	case DiskFull:
		return "disk full"
	case DiskSlow:
		return "disk too slow"
	case IOError:
		return "disk error"
	case Lost:
		return "lost"
	case Deleted:
		return "deleted by retention"
	case Corrupt:
		return "damaged on disk"
	}
	return "unknown"
}

// Record is one entry of the index.
type Record struct {
	Kind    Kind
	Stream  Stream
	Flags   Flags
	Run     uint32
	Time    int64  // wall time in ns
	Seq     uint64 // batch: the first line that starts in it; gap: its number; else the next number
	Count   uint32 // batch: lines that start in it; gap: numbers it takes
	Length  uint32 // batch: bytes
	Offset  int64  // batch: where in the segment's raw file
	Line    uint64 // batch: the line its first byte continues, 0 if it starts one
	Dropped uint64 // gap: bytes
	Reason  Reason // gap
	PID     int    // run start
	Exit    int    // run end: exit code, -1 where a signal ended it or it is unknown
	Signal  int    // run end: the signal, or 0
}

const (
	magic      = "PITWSEG\n"
	version    = 1
	headerSize = 128
	recordSize = 64
	// maxBatch bounds a batch, so that an index cannot ask a reader for more.
	maxBatch = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errRecord is a record whose checksum or shape is wrong.
var errRecord = errors.New("bad index record")

// encode appends the record's 64 bytes to b.
func (r Record) encode(b []byte) []byte {
	var p [recordSize]byte
	le := binary.LittleEndian
	p[0], p[1] = byte(r.Kind), byte(r.Stream)
	le.PutUint16(p[2:], uint16(r.Flags))
	le.PutUint32(p[4:], r.Run)
	le.PutUint64(p[8:], uint64(r.Time))
	le.PutUint64(p[16:], r.Seq)
	le.PutUint32(p[24:], r.Count)
	le.PutUint32(p[28:], r.Length)
	le.PutUint64(p[32:], uint64(r.Offset))
	value, code := uint64(0), uint32(0)
	switch r.Kind {
	case Batch:
		value = r.Line
	case Gap:
		value, code = r.Dropped, uint32(r.Reason)
	case RunStart:
		value = uint64(r.PID)
	case RunEnd:
		value, code = uint64(r.Exit), uint32(r.Signal)
	}
	le.PutUint64(p[40:], value)
	le.PutUint32(p[48:], code)
	le.PutUint32(p[60:], crc32.Checksum(p[:60], castagnoli))
	return append(b, p[:]...)
}

// decodeRecord reads a record from p, which has at least 64 bytes. Every
// record that it accepts is safe to act on: lengths and offsets are in range.
func decodeRecord(p []byte) (Record, error) {
	le := binary.LittleEndian
	if crc32.Checksum(p[:60], castagnoli) != le.Uint32(p[60:]) {
		return Record{}, errRecord
	}
	r := Record{
		Kind: Kind(p[0]), Stream: Stream(p[1]), Flags: Flags(le.Uint16(p[2:])),
		Run: le.Uint32(p[4:]), Time: int64(le.Uint64(p[8:])), Seq: le.Uint64(p[16:]),
		Count: le.Uint32(p[24:]), Length: le.Uint32(p[28:]), Offset: int64(le.Uint64(p[32:])),
	}
	value, code := le.Uint64(p[40:]), le.Uint32(p[48:])
	switch r.Kind {
	case Batch:
		r.Line = value
	case Gap:
		r.Dropped, r.Reason = value, Reason(code)
	case RunStart:
		r.PID = int(value)
	case RunEnd:
		r.Exit, r.Signal = int(value), int(code)
	default:
		return Record{}, errRecord
	}
	const maxOffset = 1 << 60
	bad := r.Stream > Err || r.Seq == 0 || r.Seq > 1<<62 || r.Offset < 0 || r.Offset > maxOffset ||
		r.Kind == Batch && (r.Length == 0 || r.Length > maxBatch || r.Count > r.Length || r.Line >= r.Seq)
	if bad {
		return Record{}, errRecord
	}
	return r, nil
}

// header is the first 128 bytes of an index.
type header struct {
	number  uint64
	first   uint64
	base    [2]int64
	created int64
	run     uint32
	open    [2]uint64
}

func (h header) encode() []byte {
	p := make([]byte, headerSize)
	le := binary.LittleEndian
	copy(p, magic)
	le.PutUint16(p[8:], version)
	le.PutUint16(p[10:], recordSize)
	le.PutUint64(p[16:], h.number)
	le.PutUint64(p[24:], h.first)
	le.PutUint64(p[32:], uint64(h.base[Out]))
	le.PutUint64(p[40:], uint64(h.base[Err]))
	le.PutUint64(p[48:], uint64(h.created))
	le.PutUint32(p[56:], h.run)
	le.PutUint64(p[64:], h.open[Out])
	le.PutUint64(p[72:], h.open[Err])
	le.PutUint32(p[124:], crc32.Checksum(p[:124], castagnoli))
	return p
}

func decodeHeader(p []byte) (header, error) {
	le := binary.LittleEndian
	if len(p) < headerSize || string(p[:8]) != magic {
		return header{}, errors.New("not a log index")
	}
	if crc32.Checksum(p[:124], castagnoli) != le.Uint32(p[124:]) {
		return header{}, errors.New("bad checksum in the header of a log index")
	}
	if v := le.Uint16(p[8:]); v != version || le.Uint16(p[10:]) != recordSize {
		return header{}, fmt.Errorf("log index of version %d, this program reads %d", v, version)
	}
	h := header{
		number: le.Uint64(p[16:]), first: le.Uint64(p[24:]),
		base:    [2]int64{int64(le.Uint64(p[32:])), int64(le.Uint64(p[40:]))},
		created: int64(le.Uint64(p[48:])), run: le.Uint32(p[56:]),
		open: [2]uint64{le.Uint64(p[64:]), le.Uint64(p[72:])},
	}
	if h.first == 0 || h.base[Out] < 0 || h.base[Err] < 0 {
		return header{}, errors.New("header of a log index out of range")
	}
	return h, nil
}
