package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pitwall/backend"
)

// pit is a state folder with the real binary around it.
type pit struct {
	t     *testing.T
	state string
	dir   string
}

func newPit(t *testing.T) *pit {
	state := shortState(t)
	return &pit{t: t, state: state, dir: filepath.Dir(state)}
}

// try runs a command line and returns what it printed.
func (p *pit) try(args ...string) (stdout, stderr string, err error) {
	cmd := exec.Command(binary, append([]string{"--state", p.state}, args...)...)
	cmd.Env = []string{"HOME=" + p.dir, "PATH=" + os.Getenv("PATH")}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// run is try that must work.
func (p *pit) run(args ...string) string {
	p.t.Helper()
	out, errs, err := p.try(args...)
	if err != nil {
		p.t.Fatalf("pitwall %v: %v\n%s%s", args, err, out, errs)
	}
	return out
}

// read decodes what a command prints as JSON.
func read[T any](p *pit, args ...string) T {
	p.t.Helper()
	var v T
	out := p.run(append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		p.t.Fatalf("pitwall %v printed what is not JSON: %v\n%s", args, err, out)
	}
	return v
}

// until polls with a deadline.
func (p *pit) until(what string, ok func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			out, errs, _ := p.try("apps", "-o", "wide")
			more, _, _ := p.try("instances")
			log, _ := os.ReadFile(filepath.Join(p.state, serverLog))
			p.t.Fatalf("it never came to pass that %s\n%s%s%s%s", what, out, errs, more, log)
		}
		time.Sleep(30 * time.Millisecond) // a poll, not a synchronisation
	}
}

// serve starts a server of its own process and waits until it is ready.
func (p *pit) serve(args ...string) *exec.Cmd {
	p.t.Helper()
	cmd := exec.Command(binary, append([]string{"serve", "--state", p.state}, args...)...)
	cmd.Env = []string{"HOME=" + p.dir, "PATH=" + os.Getenv("PATH")}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ready := make(chan bool, 1)
	go func() {
		var tail []string
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if strings.Contains(lines.Text(), "msg=ready") {
				ready <- true
			}
			tail = append(tail, lines.Text())
		}
		select {
		case ready <- false:
			p.t.Logf("the server said: %s", strings.Join(tail, "\n"))
		default:
		}
	}()
	select {
	case ok := <-ready:
		if !ok {
			p.t.Fatal("the server ended before it was ready")
		}
	case <-time.After(patience):
		p.t.Fatal("the server was never ready")
	}
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended in most tests
		_ = cmd.Wait()
	})
	return cmd
}

func (p *pit) write(name, body string) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
		p.t.Fatal(err)
	}
	return path
}

func (p *pit) apply(body string) {
	p.t.Helper()
	p.run("apply", "-f", p.write("pitwall.yaml", body))
}

func (p *pit) state1(app string) backend.App {
	p.t.Helper()
	apps := read[[]backend.App](p, "apps", app)
	return apps[0]
}

func (p *pit) instance1(app string) backend.Instance {
	p.t.Helper()
	list := read[[]backend.Instance](p, "instances", app)
	if len(list) == 0 {
		p.t.Fatalf("%s has no instance", app)
	}
	return list[0]
}

// lines reads an app's whole log and checks that each instance's numbers have
// no gap that is not told of, and no repeat.
func (p *pit) lines(app string) []logLine {
	p.t.Helper()
	out := p.run("logs", app, "-n", "0", "-o", "json")
	var lines []logLine
	last := map[string]uint64{}
	for row := range strings.Lines(out) {
		var e struct {
			logLine
			Gap *backend.LogGap `json:"gap"`
		}
		if err := json.Unmarshal([]byte(row), &e); err != nil {
			p.t.Fatalf("logs printed what is not JSON: %v\n%s", err, row)
		}
		if e.Gap != nil {
			p.t.Fatalf("%s has a gap: %s", app, row)
		}
		if want := last[e.Instance] + 1; last[e.Instance] != 0 && e.Seq < want {
			p.t.Fatalf("%s has number %d again", e.Instance, e.Seq)
		}
		last[e.Instance] = e.Seq
		lines = append(lines, e.logLine)
	}
	return lines
}

const counting = `
apps:
  count:
    processes:
      main:
        command: "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); echo line $i; sleep 0.01; done"
  ends:
    processes:
      main:
        command: "while [ ! -e end-now ]; do sleep 0.05; done; echo bye; exit 7"
        dir: DIR
        restart: {policy: never}
`

