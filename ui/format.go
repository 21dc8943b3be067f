package ui

import (
	"fmt"
	"strconv"
	"time"

	"pitwall/backend"
	"pitwall/ui/action"
	"pitwall/ui/safe"
)

// Age writes a duration in four cells at most: "3s", "41s", "5m", "2h", "12d".
func Age(d time.Duration) safe.Text {
	switch {
	case d < 0:
		return safe.Literal("0s")
	case d < time.Minute:
		return count(d/time.Second, "s")
	case d < time.Hour:
		return count(d/time.Minute, "m")
	case d < 48*time.Hour:
		return count(d/time.Hour, "h")
	case d < 1000*24*time.Hour:
		return count(d/(24*time.Hour), "d")
	}
	return count(d/(365*24*time.Hour), "y")
}

func count(n time.Duration, unit string) safe.Text {
	return safe.Clean(strconv.FormatInt(int64(n), 10) + unit)
}

// Bytes writes a size in six cells at most: "0 B", "12 KiB", "1.5 GiB".
func Bytes(n int64) safe.Text {
	if n < 1024 {
		return safe.Clean(fmt.Sprintf("%d B", max(n, 0)))
	}
	v, unit := float64(n), 0
	for v >= 1000 && unit < len(units) {
		v /= 1024
		unit++
	}
	if v < 10 {
		return safe.Clean(fmt.Sprintf("%.1f %ciB", v, units[unit-1]))
	}
	return safe.Clean(fmt.Sprintf("%.0f %ciB", v, units[unit-1]))
}

const units = "KMGTPE"

// Plural writes a count with its noun: "1 app", "12 apps".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// RiskOf returns how hard commands are confirmed: by what each can break, and
// one step harder when they hit several things at once.
func RiskOf(commands ...backend.Command) action.Risk {
	worst := action.None
	for _, c := range commands {
		r := [...]action.Risk{action.None, action.Medium, action.Medium, action.High}[min(max(backend.RiskOf(c), 0), backend.RiskHigh)]
		worst = max(worst, r)
	}
	if len(commands) > 1 && worst >= action.Medium {
		worst = min(worst+1, action.Highest)
	}
	return worst
}
