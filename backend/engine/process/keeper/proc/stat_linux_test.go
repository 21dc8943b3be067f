package proc

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// TestParse reads the line of a program that chose its name to mislead.
func TestParse(t *testing.T) {
	line := "7 (a) S 1 (b) Z 4 7 5 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 999 4096 8" + strings.Repeat(" 0", 27) + " 2304 0 0\n"
	got, err := parse(7, []byte(line))
	want := Stat{PID: 7, Parent: 4, Session: 5, State: 'Z', CPU: time.Second, Start: 999, RSS: 8 * int64(os.Getpagesize()), Exit: 9 << 8}
	if err != nil || got != want {
		t.Errorf("parse() = %+v, %v, want %+v", got, err, want)
	}
	if !got.Zombie() {
		t.Error("Zombie() = false")
	}
	for _, bad := range []string{"", "7", "7 (a) S 1", strings.Replace(line, " 999 ", " soon ", 1)} {
		if got, err := parse(7, []byte(bad)); err == nil {
			t.Errorf("parse(%q) = %+v, want an error", bad, got)
		}
	}
}

func TestAllHasThisProcess(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	self, err := Read(os.Getpid())
	if err != nil || all[os.Getpid()].Start != self.Start || self.Parent != os.Getppid() {
		t.Errorf("Read() = %+v, %v, All() has %+v", self, err, all[os.Getpid()])
	}
	if _, err := Read(1 << 30); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Read() of nobody = %v, want ErrNotExist", err)
	}
}
