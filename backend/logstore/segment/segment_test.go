package segment

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func open(t testing.TB, dir string, o Options) *Writer {
	t.Helper()
	w, _, err := OpenWriter(dir, o)
	if err != nil {
		t.Fatalf("OpenWriter(%s) = %v", dir, err)
	}
	return w
}

// kill leaves the folder as a killed process would.
func kill(w *Writer) {
	w.mu.Lock()
	if w.timer != nil && w.timer.Stop() {
		w.retired.Done()
	}
	w.mu.Unlock()
	w.retired.Wait()
	w.abandon()
}

func put(t testing.TB, w *Writer, s Stream, text string) {
	t.Helper()
	if err := w.Append(s, []byte(text)); err != nil {
		t.Fatalf("Append(%s, %q) = %v", s, text, err)
	}
}

// read renders the whole log, an entry a string.
func read(t testing.TB, dir string, seek func(*Lines) error) []string {
	t.Helper()
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	l := d.Lines()
	defer l.Close()
	if seek != nil {
		if err := seek(l); err != nil {
			t.Fatalf("seek: %v", err)
		}
	}
	var got []string
	if err := l.All(func(e Entry) error {
		got = append(got, render(e))
		return nil
	}); err != nil {
		t.Fatalf("All() = %v", err)
	}
	return got
}

func render(e Entry) string {
	switch e.Kind {
	case Gap:
		return fmt.Sprintf("%d gap %d %s", e.Seq, e.Dropped, e.Reason)
	case RunStart:
		return fmt.Sprintf("run %d pid %d", e.Run, e.PID)
	case RunEnd:
		return fmt.Sprintf("run %d exit %d signal %d", e.Run, e.Exit, e.Signal)
	}
	mark := ""
	if e.Flags&Unterminated != 0 {
		mark = "…"
	}
	return fmt.Sprintf("%d %s %s%s", e.Seq, e.Stream, e.Bytes, mark)
}

func check(t testing.TB, what string, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestLinesKeepTheOrderOfTheirFirstBytes(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, Options{})
	w.RunStart(1, 42)
	put(t, w, Out, "a\nb\npart")
	put(t, w, Err, "e1\ne2")
	put(t, w, Out, "ial\nc\n")
	put(t, w, Err, "...\n")
	put(t, w, Out, "last")
	w.RunEnd(3, 0, 0)
	put(t, w, Out, "next run\n")
	defer w.Close()
	check(t, "lines", read(t, dir, nil), []string{
		"run 1 pid 42", "1 out a", "2 out b", "4 err e1", "3 out partial", "6 out c", "5 err e2...",
		"7 out last…", "run 1 exit 3 signal 0", "8 out next run",
	})
}

func TestUnfinishedLineWaitsForItsEnd(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, Options{})
	defer w.Close()
	put(t, w, Out, "prompt> ")
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	l := d.Lines()
	defer l.Close()
	if _, err := l.Next(); err != io.EOF {
		t.Fatalf("Next() = %v, want io.EOF", err)
	}
	if e, ok := l.Partial(Out); !ok || string(e.Bytes) != "prompt> " {
		t.Errorf("Partial(Out) = %q, %v", e.Bytes, ok)
	}
	put(t, w, Out, "yes\n")
	e, err := l.Next()
	if err != nil || render(e) != "1 out prompt> yes" {
		t.Errorf("Next() = %s, %v", render(e), err)
	}
}

func TestGapEndsTheUnfinishedLine(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, Options{})
	defer w.Close()
	put(t, w, Out, "half")
	put(t, w, Err, "other")
	if err := w.Gap(Out, 77, DiskFull); err != nil {
		t.Fatal(err)
	}
	put(t, w, Out, "rest\n")
	put(t, w, Err, "!\n")
	check(t, "lines", read(t, dir, nil), []string{
		"1 out half…", "3 gap 77 disk full", "4 out rest", "2 err other!",
	})
}

