package segment

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// FuzzIndex feeds hostile indexes to everything that reads one. Nothing may
// panic, hang, or return more lines than the files can hold.
func FuzzIndex(f *testing.F) {
	raw := []byte("one\ntwo\nthree")
	var good []byte
	good = append(good, header{number: 1, first: 1}.encode()...)
	good = Record{Kind: RunStart, Seq: 1, PID: 7}.encode(good)
	good = Record{Kind: Batch, Seq: 1, Count: 2, Length: 8}.encode(good)
	good = Record{Kind: Batch, Seq: 3, Count: 1, Length: 5, Offset: 8, Flags: Unfinished}.encode(good)
	f.Add(good, false)
	f.Add(good[:len(good)-7], false)
	far := Record{Kind: Batch, Seq: 3, Count: 1, Length: maxBatch, Offset: 1 << 59, Line: 2}.encode(bytes.Clone(good))
	f.Add(far, false)
	f.Add(Record{Kind: Gap, Seq: 1 << 61, Count: 1<<32 - 1, Dropped: 5}.encode(bytes.Clone(good)), true)
	f.Fuzz(func(t *testing.T, idx []byte, sign bool) {
		if sign {
			idx = signed(idx)
		}
		dir := t.TempDir()
		for name, p := range map[string][]byte{"00000001.idx": idx, "00000001.out": raw, "00000001.err": raw} {
			if err := os.WriteFile(filepath.Join(dir, name), p, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		walk(t, dir, len(idx))
		w, _, err := OpenWriter(dir, Options{Sync: SyncNever})
		if err != nil {
			return
		}
		w.Append(Out, []byte("more\n"))
		w.Close()
		walk(t, dir, len(idx)+1<<10)
	})
}

// signed repairs the checksums, so that the fuzzer gets past them.
func signed(p []byte) []byte {
	if len(p) < headerSize {
		return p
	}
	h := header{number: 1, first: 1}
	out := h.encode()
	for p = p[headerSize:]; len(p) >= recordSize; p = p[recordSize:] {
		r := Record{
			Kind: Kind(p[0]%4 + 1), Stream: Stream(p[1] % 2), Flags: Flags(p[2]), Seq: 1 + uint64(p[16]) + uint64(p[23])<<56,
			Count: uint32(p[24]), Length: uint32(p[28]) + uint32(p[31])<<24, Offset: int64(p[32]) + int64(p[39])<<56, Line: uint64(p[40]),
		}
		out = r.encode(out)
	}
	return append(out, p...)
}

func walk(t *testing.T, dir string, size int) {
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.Segments()
	d.Bounds()
	d.ReadStreamAt(Out, make([]byte, 100), 0)
	for _, seek := range []func(*Lines) error{
		func(l *Lines) error { return nil },
		func(l *Lines) error { return l.SeekSeq(3) },
		func(l *Lines) error { return l.Tail(2) },
		func(l *Lines) error { return l.SeekTime(5) },
		func(l *Lines) error { return l.SeekOffset(Err, 9) },
	} {
		l := d.Lines()
		seek(l)
		for n := 0; ; n++ {
			if _, err := l.Next(); err != nil {
				if err != io.EOF {
					t.Logf("Next() = %v", err)
				}
				break
			}
			if n > 100*(size+100) {
				t.Fatalf("more than %d entries from %d bytes of index", n, size)
			}
		}
		l.Close()
	}
}
