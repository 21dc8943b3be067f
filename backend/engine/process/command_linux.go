package process

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// beside is what a command beside an instance needs: the instance's folder,
// environment and account.
type beside struct {
	dir     string
	environ []string
	account account
}

// command makes a command that runs beside an instance in a session of its own.
// The mark it returns is in the environment of all that the command starts.
func (b beside) command(args []string) (cmd *exec.Cmd, mark string, err error) {
	path, err := b.look(args[0])
	if err != nil {
		return nil, "", err
	}
	mark = "PITWALL_COMMAND=" + rand.Text()
	cmd = &exec.Cmd{
		Path: path,
		Args: args,
		Dir:  b.dir,
		Env:  append(b.environ[:len(b.environ):len(b.environ)], mark),
		SysProcAttr: &syscall.SysProcAttr{
			Setsid: true,
		},
		// A grandchild that keeps the output open must not keep Wait.
		WaitDelay: time.Second,
	}
	if b.account.other {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: b.account.uid, Gid: b.account.gid, Groups: b.account.groups}
	}
	return cmd, mark, nil
}

// look finds a program in the instance's PATH, not in the server's.
func (b beside) look(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	path, _ := lookupEnv(b.environ, "PATH")
	for dir := range strings.SplitSeq(path, ":") {
		if !strings.HasPrefix(dir, "/") {
			continue
		}
		file := dir + "/" + name
		var st unix.Stat_t
		if unix.Stat(file, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && unix.Access(file, unix.X_OK) == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s: command not found", name)
}

// run runs a command to its end and returns why it was not well. When ctx ends
// it kills the command with all that it started.
func (b beside) run(ctx context.Context, args []string) error {
	cmd, mark, err := b.command(args)
	if err != nil {
		return err
	}
	var said tail
	cmd.Stdout, cmd.Stderr = io.Discard, &said
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		// The session leads to all but those that left it, the mark to them.
		unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
		killMarked(mark)
		<-ended
		return ctx.Err()
	}
	if err == nil {
		return nil
	}
	if words := said.line(); words != "" {
		return fmt.Errorf("%s: %w: %s", args[0], err, words)
	}
	return fmt.Errorf("%s: %w", args[0], err)
}

// tail keeps the end of what is written to it.
type tail struct{ text []byte }

// maxTail is a sentence, which is all that a check's failure shows.
const maxTail = 200

// Write implements [io.Writer].
func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if len(t.text) > maxTail {
		t.text = append(t.text[:0], t.text[len(t.text)-maxTail:]...)
	}
	return len(p), nil
}

// line is the last line written.
func (t *tail) line() string {
	text := strings.TrimSpace(string(t.text))
	return text[strings.LastIndexByte(text, '\n')+1:]
}
