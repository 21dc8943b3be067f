package logstore

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pitwall/backend"
	"pitwall/backend/logstore/segment"
)

// told is what a log should give, by a model that knows nothing of files.
type told struct {
	time     time.Time
	instance string
	text     string // as tell writes it
	line     string // the text alone, "" for others
	divider  bool
}

// model is one instance, written for real and remembered plainly.
type model struct {
	*program
	next uint64
	open [2]string
	seqs [2]uint64 // of the open lines, 0 where there is none
	run  uint32
	on   bool
	told []told
}

func (m *model) tell(text, line string, divider bool) {
	m.told = append(m.told, told{m.clock.Now(), m.src.Instance, m.src.Instance + text, line, divider})
}

func (m *model) complete(s segment.Stream) {
	m.tell(fmt.Sprintf("#%d %s", m.seqs[s], m.open[s]), m.open[s], false)
	m.open[s], m.seqs[s] = "", 0
}

func (m *model) say(at time.Duration, s segment.Stream, text string) {
	m.write(at, s, text)
	for _, c := range text {
		if m.seqs[s] == 0 {
			m.seqs[s] = m.next
			m.next++
		}
		if c == '\n' {
			m.complete(s)
			continue
		}
		m.open[s] += string(c)
	}
}

func (m *model) gap(at time.Duration, s segment.Stream) {
	m.clock.set(epoch.Add(at))
	if err := m.w.Gap(s, 10, segment.DiskSlow); err != nil {
		m.t.Fatal(err)
	}
	if m.seqs[s] != 0 {
		m.complete(s)
	}
	m.tell(fmt.Sprintf(" gap %d", m.next), "", false)
	m.next++
}

func (m *model) mark(at time.Duration) {
	if m.on {
		m.exit(at, 1)
	} else {
		m.run++
		m.start(at, m.run)
	}
	first, second := out, err
	if m.seqs[err] < m.seqs[out] {
		first, second = err, out
	}
	for _, s := range []segment.Stream{first, second} {
		if m.seqs[s] != 0 {
			m.complete(s)
		}
	}
	m.on = !m.on
	m.tell(fmt.Sprintf(" run %d %t", m.run, m.on), "", true)
}

// tellEntry writes an entry as the model tells it.
func tellEntry(e backend.LogEntry) string {
	switch {
	case e.Gap != nil:
		return fmt.Sprintf("%s gap %d", e.Instance, e.Gap.From)
	case e.Divider != nil && e.Divider.Kind == "join":
		return e.Instance + " join"
	case e.Divider != nil:
		return fmt.Sprintf("%s run %d %t", e.Instance, e.Divider.Run, e.Divider.Kind == "start")
	}
	return fmt.Sprintf("%s#%d %s", e.Instance, e.Seq, e.Text)
}

func tellAll(entries []backend.LogEntry) []string {
	s := []string{}
	for _, e := range entries {
		s = append(s, tellEntry(e))
	}
	return s
}

// world is some instances that write at random.
type world struct {
	t      *rapid.T
	dir    string
	models []*model
	at     []time.Duration
	ups    []func()
}

func newWorld(t *rapid.T, dir string, n int) *world {
	w := &world{t: t, dir: dir}
	for range n {
		w.add()
	}
	return w
}

func (w *world) add() *model {
	id := fmt.Sprintf("i%d", len(w.models)+1)
	p := &program{t: w.t, src: app(id, len(w.models)), clock: &clock{now: epoch}}
	p.src.Dir = filepath.Join(w.dir, id)
	size := rapid.SampledFrom([]int64{1 << 20, 2000, 600}).Draw(w.t, "segment bytes")
	sw, _, oerr := segment.OpenWriter(p.src.Dir, segment.Options{SegmentBytes: size, Sync: segment.SyncNever, Now: p.clock.Now})
	if oerr != nil {
		w.t.Fatal(oerr)
	}
	p.w = sw
	w.ups = append(w.ups, func() { sw.Close() })
	m := &model{program: p, next: 1}
	w.models = append(w.models, m)
	w.at = append(w.at, 0)
	return m
}

func (w *world) close() {
	for _, f := range w.ups {
		f()
	}
}

// act makes one instance do something, its own time going on a little. Clocks
// of instances are not in step, so that lines are late.
func (w *world) act() {
	i := rapid.IntRange(0, len(w.models)-1).Draw(w.t, "instance")
	m := w.models[i]
	w.at[i] += time.Duration(rapid.IntRange(0, 3).Draw(w.t, "ms")) * ms
	at := w.at[i]
	stream := segment.Stream(rapid.IntRange(0, 1).Draw(w.t, "stream"))
	switch k := rapid.IntRange(0, 9).Draw(w.t, "act"); {
	case k == 0:
		m.gap(at, stream)
	case k <= 2:
		m.mark(at)
	default:
		m.say(at, stream, rapid.SampledFrom([]string{
			"plain\n", "a", "b", "\n", "ERROR bad\n\tat x\n\tat y\n", "\tat z\n", "INFO a\nb\n", "level=warn msg=abc\n", "x\ny\nz", "panic: no\n", "debug: a\n",
			"INFO ", "needle\n", "nee", "dle\nneedle", strings.Repeat("long ", 50) + "\n",
		}).Draw(w.t, "text"))
	}
}

