package process

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"pitwall/backend/engine"
)

// defaultPath is where programs are looked for when the server has no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// surroundings is what an instance's environment takes from where it runs.
type surroundings struct {
	account account
	work    string // the working directory
	levels  string // the levels file
	port    int    // 0 is none
	lookup  func(string) (string, bool)
}

// environment is all that an instance's program finds in its environment:
// nothing of the server's but PATH, LANG and TZ, then what the app declared,
// then the contract, which nothing overrides.
func environment(s engine.Spec, at surroundings) map[string]string {
	env := map[string]string{
		"HOME":   at.account.home,
		"USER":   at.account.name,
		"PATH":   defaultPath,
		"LANG":   "C.UTF-8",
		"TMPDIR": os.TempDir(),
		"PWD":    at.work,
	}
	for _, name := range []string{"PATH", "LANG", "TZ"} {
		if value, ok := at.lookup(name); ok && value != "" {
			env[name] = value
		}
	}
	maps.Copy(env, s.Env)
	env["PITWALL_APP"] = s.Owner
	env["PITWALL_PROCESS"] = s.Process
	env["PITWALL_INDEX"] = strconv.Itoa(s.Index)
	env["PITWALL_INSTANCE"] = s.ID
	if at.port != 0 {
		env["PORT"] = strconv.Itoa(at.port)
	}
	if s.Levels {
		env["PITWALL_LOGGERS"] = at.levels
	}
	return env
}

// environ is env as exec wants it, sorted.
func environ(env map[string]string) []string {
	out := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		out = append(out, name+"="+env[name])
	}
	return out
}

// lookupEnv finds a variable in what environ returned.
func lookupEnv(environ []string, name string) (string, bool) {
	for _, line := range environ {
		if n, value, ok := strings.Cut(line, "="); ok && n == name {
			return value, true
		}
	}
	return "", false
}

// hashEnv tells two environments apart without showing either. A keeper makes
// the same of the same environment.
func hashEnv(environ []string) string {
	sum := sha256.Sum256([]byte(strings.Join(environ, "\x00")))
	return hex.EncodeToString(sum[:6])
}
