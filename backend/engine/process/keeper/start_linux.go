package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// startLimit is how long a keeper may take to answer if the context has no
// deadline. It takes some ten milliseconds.
const startLimit = 30 * time.Second

// Start makes a keeper for an instance's folder, in which spec.json is, and
// returns when it answers. The first run has begun then or begins at once. exe
// is the program, whose main calls [Dispatch]. Where the folder's last run is
// still on, the keeper adopts it rather than start another.
func Start(ctx context.Context, exe, dir string) (*Client, error) {
	return launch(ctx, exe, dir, modeStart, Pipes{})
}

// Resume makes a keeper that goes on where a dead one stopped: it adopts the
// child by pid and start time, reads on from its pipes, and applies the restart
// policy. The pipes are closed in this process in any case. Where nothing ran,
// nothing is started.
func Resume(ctx context.Context, exe, dir string, p Pipes) (*Client, error) {
	defer p.Close()
	if p.Empty() {
		return launch(ctx, exe, dir, modeResume, p)
	}
	return launch(ctx, exe, dir, modePipes, p)
}

func launch(ctx context.Context, exe, dir, mode string, p Pipes) (*Client, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("start keeper: %w", err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("start keeper: %w", err)
	}
	defer null.Close()
	log, err := os.OpenFile(filepath.Join(dir, "keeper.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start keeper: %w", err)
	}
	defer log.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start keeper: %w", err)
	}
	defer r.Close()
	files := []uintptr{null.Fd(), null.Fd(), log.Fd(), w.Fd()}
	if mode == modePipes {
		files = append(files, uintptr(p.out), uintptr(p.err))
	}
	pid, err := syscall.ForkExec(exe, []string{filepath.Base(exe), keeperCommand, dir, mode}, &syscall.ProcAttr{
		Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin"}, Files: files, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	w.Close()
	if err != nil {
		return nil, fmt.Errorf("start keeper %s: %w", exe, err)
	}
	go bury(pid)
	if err := answered(ctx, r); err != nil {
		return nil, fmt.Errorf("start keeper of %s: %w", filepath.Base(dir), err)
	}
	return Dial(ctx, dir)
}

// answered waits for a new keeper to say that it works, or why it does not.
func answered(ctx context.Context, r *os.File) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(startLimit)
	}
	r.SetReadDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { r.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	p, err := io.ReadAll(io.LimitReader(r, 4<<10))
	if len(p) > 0 {
		return errors.New(string(p))
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// bury reaps a keeper when it ends, without holding a thread for it: a server
// has a thousand. It ends with the keeper, or with this process.
func bury(pid int) {
	if proc, err := findProc(pid); err == nil {
		if fd, err := openPidfd(proc); err == nil {
			fd.wait()
			fd.file.Close()
		}
	}
	for {
		_, err := syscall.Wait4(pid, nil, 0, nil)
		if err != syscall.EINTR {
			return
		}
	}
}
