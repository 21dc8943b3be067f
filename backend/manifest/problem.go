package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"pitwall/backend"
)

// Problem is one thing that is wrong.
type Problem struct {
	File string
	Line int    // from 1
	Path string // as apps.web.processes.main.memory; empty is the whole file
	Text string // what is wrong and what was expected, one line
}

// String returns the problem as one line: where, then what.
func (p Problem) String() string {
	if p.Path == "" {
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", p.File, p.Line, p.Path, p.Text)
}

// Error is why a manifest was refused.
type Error struct {
	Problems []Problem // at least one; by file in the order given, then by line
}

// maxShown is how many problems an error prints: a screen of them. The rest is
// counted.
const maxShown = 50

// Error returns a line for each problem.
func (e *Error) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i == maxShown {
			fmt.Fprintf(&b, "\nand %d more problems", len(e.Problems)-maxShown)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// As gives the error the code Invalid.
func (e *Error) As(target any) bool {
	t, ok := target.(**backend.Error)
	if ok {
		*t = backend.Errorf(backend.Invalid, "%s", e.Error())
	}
	return ok
}

// maxProblems is where a report stops: no person reads on, and a hostile file
// gets no memory for it.
const maxProblems = 1000

// report collects problems of the file that is being read.
type report struct {
	file     string
	files    []string // all, in the order given
	problems []Problem
	seen     map[Problem]bool
}

// open begins a file.
func (r *report) open(file string) {
	r.file = file
	r.files = append(r.files, file)
}

// trail is the way from a document's root to a value: keys, and indexes as [2].
type trail []string

// with returns the trail one step longer, leaving t as it is.
func (t trail) with(step string) trail {
	return append(slices.Clip(t), step)
}

// at returns the trail to an element of a list.
func (t trail) at(i int) trail {
	return t.with("[" + strconv.Itoa(i) + "]")
}

func (t trail) String() string {
	var b strings.Builder
	for i, step := range t {
		if i > 0 && !strings.HasPrefix(step, "[") {
			b.WriteByte('.')
		}
		b.WriteString(plainText(step))
	}
	return b.String()
}

func (r *report) add(line int, path trail, format string, args ...any) {
	r.addIn(r.file, line, path, format, args...)
}

func (r *report) addIn(file string, line int, path trail, format string, args ...any) {
	p := Problem{
		File: file,
		Line: max(1, line),
		Path: path.String(),
		Text: plainText(fmt.Sprintf(format, args...)),
	}
	if r.seen[p] || len(r.problems) == maxProblems {
		return
	}
	if r.seen == nil {
		r.seen = make(map[Problem]bool)
	}
	r.seen[p] = true
	r.problems = append(r.problems, p)
}

// err returns the problems in the order of the files and their lines.
func (r *report) err() error {
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(slices.Index(r.files, a.File), slices.Index(r.files, b.File)),
			cmp.Compare(a.Line, b.Line),
		)
	})
	return &Error{Problems: r.problems}
}

// plainText makes text safe for one line of a terminal: what is no graphic
// character becomes a question mark.
func plainText(s string) string {
	return strings.Map(func(c rune) rune {
		if c == utf8.RuneError || !unicode.IsGraphic(c) {
			return '?'
		}
		return c
	}, s)
}

// quote returns a value for a sentence, cut where it is long.
func quote(s string) string {
	const most = 60
	if len(s) <= most {
		return strconv.Quote(s)
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.Quote(s[:cut]) + "…"
}