// merged is all that the model tells, merged by time and instance.
func (w *world) merged() []told {
	var all []told
	for _, m := range w.models {
		all = append(all, m.told...)
	}
	slices.SortStableFunc(all, func(a, b told) int {
		if c := a.time.Compare(b.time); c != 0 {
			return c
		}
		return cmp.Compare(a.instance, b.instance)
	})
	return all
}

func (w *world) store(t *rapid.T) *Store {
	s := New(Config{Now: later, Workers: 2})
	for _, m := range w.models {
		s.Register(m.src)
	}
	return s
}

func TestHistoryResumesAtAnyEntry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir := tempDir(t)
		w := newWorld(t, dir, rapid.IntRange(1, 4).Draw(t, "instances"))
		defer w.close()
		for range rapid.IntRange(1, 60).Draw(t, "acts") {
			w.act()
		}
		s := w.store(t)
		defer s.Close()
		s.tailBytes = rapid.SampledFrom([]int{tailBytes, 20, 0}).Draw(t, "tail bytes")
		q := backend.LogQuery{Apps: []string{"a1"}}
		keep := func(told) bool { return true }
		switch rapid.IntRange(0, 4).Draw(t, "filter") {
		case 1:
			q.Text = "needle"
			keep = func(x told) bool { return x.line == "" && !isLine(x) || strings.Contains(x.line, "needle") }
		case 2:
			q.Text, q.Invert = "a", true
			keep = func(x told) bool { return x.line == "" || !strings.Contains(x.line, "a") }
		case 3:
			q.Since, q.Until = epoch.Add(5*ms), epoch.Add(20*ms)
			keep = func(x told) bool { return !x.time.Before(q.Since) && !x.time.After(q.Until) }
		case 4:
			q.Level = backend.LevelWarn
			keep = nil
		}
		q.Dividers = rapid.Bool().Draw(t, "dividers")
		ref := all(t, s, q)
		if keep != nil {
			want := []string{}
			for _, x := range w.merged() {
				if keep(x) && (q.Dividers || !x.divider) {
					want = append(want, x.text)
				}
			}
			if diff := gocmp.Diff(want, tellAll(ref)); diff != "" {
				t.Fatalf("Logs(%+v) (-model +got):\n%s", q, diff)
			}
		}
		whole := tellAll(ref)
		for range 4 {
			if len(ref) == 0 {
				return
			}
			i := rapid.IntRange(0, len(ref)-1).Draw(t, "cut")
			r := q
			r.After = ref[i].Cursor
			if diff := gocmp.Diff(whole[i+1:], tellAll(all(t, s, r))); diff != "" {
				t.Fatalf("Logs(%+v) after entry %d %q (-want +got):\n%s\nall: %q", q, i, whole[i], diff, whole)
			}
			r = q
			r.Before, r.Tail = ref[i].Cursor, rapid.IntRange(1, 30).Draw(t, "tail")
			page := all(t, s, r)
			if diff := gocmp.Diff(lastLines(ref[:i], r.Tail), tellAll(page)); diff != "" {
				t.Fatalf("Logs(%+v) %d before entry %d %q (-want +got):\n%s\nall: %q", q, r.Tail, i, whole[i], diff, whole)
			}
			if len(page) > 0 {
				// A page's own cursors lead on both ways.
				k := rapid.IntRange(0, len(page)-1).Draw(t, "cut in the page")
				at := i - len(page) + k
				r = q
				r.After = page[k].Cursor
				if diff := gocmp.Diff(whole[at+1:], tellAll(all(t, s, r))); diff != "" {
					t.Fatalf("Logs(%+v) after entry %d of a page before %d (-want +got):\n%s\nall: %q", q, k, i, diff, whole)
				}
				r = q
				r.Before, r.Tail = page[k].Cursor, 5
				if diff := gocmp.Diff(lastLines(ref[:at], 5), tellAll(all(t, s, r))); diff != "" {
					t.Fatalf("Logs(%+v) before entry %d of a page before %d (-want +got):\n%s\nall: %q", q, k, i, diff, whole)
				}
			}
		}
		r := q
		r.Tail = rapid.IntRange(1, 40).Draw(t, "tail")
		if diff := gocmp.Diff(lastLines(ref, r.Tail), tellAll(all(t, s, r))); diff != "" {
			t.Fatalf("Logs(%+v) (-want +got):\n%s", r, diff)
		}
	})
}

func isLine(x told) bool { return strings.Contains(x.text, "#") }

