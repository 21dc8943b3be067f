package backendtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"pitwall/backend"
)

// query selects the instance's lines.
func (s *suite) query() backend.LogQuery {
	return backend.LogQuery{Instances: []string{s.Instance}}
}

// print writes n lines "line 1", "line 2", … from the number given and waits
// until all of them are in the log.
func (s *suite) print(from, n int) []string {
	s.Helper()
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("line %d", from+i)
	}
	s.Print(s.T, lines...)
	s.awaitLine(lines[n-1])
	return lines
}

func (s *suite) awaitLine(text string) {
	s.Helper()
	for {
		for _, e := range s.read(s.query()) {
			if e.Text == text {
				return
			}
		}
		if s.ctx.Err() != nil {
			s.Fatalf("the line %q never came", text)
		}
	}
}

// read returns everything that a query without Follow gives.
func (s *suite) read(q backend.LogQuery) []backend.LogEntry {
	s.Helper()
	feed, err := s.Backend.Logs(s.ctx, q)
	if err != nil {
		s.Fatalf("Logs(%+v) = %v", q, err)
	}
	defer feed.Close()
	var out []backend.LogEntry
	for {
		entries, err := feed.Next(s.ctx)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			s.Fatalf("Next() of %+v = %v", q, err)
		}
		out = append(out, entries...)
	}
}

// texts returns the lines' texts.
func texts(entries []backend.LogEntry) []string {
	var out []string
	for _, e := range entries {
		if e.Gap == nil && e.Divider == nil && e.Progress == nil {
			out = append(out, e.Text)
		}
	}
	return out
}

func (s *suite) wantTexts(what string, entries []backend.LogEntry, want []string) {
	s.Helper()
	if got := texts(entries); !slices.Equal(got, want) {
		s.Errorf("%s = %q, want %q", what, got, want)
	}
}

func (s *suite) logsTail() {
	lines := s.print(1, 20)
	all := s.read(s.query())
	s.wantTexts("Logs()", all, lines)
	for n, e := range all {
		if n > 0 && e.Seq != all[n-1].Seq+1 {
			s.Errorf("sequence %d after %d", e.Seq, all[n-1].Seq)
		}
		if e.Instance != s.Instance || e.AppID != s.App || e.Time.IsZero() || e.Stream != backend.Stdout || e.Cursor == "" || e.Run == 0 {
			s.Errorf("entry = %+v, want its instance, app, time, stream, run and cursor", e)
		}
	}
	q := s.query()
	q.Tail = 5
	s.wantTexts("Logs(tail 5)", s.read(q), lines[15:])
	q = s.query()
	q.Limit = 3
	s.wantTexts("Logs(limit 3)", s.read(q), lines[:3])
	q = backend.LogQuery{Apps: []string{s.App}, Tail: 2}
	s.wantTexts("Logs(app, tail 2)", s.read(q), lines[18:])
}

func (s *suite) logsFollow() {
	lines := s.print(1, 3)
	q := s.query()
	q.Follow, q.Tail = true, 2
	feed, err := s.Backend.Logs(s.ctx, q)
	if err != nil {
		s.Fatalf("Logs(follow) = %v", err)
	}
	defer feed.Close()
	got := s.collect(feed, 2)
	more := s.print(4, 10)
	got = append(got, s.collect(feed, 10)...)
	s.wantTexts("Logs(follow, tail 2)", got, append(lines[1:], more...))
}

// collect reads until there are n lines.
func (s *suite) collect(feed backend.Feed[backend.LogEntry], n int) []backend.LogEntry {
	s.Helper()
	var out []backend.LogEntry
	for len(texts(out)) < n {
		entries, err := feed.Next(s.ctx)
		if err != nil {
			s.Fatalf("Next() after %d of %d lines = %v", len(out), n, err)
		}
		out = append(out, entries...)
	}
	return out
}

func (s *suite) logsResume() {
	lines := s.print(1, 30)
	for n, e := range s.read(s.query()) {
		if n%7 != 0 {
			continue
		}
		q := s.query()
		q.After = e.Cursor
		s.wantTexts(fmt.Sprintf("Logs(after line %d)", n+1), s.read(q), lines[n+1:])
	}
	q := s.query()
	q.Tail, q.Follow = 1, true
	feed, err := s.Backend.Logs(s.ctx, q)
	if err != nil {
		s.Fatalf("Logs(follow) = %v", err)
	}
	last := s.collect(feed, 1)
	feed.Close()
	more := s.print(31, 5)
	q = s.query()
	q.After, q.Follow = last[0].Cursor, true
	feed, err = s.Backend.Logs(s.ctx, q)
	if err != nil {
		s.Fatalf("Logs(after, follow) = %v", err)
	}
	defer feed.Close()
	s.wantTexts("Logs(after the last, follow)", s.collect(feed, 5), more)
}

