// Package spark draws a row of numbers as a row of blocks.
package spark

import "pitwall/ui/safe"

// Levels are the eight heights, lowest first. Each is one cell wide.
type Levels [8]safe.Text

// Blocks returns the heights for terminals that have Unicode.
func Blocks() Levels {
	l := safe.Literal
	return Levels{l("▁"), l("▂"), l("▃"), l("▄"), l("▅"), l("▆"), l("▇"), l("█")}
}

// Line draws the last width values, the highest of them at full height; it
// pads on the left where there are fewer. Anything above zero is drawn higher
// than zero. A row of zeros is a flat line.
func (l Levels) Line(values []int, width int) safe.Text {
	width = max(width, 0)
	if len(values) > width {
		values = values[len(values)-width:]
	}
	top := 0
	for _, v := range values {
		top = max(top, v)
	}
	cells := make([]safe.Text, 0, width)
	for range width - len(values) {
		cells = append(cells, safe.Literal(" "))
	}
	for _, v := range values {
		cells = append(cells, l[height(v, top)])
	}
	return safe.Join(safe.Text{}, cells...)
}

// height maps 0 to the lowest block, and 1..top to the other seven.
func height(v, top int) int {
	if v <= 0 {
		return 0
	}
	if top <= 7 {
		return max(1, v*7/top)
	}
	return 1 + int(float64(v-1)/float64(top-1)*6+0.5)
}
