package instances

import (
	"cmp"

	"pitwall/backend"
	"pitwall/ui/present"
	"pitwall/ui/safe"
	"pitwall/ui/table"
	"pitwall/ui/theme"
)

// row is what the columns show.
type row = *backend.Instance

// columns describes the table.
func (v *view) columns() []table.Column[row] {
	th, l := v.deps.Theme, safe.Literal
	list := []table.Column[row]{
		{Min: 1, Max: 1, Cell: func(i row) table.Cell {
			m := th.Mark(present.Instance(*i).State)
			return table.Cell{Text: m.Glyph, Style: m.Style}
		}},
	}
	if !v.one() {
		list = append(list, table.Column[row]{
			Title: l("APP"), Min: 6, Max: 24, Less: func(a, b row) bool { return a.App+a.Job < b.App+b.Job },
			Cell: func(i row) table.Cell { return table.Cell{Text: safe.Clean(cmp.Or(i.App, i.Job)), Style: th.Title} },
		})
	}
	list = append(list, table.Column[row]{
		Title: l("INSTANCE"), Min: 6, Max: 24,
		Cell: func(i row) table.Cell { return table.Cell{Text: safe.Clean(i.Name()), Style: th.Instance(i.Name())} },
	}, table.Column[row]{
		Title: l("STATE"), Min: 7, Max: 18, Less: func(a, b row) bool { return worse(*a, *b) },
		Cell: func(i row) table.Cell {
			w := present.Instance(*i)
			return table.Cell{Text: w.Text, Style: th.Mark(w.State).Style}
		},
	}, table.Column[row]{
		Title: l("WHY"), Min: 10, Flex: true, Priority: 1,
		Cell: func(i row) table.Cell { return table.Cell{Text: v.why(i)} },
	})
	return append(list, v.figures()...)
}

// figures are the columns of numbers.
func (v *view) figures() []table.Column[row] {
	l, dim := safe.Literal, v.deps.Theme
	number := func(title safe.Text, priority int, of func(row) int) table.Column[row] {
		return table.Column[row]{
			Title: title, Right: true, Priority: priority, Less: func(a, b row) bool { return of(a) > of(b) },
			Cell: func(i row) table.Cell { return table.Cell{Text: present.Number(of(i)), Style: dim.Dim} },
		}
	}
	cpu := table.Column[row]{
		Title: l("CPU"), Min: 4, Right: true, Priority: 5, Less: func(a, b row) bool { return v.now(a).CPU > v.now(b).CPU },
		Cell: func(i row) table.Cell { return table.Cell{Text: present.CPU(v.now(i).CPU), Style: dim.Dim} },
	}
	memory := table.Column[row]{
		Title: l("MEMORY"), Min: 7, Right: true, Priority: 4, Less: func(a, b row) bool { return v.now(a).RSS > v.now(b).RSS },
		Cell: func(i row) table.Cell { return v.memory(i) },
	}
	since := table.Column[row]{
		Title: l("SINCE"), Min: 5, Right: true, Priority: 2, Less: func(a, b row) bool { return a.Since.After(b.Since) },
		Cell: func(i row) table.Cell { return table.Cell{Text: v.deps.Age(i.Since), Style: dim.Dim} },
	}
	return []table.Column[row]{
		figure(number(l("PID"), 7, func(i row) int { return i.PID })),
		figure(number(l("PORT"), 8, func(i row) int { return i.Port })),
		number(l("RUN"), 6, func(i row) int { return i.Run }),
		number(l("RESTARTS"), 3, func(i row) int { return i.Restarts }),
		cpu, memory,
		number(l("CONNS"), 6, func(i row) int { return v.now(i).Connections }),
		since,
	}
}

// figure keeps room for five digits.
func figure(c table.Column[row]) table.Column[row] {
	c.Min = len("65535")
	return c
}

// now is the instance with what was measured of it since.
func (v *view) now(i row) backend.Instance {
	s, ok := v.latest[i.ID]
	if !ok {
		return *i
	}
	one := *i
	one.CPU, one.RSS, one.Connections = s.CPU, s.RSS, s.Connections
	return one
}

// nearLimit is the part of the memory limit from which it is worth a warning.
const nearLimit = 0.9

func (v *view) memory(i row) table.Cell {
	n := v.now(i).RSS
	style := v.deps.Theme.Dim
	if i.MemoryLimit > 0 && float64(n) >= nearLimit*float64(i.MemoryLimit) {
		style = v.deps.Theme.Warn
	}
	return table.Cell{Text: present.Size(n), Style: style}
}

// why says why the instance is in its state; of one that runs well, how it
// ended last.
func (v *view) why(i row) safe.Text {
	reason := present.Reason(*i, v.deps.Now())
	switch {
	case !reason.Empty():
		return reason
	case i.LastExit != nil:
		return present.Text("run %d before: %s", i.Run-1, i.LastExit)
	}
	return safe.Clean(i.LastError)
}

// worse orders states for the operator who sorts by them.
func worse(a, b backend.Instance) bool { return severity(a) > severity(b) }

func severity(i backend.Instance) int {
	switch present.Instance(i).State {
	case theme.Failed:
		return 5
	case theme.Degraded:
		return 4
	case theme.Blocked:
		return 3
	case theme.Starting, theme.Stopping:
		return 2
	case theme.Running:
		return 1
	}
	return 0
}
