package logstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pitwall/backend"
	"pitwall/backend/logstore/segment"
)

const (
	ms  = time.Millisecond
	out = segment.Out
	err = segment.Err
)

// shop is two instances with a bit of everything.
func shop(t *testing.T) (*Store, *program, *program) {
	a := newProgram(t, app("i1", 0), segment.Options{})
	b := newProgram(t, app("i2", 1), segment.Options{})
	a.start(0, 1)
	a.write(10*ms, out, "level=info msg=one\nlevel=debug msg=two\n")
	b.start(5*ms, 1)
	b.write(15*ms, err, "ERROR three\n\tat frame\n")
	a.write(20*ms, out, "INFO fo")
	a.write(25*ms, err, "WARN five\n")
	a.write(30*ms, out, "ur\n")
	b.write(40*ms, out, "plain six\n")
	b.write(45*ms, out, "no newline")
	b.exit(1905*ms, 2)
	return newStore(t, later, a, b), a, b
}

func TestHistoryIsMergedByTime(t *testing.T) {
	s, _, _ := shop(t)
	got := show(all(t, s, backend.LogQuery{Apps: []string{"a1"}, Dividers: true}))
	want := strings.Join([]string{
		"[web main.0 started · run 1]",
		"[web main.1 started · run 1]",
		"i1#1 level=info msg=one",
		"i1#2 level=debug msg=two",
		"i2#1 ERROR three",
		"i2#2 \tat frame",
		"i1#4 WARN five",
		"i1#3 INFO four",
		"i2#3 plain six",
		"i2#4 no newline",
		"[web main.1 exited with 2 · run 1 lasted 1.9s]",
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("merged history (-want +got):\n%s", diff)
	}
}

func TestQueriesSelect(t *testing.T) {
	s, _, _ := shop(t)
	index := 1
	tests := []struct {
		name string
		q    backend.LogQuery
		want []string
	}{
		{"instance", backend.LogQuery{Instances: []string{"i2"}}, []string{"ERROR three", "\tat frame", "plain six", "no newline"}},
		{"index", backend.LogQuery{Apps: []string{"a1"}, Index: &index, Streams: []backend.Stream{backend.Stdout}}, []string{"plain six", "no newline"}},
		{"process", backend.LogQuery{Process: "other"}, []string{}},
		{"unknown app", backend.LogQuery{Apps: []string{"nope"}}, []string{}},
		{"stream", backend.LogQuery{Streams: []backend.Stream{backend.Stderr}}, []string{"ERROR three", "\tat frame", "WARN five"}},
		{"level keeps traces whole", backend.LogQuery{Level: backend.LevelError}, []string{"ERROR three", "\tat frame"}},
		{"level warn", backend.LogQuery{Level: backend.LevelWarn}, []string{"ERROR three", "\tat frame", "WARN five"}},
		{"level info keeps the unknown", backend.LogQuery{Level: backend.LevelInfo, Instances: []string{"i1"}}, []string{"level=info msg=one", "WARN five", "INFO four"}},
		{"text", backend.LogQuery{Text: "level="}, []string{"level=info msg=one", "level=debug msg=two"}},
		{"text over two reads", backend.LogQuery{Text: "four"}, []string{"INFO four"}},
		{"text and level", backend.LogQuery{Text: "frame", Level: backend.LevelError}, []string{"\tat frame"}},
		{"invert", backend.LogQuery{Text: "e", Invert: true}, []string{"INFO four", "plain six"}},
		{"regexp", backend.LogQuery{Regexp: "^(INFO|WARN) f"}, []string{"WARN five", "INFO four"}},
		{"regexp with a literal", backend.LogQuery{Regexp: "msg=t.o"}, []string{"level=debug msg=two"}},
		{"regexp and text", backend.LogQuery{Regexp: "o$", Text: "msg"}, []string{"level=debug msg=two"}},
		{"since", backend.LogQuery{Since: epoch.Add(30 * ms)}, []string{"INFO four", "plain six", "no newline"}},
		{"since within an unfinished line", backend.LogQuery{Since: epoch.Add(time.Second)}, []string{"no newline"}},
		{"until", backend.LogQuery{Until: epoch.Add(15 * ms)}, []string{"level=info msg=one", "level=debug msg=two", "ERROR three", "\tat frame"}},
		{"sequence", backend.LogQuery{Instances: []string{"i1"}, From: 2, To: 3}, []string{"level=debug msg=two", "INFO four"}},
		{"limit", backend.LogQuery{Limit: 3}, []string{"level=info msg=one", "level=debug msg=two", "ERROR three"}},
		{"tail", backend.LogQuery{Tail: 3}, []string{"INFO four", "plain six", "no newline"}},
		{"tail of more than there is", backend.LogQuery{Tail: 100, Instances: []string{"i1"}}, []string{"level=info msg=one", "level=debug msg=two", "WARN five", "INFO four"}},
		{"tail with text", backend.LogQuery{Tail: 1, Text: "level"}, []string{"level=debug msg=two"}},
		{"tail until", backend.LogQuery{Tail: 1, Until: epoch.Add(15 * ms)}, []string{"\tat frame"}},
		{"run", backend.LogQuery{Run: 2}, []string{}},
		{"tail of a run", backend.LogQuery{Run: 1, Tail: 1}, []string{"no newline"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, texts(all(t, s, tt.q))); diff != "" {
				t.Errorf("Logs(%+v) (-want +got):\n%s", tt.q, diff)
			}
		})
	}
}

