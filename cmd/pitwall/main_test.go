package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
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
			"exits":      exits,
			"fields":     fields,
			"capture":    capture,
			"mode":       mode,
			"next":       next,
			"longest":    longest,
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

// exits runs the program and checks its exit code: exits CODE pitwall ARG...
// Its output is at hand as that of exec.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: exits CODE pitwall ARG...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got := strconv.Itoa(code); got != args[0] {
		ts.Fatalf("%v exited with %s, want %s\n%s%s", args[1:], got, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// fields checks that every JSON object on standard output, alone on a line or
// in an array, has what scripts rely on: fields NAME..., where NAME=[] is a
// list and never null.
func fields(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 || neg {
		ts.Fatalf("usage: fields NAME...")
	}
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	checked := 0
	for dec.More() {
		var v any
		ts.Check(dec.Decode(&v))
		objects, isList := v.([]any)
		if !isList {
			objects = []any{v}
		}
		for _, o := range objects {
			checkFields(ts, o.(map[string]any), args)
			checked++
		}
	}
	if checked == 0 {
		ts.Fatalf("standard output has no object")
	}
}

func checkFields(ts *testscript.TestScript, object map[string]any, want []string) {
	for _, name := range want {
		name, isList := strings.CutSuffix(name, "=[]")
		v, there := object[name]
		if !there {
			ts.Fatalf("%q is not in %v", name, object)
		}
		if _, ok := v.([]any); isList && !ok {
			ts.Fatalf("%q is %v, want a list", name, v)
		}
	}
}

// capture keeps what a pattern's group matches in standard output:
// capture NAME PATTERN
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: capture NAME PATTERN")
	}
	m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) < 2 {
		ts.Fatalf("nothing matches %q", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// next checks that the first line on standard output, in JSON, has the
// sequence number after one: next SEQ
func next(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: next SEQ")
	}
	last, err := strconv.ParseUint(args[0], 10, 64)
	ts.Check(err)
	var line struct {
		Seq uint64 `json:"seq"`
	}
	ts.Check(json.NewDecoder(strings.NewReader(ts.ReadFile("stdout"))).Decode(&line))
	if line.Seq != last+1 {
		ts.Fatalf("line %d comes after line %d", line.Seq, last)
	}
}

// mode checks the permissions of files: mode OCTAL FILE...
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: mode OCTAL FILE...")
	}
	for _, name := range args[1:] {
		st, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := fmt.Sprintf("%o", st.Mode().Perm()); got != args[0] {
			ts.Fatalf("%s has mode %s, want %s", name, got, args[0])
		}
	}
}

// longest checks that no line of standard output is longer: longest COLUMNS
func longest(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: longest COLUMNS")
	}
	most, err := strconv.Atoi(args[0])
	ts.Check(err)
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if n := ansi.StringWidth(strings.TrimRight(line, "\n")); n > most {
			ts.Fatalf("%d columns: %s", n, line)
		}
	}
}
