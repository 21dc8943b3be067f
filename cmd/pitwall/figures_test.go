//go:build figures

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"pitwall/api"
	"pitwall/backend"
	"pitwall/backend/backendtest"
	"pitwall/backend/remote"
)

// TestFigures measures every promised figure and prints one table, each beside
// its bound and, where there is one, a rival that was measured in between. It
// fails for what cannot be measured, never for a figure: those are read.
func TestFigures(t *testing.T) {
	var rows figures
	defer func() { rows.print(os.Stdout) }()
	dir := t.TempDir()
	release := filepath.Join(dir, "pitwall")
	build(t, release, ".", "-trimpath", "-ldflags=-s -w")
	hello := filepath.Join(dir, "hello")
	build(t, hello, "./testdata/hello", "-trimpath", "-ldflags=-s -w")
	binary = release

	// What must be a minute old when its turn comes is started first.
	quiet := newQuiet(t)
	for _, f := range []struct {
		name    string
		measure func(*testing.T) []figure
	}{
		{"Binary", binarySize},
		{"Commands", commandTimes},
		{"FirstFrame", func(t *testing.T) []figure { return firstFrames(t, hello, quiet) }},
		{"ColdStart", coldStart},
		{"Attach", attachToMany},
		{"Keeper", func(t *testing.T) []figure { return keeperMemory(t, quiet) }},
		{"Kick", kickTime},
		{"Million", millionLines},
		{"Capture", captureRate},
		{"Idle", func(t *testing.T) []figure { return idle(t, quiet) }},
		{"Adoption", adoption},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					rows = append(rows, figure{what: f.name, bound: "-", rival: "NOT MEASURED, see above"})
				}
			})
			rows = append(rows, f.measure(t)...)
		})
	}
}

// figure is a row of the table. The median of its values is what counts.
type figure struct {
	what   string
	values []float64
	unit   string
	limit  float64 // the promise; 0 is none
	least  bool    // the promise is a lower bound
	bound  string  // the promise in words
	rival  string
}

type figures []figure

func (fs figures) print(out io.Writer) {
	fmt.Fprintf(out, "\n%s\n", machine())
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FIGURE\tMEDIAN\tMIN..MAX\tBOUND\t\tBESIDE IT")
	for _, f := range fs {
		if len(f.values) == 0 {
			fmt.Fprintf(w, "%s\t-\t-\t%s\t-\t%s\n", f.what, f.bound, f.rival)
			continue
		}
		v := slices.Sorted(slices.Values(f.values))
		median := middle(v)
		verdict := "within"
		switch {
		case f.limit == 0 && f.bound == "":
			verdict = ""
		case f.least && median < f.limit, !f.least && median > f.limit:
			verdict = "OVER"
		}
		spread := fmt.Sprintf("%s..%s (n=%d)", number(v[0]), number(v[len(v)-1]), len(v))
		if len(v) == 1 {
			spread = "(n=1)"
		}
		fmt.Fprintf(w, "%s\t%s %s\t%s\t%s\t%s\t%s\n", f.what, number(median), f.unit, spread, f.bound, verdict, f.rival)
	}
	w.Flush()
}

