package segment

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// model is what a reader of one stream should see.
type model struct {
	lines [2][]string // "text" complete, "text…" ended by something else, "#n" a gap
	open  [2]string
	began [2]bool
}

func (m *model) append(s Stream, p []byte) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			m.open[s] += string(p)
			m.began[s] = true
			return
		}
		m.lines[s] = append(m.lines[s], m.open[s]+string(p[:i]))
		m.open[s], m.began[s] = "", false
		p = p[i+1:]
	}
}

func (m *model) end(s Stream) {
	if m.began[s] {
		m.lines[s] = append(m.lines[s], m.open[s]+"…")
	}
	m.open[s], m.began[s] = "", false
}

// TestRandomWritesReadBackExactly writes, rolls, kills and tears at random and
// then reads in every way.
func TestRandomWritesReadBackExactly(t *testing.T) {
	base := t.TempDir()
	trial := 0
	rapid.Check(t, func(t *rapid.T) {
		trial++
		dir := filepath.Join(base, fmt.Sprint(trial))
		o := Options{SegmentBytes: rapid.Int64Range(300, 3000).Draw(t, "segment"), Sync: SyncNever}
		w, _, err := OpenWriter(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { kill(w) }()
		var m model
		run := uint32(0)
		pieces := rapid.SliceOfN(rapid.SampledFrom([]string{"\n", "a", "bb", "\n\n", "longer text ", "x\ny"}), 1, 30)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			s := Stream(rapid.IntRange(0, 1).Draw(t, "stream"))
			switch step := rapid.IntRange(0, 19).Draw(t, "step"); {
			case step == 0:
				n := rapid.Int64Range(1, 1000).Draw(t, "dropped")
				w.Gap(s, n, DiskFull)
				m.end(s)
				m.lines[s] = append(m.lines[s], fmt.Sprintf("#%d", n))
			case step == 1:
				run++
				w.RunStart(run, 1)
				m.end(Out)
				m.end(Err)
			case step == 2 || step == 3:
				text := []byte(joined(pieces.Draw(t, "text")))
				w.Append(s, text)
				m.append(s, text)
				kill(w)
				if step == 3 {
					tear(t, dir, w.head.number, rapid.Int64Range(0, recordSize).Draw(t, "torn"))
				}
				if w, _, err = OpenWriter(dir, o); err != nil {
					t.Fatal(err)
				}
			default:
				text := []byte(joined(pieces.Draw(t, "text")))
				w.Append(s, text)
				m.append(s, text)
			}
		}
		verify(t, dir, &m)
	})
}

func joined(pieces []string) string {
	all := ""
	for _, p := range pieces {
		all += p
	}
	return all
}

// tear cuts bytes off the last record, unless that is the roll's fresh header.
func tear(t *rapid.T, dir string, number uint64, n int64) {
	name := filepath.Join(dir, indexName(number))
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if st.Size() > headerSize {
		if err := os.Truncate(name, st.Size()-n); err != nil {
			t.Fatal(err)
		}
	}
}

func verify(t *rapid.T, dir string, m *model) {
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	all, cursors := collect(t, d, func(*Lines) error { return nil })
	var got [2][]string
	seen := map[uint64]bool{}
	var last [2]uint64
	for _, e := range all {
		if e.kind == RunStart {
			continue
		}
		if seen[e.seq] || e.seq <= last[e.stream] {
			t.Fatalf("sequence %d of %s after %d, or twice", e.seq, e.stream, last[e.stream])
		}
		seen[e.seq], last[e.stream] = true, e.seq
		got[e.stream] = append(got[e.stream], e.text)
	}
	b, err := d.Bounds()
	if err != nil {
		t.Fatal(err)
	}
	for s := range got {
		if fmt.Sprintf("%q", got[s]) != fmt.Sprintf("%q", m.lines[s]) {
			t.Fatalf("%s:\n got %q\nwant %q", Stream(s), got[s], m.lines[s])
		}
		if (b.Open[s] != 0) != m.began[s] {
			t.Fatalf("Bounds().Open[%s] = %d, want unfinished %v", Stream(s), b.Open[s], m.began[s])
		}
	}
	for seq := uint64(1); seq < b.Next; seq++ {
		if !seen[seq] && seq != b.Open[Out] && seq != b.Open[Err] {
			t.Fatalf("sequence %d is nowhere", seq)
		}
	}
	if len(all) == 0 {
		return
	}
	at := rapid.IntRange(0, len(all)-1).Draw(t, "resume at")
	rest, _ := collect(t, d, func(l *Lines) error { return l.SeekCursor(cursors[at]) })
	same(t, fmt.Sprintf("resume after %d", at), rest, all[at+1:])
	seq := rapid.Uint64Range(1, b.Next).Draw(t, "seek")
	var want []item
	for _, e := range all {
		if e.kind != RunStart && e.seq >= seq {
			want = append(want, e)
		}
	}
	from, _ := collect(t, d, func(l *Lines) error { return l.SeekSeq(seq) })
	same(t, fmt.Sprintf("from %d", seq), noMarks(from), want)
	n := rapid.IntRange(0, 20).Draw(t, "tail")
	tail, _ := collect(t, d, func(l *Lines) error { return l.Tail(n) })
	if got, want := len(noMarks(tail)), min(n, len(noMarks(all))); got != want {
		t.Fatalf("Tail(%d) gave %d entries, want %d", n, got, want)
	}
}

type item struct {
	kind   Kind
	stream Stream
	seq    uint64
	offset int64
	text   string
}

func noMarks(items []item) []item {
	var rest []item
	for _, i := range items {
		if i.kind != RunStart {
			rest = append(rest, i)
		}
	}
	return rest
}

func collect(t *rapid.T, d *Dir, seek func(*Lines) error) (items []item, cursors []Cursor) {
	l := d.Lines()
	defer l.Close()
	if err := seek(l); err != nil {
		t.Fatal(err)
	}
	for {
		e, err := l.Next()
		if err == io.EOF {
			return items, cursors
		}
		if err != nil {
			t.Fatal(err)
		}
		text := string(e.Bytes)
		if e.Flags&Unterminated != 0 {
			text += "…"
		}
		if e.Kind == Gap {
			text = fmt.Sprintf("#%d", e.Dropped)
		}
		items = append(items, item{e.Kind, e.Stream, e.Seq, e.Offset, text})
		cursors = append(cursors, l.Cursor())
	}
}

func same(t *rapid.T, what string, got, want []item) {
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}
