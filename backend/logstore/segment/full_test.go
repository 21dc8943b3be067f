package segment

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// full swaps the index for a file that takes nothing, and returns a function
// that puts it back.
func full(t *testing.T, w *Writer) (restore func()) {
	t.Helper()
	f, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("SKIPPED: A REFUSING DISK IS NOT TESTED: %v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	idx := w.idx
	w.idx = f
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.idx = idx
		f.Close()
	}
}

func TestIndexOnAFullDiskIsRemembered(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, Options{Sync: SyncNever})
	defer w.Close()
	put(t, w, Out, "before\n")
	restore := full(t, w)
	if err := w.Append(Out, []byte("during\n")); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Append() = %v, want ENOSPC", err)
	}
	w.Gap(Out, 10, DiskFull)
	w.RunEnd(1, 0, 0)
	if err := w.Flush(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Flush() = %v, want ENOSPC", err)
	}
	check(t, "before the disk recovers", read(t, dir, nil), []string{"1 out before"})
	restore()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	put(t, w, Out, "after\n")
	check(t, "after", read(t, dir, nil), []string{
		"1 out before", "2 out during", "3 gap 10 disk full", "run 0 exit 1 signal 0", "4 out after",
	})
}

func TestMemoryForRefusedRecordsIsBounded(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, Options{Sync: SyncNever})
	defer w.Close()
	restore := full(t, w)
	accepted := 0
	var err error
	for range 10_000 {
		if err = w.Append(Out, []byte("x\n")); errors.Is(err, ErrIndexFull) {
			break
		}
		accepted++
	}
	if !errors.Is(err, ErrIndexFull) || len(w.pending) > maxPending {
		t.Fatalf("%d records pending, last error %v", len(w.pending)/recordSize, err)
	}
	w.Gap(Out, 5, DiskFull)
	w.Gap(Out, 6, DiskFull)
	restore()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	put(t, w, Out, "end\n")
	got := read(t, dir, nil)
	if len(got) != accepted+2 || !strings.HasSuffix(got[accepted], "gap 11 disk full") || !strings.HasSuffix(got[accepted+1], "out end") {
		t.Errorf("%d entries for %d accepted, the last %q", len(got), accepted, got[len(got)-2:])
	}
}

func TestReaderBesideAWriter(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, Options{SegmentBytes: 8 << 10, Sync: SyncNever})
	const lines = 20_000
	wrote := make(chan error, 1)
	go func() {
		var p []byte
		for i := range lines {
			p = append(p[:0], "line "...)
			p = append(p, strings.Repeat("x", i%40)...)
			if err := w.Append(Stream(i%2), append(p, '\n')); err != nil {
				wrote <- err
				return
			}
		}
		wrote <- w.Close()
	}()
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	l := d.Lines()
	defer l.Close()
	for next := uint64(1); next <= lines; {
		e, err := l.Next()
		if err == io.EOF {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != Batch || e.Seq != next || int(e.Length) != 5+int(next-1)%40 {
			t.Fatalf("entry %+v, want line %d", e, next)
		}
		next++
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
}

func TestForeignFilesAreNoSegments(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, Options{})
	put(t, w, Out, "a\n")
	w.Close()
	outside := filepath.Join(t.TempDir(), "secret")
	os.WriteFile(outside, []byte("secret"), 0o600)
	for _, name := range []string{"x.idx", "1.idx", "-0000001.idx", "00000009.idx.tmp", "notes.txt"} {
		os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600)
	}
	if err := os.Remove(filepath.Join(dir, rawName(1, Out))); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, rawName(1, Out))); err != nil {
		t.Fatal(err)
	}
	d, _ := OpenDir(dir)
	defer d.Close()
	if infos, err := d.Segments(); err != nil || len(infos) != 1 {
		t.Errorf("Segments() = %v, %v, want one", infos, err)
	}
	p := make([]byte, 6)
	if n, err := d.ReadStreamAt(Out, p, 0); err == nil || n > 0 {
		t.Errorf("ReadStreamAt() through a link = %q, %v", p[:n], err)
	}
	if _, _, err := OpenWriter(dir, Options{}); err == nil {
		t.Error("OpenWriter() wrote through a link")
	}
}