func TestBadQueriesAreRefused(t *testing.T) {
	s, _, _ := shop(t)
	for _, q := range []backend.LogQuery{
		{Regexp: "("},
		{Level: "loud"},
		{Streams: []backend.Stream{"stdin"}},
		{After: "x"},
		{Before: "AAAA"},
		{Tail: -1},
		{Limit: -1},
		{Run: -1},
		{From: 3, To: 2},
		{Since: later(), Until: epoch},
	} {
		if _, err := s.Logs(t.Context(), q); backend.CodeOf(err) != backend.Invalid {
			t.Errorf("Logs(%+v) = %v, want code %s", q, err, backend.Invalid)
		}
	}
}

func TestRunsAreToldApart(t *testing.T) {
	a := newProgram(t, app("i1", 0), segment.Options{SegmentBytes: 200})
	for run := uint32(1); run <= 6; run++ {
		at := time.Duration(run) * time.Second
		a.start(at, run)
		for i := range 5 {
			a.write(at+ms, out, fmt.Sprintf("run %d line %d\n", run, i))
		}
		a.exit(at+2*ms, int(run))
	}
	s := newStore(t, later, a)
	if diff := cmp.Diff([]string{"run 3 line 3", "run 3 line 4"}, s.LastLines("i1", 3, 2)); diff != "" {
		t.Errorf("LastLines(3, 2) (-want +got):\n%s", diff)
	}
	if got := len(all(t, s, backend.LogQuery{Run: 4})); got != 5 {
		t.Errorf("run 4 has %d lines, want 5", got)
	}
	if got := s.LastLines("nobody", 1, 2); got != nil {
		t.Errorf("LastLines of nobody = %q, want nil", got)
	}
}

func TestLongLinesAreCutAndSaidSo(t *testing.T) {
	a := newProgram(t, app("i1", 0), segment.Options{})
	long := strings.Repeat("x", backend.MaxLine+1000)
	a.write(0, out, long+"\nshort\n")
	for i := range 4 {
		a.write(time.Duration(i), out, long[:40000])
	}
	a.write(5, out, "\n")
	s := newStore(t, later, a)
	for _, q := range []backend.LogQuery{{}, {Tail: 10}} {
		got := all(t, s, q)
		if len(got) != 3 {
			t.Fatalf("%d entries, want 3", len(got))
		}
		if len(got[0].Text) != backend.MaxLine || got[0].Cut != int64(len(long)) {
			t.Errorf("first line: %d bytes, cut %d; want %d, %d", len(got[0].Text), got[0].Cut, backend.MaxLine, len(long))
		}
		if got[1].Cut != 0 {
			t.Errorf("short line has cut %d", got[1].Cut)
		}
		if len(got[2].Text) != backend.MaxLine || got[2].Cut != 160000 {
			t.Errorf("third line: %d bytes, cut %d; want %d, 160000", len(got[2].Text), got[2].Cut, backend.MaxLine)
		}
	}
}

