package main

import (
	"bufio"
	"bytes"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"pitwall/backend"
)

// million is the number of lines that one program writes at once.
const million = 1_000_000

// A program writes a million lines as fast as it can. The server is killed
// among them, and the last part is written with none there.
func TestMillionLinesSurviveAKilledServer(t *testing.T) {
	p := newPit(t)
	first := p.serve()
	p.apply(`
apps:
  million:
    processes:
      main:
        command: "cd ` + p.dir + `; until [ -e go ]; do sleep 0.01; done; seq -f 'line %.0f of a million, written at once' 1 400000; touch half; seq -f 'line %.0f of a million, written at once' 400001 700000; until [ -e killed ]; do sleep 0.01; done; seq -f 'line %.0f of a million, written at once' 700001 1000000"
        restart: {policy: never}
`)
	p.ready("million", 1)
	p.write("go", "")
	p.until("half is written", func() bool { return exists(filepath.Join(p.dir, "half")) })
	if err := first.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	p.write("killed", "")
	p.serve()
	p.until("the program has ended", func() bool {
		runs := read[[]backend.Run](p, "runs", "million")
		return len(runs) == 1 && runs[0].State == backend.RunSucceeded
	})
	var n int
	p.until("all is read in", func() bool {
		n = p.stream("million", "line ", " of a million, written at once")
		return n >= million
	})
	if n != million {
		t.Errorf("%d lines are stored, want %d", n, million)
	}
}

// stream reads an app's whole log without keeping it. It checks that the
// numbers in the texts and the sequences both count from 1, and returns the
// last.
func (p *pit) stream(app, before, after string) int {
	p.t.Helper()
	cmd := exec.Command(binary, "--state", p.state, "logs", app, "-n", "0", "-o", "json")
	cmd.Env = []string{"HOME=" + p.dir}
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	defer func() {
		if err := cmd.Wait(); err != nil {
			p.t.Errorf("logs %s: %v\n%s", app, err, errs.String())
		}
	}()
	n := 0
	for rows := bufio.NewScanner(out); rows.Scan(); {
		n++
		seq := between(rows.Bytes(), `{"seq":`, `,`)
		text := between(rows.Bytes(), `"text":"`, `"`)
		want := before + strconv.Itoa(n) + after
		if string(seq) != strconv.Itoa(n) || string(text) != want {
			_ = cmd.Process.Kill() // nobody reads on
			p.t.Fatalf("entry %d of the log is %s, want sequence %d and %q", n, rows.Bytes(), n, want)
		}
	}
	return n
}

// between is what lies between two markers; nil when one is not there.
func between(b []byte, from, to string) []byte {
	_, rest, ok := bytes.Cut(b, []byte(from))
	if !ok {
		return nil
	}
	found, _, ok := bytes.Cut(rest, []byte(to))
	if !ok {
		return nil
	}
	return found
}