// counted checks that a log has line 1 to line n, each once and in order.
func (p *pit) counted(lines []logLine) int {
	p.t.Helper()
	for i, l := range lines {
		if want := fmt.Sprintf("line %d", i+1); l.Text != want {
			p.t.Fatalf("line %d of the log is %q, want %q", i+1, l.Text, want)
		}
	}
	return len(lines)
}

func TestKilledServerLosesNothing(t *testing.T) {
	p := newPit(t)
	first := p.serve()
	p.apply(strings.ReplaceAll(counting, "DIR", p.dir))
	p.until("count runs", func() bool { return p.state1("count").State == backend.AppRunning })
	before, ends := p.instance1("count"), p.instance1("ends")
	if err := first.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	p.write("end-now", "") // one program ends while nobody serves
	p.until("the program ended", func() bool { return syscall.Kill(ends.PID, 0) != nil })

	p.serve()
	after := p.instance1("count")
	if after.PID != before.PID || after.Run != before.Run || after.ID != before.ID {
		t.Errorf("after kill -9 of the server: pid %d run %d id %s, want %d %d %s", after.PID, after.Run, after.ID, before.PID, before.Run, before.ID)
	}
	n := p.counted(p.lines("count"))
	p.until("the log goes on", func() bool { return p.counted(p.lines("count")) > n })
	p.until("the exit code is known", func() bool {
		runs := read[[]backend.Run](p, "runs", "ends")
		return len(runs) == 1 && runs[0].Exit != nil && runs[0].Exit.Code == 7 && !runs[0].Exit.Unknown
	})
}

func TestServeTakesOverFromARunningServer(t *testing.T) {
	p := newPit(t)
	addr, edge := freeAddress(t), freeAddress(t)
	first := p.serve("--listen", addr, "--http", edge)
	p.apply(strings.ReplaceAll(counting, "DIR", p.dir))
	p.until("count runs", func() bool { return p.state1("count").State == backend.AppRunning })
	before := p.instance1("count")
	p.serve("--listen", addr, "--http", edge)
	if err := first.Wait(); err != nil {
		t.Errorf("the server that was taken over from ended with %v", err)
	}
	if after := p.instance1("count"); after.PID != before.PID || after.ID != before.ID {
		t.Errorf("after a take-over: pid %d id %s, want %d %s", after.PID, after.ID, before.PID, before.ID)
	}
	token, err := os.ReadFile(filepath.Join(p.state, tokenFile))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "apps", "--server", "http://"+addr, "-o", "name")
	cmd.Env = []string{"HOME=" + p.dir, "PITWALL_TOKEN=" + strings.TrimSpace(string(token))}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "count") {
		t.Errorf("apps over TCP after a take-over: %v\n%s", err, out)
	}
	p.counted(p.lines("count"))
}

func TestKilledKeeperLeavesItsChildAlive(t *testing.T) {
	p := newPit(t)
	p.serve()
	p.apply(strings.ReplaceAll(counting, "DIR", p.dir))
	p.until("count runs", func() bool { return p.state1("count").State == backend.AppRunning })
	before := p.instance1("count")
	keeper := parent(t, before.PID)
	if name := comm(t, keeper); name != "pitwall" {
		t.Fatalf("the parent of %d is %q, not a keeper", before.PID, name)
	}
	if err := syscall.Kill(keeper, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.until("the keeper is gone", func() bool { return syscall.Kill(keeper, 0) != nil })
	n := p.counted(p.lines("count"))
	p.until("the log goes on", func() bool { return p.counted(p.lines("count")) > n+20 })
	after := p.instance1("count")
	if after.PID != before.PID || after.Run != before.Run {
		t.Errorf("after kill -9 of the keeper: pid %d run %d, want %d %d", after.PID, after.Run, before.PID, before.Run)
	}
	p.run("stop", "count", "--yes", "--wait")
	p.until("the program is gone", func() bool { return syscall.Kill(before.PID, 0) != nil })
}

// parent reads a process's parent from /proc.
func parent(t *testing.T, pid int) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	var state string
	var ppid int
	rest := string(raw)[strings.LastIndexByte(string(raw), ')')+1:]
	if _, err := fmt.Sscan(rest, &state, &ppid); err != nil {
		t.Fatal(err)
	}
	return ppid
}

func comm(t *testing.T, pid int) string {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}
