package keeper

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// plan is what a held process is told: what to execute, and as whom.
type plan struct {
	Argv  []string
	Dir   string
	User  string
	Env   []string
	Umask int
}

// The descriptors of a held process.
const (
	heldPlan   = 3 // the plan, then a byte that lets it go
	heldResult = 4 // why it could not execute; closed by a success
)

// hold is the body of a held process. It returns only if nothing was executed.
func hold() int {
	unix.CloseOnExec(heldPlan)
	unix.CloseOnExec(heldResult)
	in, result := os.NewFile(heldPlan, "plan"), os.NewFile(heldResult, "result")
	p, err := readPlan(in)
	if err != nil {
		return 125 // the keeper is gone: nothing may run that no state names
	}
	fmt.Fprint(result, sentence(p, p.execute()))
	return 126
}

// sendPlan writes a plan; release then lets the process go.
func sendPlan(w io.Writer, p plan) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...))
	return err
}

func release(w io.Writer) error {
	_, err := w.Write([]byte{1})
	return err
}

func readPlan(r io.Reader) (plan, error) {
	var n [4]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return plan{}, err
	}
	body := make([]byte, binary.LittleEndian.Uint32(n[:]))
	if _, err := io.ReadFull(r, body); err != nil {
		return plan{}, err
	}
	var p plan
	if err := json.Unmarshal(body, &p); err != nil {
		return plan{}, err
	}
	_, err := io.ReadFull(r, n[:1])
	return p, err
}

// errUser and errDir say which step failed.
var (
	errUser = errors.New("user")
	errDir  = errors.New("dir")
)

// execute becomes the program, or says why not.
func (p plan) execute() error {
	unix.Umask(p.Umask)
	if err := become(p.User); err != nil {
		return fmt.Errorf("%w: %w", errUser, err)
	}
	if err := os.Chdir(p.Dir); err != nil {
		return fmt.Errorf("%w: %w", errDir, err)
	}
	name, err := lookPath(p.Argv[0], p.Env)
	if err != nil {
		return err
	}
	return syscall.Exec(name, p.Argv, p.Env)
}

func become(name string) error {
	if name == "" {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return errors.New("no such user")
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	if uid == os.Geteuid() {
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("only a server that runs as root can run it as another user")
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	groups := []int{gid}
	if ids, err := u.GroupIds(); err == nil {
		for _, id := range ids {
			if g, err := strconv.Atoi(id); err == nil && g != gid {
				groups = append(groups, g)
			}
		}
	}
	if err := syscall.Setgroups(groups); err != nil {
		return err
	}
	if err := syscall.Setgid(gid); err != nil {
		return err
	}
	return syscall.Setuid(uid)
}

// lookPath finds a command by the PATH of the child's own environment.
func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	path := "/usr/local/bin:/usr/bin:/bin"
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			path = v
		}
	}
	denied := false
	for _, dir := range filepath.SplitList(path) {
		full := filepath.Join(dir, name)
		st, err := os.Stat(full)
		if err != nil || st.IsDir() {
			continue
		}
		if unix.Access(full, unix.X_OK) == nil {
			return full, nil
		}
		denied = true
	}
	if denied {
		return "", fs.ErrPermission
	}
	return "", fs.ErrNotExist
}

// sentence tells people what went wrong, and what to do.
func sentence(p plan, err error) string {
	what := "exec " + strconv.Quote(p.Argv[0])
	switch {
	case errors.Is(err, errUser):
		return fmt.Sprintf("user %q: %s", p.User, strings.TrimPrefix(err.Error(), "user: "))
	case errors.Is(err, errDir) && errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("dir %q: no such folder; check dir", p.Dir)
	case errors.Is(err, errDir):
		return fmt.Sprintf("dir %q: %s; check dir and user", p.Dir, reason(err))
	case errors.Is(err, fs.ErrNotExist):
		return what + ": no such file; check command and dir"
	case errors.Is(err, fs.ErrPermission):
		return what + ": permission denied; check that it is executable for its user"
	case errors.Is(err, syscall.ENOEXEC):
		return what + ": not a program of this machine; a script needs a first line such as #!/bin/sh"
	}
	return what + ": " + reason(err)
}

func reason(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}
