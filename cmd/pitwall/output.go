package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"pitwall/ui/safe"
)

// column is one column of a printed table.
type column[T any] struct {
	title string
	cell  func(T) string
	wide  bool // shown with -o wide only
	right bool
}

// printList prints items as -o asks. Name gives what -o name prints.
func printList[T any](c *cli, items []T, name func(T) string, columns []column[T]) error {
	switch {
	case c.structured():
		return c.printStructured(list(items))
	case c.output == "name":
		for _, it := range items {
			c.println(name(it))
		}
		return nil
	}
	return printTable(c, items, columns)
}

// printTable prints columns as wide as their widest cell, two spaces apart.
// The last one is cut at the terminal's edge.
func printTable[T any](c *cli, items []T, columns []column[T]) error {
	shown := slices.DeleteFunc(slices.Clone(columns), func(col column[T]) bool { return col.wide && c.output != "wide" })
	rows := make([][]safe.Text, 0, len(items)+1)
	rows = append(rows, each(shown, func(col column[T]) safe.Text { return safe.Clean(col.title) }))
	for _, it := range items {
		rows = append(rows, each(shown, func(col column[T]) safe.Text { return safe.Clean(col.cell(it)) }))
	}
	widths := make([]int, len(shown))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], cell.Width())
		}
	}
	var b strings.Builder
	for _, row := range rows {
		used := 0
		for i, cell := range row {
			last := i == len(row)-1
			if last && c.terminal && used+cell.Width() > c.width {
				cell = cell.Truncate(max(c.width-used, 8), safe.Literal("…"))
			}
			b.WriteString(padded(cell, widths[i], shown[i].right, last))
			used += widths[i] + 2
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(c.out, b.String())
	return err
}

// padded is a cell as wide as its column and the space after it; nothing
// stands after the last one of a row.
func padded(cell safe.Text, width int, right, last bool) string {
	pad := strings.Repeat(" ", max(width-cell.Width(), 0))
	text := cell.String()
	switch {
	case right:
		text = pad + text
	case !last:
		text += pad
	}
	if !last {
		text += "  "
	}
	return text
}

// structured reports whether scripts read the output.
func (c *cli) structured() bool { return c.output == "json" || c.output == "yaml" }

// printStructured prints v as scripts read it.
func (c *cli) printStructured(v any) error {
	v = promised(v)
	if c.output == "yaml" {
		return c.printYAML(v)
	}
	return c.printJSON(v)
}

// printDocument prints one of several values that come one after the other.
func (c *cli) printDocument(v any) error {
	if c.output == "yaml" {
		if _, err := io.WriteString(c.out, "---\n"); err != nil {
			return err
		}
	}
	return c.printStructured(v)
}

// printJSON prints v indented when a person reads it and on a line of its own
// otherwise.
func (c *cli) printJSON(v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetEscapeHTML(false)
	if c.terminal {
		enc.SetIndent("", "  ")
	}
	return enc.Encode(v)
}

// printYAML prints v with the names that its JSON has.
func (c *cli) printYAML(v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var plain any
	if err := yaml.Unmarshal(raw, &plain); err != nil {
		return err
	}
	enc := yaml.NewEncoder(c.out)
	enc.SetIndent(2)
	defer enc.Close()
	return enc.Encode(plain)
}

// age writes how long ago t was: 5s, 3m, 2h, 4d.
func age(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return short(now.Sub(t))
}

// short writes a duration with one unit.
func short(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// size writes bytes with a binary unit.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1fGi", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%dMi", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%dKi", n>>10)
	}
	return fmt.Sprintf("%d", n)
}

// stamp writes a time as the machine-readable formats do.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
