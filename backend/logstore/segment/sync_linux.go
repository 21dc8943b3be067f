package segment

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func syncAll(files ...*os.File) error {
	for _, f := range files {
		conn, err := f.SyscallConn()
		if err != nil {
			return err
		}
		var serr error
		if err := conn.Control(func(fd uintptr) { serr = unix.Fdatasync(int(fd)) }); err != nil {
			return err
		}
		if serr != nil {
			return fmt.Errorf("sync %s: %w", f.Name(), serr)
		}
	}
	return nil
}
