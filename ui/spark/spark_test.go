package spark_test

import (
	"math"
	"testing"

	"pitwall/ui/spark"
)

func TestLine(t *testing.T) {
	tests := []struct {
		name   string
		values []int
		width  int
		want   string
	}{
		{"none", nil, 3, "   "},
		{"zeros are flat", []int{0, 0, 0}, 3, "▁▁▁"},
		{"one above zero shows", []int{0, 1, 1000}, 3, "▁▂█"},
		{"last values win", []int{9, 9, 0, 8}, 2, "▁█"},
		{"padded on the left", []int{5}, 3, "  █"},
		{"rising", []int{0, 1, 2, 3, 4, 5, 6, 7}, 8, "▁▂▃▄▅▆▇█"},
		{"negative is zero", []int{-4, 2}, 2, "▁█"},
		{"no overflow", []int{math.MaxInt, 1}, 2, "█▂"},
		{"no width", []int{1}, 0, ""},
		{"negative width", []int{1}, -1, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := spark.Blocks().Line(tt.values, tt.width)
			if got.String() != tt.want {
				t.Errorf("Line(%v, %d) = %q, want %q", tt.values, tt.width, got, tt.want)
			}
		})
	}
}
