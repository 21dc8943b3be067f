package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"pitwall/backend"
)

// attachment is a command that runs beside an instance, with its input and
// output. It implements [backend.Conn].
type attachment struct {
	cmd  *exec.Cmd
	mark string
	out  *os.File // what Read reads
	in   *os.File // what Write writes; the same file with a terminal
	tty  bool

	forget func(*attachment)
	once   sync.Once
	gone   chan struct{} // closed when the command has ended
	code   int           // valid when gone
}

// attach starts a command. Without a terminal its two outputs come as one
// stream, in the order they were written.
func attach(b beside, s backend.AttachSpec, forget func(*attachment)) (*attachment, error) {
	cmd, mark, err := b.command(s.Command)
	if err != nil {
		return nil, backend.Errorf(backend.Invalid, "%w", err)
	}
	a := &attachment{cmd: cmd, mark: mark, tty: s.TTY, forget: forget, gone: make(chan struct{})}
	if s.TTY {
		err = a.startTTY(s.Size)
	} else {
		err = a.startPipes()
	}
	if err != nil {
		return nil, backend.Errorf(backend.Invalid, "start %s: %w", s.Command[0], err)
	}
	go a.wait()
	return a, nil
}

func (a *attachment) startTTY(size backend.Size) error {
	master, slave, err := pty.Open()
	if err != nil {
		return fmt.Errorf("open terminal: %w", err)
	}
	defer slave.Close()
	a.in, a.out = master, master
	if size == (backend.Size{}) {
		size = backend.Size{Columns: 80, Rows: 24}
	}
	err = a.Resize(size)
	if cred := a.cmd.SysProcAttr.Credential; cred != nil && err == nil {
		err = slave.Chown(int(cred.Uid), int(cred.Gid))
	}
	if err == nil {
		a.cmd.Stdin, a.cmd.Stdout, a.cmd.Stderr = slave, slave, slave
		a.cmd.SysProcAttr.Setctty = true
		if _, ok := lookupEnv(a.cmd.Env, "TERM"); !ok {
			a.cmd.Env = append(a.cmd.Env, "TERM=xterm-256color")
		}
		err = a.cmd.Start()
	}
	if err != nil {
		master.Close()
	}
	return err
}

func (a *attachment) startPipes() error {
	childIn, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer childIn.Close()
	out, childOut, err := os.Pipe()
	if err != nil {
		in.Close()
		return err
	}
	defer childOut.Close()
	a.in, a.out = in, out
	a.cmd.Stdin, a.cmd.Stdout, a.cmd.Stderr = childIn, childOut, childOut
	if err := a.cmd.Start(); err != nil {
		in.Close()
		out.Close()
		return err
	}
	return nil
}

// wait learns how the command ended, and takes down what it left behind.
func (a *attachment) wait() {
	err := a.cmd.Wait()
	a.code = exitCode(err)
	killMarked(a.mark)
	close(a.gone)
	a.forget(a)
}

// exitCode is a command's exit status as a shell has it.
func exitCode(err error) int {
	var exit *exec.ExitError
	if err == nil {
		return 0
	}
	if !errors.As(err, &exit) {
		return 255
	}
	if ws, ok := exit.Sys().(interface {
		Signaled() bool
		Signal() unix.Signal
	}); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return exit.ExitCode()
}

// Read implements [backend.Conn].
func (a *attachment) Read(p []byte) (int, error) {
	n, err := a.out.Read(p)
	// A terminal whose last program has left reads as an input error.
	if errors.Is(err, unix.EIO) || errors.Is(err, os.ErrClosed) {
		err = io.EOF
	}
	return n, err
}

// Write implements [backend.Conn].
func (a *attachment) Write(p []byte) (int, error) {
	n, err := a.in.Write(p)
	if err != nil {
		err = backend.Errorf(backend.Canceled, "the command takes no more input: %w", err)
	}
	return n, err
}

// CloseWrite ends the command's input. In a terminal that is the character
// that its driver takes for the end.
func (a *attachment) CloseWrite() error {
	if a.tty {
		_, err := a.in.Write([]byte{4})
		return err
	}
	return a.in.Close()
}

// Resize sets the size of the terminal; without one it does nothing.
func (a *attachment) Resize(s backend.Size) error {
	if !a.tty {
		return nil
	}
	err := pty.Setsize(a.out, &pty.Winsize{Cols: cells(s.Columns), Rows: cells(s.Rows)})
	if err != nil {
		return fmt.Errorf("resize terminal: %w", err)
	}
	return nil
}

// cells bounds a size to what a terminal can have.
func cells(n int) uint16 { return uint16(min(max(n, 1), 1<<16-1)) }

// Exit implements [backend.Conn].
func (a *attachment) Exit(ctx context.Context) (int, error) {
	select {
	case <-a.gone:
		return a.code, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Close ends the command with all that it started, and returns when that is
// done.
func (a *attachment) Close() error {
	a.once.Do(func() {
		select {
		case <-a.gone:
		default:
			unix.Kill(-a.cmd.Process.Pid, unix.SIGHUP)
			// A shell takes the hangup as its end; what does not is killed.
			select {
			case <-a.gone:
			case <-time.After(hangupGrace):
				unix.Kill(-a.cmd.Process.Pid, unix.SIGKILL)
				killMarked(a.mark)
			}
		}
		a.in.Close()
		a.out.Close()
	})
	<-a.gone
	return nil
}

// hangupGrace is how long a command may take to save what it has.
const hangupGrace = 200 * time.Millisecond
