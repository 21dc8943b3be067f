// Package nodes lists the machines that run instances.
package nodes

import (
	"context"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/action"
	"pitwall/ui/dialog"
	"pitwall/ui/present"
	"pitwall/ui/safe"
	"pitwall/ui/table"
	"pitwall/ui/theme"
)

// Spec makes the view known to the Shell.
func Spec() ui.Spec {
	return ui.Spec{
		Name: "nodes", Aliases: []string{"node", "n"}, Title: safe.Literal("the machines that run instances"), Alone: true,
		Open: func(d ui.Deps, p ui.Place) ui.View { return newView(d) },
	}
}

// view lists nodes.
type view struct {
	*present.Listing[backend.Node]
	deps ui.Deps
}

func newView(d ui.Deps) *view {
	v := &view{deps: d}
	v.Listing = present.NewListing(present.ListingOptions[backend.Node]{
		Theme: d.Theme, What: "nodes", Columns: v.columns(),
		Sync: ui.SyncOptions[backend.Node]{
			List: func(ctx context.Context, p backend.Page) (backend.List[backend.Node], error) {
				return d.Backend.Nodes(ctx, backend.NodeQuery{Page: p})
			},
			Watch: d.Backend.Watch,
			Query: backend.WatchQuery{Kinds: []backend.Kind{backend.KindNode}},
			Pick:  func(e backend.Event) *backend.Node { return e.Node },
			Key:   func(n backend.Node) string { return n.ID },
		},
		Empty: []safe.Text{safe.Literal("No node is known.")},
	})
	return v
}

// Init lists and watches.
func (v *view) Init(ctx context.Context) tea.Cmd { return v.Listing.Init(ctx) }

// Update keeps the rows true.
func (v *view) Update(msg tea.Msg) tea.Cmd {
	_, cmd := v.Listing.Update(msg)
	return cmd
}

// scarce is the part of memory or disk that must be free for it to be no
// matter of concern.
const scarce = 0.1

func (v *view) columns() []table.Column[*backend.Node] {
	th, l := v.deps.Theme, safe.Literal
	type row = *backend.Node
	free := func(n, of int64) table.Cell {
		c := table.Cell{Text: present.Text("%s of %s", ui.Bytes(n), ui.Bytes(of)), Style: th.Dim}
		if float64(n) < scarce*float64(of) {
			c.Style = th.Warn
		}
		return c
	}
	return []table.Column[row]{
		{Min: 1, Max: 1, Cell: func(n row) table.Cell {
			m := th.Mark(state(n))
			return table.Cell{Text: m.Glyph, Style: m.Style}
		}},
		{Title: l("NODE"), Min: 6, Max: 24, Cell: func(n row) table.Cell {
			return table.Cell{Text: safe.Clean(n.Name), Style: th.Title}
		}},
		{Title: l("STATE"), Min: 6, Max: 12, Cell: func(n row) table.Cell {
			return table.Cell{Text: safe.Clean(n.State), Style: th.Mark(state(n)).Style}
		}},
		{Title: l("WHY"), Flex: true, Priority: 1, Cell: func(n row) table.Cell { return table.Cell{Text: safe.Clean(n.Reason)} }},
		{Title: l("INSTANCES"), Right: true, Priority: 2, Cell: func(n row) table.Cell {
			return table.Cell{Text: present.Text("%d", n.Instances)}
		}},
		{Title: l("LOAD"), Min: 8, Right: true, Priority: 3, Cell: func(n row) table.Cell {
			return table.Cell{Text: present.Text("%.1f of %d", n.Load, n.CPUs), Style: th.Dim}
		}},
		{Title: l("MEMORY FREE"), Min: 18, Right: true, Priority: 3, Cell: func(n row) table.Cell { return free(n.MemoryFree, n.Memory) }},
		{Title: l("DISK FREE"), Min: 18, Right: true, Priority: 4, Cell: func(n row) table.Cell { return free(n.DiskFree, n.Disk) }},
		{Title: l("ENGINE"), Max: 12, Priority: 6, Cell: func(n row) table.Cell {
			return table.Cell{Text: safe.Clean(n.Engine), Style: th.Dim}
		}},
		{Title: l("VERSION"), Max: 16, Priority: 7, Cell: func(n row) table.Cell {
			return table.Cell{Text: safe.Clean(n.Version), Style: th.Dim}
		}},
		{Title: l("UP"), Min: 4, Right: true, Priority: 5, Cell: func(n row) table.Cell {
			return table.Cell{Text: v.deps.Age(n.Started), Style: th.Dim}
		}},
	}
}

func state(n *backend.Node) theme.State {
	if n.State == "ready" {
		return theme.Running
	}
	return theme.Degraded
}

// Title is the view's name.
func (v *view) Title() safe.Text { return safe.Literal("nodes") }

// Actions lead to what runs on the node.
func (v *view) Actions() []action.Action {
	n, ok := v.Table.Selected()
	open := present.Open(v.deps, safe.Literal("every instance"), ui.Place{View: "instances"}, ok)
	about := action.Action{
		ID: "node.describe", Title: safe.Literal("all that is known of the node"), Label: safe.Literal("describe"),
		Enabled: func() (bool, safe.Text) { return ok, safe.Literal("no node is selected") },
		Run: func(action.Input) tea.Cmd {
			if !ok {
				return nil
			}
			return v.deps.Open(&dialog.Message{Title: safe.Clean(n.Name), Lines: describe(n)})
		},
	}
	return v.deps.Keymap.Bind(slices.Concat([]action.Action{open, about}, v.Table.Actions()))
}

// describe says what there is no room for in a row.
func describe(n *backend.Node) []safe.Text {
	lines := []safe.Text{present.Text("%s, engine %s, version %s", n.State, n.Engine, n.Version)}
	for _, f := range [...][2]string{
		{"", n.Reason},
		{"state folder ", n.StateDir},
		{"listens on ", strings.Join(n.Addresses, ", ")},
		{"control groups ", n.Cgroup},
		{"id ", n.ID},
	} {
		if f[1] != "" {
			lines = append(lines, safe.Clean(f[0]+f[1]))
		}
	}
	return lines
}

var (
	_ ui.View     = (*view)(nil)
	_ ui.Escaper  = (*view)(nil)
	_ ui.Staler   = (*view)(nil)
	_ ui.Statused = (*view)(nil)
)