func TestRollsAtLineEndsAndReadsAcross(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, Options{SegmentBytes: 1000})
	var want []string
	for i := range 200 {
		put(t, w, Stream(i%2), fmt.Sprintf("line %d\n", i))
		want = append(want, fmt.Sprintf("%d %s line %d", i+1, Stream(i%2), i))
	}
	long := strings.Repeat("x", 5000)
	for range 3 {
		put(t, w, Out, long)
	}
	put(t, w, Out, "\n")
	want = append(want, "201 out "+long+long+long)
	w.Close()
	check(t, "lines", read(t, dir, nil), want)

	d, _ := OpenDir(dir)
	defer d.Close()
	infos, err := d.Segments()
	if err != nil || len(infos) < 10 {
		t.Fatalf("Segments() = %d, %v, want 10 or more", len(infos), err)
	}
	if err := d.Remove(infos[len(infos)-1].Number); err == nil {
		t.Error("Remove() of the last segment succeeded")
	}
	for _, i := range infos[:5] {
		if err := d.Remove(i.Number); err != nil {
			t.Fatal(err)
		}
	}
	first := infos[5].First
	kept := append([]string{"1 gap 0 deleted by retention"}, want[first-1:]...)
	check(t, "after retention", read(t, dir, nil), kept)
	kept[0] = "3 gap 0 deleted by retention"
	check(t, "from a deleted line", read(t, dir, func(l *Lines) error { return l.SeekSeq(3) }), kept)
	p := make([]byte, 10)
	if _, err := d.ReadStreamAt(Out, p, 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ReadStreamAt of deleted bytes = %v, want not exist", err)
	}
}

func TestLongLineIsCutAndKeptWhole(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, Options{SegmentBytes: 1 << 20})
	piece := bytes.Repeat([]byte("0123456789"), 10_000)
	for range 50 {
		if err := w.Append(Out, piece); err != nil {
			t.Fatal(err)
		}
	}
	put(t, w, Out, "\nafter\n")
	w.Close()
	d, _ := OpenDir(dir)
	defer d.Close()
	l := d.Lines()
	defer l.Close()
	e, err := l.Next()
	if err != nil || len(e.Bytes) != MaxLine || e.Length != 5_000_000 || e.Flags&Cut == 0 {
		t.Fatalf("Next() = %d bytes of %d, flags %x, %v", len(e.Bytes), e.Length, e.Flags, err)
	}
	if e, err := l.Next(); err != nil || render(e) != "2 out after" {
		t.Errorf("Next() = %s, %v", render(e), err)
	}
	p := make([]byte, 20)
	if n, err := d.ReadStreamAt(Out, p, 4_999_995); n != 12 || err != io.EOF || string(p[:n]) != "56789\nafter\n" {
		t.Errorf("ReadStreamAt() = %q, %v", p[:n], err)
	}
}

func TestTailReadsTheLastEntries(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, Options{})
	defer w.Close()
	put(t, w, Err, "stuck")
	var text strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&text, "line %d\n", i)
	}
	put(t, w, Out, text.String())
	put(t, w, Out, "open")
	check(t, "tail 2", read(t, dir, func(l *Lines) error { return l.Tail(2) }),
		[]string{"10000 out line 9998", "10001 out line 9999"})
	if n := len(read(t, dir, func(l *Lines) error { return l.Tail(20_000) })); n != 10_000 {
		t.Errorf("Tail(20000) gave %d entries, want 10000", n)
	}
}

func TestSeeksByTimeAndOffset(t *testing.T) {
	dir := t.TempDir()
	c := &clock{at: 1000}
	w := open(t, dir, Options{SegmentBytes: 600, Now: c.now})
	defer w.Close()
	for i := range 50 {
		c.at = int64(1000 + i)
		put(t, w, Out, fmt.Sprintf("line %02d\n", i))
	}
	got := read(t, dir, func(l *Lines) error { return l.SeekTime(1030) })
	if len(got) != 20 || got[0] != "31 out line 30" {
		t.Errorf("SeekTime(1030) gave %d entries, first %q", len(got), got[0])
	}
	got = read(t, dir, func(l *Lines) error { return l.SeekOffset(Out, 8*40+3) })
	if len(got) != 10 || got[0] != "41 out line 40" {
		t.Errorf("SeekOffset gave %d entries, first %q", len(got), got[0])
	}
}

func TestTimeNeverGoesBack(t *testing.T) {
	dir := t.TempDir()
	c := &clock{at: 5000}
	w := open(t, dir, Options{Now: c.now})
	put(t, w, Out, "a\n")
	c.at = 10
	put(t, w, Out, "b\n")
	w.Close()
	w = open(t, dir, Options{Now: c.now})
	defer w.Close()
	put(t, w, Out, "c\n")
	d, _ := OpenDir(dir)
	defer d.Close()
	l := d.Lines()
	defer l.Close()
	l.All(func(e Entry) error {
		if e.Time != 5000 {
			t.Errorf("time of %q = %d, want 5000", e.Bytes, e.Time)
		}
		return nil
	})
}

