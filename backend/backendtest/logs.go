package backendtest

import (
	"cmp"
	"context"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pitwall/backend"
)

// logBatch is how many entries a log feed gives at most at once.
const logBatch = 256

// Log adds entries to the log as the programs' output. An entry that names an
// instance gets its app, process, index and run; sequence, time, stream
// (stdout) and cursor are filled in where they are empty.
func (f *Fake) Log(entries ...backend.LogEntry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range entries {
		if i := f.findInstance(e.Instance); i != nil {
			e.AppID, e.App = cmp.Or(e.AppID, i.AppID), cmp.Or(e.App, i.App, i.Job)
			e.Process, e.Index, e.Run = i.Process, i.Index, cmp.Or(e.Run, i.Run)
		} else if app := f.findApp(cmp.Or(e.AppID, e.App)); app != nil {
			e.AppID, e.App = app.ID, app.Name
		}
		if e.Gap == nil && e.Divider == nil {
			e.Stream = cmp.Or(e.Stream, backend.Stdout)
			if e.Seq == 0 {
				e.Seq = f.seqs[e.Instance] + 1
			}
			f.seqs[e.Instance] = e.Seq
		}
		if e.Time.IsZero() {
			e.Time = f.now
		}
		f.log = append(f.log, e)
		f.log[len(f.log)-1].Cursor = cursorAt(len(f.log))
	}
	f.wake()
}

// Lines logs lines of an instance with a level, which may be unknown.
func (f *Fake) Lines(instance string, level backend.Level, lines ...string) {
	entries := make([]backend.LogEntry, len(lines))
	for n, line := range lines {
		entries[n] = backend.LogEntry{Instance: instance, Level: level, Text: line}
	}
	f.Log(entries...)
}

func cursorAt(n int) backend.Cursor { return backend.Cursor("log:" + strconv.Itoa(n)) }

// place reads a cursor that cursorAt made.
func (f *Fake) place(c backend.Cursor) (int, error) {
	digits, ok := strings.CutPrefix(string(c), "log:")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 0 || n > len(f.log) {
		return 0, backend.Errorf(backend.Invalid, "%q is not a cursor of this log", c)
	}
	return n, nil
}

// Logs implements [backend.Backend].
func (f *Fake) Logs(ctx context.Context, q backend.LogQuery) (backend.Feed[backend.LogEntry], error) {
	if err := f.enter(ctx, "logs"); err != nil {
		return nil, err
	}
	defer f.mu.Unlock()
	r, err := f.logReader(q)
	if err != nil {
		return nil, err
	}
	return newFeed(f, r.step), nil
}

// logReader is the place of one query in the log.
type logReader struct {
	fake  *Fake
	query backend.LogQuery
	match *regexp.Regexp
	place int
	end   int // where a query backwards stops; -1 for the end of the log
	lines int // given so far
}

// logReader checks the query and finds where it starts.
func (f *Fake) logReader(q backend.LogQuery) (*logReader, error) {
	r := &logReader{fake: f, query: q, end: -1}
	if q.Regexp != "" {
		match, err := regexp.Compile(q.Regexp)
		if err != nil {
			return nil, backend.Errorf(backend.Invalid, "the regular expression %q is malformed: %w", q.Regexp, err)
		}
		r.match = match
	}
	for _, id := range q.Apps {
		if !slices.ContainsFunc(f.apps, func(a backend.App) bool { return a.ID == id }) {
			return nil, notFound("logs", backend.Ref{Kind: backend.KindApp, ID: id})
		}
	}
	for _, id := range q.Instances {
		if f.findInstance(id) == nil {
			return nil, notFound("logs", backend.Ref{Kind: backend.KindInstance, ID: id})
		}
	}
	switch {
	case q.After != "":
		n, err := f.place(q.After)
		r.place = n
		return r, err
	case q.Before != "":
		n, err := f.place(q.Before)
		if err != nil {
			return nil, err
		}
		r.end = max(0, n-1)
		r.place = r.tail(r.end, q.Tail)
	case q.Tail > 0:
		r.place = r.tail(len(f.log), q.Tail)
	case q.Follow && q.From == 0 && q.Since.IsZero():
		r.place = len(f.log)
	}
	return r, nil
}

// tail returns where the last n matching lines before end begin.
func (r *logReader) tail(end, n int) int {
	for at := end - 1; at >= 0; at-- {
		if r.wants(r.fake.log[at]) && r.fake.log[at].Divider == nil {
			if n--; n == 0 {
				return at
			}
		}
	}
	return 0
}

