package logstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pitwall/backend"
	"pitwall/backend/logstore/segment"
)

func TestCountersOfErrors(t *testing.T) {
	a := newProgram(t, app("i1", 0), segment.Options{})
	b := newProgram(t, app("i2", 1), segment.Options{})
	a.write(0, err, "level=error msg=\"first one\"\n")
	a.write(8*time.Minute, err, "ERROR boom\n\tat x\n\tat y\n")
	a.write(8*time.Minute+ms, out, "INFO fine\n")
	b.write(9*time.Minute, err, "Traceback (most recent call last):\n  File x\nValueError: bad\n")
	now := &clock{now: epoch.Add(9*time.Minute + 30*time.Second)}
	s := newStore(t, now.Now, a, b)
	eventually(t, "ingest", func() bool {
		return s.InstanceCounters("i1").LastSeq == 5 && s.InstanceCounters("i2").LastSeq == 3
	})
	want := Counters{
		ErrorsPerMinute: 1, ErrorTrend: []int{1, 0, 0, 0, 0, 0, 0, 0, 1, 1}, LastSeq: 5,
		LastError: "ValueError: bad", LastErrorAt: epoch.Add(9 * time.Minute),
		LastWords: "ValueError: bad", LastWordsAt: epoch.Add(9 * time.Minute),
		Bytes: s.InstanceCounters("i1").Bytes + s.InstanceCounters("i2").Bytes,
	}
	if diff := cmp.Diff(want, s.AppCounters("a1")); diff != "" {
		t.Errorf("AppCounters (-want +got):\n%s", diff)
	}
	if got := s.InstanceCounters("i1"); got.LastError != "ERROR boom" || got.ErrorsPerMinute != 0 || got.Bytes == 0 {
		t.Errorf("InstanceCounters(i1) = %+v", got)
	}
	now.add(time.Minute)
	if got := s.AppCounters("a1"); got.ErrorsPerMinute != 0 || got.LastError == "" {
		t.Errorf("a minute later AppCounters = %+v, want no errors and the last one remembered", got)
	}
	if got := s.AppCounters("a2"); got.LastError != "" || got.Bytes != 0 || len(got.ErrorTrend) != 10 {
		t.Errorf("counters of an app without instances = %+v", got)
	}
	if got := s.ownerBytes()["a1"]; got != want.Bytes {
		t.Errorf("ownerBytes = %d, want %d", got, want.Bytes)
	}
}

func TestLastWordsOfARunWithoutLevels(t *testing.T) {
	a := newProgram(t, app("i1", 0), segment.Options{})
	words := func(lines uint64) string {
		s := newStore(t, func() time.Time { return epoch.Add(time.Hour) }, a)
		eventually(t, "ingest", func() bool { return s.InstanceCounters("i1").LastSeq == lines })
		return s.InstanceCounters("i1").LastWords
	}
	a.write(0, out, "starting\n")
	a.write(ms, err, "bind: address already in use\n")
	if got := words(2); got != "bind: address already in use" {
		t.Errorf("LastWords = %q, want the last line on stderr", got)
	}
	a.write(2*ms, err, "panic: nil map\n")
	a.write(3*ms, err, "exit status 2\n")
	a.write(4*ms, out, "bye\n")
	if got := words(5); got != "panic: nil map" {
		t.Errorf("LastWords = %q, want the error of the run", got)
	}
}

func TestOldLogsAreNotReadWhole(t *testing.T) {
	a := newProgram(t, app("i1", 0), segment.Options{SegmentBytes: 1 << 20})
	line := strings.Repeat("x", 999) + "\n"
	a.write(0, out, "ERROR at the very beginning\n")
	for range 40 {
		a.write(ms, out, strings.Repeat(line, 100))
	}
	a.write(time.Second, out, "ERROR near the end\n")
	s := newStore(t, func() time.Time { return epoch.Add(48 * time.Hour) }, a)
	eventually(t, "ingest", func() bool { return s.InstanceCounters("i1").LastSeq == 4002 })
	if got := s.InstanceCounters("i1").LastError; got != "ERROR near the end" {
		t.Errorf("LastError = %q", got)
	}
	s.mu.Lock()
	in := s.instances["i1"]
	s.mu.Unlock()
	eventually(t, "the turn's end", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return !in.running && !in.queued
	})
	if n := in.scan.scanned; n > 2*primeBytes+1<<20 {
		t.Errorf("read %d bytes of an old log of 4 MB", n)
	}
}

