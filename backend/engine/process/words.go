package process

import (
	"fmt"
	"strings"
	"time"

	"pitwall/backend"
)

// short writes a duration as a person does: 10m, not 10m0s.
func short(d time.Duration) string {
	if d = d.Round(time.Millisecond); d >= time.Second {
		d = d.Round(time.Second)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// size writes bytes in the largest unit that keeps the number whole.
func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for n >= 1024 && n%1024 == 0 && i < len(units)-1 {
		n /= 1024
		i++
	}
	return fmt.Sprintf("%d %s", n, units[i])
}

// budget is the sentence of a spent restart budget.
func budget(r backend.RestartSpec) string {
	r = r.OrDefault()
	return fmt.Sprintf("restart budget of %d in %s spent", r.Budget, short(r.Window.Std()))
}