func (r *logReader) step() ([]backend.LogEntry, error) {
	log := r.fake.log
	if r.end >= 0 {
		log = log[:r.end]
	}
	if r.query.Limit > 0 && r.lines >= r.query.Limit {
		return nil, io.EOF
	}
	if r.query.MaxLag > 0 && r.query.Follow {
		if gaps := r.skip(log); len(gaps) > 0 {
			return gaps, nil
		}
	}
	var out []backend.LogEntry
	for r.place < len(log) && len(out) < logBatch {
		e := log[r.place]
		r.place++
		if !r.wants(e) {
			continue
		}
		out = append(out, e)
		if e.Divider == nil {
			r.lines++
		}
		if r.query.Limit > 0 && r.lines >= r.query.Limit {
			break
		}
	}
	if len(out) == 0 && !r.query.Follow {
		return nil, io.EOF
	}
	return out, nil
}

// skip moves a reader that is too far behind and returns a gap an instance.
func (r *logReader) skip(log []backend.LogEntry) []backend.LogEntry {
	behind := 0
	for _, e := range log[r.place:] {
		if r.wants(e) {
			behind++
		}
	}
	var gaps []backend.LogEntry
	for ; behind > r.query.MaxLag; r.place++ {
		e := log[r.place]
		if !r.wants(e) {
			continue
		}
		behind--
		at := slices.IndexFunc(gaps, func(g backend.LogEntry) bool { return g.Instance == e.Instance })
		if at < 0 {
			at = len(gaps)
			gaps = append(gaps, backend.LogEntry{
				AppID: e.AppID, App: e.App, Instance: e.Instance, Process: e.Process, Index: e.Index, Time: e.Time,
				Gap: &backend.LogGap{App: e.App, Instance: e.Instance, From: e.Seq, Reason: "slow reader"},
			})
		}
		gaps[at].Gap.To = e.Seq
		gaps[at].Gap.Count++
	}
	for n := range gaps {
		gaps[n].Cursor = cursorAt(r.place)
	}
	return gaps
}

func (r *logReader) wants(e backend.LogEntry) bool {
	q := r.query
	if len(q.Apps)+len(q.Jobs)+len(q.Instances) > 0 && !slices.Contains(q.Apps, e.AppID) && !slices.Contains(q.Jobs, e.AppID) && !slices.Contains(q.Instances, e.Instance) {
		return false
	}
	if (q.Process != "" && q.Process != e.Process) || (q.Index != nil && *q.Index != e.Index) || (q.Run != 0 && q.Run != e.Run) {
		return false
	}
	if (!q.Since.IsZero() && e.Time.Before(q.Since)) || (!q.Until.IsZero() && !e.Time.Before(q.Until)) {
		return false
	}
	if e.Divider != nil {
		return q.Dividers
	}
	if e.Gap != nil {
		return true
	}
	if !among(q.Streams, e.Stream) || (q.Level != "" && !e.Level.AtLeast(q.Level)) || e.Seq < q.From || (q.To != 0 && e.Seq > q.To) {
		return false
	}
	if q.Text == "" && r.match == nil {
		return true
	}
	found := strings.Contains(e.Text, q.Text) && (r.match == nil || r.match.MatchString(e.Text))
	return found != q.Invert
}

// LogStats implements [backend.Backend]. Its buckets are minutes.
func (f *Fake) LogStats(ctx context.Context, q backend.LogQuery) (backend.Feed[backend.LogStats], error) {
	if err := f.enter(ctx, "logstats"); err != nil {
		return nil, err
	}
	defer f.mu.Unlock()
	follow := q.Follow
	q.Follow = false
	if _, err := f.logReader(q); err != nil {
		return nil, err
	}
	told := -1
	return newFeed(f, func() ([]backend.LogStats, error) {
		if told == len(f.log) {
			if follow {
				return nil, nil
			}
			return nil, io.EOF
		}
		told = len(f.log)
		r, err := f.logReader(q)
		if err != nil {
			return nil, err
		}
		return count(r), nil
	}), nil
}

// count returns the buckets of what r reads, and their total last.
func count(r *logReader) []backend.LogStats {
	var out []backend.LogStats
	total := backend.LogStats{Counts: map[backend.Level]uint64{}, Total: true}
	add := func(s *backend.LogStats, e backend.LogEntry) {
		if e.Gap != nil {
			s.Gaps++
			return
		}
		s.Counts[e.Level]++
		s.Lines++
		s.Bytes += int64(len(e.Text)) + 1
	}
	for {
		entries, err := r.step()
		if err != nil {
			return append(out, total)
		}
		for _, e := range entries {
			from := e.Time.Truncate(time.Minute)
			if len(out) == 0 || !out[len(out)-1].From.Equal(from) {
				out = append(out, backend.LogStats{From: from, To: from.Add(time.Minute), Counts: map[backend.Level]uint64{}})
			}
			if total.From.IsZero() {
				total.From = from
			}
			total.To = from.Add(time.Minute)
			add(&out[len(out)-1], e)
			add(&total, e)
		}
	}
}