// lastLines is what a tail of n gives of entries.
func lastLines(entries []backend.LogEntry, n int) []string {
	i := len(entries)
	for i > 0 && n > 0 {
		i--
		if entries[i].Gap == nil && entries[i].Divider == nil {
			n--
		}
	}
	return tellAll(entries[i:])
}

// A feed that follows instances which write, come late and join is cut at any
// entry and goes on, on another store: every line comes once.
func TestFollowResumesAtAnyEntry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir := tempDir(t)
		w := newWorld(t, dir, rapid.IntRange(1, 3).Draw(t, "instances"))
		defer w.close()
		for range rapid.IntRange(0, 20).Draw(t, "acts before") {
			w.act()
		}
		s := w.store(t)
		defer s.Close()
		q := backend.LogQuery{Apps: []string{"a1"}, Follow: true, Since: epoch}
		if rapid.Bool().Draw(t, "filter") {
			q.Text = "a"
		}
		feed, ferr := s.Logs(context.Background(), q)
		if ferr != nil {
			t.Fatal(ferr)
		}
		defer feed.Close()
		var got []backend.LogEntry
		wanted := func() []string {
			want := []string{}
			for _, x := range w.merged() {
				if !x.divider && (!isLine(x) || q.Text == "" || strings.Contains(x.line, q.Text)) {
					want = append(want, x.text)
				}
			}
			slices.Sort(want)
			return want
		}
		for range rapid.IntRange(1, 6).Draw(t, "rounds") {
			if len(w.models) < 5 && rapid.IntRange(0, 3).Draw(t, "join") == 0 {
				m := w.add()
				if rapid.Bool().Draw(t, "registered late") {
					m.say(0, out, "early a\n")
				}
				s.Register(m.src)
			}
			for range rapid.IntRange(1, 15).Draw(t, "acts") {
				w.act()
			}
			for _, m := range w.models {
				s.Notify(m.src.Instance)
			}
			if missing := len(wanted()) - len(got); missing > 0 && rapid.IntRange(0, 2).Draw(t, "read") > 0 {
				n := rapid.IntRange(1, missing).Draw(t, "entries")
				got = append(got, take(t, feed, n)...)
			}
		}
		if missing := len(wanted()) - len(got); missing > 0 {
			got = append(got, take(t, feed, missing)...)
		}
		if diff := gocmp.Diff(wanted(), sorted(tellAll(got))); diff != "" {
			t.Fatalf("followed (-want +got), sorted:\n%s", diff)
		}
		other := w.store(t)
		defer other.Close()
		for range 5 {
			if len(got) == 0 {
				return
			}
			i := rapid.IntRange(0, len(got)-1).Draw(t, "cut")
			rest := got[i+1:]
			r := q
			r.After = got[i].Cursor
			r.Follow = rapid.Bool().Draw(t, "follow on")
			var again []backend.LogEntry
			if r.Follow {
				feed, ferr := other.Logs(context.Background(), r)
				if ferr != nil {
					t.Fatal(ferr)
				}
				again = take(t, feed, len(rest))
				feed.Close()
			} else {
				again = all(t, other, r)
			}
			if diff := gocmp.Diff(sorted(tellAll(rest)), sorted(tellAll(again))); diff != "" {
				t.Fatalf("after entry %d %q (-want +got), sorted:\n%s\nall: %q", i, tellEntry(got[i]), diff, tellAll(got))
			}
			r = q
			r.Follow, r.Before, r.Tail = false, got[i].Cursor, len(got)+10
			page := all(t, other, r)
			if diff := gocmp.Diff(sorted(tellAll(got[:i])), sorted(tellAll(page))); diff != "" {
				t.Fatalf("before entry %d %q (-want +got), sorted:\n%s\nall: %q", i, tellEntry(got[i]), diff, tellAll(got))
			}
		}
	})
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

func FuzzCursor(f *testing.F) {
	p := position{
		own: "5f0c", seq: 7, last: key{1714564800000000000, "5f0d"}, follow: true, floor: 3,
		states: []named{{hash: 1, exact: true, st: state{9, 4, 3}}, {hash: 2}},
	}
	c, _ := p.encode(nil)
	f.Add(string(c))
	p = position{own: "x", last: key{time: -1, id: "x"}}
	c, _ = p.encode(nil)
	f.Add(string(c))
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseCursor(backend.Cursor(s))
		if err != nil {
			if backend.CodeOf(err) != backend.Invalid {
				t.Errorf("parseCursor(%q) = %v, want code invalid", s, err)
			}
			return
		}
		c, _ := p.encode(nil)
		again, err := parseCursor(c)
		if err != nil {
			t.Fatalf("parseCursor(%q), made of %q, = %v", c, s, err)
		}
		if diff := gocmp.Diff(p, again, gocmp.AllowUnexported(position{}, named{}, key{}, state{})); diff != "" {
			t.Errorf("a cursor changes on its way (-was +is):\n%s", diff)
		}
	})
}