func middle(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func median(v []float64) float64 { return middle(slices.Sorted(slices.Values(v))) }

func number(v float64) string {
	switch {
	case v == float64(int64(v)) || v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 1:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// machine is what the figures were measured on.
func machine() string {
	model := "processor unknown"
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("%s, %d cores, %s %s, %s, load %s", model, runtime.NumCPU(), runtime.GOOS, strings.TrimSpace(string(kernel)), runtime.Version(), first)
}

func build(t *testing.T, out, pkg string, flags ...string) {
	t.Helper()
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", out, pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, text)
	}
}

func binarySize(t *testing.T) []figure {
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	return []figure{{what: "binary, stripped", values: []float64{float64(info.Size()) / 1e6}, unit: "MB", limit: 40, bound: "< 40 MB"}}
}

func commandTimes(t *testing.T) []figure {
	var version, help, rival []float64
	timed := func(name string, args ...string) float64 {
		cmd := exec.Command(name, args...)
		cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
		began := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return ms(time.Since(began))
	}
	for range 15 {
		rival = append(rival, timed("/bin/sh", "-c", ":"))
		version = append(version, timed(binary, "version"))
		help = append(help, timed(binary, "--help"))
	}
	beside := fmt.Sprintf("sh -c : %s ms", number(median(rival)))
	return []figure{
		{what: "pitwall version", values: version, unit: "ms", limit: 30, bound: "<= 30 ms", rival: beside},
		{what: "pitwall --help", values: help, unit: "ms", limit: 30, bound: "<= 30 ms", rival: beside},
	}
}

// newQuiet is a server that runs three programs that do nothing.
func newQuiet(t *testing.T) *pit {
	p := newPit(t)
	p.serve("--http", freeAddress(t))
	p.apply(`
apps:
  still: {processes: {main: {command: ["sleep", "100000"], instances: 3}}}
`)
	p.ready("still", 3)
	return p
}

func firstFrames(t *testing.T, hello string, quiet *pit) []figure {
	var attached, alone, bare []float64
	anything := func(text string) bool { return strings.TrimSpace(text) != "" }
	for range 9 {
		bare = append(bare, ms(showing(t, size80, anything, hello)))
		attached = append(attached, ms(showing(t, size80, anything, binary, "--state", quiet.state)))
		fresh := filepath.Join(t.TempDir(), "state")
		alone = append(alone, ms(showing(t, size80, anything, binary, "--state", fresh, "--http", freeAddress(t))))
	}
	beside := fmt.Sprintf("bare Bubble Tea %s ms", number(median(bare)))
	return []figure{
		{what: "first frame, attached", values: attached, unit: "ms", limit: 60, bound: "<= 60 ms", rival: beside},
		{what: "first frame, in-process", values: alone, unit: "ms", limit: 60, bound: "<= 60 ms", rival: beside},
	}
}

// manyApps is how many are declared for a cold start.
const manyApps = 1000

// row is what a row of a list in these tests starts with; nothing else on a
// screen does.
const row = "svc"

func coldStart(t *testing.T) []figure {
	p := newPit(t)
	server := p.serve("--http", freeAddress(t))
	var m strings.Builder
	m.WriteString("apps:\n")
	for i := range manyApps {
		fmt.Fprintf(&m, "  %s-%d: {processes: {main: {command: [\"sleep\", \"100000\"], instances: 0}}}\n", row, i)
	}
	p.run("apply", "-f", p.write("many.yaml", m.String()), "--wait")
	p.run("down")
	_ = server.Wait()
	var cold []float64
	for range 5 {
		cold = append(cold, ms(showing(t, size120, hasRow, binary, "--state", p.state, "--http", freeAddress(t))))
	}
	return []figure{{what: "cold start to the list, 1,000 apps", values: cold, unit: "ms", limit: 300, bound: "<= 300 ms"}}
}

func hasRow(text string) bool { return strings.Contains(text, row) }

// The many instances of a large server, in as many apps as fit a page or two.
const (
	manyInstances  = 10_000
	instancesAnApp = 100
)

func attachToMany(t *testing.T) []figure {
	fake := backendtest.NewFake()
	fake.Buffer(1 << 20)
	for a := range manyInstances / instancesAnApp {
		name := fmt.Sprintf("%s-%d", row, a)
		fake.AddApp(backend.App{Name: name, Instances: instancesAnApp})
		for i := range instancesAnApp {
			fake.AddInstance(backend.Instance{App: name, Index: i})
		}
	}
	fake.Compact()
	socket := filepath.Join(shortDir(t), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: api.New(api.Config{Backend: fake, Version: version()}), ConnContext: api.ConnContext}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })

	var first, rss []float64
	for range 5 {
		s := start(t, size120, binary, "--server", "unix:"+socket)
		first = append(first, ms(s.shows(hasRow)))
		s.send(":instances\r")
		s.shows(func(text string) bool {
			return strings.Contains(text, row+"-0-main-") || strings.Contains(text, "main.0")
		})
		s.settle()
		rss = append(rss, float64(status(t, s.cmd.Process.Pid, "VmRSS"))/1e6)
		s.end()
	}
	return []figure{
		{what: "attach to 10,000 instances, first rows", values: first, unit: "ms", limit: 300, bound: "<= 300 ms"},
		{what: "console RSS on 10,000 instances", values: rss, unit: "MB", limit: 100, bound: "< 100 MB"},
	}
}

func keeperMemory(t *testing.T, quiet *pit) []figure {
	var private []float64
	for _, in := range read[[]backend.Instance](quiet, "instances", "still") {
		private = append(private, float64(privateBytes(t, parent(t, in.PID)))/(1<<20))
	}
	return []figure{{what: "keeper, private memory", values: private, unit: "MiB", limit: 6, bound: "<= 6 MiB"}}
}

