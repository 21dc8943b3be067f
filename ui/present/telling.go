package present

import "strings"

// Telling returns the index of the line that says most of why a program ended:
// the last one that speaks of a panic or an error and is no part of a trace,
// else the last one that is, else the last. It is -1 without lines.
func Telling(lines []string) int {
	best, rank := -1, 0
	for i, l := range lines {
		if r := telling(l); r >= rank && r > 0 {
			best, rank = i, r
		}
	}
	if best < 0 {
		return len(lines) - 1
	}
	return best
}

func telling(line string) int {
	trimmed := strings.TrimSpace(line)
	if trimmed == "" {
		return 0
	}
	low := strings.ToLower(trimmed)
	switch {
	case strings.HasPrefix(low, "panic:"), strings.HasPrefix(low, "fatal"):
		return 4
	case line[0] == ' ' || line[0] == '\t':
		return 1
	case strings.Contains(low, "error"), strings.Contains(low, "exception"):
		return 3
	}
	return 2
}