func TestChangedTellsWhichAndWhenErrorsFade(t *testing.T) {
	a := newProgram(t, app("i1", 0), segment.Options{})
	a.clock.set(time.Now())
	s := newStore(t, time.Now, a)
	feed, lerr := s.Changed(t.Context())
	if lerr != nil {
		t.Fatal(lerr)
	}
	defer feed.Close()
	if perr := a.w.Append(err, []byte("ERROR x\n")); perr != nil {
		t.Fatal(perr)
	}
	s.Notify("i1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ids, nerr := feed.Next(ctx)
	if nerr != nil || len(ids) != 1 || ids[0] != "i1" {
		t.Fatalf("Next() = %v, %v; want i1", ids, nerr)
	}
	// The rate of lines fades within ten seconds, without any new output.
	ids, nerr = feed.Next(ctx)
	if nerr != nil || len(ids) != 1 {
		t.Fatalf("Next() with no new output = %v, %v; want i1 when its rate fades", ids, nerr)
	}
	feed.Close()
	if _, err := feed.Next(ctx); !errors.Is(err, io.EOF) {
		t.Errorf("Next() of a closed feed = %v, want EOF", err)
	}
}

func TestCounterChangesByTime(t *testing.T) {
	var c counter
	c.add(&item{time: epoch.UnixNano(), level: errorRank})
	if got, want := c.changes(epoch), epoch.Add(10*time.Second); !got.Equal(want) {
		t.Errorf("changes() = %v, want %v, when the rate fades", got, want)
	}
	if got, want := c.changes(epoch.Add(30*time.Second)), epoch.Add(time.Minute); !got.Equal(want) {
		t.Errorf("changes() = %v, want %v, when the error is a minute old", got, want)
	}
	if got := c.changes(epoch.Add(2 * time.Minute)); !got.IsZero() {
		t.Errorf("changes() = %v, want none: an idle instance needs no timer", got)
	}
}

func TestOpenReadsRawBytes(t *testing.T) {
	a := newProgram(t, app("i1", 0), segment.Options{SegmentBytes: 500})
	var want strings.Builder
	for i := range 100 {
		line := fmt.Sprintf("line %d\r\n", i)
		want.WriteString(line)
		a.write(0, out, line)
	}
	s := newStore(t, later, a)
	tests := []struct {
		ref  backend.BlobRef
		want string
	}{
		{backend.BlobRef{}, want.String()},
		{backend.BlobRef{Offset: 9}, want.String()[9:]},
		{backend.BlobRef{Offset: 500, Length: 300}, want.String()[500:800]},
		{backend.BlobRef{Offset: 10, FromTail: true}, want.String()[want.Len()-10:]},
		{backend.BlobRef{Stream: backend.Stderr}, ""},
		{backend.BlobRef{Offset: 1 << 30}, ""},
	}
	for _, tt := range tests {
		tt.ref.Kind, tt.ref.ID = backend.LogBlob, "i1"
		r, err := s.Open(t.Context(), tt.ref)
		if err != nil {
			t.Fatalf("Open(%+v) = %v", tt.ref, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != tt.want {
			t.Errorf("Open(%+v) gives %d bytes, %v; want %d", tt.ref, len(got), err, len(tt.want))
		}
		r.Close()
	}
	if _, err := s.Open(t.Context(), backend.BlobRef{Kind: backend.LogBlob, ID: "nobody"}); backend.CodeOf(err) != backend.NotFound {
		t.Errorf("Open of nobody = %v", err)
	}
	src := a.src
	src.Policy.MaxBytes = 1000
	s.Register(src)
	if err := s.Retain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), backend.BlobRef{Kind: backend.LogBlob, ID: "i1", Offset: 1}); backend.CodeOf(err) != backend.Compacted {
		t.Errorf("Open before what is kept = %v, want %s", err, backend.Compacted)
	}
}

func TestStatsCountByTimeAndLevel(t *testing.T) {
	s, _, _ := shop(t)
	feed, lerr := s.Stats(t.Context(), backend.LogQuery{Since: epoch, Until: epoch.Add(10 * time.Second), Text: "e"})
	if lerr != nil {
		t.Fatal(lerr)
	}
	defer feed.Close()
	var got []backend.LogStats
	for {
		some, err := feed.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, some...)
	}
	counts := map[backend.Level]uint64{backend.LevelInfo: 1, backend.LevelDebug: 1, backend.LevelError: 1, backend.LevelWarn: 1}
	counts2 := map[backend.Level]uint64{backend.LevelUnknown: 1}
	sum := map[backend.Level]uint64{backend.LevelInfo: 1, backend.LevelDebug: 1, backend.LevelError: 2, backend.LevelWarn: 1, backend.LevelUnknown: 1}
	counts[backend.LevelError] = 2 // with its frame
	want := []backend.LogStats{
		{From: epoch, To: epoch.Add(time.Second), Counts: counts, Lines: 5, Bytes: 18 + 19 + 11 + 9 + 9},
		{From: epoch.Add(time.Second), To: epoch.Add(2 * time.Second), Counts: counts2, Lines: 1, Bytes: 10},
		{From: epoch, To: epoch.Add(2 * time.Second), Counts: sum, Lines: 6, Bytes: 76, Total: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Stats (-want +got):\n%s", diff)
	}
}

func TestALogsSizeIsCountedOnce(t *testing.T) {
	a := newProgram(t, app("i1", 0), segment.Options{SegmentBytes: 1000})
	line := strings.Repeat("x", 99) + "\n"
	for i := range 50 {
		a.write(time.Duration(i)*time.Second, out, line)
	}
	s := newStore(t, (&clock{now: epoch.Add(time.Minute)}).Now, a)
	onDisk := func() int64 {
		n := int64(0)
		for _, path := range files(t, a.src.Dir) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			n += info.Size()
		}
		return n
	}
	before := onDisk()
	for _, when := range []string{"read for the first time", "retention"} {
		all(t, s, backend.LogQuery{Instances: []string{"i1"}}) // all is on disk
		eventually(t, "reading after "+when, func() bool { return s.read("i1") >= 50 })
		if got := s.InstanceCounters("i1").Bytes; int64(got) != before {
			t.Errorf("after %s the log takes %d bytes, want %d", when, got, before)
		}
		if err := s.Retain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		a.write(time.Minute+time.Duration(i)*time.Second, out, line)
	}
	s.Notify("i1")
	eventually(t, "reading what came", func() bool { return s.read("i1") >= 100 })
	if got, raw := int64(s.InstanceCounters("i1").Bytes)-before, int64(50*len(line)); got < raw-50 || got > onDisk()-before {
		t.Errorf("50 lines of 100 bytes are counted as %d", got)
	}
}

