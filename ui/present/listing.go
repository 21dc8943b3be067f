package present

import (
	"cmp"
	"context"
	"math"
	"slices"

	tea "charm.land/bubbletea/v2"

	"pitwall/ui"
	"pitwall/ui/dialog"
	"pitwall/ui/safe"
	"pitwall/ui/table"
	"pitwall/ui/theme"
)

// ListingOptions make a [Listing].
type ListingOptions[T any] struct {
	Theme *theme.Theme
	// What names the rows in errors: "apps".
	What    string
	Sync    ui.SyncOptions[T]
	Columns []table.Column[*T]
	// Text is what the filter searches of a row; nil means its cells.
	Text func(*T) string
	// Order compares two rows while no column is chosen.
	Order func(a, b *T) int
	// Sort does the same to all rows at once; nil means by Order.
	Sort func([]*T)
	// Words is the part of the width, in tenths, that a column of words keeps
	// before columns of figures are shown beside it; 0 means 3.
	Words int
	// Empty is said where there is nothing to list, a line for each.
	Empty []safe.Text
}

// Listing is a table whose rows a [ui.Sync] keeps true. It has the methods of
// a [ui.View] that have to do with rows; a view embeds it and adds what the
// rows are.
type Listing[T any] struct {
	*ui.Sync[T]
	Table *table.Model[*T]

	o             ListingOptions[T]
	columns       []table.Column[*T] // the table's own
	least         []int              // their least widths on a narrow screen
	width, height int
	cut           bool // the link is down
	stop          context.CancelFunc
}

// NewListing returns a Listing that has not begun.
func NewListing[T any](o ListingOptions[T]) *Listing[T] {
	empty := safe.Text{}
	if len(o.Empty) > 0 {
		empty = o.Empty[0]
	}
	least := make([]int, len(o.Columns))
	for i, c := range o.Columns {
		least[i] = c.Min
	}
	return &Listing[T]{
		o: o, columns: o.Columns, least: least,
		Sync: ui.NewSync(o.Sync),
		Table: table.New(table.Options[*T]{
			Theme: o.Theme, Columns: o.Columns, Text: o.Text, Empty: empty,
			Key: func(r *T) string { return o.Sync.Key(*r) },
		}),
	}
}

// Init begins; it ends with ctx. A second Init reads the list anew.
func (l *Listing[T]) Init(ctx context.Context) tea.Cmd {
	if l.stop != nil {
		l.stop()
	}
	ctx, l.stop = context.WithCancel(ctx)
	return l.Sync.Init(ctx)
}

// Update takes any message and reports whether the rows have changed.
func (l *Listing[T]) Update(msg tea.Msg) (changed bool, cmd tea.Cmd) {
	if changed, cmd = l.Sync.Update(msg); changed {
		l.Arrange()
	}
	l.Table.Update(msg)
	return changed, cmd
}

// Arrange orders the rows anew and gives them to the table.
func (l *Listing[T]) Arrange() {
	l.settle()
	if !l.Loaded() {
		return
	}
	items := l.Items()
	rows := make([]*T, len(items))
	for i := range items {
		rows[i] = &items[i]
	}
	switch {
	case l.o.Sort != nil:
		l.o.Sort(rows)
	case l.o.Order != nil:
		slices.SortStableFunc(rows, l.o.Order)
	}
	l.Table.SetRows(rows)
}

// Replace keeps another list from now on, with the same columns; see
// [ui.SyncOptions].
func (l *Listing[T]) Replace(ctx context.Context, o ui.SyncOptions[T]) tea.Cmd {
	l.Sync = ui.NewSync(o)
	return l.Init(ctx)
}

// SetStale draws the rows in grey, because the server cannot be reached.
func (l *Listing[T]) SetStale(stale bool) {
	l.cut = stale
	l.settle()
}

func (l *Listing[T]) settle() { l.Table.SetStale(l.cut || l.Err() != nil) }

// usualWords is what Words is without one.
const usualWords = 3

// SetSize tells the cells there are.
func (l *Listing[T]) SetSize(width, height int) {
	l.width, l.height = width, height
	for i := range l.columns {
		if c := &l.columns[i]; c.Flex {
			c.Min = max(l.least[i], width*cmp.Or(l.o.Words, usualWords)/10)
		}
	}
	l.Table.SetSize(width, height)
}

// Wants is how many rows show all there is, with an empty one at the end. The
// filter does not count, so that typing one moves nothing.
func (l *Listing[T]) Wants() int {
	if !l.Loaded() {
		return math.MaxInt
	}
	all, _ := l.Table.Len()
	return all + 2
}

// Capturing reports whether a filter is typed.
func (l *Listing[T]) Capturing() bool { return l.Table.Capturing() }

// Escape takes back a filter or marks.
func (l *Listing[T]) Escape() bool { return l.Table.Escape() }

// Copied are the marked rows, or the selected one.
func (l *Listing[T]) Copied() (safe.Text, []string) {
	rows := l.Table.Targets()
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = l.Table.Line(r)
	}
	if len(rows) == 1 {
		return safe.Literal("the row"), lines
	}
	return safe.Clean(ui.Plural(len(rows), "row")), lines
}

// Trouble says why the rows may not be true; empty when all is well.
func (l *Listing[T]) Trouble() safe.Text {
	if l.Err() == nil {
		return safe.Text{}
	}
	return Why("read "+l.o.What, l.Err())
}

// Status is the trouble, for the title line.
func (l *Listing[T]) Status() safe.Text { return l.Trouble() }

// Render draws the rows, or a sentence where there are none.
func (l *Listing[T]) Render() ui.Frame {
	all, _ := l.Table.Len()
	if err := l.Trouble(); !err.Empty() && all == 0 {
		return ui.Frame{Lines: l.said(l.o.Theme.Bad, []safe.Text{err})}
	}
	if l.Loaded() && all == 0 && !l.Capturing() && len(l.o.Empty) > 1 {
		return ui.Frame{Lines: l.said(l.o.Theme.Dim, l.o.Empty)}
	}
	f := ui.Frame{Lines: l.Table.View()}
	if x, y, ok := l.Table.Cursor(); ok {
		f.Cursor = tea.NewCursor(x, y)
	}
	return f
}

func (l *Listing[T]) said(style theme.Style, what []safe.Text) []string {
	return Said(style, what, l.width, l.height)
}

// Said draws sentences in place of a list, wrapped to the width.
func Said(style theme.Style, what []safe.Text, width, height int) []string {
	out := []string{""}
	for _, t := range what {
		for _, row := range dialog.Wrap(t, max(1, width-4)) {
			out = append(out, "  "+style.Render(row.String()))
		}
	}
	return out[:min(len(out), max(height, 0))]
}

// Close ends what Init started.
func (l *Listing[T]) Close() {
	if l.stop != nil {
		l.stop()
	}
}
