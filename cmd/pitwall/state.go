package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"pitwall/backend"
)

// stateFolder is the folder that one server at a time owns.
type stateFolder struct{ path string }

// Files of a state folder.
const (
	lockFile     = "lock"
	socketFile   = "pitwall.sock"
	takeoverFile = "takeover.sock"
	tokenFile    = "token"
	databaseFile = "pitwall.db"
	serverLog    = "server.log"
	instancesDir = "instances"
	bundlesDir   = "bundles"
)

func (s stateFolder) file(name string) string { return filepath.Join(s.path, name) }

// stateFolder resolves --state, PITWALL_STATE, XDG_STATE_HOME and HOME. It
// does not touch the disk.
func (c *cli) stateFolder() (stateFolder, error) {
	dir := c.state
	if dir == "" {
		dir = c.env("PITWALL_STATE")
	}
	if dir == "" {
		home := c.env("XDG_STATE_HOME")
		if home == "" && c.env("HOME") != "" {
			home = filepath.Join(c.env("HOME"), ".local", "state")
		}
		if home == "" {
			return stateFolder{}, usagef("no state folder: set HOME or give --state DIR")
		}
		dir = filepath.Join(home, "pitwall")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return stateFolder{}, fmt.Errorf("resolve state folder %s: %w", dir, err)
	}
	return stateFolder{abs}, nil
}

// make creates the folder for its owner alone and refuses one where locks
// cannot be trusted.
func (s stateFolder) make() error {
	if err := os.MkdirAll(s.path, 0o700); err != nil {
		return s.unusable(err)
	}
	if kind := networkFilesystem(s.path); kind != "" {
		return backend.Errorf(backend.Invalid, "the state folder %s is on %s, where a lock cannot be trusted: give --state a folder on a local disk", s.path, kind)
	}
	return nil
}

// unusable says what to do about a folder that cannot be made or written.
func (s stateFolder) unusable(err error) error {
	code := backend.Invalid
	if errors.Is(err, fs.ErrPermission) {
		code = backend.Denied
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return backend.Errorf(code, "the state folder %s cannot be used: %w: give --state a folder that you may write", s.path, err)
}

// errOwned says that a running server owns the state folder.
var errOwned = errors.New("a running server owns the state folder")

// lock takes ownership. It fails with errOwned when another process has it.
// The lock lies on the open file, so whoever is handed the file has the lock,
// and it ends with its last holder.
func (s stateFolder) lock() (*os.File, error) {
	f, err := os.OpenFile(s.file(lockFile), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, s.unusable(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errOwned
		}
		return nil, fmt.Errorf("lock state folder %s: %w", s.path, err)
	}
	return f, nil
}

// owned reports whether a running server owns the folder. A folder that does
// not exist is not owned.
func (s stateFolder) owned() bool {
	f, err := os.OpenFile(s.file(lockFile), os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// bearerToken returns the token that TCP asks for and makes it the first time.
func (s stateFolder) bearerToken() (string, error) {
	raw, err := os.ReadFile(s.file(tokenFile))
	if err == nil {
		token := strings.TrimSpace(string(raw))
		if len(token) < 32 {
			return "", backend.Errorf(backend.Invalid, "the token in %s is too short: remove the file to get a new one", s.file(tokenFile))
		}
		return token, os.Chmod(s.file(tokenFile), 0o600)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read token: %w", err)
	}
	token := randomHex(32)
	f, err := os.OpenFile(s.file(tokenFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return "", fmt.Errorf("write token: %w", err)
	}
	_, err = f.WriteString(token + "\n")
	return token, errors.Join(err, f.Close())
}

// randomHex returns n random bytes in hexadecimal.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return hex.EncodeToString(b)
}
