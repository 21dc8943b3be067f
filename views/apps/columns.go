package apps

import (
	"time"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/present"
	"pitwall/ui/safe"
	"pitwall/ui/spark"
	"pitwall/ui/table"
	"pitwall/ui/theme"
)

// trend is how many minutes of errors are drawn.
const trend = 10

// columns describes the table. The ones that say what is wrong stay longest on
// a narrow screen.
func (v *view) columns() []table.Column[*backend.App] {
	th, l := v.deps.Theme, safe.Literal
	word := func(a *backend.App) present.Word { return present.App(v.now(a), v.deps.Now()) }
	return []table.Column[*backend.App]{
		{Min: 1, Max: 1, Cell: func(a *backend.App) table.Cell {
			m := th.Mark(word(a).State)
			return table.Cell{Text: m.Glyph, Style: m.Style}
		}},
		{
			Title: l("APP"), Min: 6, Max: 28, Less: func(a, b *backend.App) bool { return a.Name < b.Name },
			Cell: func(a *backend.App) table.Cell { return table.Cell{Text: safe.Clean(a.Name), Style: th.Title} },
		},
		{
			Title: l("TEAM"), Max: 14, Priority: 6, Less: func(a, b *backend.App) bool { return a.Team < b.Team },
			Cell: func(a *backend.App) table.Cell { return table.Cell{Text: safe.Clean(a.Team), Style: th.Dim} },
		},
		{
			Title: l("STATE"), Min: 10, Max: 20, Less: func(a, b *backend.App) bool { return v.worseThan(a, b) },
			Cell: func(a *backend.App) table.Cell {
				w := word(a)
				return table.Cell{Text: w.Text, Style: th.Mark(w.State).Style}
			},
		},
		{
			Title: l("READY"), Right: true, Priority: 2, Less: func(a, b *backend.App) bool { return a.Ready < b.Ready },
			Cell: func(a *backend.App) table.Cell { return ready(th, a) },
		},
		{
			Title: l("ERR/MIN"), Right: true, Priority: 4, Less: func(a, b *backend.App) bool { return v.errors(a) > v.errors(b) },
			Cell: func(a *backend.App) table.Cell { return v.errorRate(a) },
		},
		{Min: trend, Max: trend, Priority: 5, Cell: func(a *backend.App) table.Cell { return v.sparkline(a) }},
		{
			Title: l("LAST WORDS"), Min: 12, Flex: true, Priority: 1,
			Cell: func(a *backend.App) table.Cell { return table.Cell{Text: present.LastWords(v.now(a))} },
		},
		{
			Title: l("CPU"), Min: 4, Right: true, Priority: 8, Less: func(a, b *backend.App) bool { return v.now(a).CPU > v.now(b).CPU },
			Cell: func(a *backend.App) table.Cell { return table.Cell{Text: present.CPU(v.now(a).CPU), Style: th.Dim} },
		},
		{
			Title: l("MEMORY"), Min: 7, Right: true, Priority: 8, Less: func(a, b *backend.App) bool { return v.now(a).RSS > v.now(b).RSS },
			Cell: func(a *backend.App) table.Cell { return table.Cell{Text: present.Size(v.now(a).RSS), Style: th.Dim} },
		},
		{
			Title: l("CONNS"), Right: true, Priority: 7, Less: func(a, b *backend.App) bool { return v.now(a).Connections > v.now(b).Connections },
			Cell: func(a *backend.App) table.Cell {
				return table.Cell{Text: present.Number(v.now(a).Connections), Style: th.Dim}
			},
		},
		{
			Title: l("SINCE"), Min: 5, Right: true, Priority: 3, Less: func(a, b *backend.App) bool { return since(a).After(since(b)) },
			Cell: func(a *backend.App) table.Cell { return table.Cell{Text: v.deps.Age(since(a)), Style: th.Dim} },
		},
	}
}

// since is when the state began that the row shows: of one that runs and is
// blocked, the block.
func since(a *backend.App) time.Time {
	if a.Blocked && a.State == backend.AppRunning && !a.BlockedAt.IsZero() {
		return a.BlockedAt
	}
	return a.Since
}

func ready(th *theme.Theme, a *backend.App) table.Cell {
	c := table.Cell{Text: present.Text("%d/%d", a.Ready, a.Instances)}
	switch {
	case a.State == backend.AppStopped:
		c.Style = th.Dim
	case a.Ready < a.Instances:
		c.Style = th.Warn
	}
	return c
}

func (v *view) errorRate(a *backend.App) table.Cell {
	n := v.errors(a)
	c := table.Cell{Text: present.Text("%d", n), Style: v.deps.Theme.Faint}
	if n > 0 {
		c.Style = v.deps.Theme.Bad
	}
	return c
}

// sparkline draws the errors of the last minutes, and nothing where there were
// none.
func (v *view) sparkline(a *backend.App) table.Cell {
	values := v.now(a).ErrorTrend
	most := 0
	for _, n := range values {
		most = max(most, n)
	}
	if most == 0 {
		return table.Cell{}
	}
	return table.Cell{Text: spark.Levels(v.deps.Theme.Glyphs.Spark).Line(values, trend), Style: v.deps.Theme.Warn}
}

var (
	_ ui.View      = (*view)(nil)
	_ ui.Companion = (*view)(nil)
	_ ui.Escaper   = (*view)(nil)
	_ ui.Staler    = (*view)(nil)
	_ ui.Statused  = (*view)(nil)
)