// privateBytes is the memory that a process shares with no other.
func privateBytes(t *testing.T, pid int) int64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes(t, string(raw), "Private_Clean") + kilobytes(t, string(raw), "Private_Dirty")
}

// status is a size in /proc/PID/status, in bytes.
func status(t *testing.T, pid int, field string) int64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes(t, string(raw), field)
}

func kilobytes(t *testing.T, text, field string) int64 {
	t.Helper()
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("%s is not told", field)
	return 0
}

// manyConnections are open when an app is kicked.
const manyConnections = 1000

func kickTime(t *testing.T) []figure {
	p := newPit(t)
	p.serve("--http", freeAddress(t))
	route := freeAddress(t)
	p.apply(strings.NewReplacer("BINARY", binary, "ROUTE", route).Replace(`
apps:
  chat:
    processes: {main: {command: ["BINARY", "demo", "chat"], instances: 2, ready: {tcp: true, interval: 200ms}}}
    routes: [{tcp: ROUTE}]
`))
	p.ready("chat", 2)
	b, err := remote.Dial(t.Context(), remote.Config{URL: "unix:" + filepath.Join(p.state, socketFile)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	id := p.state1("chat").ID
	var took []float64
	for range 5 {
		var all sync.WaitGroup
		ends := make([]time.Time, manyConnections)
		for i := range manyConnections {
			conn, err := net.Dial("tcp", route)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			all.Go(func() {
				io.Copy(io.Discard, conn)
				ends[i] = time.Now()
			})
		}
		p.until("all connections are counted", func() bool { return p.state1("chat").Connections == manyConnections })
		began := time.Now()
		if _, err := b.Do(t.Context(), backend.Kick{App: id}); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		took = append(took, ms(slices.MaxFunc(ends, time.Time.Compare).Sub(began)))
		p.run("attach", "chat", "--wait")
	}
	return []figure{{what: "kick, to the last of 1,000 connections", values: took, unit: "ms", limit: 100, bound: "<= 100 ms"}}
}

func millionLines(t *testing.T) []figure {
	p := newPit(t)
	p.serve("--http", freeAddress(t))
	const before, after = "line ", " of a million, written at once by one child"
	command := fmt.Sprintf("s=$(date +%%s%%N); seq -f '%s%%.0f%s' 1 %d; e=$(date +%%s%%N); echo $((e-s)) > NAME", before, after, million)
	var wrote, back []float64
	for i := range 2 {
		job := fmt.Sprintf("million-%d", i)
		took := filepath.Join(p.dir, job)
		p.apply("jobs:\n  " + job + ": {command: \"" + strings.Replace(command, "NAME", took, 1) + "\"}\n")
		p.run("run", job, "--wait")
		wrote = append(wrote, million/nanoseconds(t, took).Seconds()/1e6)
		began := time.Now()
		if n := p.stream(job, before, after); n != million {
			t.Fatalf("%d lines are stored, want %d", n, million)
		}
		back = append(back, million/time.Since(began).Seconds()/1e6)
	}
	return []figure{
		{what: "a million lines at once: none lost, doubled or moved", values: wrote, unit: "M lines/s", least: true, bound: "all", rival: "as the child sees it"},
		{what: "  read back with logs -o json", values: back, unit: "M lines/s"},
	}
}

// nanoseconds is what a command wrote of how long it took.
func nanoseconds(t *testing.T, file string) time.Duration {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n)
}

// captured is how much one child writes, and sourceSize the file that it
// writes again and again.
const (
	captured   = 512 << 20
	sourceSize = 64 << 20
)

func captureRate(t *testing.T) []figure {
	p := newPit(t)
	p.serve("--http", freeAddress(t))
	line := `2026-03-01T14:00:00Z INFO request method=GET path=/cart/41 status=200 bytes=5120 took=12ms request=4f1c2a9be0d34c55 user=8812` + "\n"
	source := p.write("source", strings.Repeat(line, sourceSize/len(line)))
	size := int64(sourceSize / len(line) * len(line) * (captured / sourceSize))
	writer := "s=$(date +%s%N); cat" + strings.Repeat(" "+source, captured/sourceSize) + "; e=$(date +%s%N); echo $((e-s)) > TOOK"
	rate := func(file string) float64 { return float64(size) / 1e6 / nanoseconds(t, file).Seconds() }
	var ours, cat []float64
	for i := range 3 {
		took := filepath.Join(p.dir, fmt.Sprintf("cat-%d", i))
		out := filepath.Join(p.dir, "captured")
		if text, err := exec.Command("/bin/sh", "-c", "{ "+strings.Replace(writer, "TOOK", took, 1)+"; } | cat > "+out).CombinedOutput(); err != nil {
			t.Fatalf("cat: %v\n%s", err, text)
		}
		cat = append(cat, rate(took))
		if err := os.Remove(out); err != nil {
			t.Fatal(err)
		}
		job := fmt.Sprintf("capture-%d", i)
		took = filepath.Join(p.dir, job)
		p.apply("jobs:\n  " + job + ": {command: \"" + strings.Replace(writer, "TOOK", took, 1) + "\"}\n")
		p.run("run", job, "--wait")
		ours = append(ours, rate(took))
		p.run("delete", job, "--yes", "--wait")
	}
	return []figure{{
		what: "capture from one child, 512 MiB", values: ours, unit: "MB/s", limit: 0.8 * median(cat), least: true,
		bound: ">= 0.8x cat", rival: fmt.Sprintf("cat > file %s MB/s, ratio %s", number(median(cat)), number(median(ours)/median(cat))),
	}}
}

// watched is how long an idle console is looked at.
const watched = 20 * time.Second

func idle(t *testing.T, quiet *pit) []figure {
	s := start(t, size120, binary, "--state", quiet.state)
	s.shows(func(text string) bool { return strings.Contains(text, "still") })
	// Ages move once a minute, so the window lies between two minutes.
	since := quiet.state1("still").Since
	into := func() time.Duration { return time.Since(since) % time.Minute }
	for time.Since(since) < time.Minute+5*time.Second || into() < 5*time.Second || into() > time.Minute-watched-5*time.Second {
		time.Sleep(100 * time.Millisecond)
	}
	bytes, used := s.read(), cpuTime(t, s.cmd.Process.Pid)
	time.Sleep(watched) // the measurement
	bytes, used = s.read()-bytes, cpuTime(t, s.cmd.Process.Pid)-used
	s.end()
	return []figure{
		{what: "idle console, 20 s", values: []float64{100 * used.Seconds() / watched.Seconds()}, unit: "% of a core", limit: 0.5, bound: "< 0.5 %"},
		{what: "idle console, written to the terminal", values: []float64{float64(bytes)}, unit: "bytes", bound: "0"},
	}
}

// cpuTime is what a process has used of processors.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(raw)[strings.LastIndexByte(string(raw), ')')+1:])
	ticks := 0
	for _, f := range fields[11:13] { // user and system, of which 100 are a second
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// manyKept is how many instances a new server adopts.
const manyKept = 1000

func adoption(t *testing.T) []figure {
	p := newPit(t)
	t.Cleanup(p.reap)
	server := p.serve("--http", freeAddress(t))
	began := time.Now()
	p.apply(fmt.Sprintf(`
apps:
  many: {processes: {main: {command: ["sleep", "100000"], instances: %d}}}
`, manyKept))
	for deadline := began.Add(3 * time.Minute); p.state1("many").Ready < manyKept; time.Sleep(time.Second) {
		if time.Now().After(deadline) { // a poll so slow that it takes nothing from the start
			t.Fatalf("%d of %d instances are ready after three minutes", p.state1("many").Ready, manyKept)
		}
	}
	started := []float64{manyKept / time.Since(began).Seconds()}
	before := p.pids("many")
	var took []float64
	for range 3 {
		if err := server.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = server.Wait()
		began = time.Now()
		server = p.serve("--http", freeAddress(t))
		all := len(p.adopted("many", before))
		took = append(took, time.Since(began).Seconds())
		if all != manyKept {
			t.Fatalf("%d of %d instances were adopted", all, manyKept)
		}
	}
	return []figure{
		{what: "start of 1,000 instances", values: started, unit: "a second"},
		{what: "start of a server to 1,000 adopted", values: took, unit: "s", limit: 2, bound: "<= 2 s"},
	}
}

// reap ends what a failed test left running: the processes whose working
// folder lies in the state, each by its pid.
func (p *pit) reap() {
	endServer(p.state)
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		dir, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(dir, p.state+"/") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil {
			p.t.Logf("process %d in %s was left", pid, dir)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// adopted lists the ready instances with one of those pids.
func (p *pit) adopted(app string, pids map[int]bool) []backend.Instance {
	var kept []backend.Instance
	for _, in := range read[[]backend.Instance](p, "instances", app) {
		if pids[in.PID] && in.State == backend.InstanceRunning {
			kept = append(kept, in)
		}
	}
	return kept
}

// shortDir is a folder with a path that fits a socket's address.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
