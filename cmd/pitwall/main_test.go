package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// binary is the real program, built once for all tests of this package.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pitwall-bin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binary = filepath.Join(dir, "pitwall")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build pitwall: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// patience bounds every wait of these tests; it is long because machines are
// shared, and nothing passes or fails by it but a hang.
const patience = 60 * time.Second

// TestScripts runs the stories of testdata/script on the real binary.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// A state folder of its own, on a path short enough to read.
			state := filepath.Join(env.WorkDir, "state")
			env.Setenv("PITWALL_STATE", state)
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
			env.Setenv("EDGE", freeAddress(t))
			env.Setenv("TCP", freeAddress(t))
			env.Defer(func() { endServer(state) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"eventually": eventually,
			"subst":      subst,
			"fetch":      fetch,
		},
		RequireExplicitExec: true,
	})
}

// endServer ends a state folder's server and all that it runs.
func endServer(state string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "down", "--apps", "--yes", "--state", state)
	cmd.Env = []string{"HOME=" + state, "PATH=" + os.Getenv("PATH")}
	_ = cmd.Run() // there may be none
}

// eventually runs a command again and again until its standard output matches:
// eventually PATTERN COMMAND ARG...
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN COMMAND ARG...")
	}
	want := regexp.MustCompile(args[0])
	deadline := time.Now().Add(patience)
	for {
		name := args[1]
		if name == "pitwall" {
			name = binary
		}
		cmd := exec.Command(name, args[2:]...)
		cmd.Dir = ts.MkAbs(".")
		cmd.Env = scriptEnv(ts)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, _ := cmd.Output() // a failure shows by what it does not print
		if want.Match(out) != neg {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%v never printed what matches %q, but\n%s%s", args[1:], args[0], out, stderr.String())
		}
		time.Sleep(50 * time.Millisecond) // a poll, not a synchronisation
	}
}

func scriptEnv(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"PITWALL_STATE", "HOME", "PATH", "EDGE", "TCP", "PITWALL_SERVER", "PITWALL_TOKEN"} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// subst replaces $NAME in files by the script's variables: subst FILE...
func subst(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		body := os.Expand(ts.ReadFile(name), func(key string) string {
			if v := ts.Getenv(key); v != "" {
				return v
			}
			return "$" + key
		})
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(body), 0o644))
	}
}
