package logstore

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// signalName is the name of a signal without SIG.
func signalName(n int) string {
	if name := unix.SignalName(unix.Signal(n)); name != "" {
		return strings.TrimPrefix(name, "SIG")
	}
	return strconv.Itoa(n)
}