func (s *suite) logsSelect() {
	s.Print(s.T, "apple pie", "banana split", "cherry pie", "date cake")
	s.awaitLine("date cake")
	first := s.read(s.query())[0].Seq
	tests := []struct {
		query backend.LogQuery
		want  []string
	}{
		{backend.LogQuery{Text: "pie"}, []string{"apple pie", "cherry pie"}},
		{backend.LogQuery{Text: "pie", Invert: true}, []string{"banana split", "date cake"}},
		{backend.LogQuery{Regexp: "^[bd]"}, []string{"banana split", "date cake"}},
		{backend.LogQuery{Text: "pie", Tail: 1}, []string{"cherry pie"}},
		{backend.LogQuery{Streams: []backend.Stream{backend.Stderr}}, nil},
		{backend.LogQuery{Text: "none of it"}, nil},
		{backend.LogQuery{From: first + 1, To: first + 2}, []string{"banana split", "cherry pie"}},
	}
	for _, tt := range tests {
		tt.query.Instances = []string{s.Instance}
		s.wantTexts(fmt.Sprintf("Logs(%+v)", tt.query), s.read(tt.query), tt.want)
	}
}

func (s *suite) logsBefore() {
	lines := s.print(1, 10)
	all := s.read(s.query())
	q := s.query()
	q.Before, q.Tail = all[7].Cursor, 3
	s.wantTexts("Logs(before line 8, tail 3)", s.read(q), lines[4:7])
	q.Before, q.Tail = all[1].Cursor, 3
	s.wantTexts("Logs(before line 2, tail 3)", s.read(q), lines[:1])
}

// logsHostile prints what a terminal would obey and what JSON cannot spell.
func (s *suite) logsHostile() {
	lines := []string{"\x1b]0;title\x07", "tab\there", "\x1b[31mred\x1b[0m", `{"json":"yes"}`, "\u202eevil", strings.Repeat("x", 4096), "end"}
	s.Print(s.T, lines...)
	s.awaitLine("end")
	s.wantTexts("Logs()", s.read(s.query()), lines)
}

func (s *suite) logStats() {
	lines := s.print(1, 12)
	q := s.query()
	q.Text = "line 1"
	for _, tt := range []struct {
		query backend.LogQuery
		want  uint64
	}{{s.query(), 12}, {q, 4}} {
		feed, err := s.Backend.LogStats(s.ctx, tt.query)
		if err != nil {
			s.Fatalf("LogStats() = %v", err)
		}
		var last backend.LogStats
		sum := uint64(0)
		for {
			stats, err := feed.Next(s.ctx)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				s.Fatalf("Next() = %v", err)
			}
			for _, stat := range stats {
				last = stat
				for _, n := range stat.Counts {
					if !stat.Total {
						sum += n
					}
				}
			}
		}
		feed.Close()
		if !last.Total || last.Lines != tt.want || sum != tt.want {
			s.Errorf("LogStats(%+v) ends with %+v, its buckets have %d, want a total of %d of %d lines", tt.query, last, sum, tt.want, len(lines))
		}
	}
}

func (s *suite) rawLog() {
	lines := s.print(1, 8)
	want := []byte(strings.Join(lines, "\n") + "\n")
	ref := backend.BlobRef{Kind: backend.LogBlob, ID: s.Instance, Stream: backend.Stdout}
	s.wantBlob(ref, want)
	ref.Offset, ref.Length = 3, 10
	s.wantBlob(ref, want[3:13])
	ref.Offset, ref.Length = 3, 0
	s.wantBlob(ref, want[3:])
	ref.Offset, ref.FromTail = 7, true
	s.wantBlob(ref, want[len(want)-7:])
}

func (s *suite) wantBlob(ref backend.BlobRef, want []byte) {
	s.Helper()
	r, err := s.Backend.Open(s.ctx, ref)
	if err != nil {
		s.Errorf("Open(%+v) = %v", ref, err)
		return
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		s.Errorf("Open(%+v) = %d bytes %.60q, %v, want %d bytes %.60q", ref, len(got), got, err, len(want), want)
	}
}

func (s *suite) blobs() {
	body := bytes.Repeat([]byte("a bundle of bytes \x00\xff\n"), 20_000)
	ref, err := s.Backend.Put(s.ctx, bytes.NewReader(body))
	if err != nil || ref.Kind != backend.BundleBlob || !strings.HasPrefix(ref.ID, "sha256:") {
		s.Fatalf("Put() = %+v, %v, want a bundle by its digest", ref, err)
	}
	s.wantBlob(ref, body)
	ref.Offset, ref.Length = 1000, 500
	s.wantBlob(ref, body[1000:1500])
	again, err := s.Backend.Put(s.ctx, bytes.NewReader(body))
	if err != nil || again.ID != ref.ID {
		s.Errorf("Put() of the same = %+v, %v, want %s", again, err, ref.ID)
	}
}

// brokenReader gives some bytes and then fails.
type brokenReader struct {
	rest int
}

var errBroken = errors.New("the pipe broke")

func (r *brokenReader) Read(p []byte) (int, error) {
	if r.rest == 0 {
		return 0, errBroken
	}
	n := min(r.rest, len(p))
	clear(p[:n])
	r.rest -= n
	return n, nil
}

func (s *suite) putBroken() {
	if ref, err := s.Backend.Put(s.ctx, &brokenReader{rest: 100_000}); err == nil {
		s.Errorf("Put() of a broken reader = %+v, want an error", ref)
	}
}
