package manifest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// leastMemory is below what any program starts in: who writes 256 means 256Mi.
const leastMemory = 1 << 20

// parseSize reads 1048576, 256Mi or 1.5Gi as bytes.
func parseSize(text string) (int64, error) {
	number := strings.TrimRight(text, "KMGTi")
	units := map[string]float64{
		"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
		"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
	}
	unit, ok := units[text[len(number):]]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !ok || math.IsNaN(n) || n < 0 {
		return 0, fmt.Errorf("expected a size, such as 256Mi or 1.5Gi, not %s", quote(text))
	}
	bytes := n * unit
	if bytes >= 1<<60 {
		return 0, fmt.Errorf("%s is more than any machine has", text)
	}
	return int64(math.Round(bytes)), nil
}

// parseMemory reads a size that a program can live in.
func parseMemory(text string) (int64, error) {
	n, err := parseSize(text)
	if err == nil && n < leastMemory {
		err = fmt.Errorf("%s is less than 1Mi: write the unit, as in 256Mi", text)
	}
	return n, err
}

// parseCPU reads 500m, 0.5 or 2 as thousandths of a core.
func parseCPU(text string) (int, error) {
	number, scale := text, 1000.0
	if milli, ok := strings.CutSuffix(text, "m"); ok {
		number, scale = milli, 1
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(n) {
		return 0, fmt.Errorf("expected a share of a core, such as 500m or 0.5, not %s", quote(text))
	}
	m := math.Round(n * scale)
	if m < 1 || m > 1e6 {
		return 0, fmt.Errorf("expected a share of a core from 1m to 1000, not %s", quote(text))
	}
	return int(m), nil
}

// parseDuration reads what Go reads, and days.
func parseDuration(text string) (time.Duration, error) {
	var total time.Duration
	for rest := text; rest != ""; {
		end := strings.IndexFunc(rest, func(c rune) bool { return c != '.' && (c < '0' || c > '9') })
		if end <= 0 {
			return 0, fmt.Errorf("expected a duration, such as 10s or 5m, not %s", quote(text))
		}
		number, unit := rest[:end], strings.TrimRight(rest[end:], "0123456789.")
		if next := strings.IndexAny(rest[end:], "0123456789."); next >= 0 {
			unit = rest[end : end+next]
		}
		rest = rest[end+len(unit):]
		part, err := parsePart(number, unit)
		if err != nil {
			return 0, fmt.Errorf("expected a duration, such as 10s or 5m, not %s", quote(text))
		}
		total += part
		if total < 0 || part < 0 {
			return 0, fmt.Errorf("%s is too long", quote(text))
		}
	}
	if total <= 0 {
		return 0, errors.New("expected a duration of more than nothing")
	}
	return total, nil
}

func parsePart(number, unit string) (time.Duration, error) {
	if unit != "d" {
		return time.ParseDuration(number + unit)
	}
	days, err := strconv.ParseFloat(number, 64)
	if err != nil || days > 100*365 {
		return 0, fmt.Errorf("read days %q: not a number up to a century", number)
	}
	return time.Duration(days * float64(24*time.Hour)), nil
}

// parseSignal returns a signal's name without SIG.
func parseSignal(text string) (string, error) {
	name := strings.TrimPrefix(text, "SIG")
	known := []string{"TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH", "ABRT", "KILL"}
	if !slices.Contains(known, name) {
		return "", fmt.Errorf("expected %s, not %s", oneOf(known), quote(text))
	}
	return name, nil
}