func TestTornTailIsRepaired(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, Options{})
	put(t, w, Out, "a\nb\n")
	put(t, w, Out, "c\nhalf")
	kill(w)
	idx := filepath.Join(dir, indexName(1))
	st, _ := os.Stat(idx)
	if err := os.Truncate(idx, st.Size()-10); err != nil {
		t.Fatal(err)
	}
	w, report, err := OpenWriter(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if report.Cut != recordSize-10 || report.Recovered[Out] != 6 {
		t.Errorf("report = %+v", report)
	}
	put(t, w, Out, " done\n")
	check(t, "lines", read(t, dir, nil), []string{"1 out a", "2 out b", "3 out c", "4 out half done"})
}

func TestDamagedRecordIsToldAsAGap(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, Options{})
	for _, s := range []string{"a\n", "b\n", "c\n"} {
		put(t, w, Out, s)
	}
	w.Close()
	idx := filepath.Join(dir, indexName(1))
	p, _ := os.ReadFile(idx)
	p[headerSize+recordSize+20] ^= 1
	os.WriteFile(idx, p, 0o600)
	w, report, err := OpenWriter(dir, Options{})
	if err != nil || report.Damaged != 1 {
		t.Fatalf("OpenWriter() = %+v, %v, want one damaged record", report, err)
	}
	defer w.Close()
	put(t, w, Out, "d\n")
	check(t, "lines", read(t, dir, nil), []string{"1 out a", "2 gap 0 damaged on disk", "3 out c", "4 out d"})
}

func TestUnreadableHeaderIsRebuilt(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, Options{SegmentBytes: 200})
	put(t, w, Out, strings.Repeat("x", 300)+"\n")
	put(t, w, Out, "second\n")
	w.Close()
	if err := os.WriteFile(filepath.Join(dir, indexName(2)), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, report, err := OpenWriter(dir, Options{})
	if err != nil || !report.Rebuilt {
		t.Fatalf("OpenWriter() = %+v, %v, want a rebuilt index", report, err)
	}
	defer w.Close()
	got := read(t, dir, nil)
	want := fmt.Sprintf("%d out second", 2+rebuiltGap)
	if len(got) != 3 || got[2] != want {
		t.Errorf("got %q, want the last to be %q", got, want)
	}
}

func TestOneWriterAtATime(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, Options{})
	defer w.Close()
	if _, _, err := OpenWriter(dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("second OpenWriter() = %v, want ErrLocked", err)
	}
}

func TestNextWriterWaitsForTheLastOne(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, Options{})
	opened := make(chan error)
	go func() {
		next, _, err := OpenWriter(dir, Options{LockWait: time.Hour})
		if err == nil {
			err = next.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Errorf("OpenWriter() beside a writer = %v, want it to wait", err)
	case <-time.After(30 * time.Millisecond):
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Errorf("OpenWriter() after the last writer = %v", err)
	}
}

func TestReaderFollowsAcrossRolls(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, Options{SegmentBytes: 500})
	defer w.Close()
	d, _ := OpenDir(dir)
	defer d.Close()
	l := d.Lines()
	defer l.Close()
	for i := range 100 {
		put(t, w, Out, fmt.Sprintf("%d\n", i))
		e, err := l.Next()
		if err != nil || string(e.Bytes) != fmt.Sprint(i) {
			t.Fatalf("Next() = %q, %v, want %d", e.Bytes, err, i)
		}
		if _, err := l.Next(); err != io.EOF {
			t.Fatalf("Next() at the end = %v, want io.EOF", err)
		}
	}
}

func TestSmallWindowReadsLargeBatches(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, Options{})
	var all []byte
	for i := range 2000 {
		all = fmt.Appendf(all, "line %d\n", i)
	}
	if err := w.Append(Out, all); err != nil {
		t.Fatal(err)
	}
	w.Close()
	d, _ := OpenDir(dir)
	defer d.Close()
	r := d.Reader(100)
	defer r.Close()
	var got []byte
	for {
		c, p, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		want := uint64(bytes.Count(got, newline)) + 1
		if c.Line != 0 {
			want++
		}
		if c.Seq != want || c.Abs != int64(len(got)) {
			t.Fatalf("chunk at %d has Seq %d, Abs %d, want %d", len(got), c.Seq, c.Abs, want)
		}
		got = append(got, p...)
	}
	if !slices.Equal(got, all) {
		t.Error("the chunks are not the bytes written")
	}
}