func TestGapsAreDelivered(t *testing.T) {
	a := newProgram(t, app("i1", 0), segment.Options{})
	a.write(0, out, "one\n")
	if err := a.w.Gap(out, 1000, segment.DiskSlow); err != nil {
		t.Fatal(err)
	}
	a.write(ms, out, "three\n")
	s := newStore(t, later, a)
	want := "i1#1 one\n[i1 gap 2-2 disk too slow]\ni1#3 three"
	for _, q := range []backend.LogQuery{{}, {Tail: 2}} {
		if got := show(all(t, s, q)); got != want {
			t.Errorf("Logs(%+v) = %s\nwant %s", q, got, want)
		}
	}
}

func TestFollowGetsWhatComes(t *testing.T) {
	s, a, b := shop(t)
	feed, lerr := s.Logs(t.Context(), backend.LogQuery{Apps: []string{"a1"}, Follow: true, Tail: 1})
	if lerr != nil {
		t.Fatal(lerr)
	}
	defer feed.Close()
	if got := show(take(t, feed, 1)); got != "i2#4 no newline" {
		t.Fatalf("tail = %s", got)
	}
	for i := range 3 {
		at := time.Duration(10+i) * time.Second
		a.write(at, out, fmt.Sprintf("a%d\n", i))
		b.write(at+ms, out, fmt.Sprintf("b%d\n", i))
		s.Notify("i1")
		s.Notify("i2")
		got := texts(take(t, feed, 2))
		if len(got) != 2 || !strings.HasPrefix(got[0]+got[1], "a") && !strings.HasPrefix(got[0]+got[1], "b") {
			t.Fatalf("round %d: %q", i, got)
		}
	}
}

func TestFollowFromTheEndSkipsHistory(t *testing.T) {
	s, a, _ := shop(t)
	a.write(time.Second, out, "begun, ")
	feed, lerr := s.Logs(t.Context(), backend.LogQuery{Follow: true})
	if lerr != nil {
		t.Fatal(lerr)
	}
	defer feed.Close()
	a.write(2*time.Second, out, "ended\n")
	s.Notify("i1")
	if got := show(take(t, feed, 1)); got != "i1#5 begun, ended" {
		t.Errorf("first entry = %s, want the line that was completed after the feed began", got)
	}
}

func TestNewInstancesJoin(t *testing.T) {
	now := &clock{now: epoch.Add(time.Hour)}
	a := newProgram(t, app("i1", 0), segment.Options{})
	a.write(0, out, "old\n")
	s := newStore(t, now.Now, a)
	feed, lerr := s.Logs(t.Context(), backend.LogQuery{Apps: []string{"a1"}, Follow: true, Dividers: true})
	if lerr != nil {
		t.Fatal(lerr)
	}
	defer feed.Close()
	now.add(time.Minute)
	c := newProgram(t, app("i3", 2), segment.Options{})
	c.start(time.Hour+30*time.Second, 1)
	c.write(time.Hour+30*time.Second, out, "hello\n")
	s.Register(c.src)
	got := show(take(t, feed, 3))
	if want := "[web main.2 joined]\n[web main.2 started · run 1]\ni3#1 hello"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	other := app("i9", 0)
	other.AppID, other.Owner = "a2", "other"
	s.Register(newProgram(t, other, segment.Options{}).src)
	c.write(time.Hour+31*time.Second, out, "again\n")
	s.Notify("i3")
	if got := show(take(t, feed, 1)); got != "i3#2 again" {
		t.Errorf("got %s, want only its own app's", got)
	}
}

