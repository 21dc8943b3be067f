package process

import (
	"os"
	"os/user"
	"strconv"

	"pitwall/backend"
)

// account is who a program runs as.
type account struct {
	name, home string
	uid, gid   uint32
	groups     []uint32
	other      bool // than the server
}

// lookupAccount finds the account of a user, the server's own for "". It fails
// with Unsupported when the server may not become that user, and with Invalid
// when there is no such user.
func lookupAccount(name string) (account, error) {
	self := ownAccount()
	if name == "" || name == self.name || name == strconv.Itoa(int(self.uid)) {
		return self, nil
	}
	if self.uid != 0 {
		return account{}, backend.Errorf(backend.Unsupported,
			"user %q: only a server that runs as root can run programs as another user", name)
	}
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.LookupId(name)
	}
	if err != nil {
		return account{}, backend.Errorf(backend.Invalid, "user %q: this machine has no such user", name)
	}
	a := account{name: u.Username, home: u.HomeDir, uid: number(u.Uid), gid: number(u.Gid), other: true}
	ids, err := u.GroupIds()
	if err != nil {
		ids = nil // the primary group is enough to run
	}
	for _, id := range ids {
		a.groups = append(a.groups, number(id))
	}
	return a, nil
}

func ownAccount() account {
	a := account{uid: uint32(os.Getuid()), gid: uint32(os.Getgid())}
	if u, err := user.LookupId(strconv.Itoa(os.Getuid())); err == nil {
		a.name, a.home = u.Username, u.HomeDir
	} else {
		a.name, a.home = strconv.Itoa(os.Getuid()), "/"
	}
	return a
}

// number reads an id as the password file has it.
func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return ^uint32(0) // nobody: never root by mistake
	}
	return uint32(n)
}
