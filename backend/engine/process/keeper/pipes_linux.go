package keeper

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Dup makes another pair, to be closed or handed to [Resume] by itself: who
// holds one can try again when a keeper dies while it takes over.
func (p Pipes) Dup() (Pipes, error) {
	if p.Empty() {
		return p, nil
	}
	d := Pipes{Run: p.Run}
	var err error
	if d.out, err = unix.FcntlInt(uintptr(p.out), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		return Pipes{}, fmt.Errorf("duplicate pipe: %w", err)
	}
	if d.err, err = unix.FcntlInt(uintptr(p.err), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		unix.Close(d.out)
		return Pipes{}, fmt.Errorf("duplicate pipe: %w", err)
	}
	return d, nil
}
