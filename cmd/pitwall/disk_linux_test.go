package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"pitwall/backend"
)

// What a full disk does: the log degrades and says so, programs run on.

// writing prints numbered lines of a kilobyte and tells beside the full disk
// how far it is, so that one that blocks is seen.
const writing = `
apps:
  writes:
    processes:
      main:
        command: "i=0; while :; do i=$((i+1)); echo line $i FILL; if [ $((i%100)) = 0 ]; then echo $i > DIR/progress.tmp; mv DIR/progress.tmp DIR/progress; fi; if [ -e DIR/slow ]; then sleep 0.01; fi; done"
        restart: {policy: never}
  quiet:
    processes:
      main:
        command: "while :; do echo still here; sleep 0.2; done"
        restart: {policy: never}
`

// diskSize is room for the database and some seconds of a paced program.
const diskSize = "48m"

// smallDisk mounts a small file system of its own on a folder of the state.
func (p *pit) smallDisk(dir string) {
	p.t.Helper()
	if os.Getuid() != 0 {
		p.t.Skip("SKIPPED, LOUDLY: ONLY ROOT CAN MOUNT A SMALL DISK, SO NO DISK WAS FILLED")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := syscall.Mount("pitwall-test", dir, "tmpfs", 0, "mode=0700,size="+diskSize); err != nil {
		p.t.Skipf("SKIPPED, LOUDLY: A SMALL DISK COULD NOT BE MOUNTED (%v), SO NO DISK WAS FILLED", err)
	}
	p.t.Cleanup(func() {
		endServer(p.state) // it holds files there
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			p.t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

// fill takes all room of a folder's disk with one file, down to the last byte.
func fill(t *testing.T, dir string) (ballast string) {
	t.Helper()
	ballast = filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return ballast
}

// progress is the line that the writing program has reached.
func (p *pit) progress() int {
	raw, err := os.ReadFile(filepath.Join(p.dir, "progress"))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(raw)))
	return n
}

func TestFullLogDiskHoldsUpNobody(t *testing.T) {
	p := newPit(t)
	logs := filepath.Join(p.state, instancesDir)
	p.smallDisk(logs)
	p.write("slow", "")
	p.serve()
	p.apply(strings.NewReplacer("DIR", p.dir, "FILL", strings.Repeat("x", 1000)).Replace(writing))
	p.ready("writes", 1)
	p.ready("quiet", 1)
	writes, quiet := p.instance1("writes"), p.instance1("quiet")
	p.until("the program writes", func() bool { return p.progress() > 0 })

	ballast := fill(t, logs)
	// Unpaced, it fills its pipe, 1 MiB, many times over.
	if err := os.Remove(filepath.Join(p.dir, "slow")); err != nil {
		t.Fatal(err)
	}
	from := p.progress()
	p.until("the program runs on while nothing is stored", func() bool { return p.progress() > from+8000 })
	p.until("an event says that the log takes no more", func() bool {
		return strings.Contains(p.run("events", "writes"), "takes no more")
	})
	p.run("block", "quiet", "--wait") // the server acts as ever
	p.write("slow", "")
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	p.until("an event says that the log goes on", func() bool {
		return strings.Contains(p.run("events", "writes"), "goes on")
	})
	reached := p.progress()
	p.until("lines written after the disk had room are stored", func() bool {
		lines, _ := p.gappy("writes")
		return len(lines) > 0 && lines[len(lines)-1] > reached+200
	})
	lines, gaps := p.gappy("writes")
	ascending(t, lines)
	if len(gaps) == 0 {
		t.Error("lines were dropped and no gap is told of")
	}
	for _, g := range gaps {
		if g.Reason != "disk full" || g.Bytes == 0 {
			t.Errorf("the gap %+v does not say how much is missing because the disk was full", g)
		}
	}
	for _, was := range []backend.Instance{writes, quiet} {
		if now := p.instance1(was.App); now.PID != was.PID || now.Run != was.Run || now.State != backend.InstanceRunning {
			t.Errorf("%s after a full disk: pid %d run %d %s, want %d %d running", was.App, now.PID, now.Run, now.State, was.PID, was.Run)
		}
	}
}

func TestFullStateDiskRefusesAndRecovers(t *testing.T) {
	p := newPit(t)
	p.smallDisk(p.state)
	p.write("slow", "")
	p.serve()
	p.apply(strings.NewReplacer("DIR", p.dir, "FILL", "x").Replace(writing))
	p.ready("writes", 1)
	p.ready("quiet", 1)
	before := p.instance1("quiet")
	ballast := fill(t, p.state)
	refused := false
	p.until("an action is refused with a reason", func() bool {
		_, errs, err := p.try("restart", "quiet", "--wait", "--timeout", "20s", "--reason", strings.Repeat("why ", 1000))
		refused = err != nil
		if err != nil && !regexp.MustCompile(`(?i)disk.*full|full.*disk|no space`).MatchString(errs) {
			t.Fatalf("an action on a full disk failed without saying why: %q", errs)
		}
		return refused
	})
	if in := p.instance1("quiet"); in.PID != before.PID || in.State != backend.InstanceRunning {
		t.Errorf("after a refused action quiet has pid %d and is %s, want %d running", in.PID, in.State, before.PID)
	}
	from := p.progress()
	p.until("the program runs on", func() bool { return p.progress() > from })
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	p.until("an action works again", func() bool {
		_, _, err := p.try("restart", "quiet", "--wait", "--timeout", "20s")
		return err == nil
	})
	if after := p.instance1("quiet"); after.PID == before.PID {
		t.Errorf("restart left pid %d", after.PID)
	}
}

var (
	wholeLine = regexp.MustCompile(`^line (\d+) x+$`)
	// A line that a gap cut, at either end.
	cutLine = regexp.MustCompile(`^[line 0-9]*x*$`)
)

// gappy reads the numbers of the whole lines of the writing program, and the
// gaps between them.
func (p *pit) gappy(app string) (lines []int, gaps []backend.LogGap) {
	p.t.Helper()
	for row := range strings.Lines(p.run("logs", app, "-n", "0", "-o", "json")) {
		var e struct {
			logLine
			Gap *backend.LogGap `json:"gap"`
		}
		if err := json.Unmarshal([]byte(row), &e); err != nil {
			p.t.Fatalf("logs printed what is not JSON: %v\n%s", err, row)
		}
		if e.Gap != nil {
			gaps = append(gaps, *e.Gap)
			continue
		}
		m := wholeLine.FindStringSubmatch(e.Text)
		if m == nil {
			if !cutLine.MatchString(e.Text) {
				p.t.Fatalf("line %d is %q, which nobody wrote", e.Seq, fmt.Sprintf("%.80s", e.Text))
			}
			continue
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			p.t.Fatal(err)
		}
		lines = append(lines, n)
	}
	return lines, gaps
}

// ascending checks that no line came twice or out of order.
func ascending(t *testing.T, lines []int) {
	t.Helper()
	for i := 1; i < len(lines); i++ {
		if lines[i] <= lines[i-1] {
			t.Fatalf("line %d is stored after line %d", lines[i], lines[i-1])
		}
	}
}