func TestOperationsAreMarked(t *testing.T) {
	s, _, _ := shop(t)
	s.Mark("a1", backend.LogDivider{Kind: "operation", Text: "restart by ana"}, epoch.Add(27*ms))
	got := show(all(t, s, backend.LogQuery{Apps: []string{"a1"}, Dividers: true, Tail: 2}))
	if strings.Contains(got, "restart") {
		t.Errorf("a tail after the mark has it:\n%s", got)
	}
	got = show(all(t, s, backend.LogQuery{Apps: []string{"a1"}, Dividers: true, Since: epoch.Add(20 * ms), Until: epoch.Add(30 * ms)}))
	if want := "i1#4 WARN five\n[restart by ana]\ni1#3 INFO four"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestSlowReaderIsMovedToTheEnd(t *testing.T) {
	a := newProgram(t, app("i1", 0), segment.Options{})
	a.write(0, out, "first\n")
	s := newStore(t, later, a)
	lossy, lerr := s.Logs(t.Context(), backend.LogQuery{Follow: true, MaxLag: 100, Tail: 1})
	if lerr != nil {
		t.Fatal(lerr)
	}
	defer lossy.Close()
	whole, lerr := s.Logs(t.Context(), backend.LogQuery{Follow: true, Tail: 1})
	if lerr != nil {
		t.Fatal(lerr)
	}
	defer whole.Close()
	take(t, lossy, 1)
	take(t, whole, 1)
	for i := range 30000 {
		a.write(time.Duration(i), out, fmt.Sprintf("line %d %s\n", i, strings.Repeat(".", 100)))
	}
	s.Notify("i1")
	eventually(t, "ingest", func() bool { return s.InstanceCounters("i1").LastSeq == 30001 })
	got := take(t, lossy, 1)
	if g := got[0].Gap; g == nil || g.From != 2 || g.To != 30001 || g.Count != 30000 || g.Reason != "slow reader" {
		t.Errorf("first entry = %s, want a gap 2-30001", show(got[:1]))
	}
	a.write(time.Second, out, "after\n")
	s.Notify("i1")
	if got := show(take(t, lossy, 1)); got != "i1#30002 after" {
		t.Errorf("after the gap: %s", got)
	}
	lines := take(t, whole, 30001)
	for i, e := range lines {
		if e.Seq != uint64(i+2) {
			t.Fatalf("entry %d of the patient reader has seq %d, want %d", i, e.Seq, i+2)
		}
	}
}

func TestRetentionLeavesAGap(t *testing.T) {
	a := newProgram(t, app("i1", 0), segment.Options{SegmentBytes: 1000})
	for i := range 100 {
		a.write(time.Duration(i)*ms, out, fmt.Sprintf("line %d %s\n", i+1, strings.Repeat(".", 50)))
	}
	s := newStore(t, later, a)
	cursor := all(t, s, backend.LogQuery{Limit: 3})[2].Cursor
	src := a.src
	src.Policy.MaxBytes = 3000
	s.Register(src)
	if err := s.Retain(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := all(t, s, backend.LogQuery{})
	g := got[0].Gap
	if g == nil || g.From != 1 || g.Reason != "retention" || got[1].Seq != g.To+1 {
		t.Fatalf("begins with %s, want a gap from 1 by retention", show(got[:2]))
	}
	if n := len(got) - 1; n < 5 || uint64(n) != 100-g.To {
		t.Errorf("%d lines after the gap to %d, want the rest of 100", n, g.To)
	}
	got = all(t, s, backend.LogQuery{After: cursor})
	if g := got[0].Gap; g == nil || g.From != 4 {
		t.Errorf("a cursor at 3 goes on with %s, want a gap from 4", show(got[:1]))
	}
	got = all(t, s, backend.LogQuery{Tail: 1000})
	if g := got[0].Gap; g == nil || g.From != 1 {
		t.Errorf("a tail of all begins with %s, want a gap from 1", show(got[:1]))
	}
}

func TestNextObeysItsContextAndClose(t *testing.T) {
	s, _, _ := shop(t)
	feed, lerr := s.Logs(t.Context(), backend.LogQuery{Follow: true})
	if lerr != nil {
		t.Fatal(lerr)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := feed.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next() of an ended context = %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := feed.Next(context.Background())
		done <- err
	}()
	if err := feed.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if err := <-done; !errors.Is(err, io.EOF) {
		t.Errorf("Next() of a closed feed = %v, want EOF", err)
	}
	if err := feed.Close(); err != nil {
		t.Errorf("second Close() = %v", err)
	}
}

func TestSearchTellsItsProgress(t *testing.T) {
	s, _, _ := shop(t)
	got := all(t, s, backend.LogQuery{Text: "four", Progress: true})
	p := got[len(got)-1].Progress
	if p == nil || !p.Done || p.Matches != 1 || p.Total == 0 {
		t.Errorf("last entry = %+v, want progress that is done with one match", p)
	}
}
