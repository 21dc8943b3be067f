package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"pitwall/backend"
	"pitwall/backend/engine"
	"pitwall/backend/engine/process/keeper"
)

// prepare makes the record and the keeper's spec of an instance that is to be
// started, from what it was before. Nothing is on disk when it fails.
func (in *instance) prepare(s engine.Spec, before record, lastRun int) (record, keeper.Spec, error) {
	a, err := lookupAccount(s.User)
	if err != nil {
		return record{}, keeper.Spec{}, err
	}
	r := record{Spec: s, Created: before.Created, Port: before.Port, First: before.First, Asked: before.Asked, Dir: s.Dir}
	if r.Created.IsZero() {
		r.Created, r.First = in.engine.cfg.Now(), max(s.FirstRun, 1)
	}
	if r.Dir == "" {
		r.Dir = filepath.Join(in.dir, "work")
	} else if !filepath.IsAbs(r.Dir) {
		return record{}, keeper.Spec{}, backend.Errorf(backend.Invalid, "dir %q is not an absolute path", s.Dir)
	}
	took := false
	if s.Port && r.Port == 0 {
		if r.Port, err = in.engine.ports.take(in.id); err != nil {
			return record{}, keeper.Spec{}, err
		}
		took = true
	}
	port := r.Port
	if !s.Port {
		port = 0
	}
	env := environment(s, surroundings{
		account: a, work: r.Dir, levels: levelsFile(in.dir), port: port, lookup: os.LookupEnv,
	})
	r.Environ = environ(env)
	argv, err := commandLine(s.Command, env)
	if err == nil {
		err = validSignal(s.Stop.OrDefault().Signal)
	}
	if err != nil {
		if took {
			in.engine.ports.release(r.Port, in.id)
		}
		return record{}, keeper.Spec{}, err
	}
	return r, in.keeperSpec(r, argv, lastRun), nil
}

// keeperSpec is what the keeper is told of a record.
func (in *instance) keeperSpec(r record, argv []string, lastRun int) keeper.Spec {
	s := r.Spec
	restart, stop := s.Restart.OrDefault(), s.Stop.OrDefault()
	return keeper.Spec{
		Instance: in.id,
		Argv:     argv,
		Dir:      r.Dir,
		User:     s.User,
		Env:      r.Environ,
		Restart: keeper.Restart{
			Policy: keeper.Policy(restart.Policy), Budget: restart.Budget, Window: restart.Window.Std(),
			BackoffMin: in.engine.cfg.BackoffMin, BackoffMax: in.engine.cfg.BackoffMax,
		},
		Stop:     keeper.Stop{Signal: stop.Signal, Grace: stop.Grace.Std()},
		Limits:   keeper.Limits{MemoryBytes: s.Memory, CPUMillis: int64(s.CPU)},
		Cgroup:   in.engine.groups.parents,
		FirstRun: uint32(max(s.FirstRun, lastRun+1)),
		Log:      keeper.Log{Block: s.BlockOnLog},
	}
}

func validSignal(name string) error {
	if unix.SignalNum("SIG"+name) == 0 {
		return backend.Errorf(backend.Invalid, "%q is not a signal: write a name such as TERM, INT or HUP", name)
	}
	return nil
}

// layOut makes the instance's folders and writes its files, in the order that
// lets a crash in between be told: the record is the last.
func (in *instance) layOut(r record, s keeper.Spec) error {
	a, err := lookupAccount(r.Spec.User)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(in.dir, 0o700); err != nil {
		return fmt.Errorf("make folder of instance: %w", err)
	}
	if a.other {
		if err := in.letThrough(a); err != nil {
			return err
		}
	}
	if r.Spec.Dir == "" {
		if err := ownFolder(r.Dir, a); err != nil {
			return err
		}
	}
	if r.Spec.Levels {
		if err := ownFolder(filepath.Dir(levelsFile(in.dir)), a); err != nil {
			return err
		}
		if _, err := os.Lstat(levelsFile(in.dir)); errors.Is(err, fs.ErrNotExist) {
			text, err := levelsText(nil)
			if err != nil {
				return err
			}
			if err := in.writeLevels(text); err != nil {
				return err
			}
		}
	}
	if err := keeper.WriteSpec(in.dir, s); err != nil {
		return err
	}
	return r.write(in.dir)
}

// ownFolder makes a folder that the program may write.
func ownFolder(dir string, a account) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make folder of instance: %w", err)
	}
	if !a.other {
		return nil
	}
	// Not through a link, which an earlier run may have put there.
	if err := os.Lchown(dir, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("give folder to user %s: %w", a.name, err)
	}
	return nil
}

// letThrough lets another user pass to its own folders inside the instance's,
// seeing nothing else. It fails with Invalid when that user cannot get that
// far.
func (in *instance) letThrough(a account) error {
	for _, dir := range []string{in.engine.cfg.Dir, in.dir} {
		if err := os.Chmod(dir, 0o711); err != nil {
			return fmt.Errorf("let user %s through: %w", a.name, err)
		}
	}
	for dir := filepath.Dir(in.engine.cfg.Dir); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("let user %s through: %w", a.name, err)
		}
		if !passable(info, a) {
			return backend.Errorf(backend.Invalid,
				"user %s may not enter %s, where the instance's folder is: run chmod o+x %s, or choose another --state", a.name, dir, dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// passable reports whether an account may pass through a folder.
func passable(info fs.FileInfo, a account) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	switch {
	case !ok:
		return mode&0o001 != 0
	case st.Uid == a.uid:
		return mode&0o100 != 0
	case st.Gid == a.gid:
		return mode&0o010 != 0
	}
	for _, g := range a.groups {
		if st.Gid == g {
			return mode&0o010 != 0
		}
	}
	return mode&0o001 != 0
}
