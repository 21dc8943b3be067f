// Package segment is the format of an instance's log on disk, and nothing
// else: who writes it (a keeper), who reads it (the log store), and what is
// made of it (levels, counters, search) are other packages' business.
//
// # Files
//
// A log is a folder of numbered segments. Segment 7 is three files:
//
//	00000007.out   stdout, the bytes exactly as the child emitted them
//	00000007.err   stderr, likewise
//	00000007.idx   the index: a header and fixed-size records
//
// The raw files are plain: less and grep read them. Byte n of a stream is
// found by the base offset in the header of its segment. The index says when
// bytes came, in which order the two streams interleaved, what was dropped,
// and when runs started and ended.
//
// # Index
//
// All numbers are little endian. The header has 128 bytes:
//
//	0   magic "PITWSEG\n"      8   version u16      10  record size u16
//	16  segment number u64     24  first sequence u64
//	32  base of stdout u64     40  base of stderr u64
//	48  time of creation i64   56  run u32
//	64  sequence of stdout's unfinished line u64 (0: none)
//	72  the same of stderr u64
//	124 CRC-32C of the bytes before
//
// A record has 64 bytes:
//
//	0   kind u8    1 stream u8   2 flags u16   4 run u32
//	8   wall time in ns i64, never decreasing within an instance
//	16  sequence u64           24  count u32   28  length u32
//	32  offset in the segment's raw file u64
//	40  value u64 (batch: sequence of the line its first byte continues, or 0;
//	    gap: bytes dropped; run start: pid; run end: exit code)
//	48  code u32 (gap: reason; run end: signal)
//	60  CRC-32C of the bytes before
//
// A batch record is written after its bytes: it is the commit point. Bytes
// beyond the last record are not yet visible to a reader.
//
// # Sequences
//
// A line is numbered when its first byte is seen, from 1 on, in one sequence
// shared by both streams. Numbers never repeat in an instance. A gap takes one
// number and ends the unfinished line of its stream; a run's start and end take
// none and end the unfinished lines of both. A line is read when it is complete,
// so the reader may deliver sequence 9 before a line 8 that stayed unfinished
// longer: [Cursor], not a sequence, is the way to resume without loss.
//
// # Failure
//
// [OpenWriter] repairs what a crash left: a torn record is cut off, raw bytes
// that no record covers are kept and get a record marked [Recovered]. A disk
// that refuses index records makes the [Writer] remember them, up to a bound,
// until [Writer.Flush] succeeds.
package segment