// read is the number of the last line that is counted.
func (s *Store) read(instance string) uint64 {
	s.mu.Lock()
	in := s.instances[instance]
	s.mu.Unlock()
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.st.high
}

// files are the segments of a log.
func files(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*.*"))
	if err != nil || len(found) == 0 {
		t.Fatalf("Glob() = %q, %v", found, err)
	}
	return found
}

func TestRetentionKeepsToPolicy(t *testing.T) {
	live := newProgram(t, app("i1", 0), segment.Options{SegmentBytes: 1000})
	gone := newProgram(t, app("i2", 1), segment.Options{SegmentBytes: 1000})
	for i := range 100 {
		gone.write(time.Duration(i)*time.Minute, out, strings.Repeat("x", 99)+"\n")
	}
	for i := range 100 {
		live.write(time.Duration(100+i)*time.Minute, out, strings.Repeat("x", 99)+"\n")
	}
	now := &clock{now: epoch.Add(200 * time.Minute)}
	gone.src.Live = false
	gone.src.Policy = backend.LogPolicy{MaxBytes: 15000, MaxAge: backend.Duration(24 * time.Hour)}
	s := newStore(t, now.Now, live, gone)
	retain := func() {
		t.Helper()
		if err := s.Retain(t.Context()); err != nil {
			t.Fatalf("Retain() = %v", err)
		}
	}
	retain()
	if n := s.ownerBytes()["a1"]; n > 15000 || n < 10000 {
		t.Errorf("%d bytes are kept of 15000 allowed", n)
	}
	if got := all(t, s, backend.LogQuery{Instances: []string{"i1"}, Tail: 1}); got[0].Seq != 100 {
		t.Errorf("the last line is %s", show(got))
	}
	now.set(epoch.Add(48 * time.Hour))
	retain()
	if _, err := os.Stat(gone.src.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of an ended instance is still there: %v", err)
	}
	if got := len(texts(all(t, s, backend.LogQuery{Instances: []string{"i1"}}))); got == 0 || got > 10 {
		t.Errorf("%d lines of the live instance are left, want those of the segment being written", got)
	}
	if err := s.Forget("i1"); err != nil {
		t.Errorf("Forget() = %v", err)
	}
	if _, err := os.Stat(live.src.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of a forgotten instance is still there: %v", err)
	}
}

// ownerBytes returns what the logs of each app and job take on disk, by its id.
func (s *Store) ownerBytes() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	sums := map[string]int64{}
	for _, in := range s.instances {
		in.mu.Lock()
		sums[in.src.owner()] += in.bytes
		in.mu.Unlock()
	}
	return sums
}
