//go:build linux

package process

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pitwall/backend"
	"pitwall/backend/engine"
	"pitwall/backend/engine/process/keeper"
	"pitwall/backend/engine/process/keeper/proc"
	"pitwall/backend/logstore/segment"
)

// act is what this binary does as another program in a test.
func act(part string, args []string) int {
	switch part {
	case "test-server":
		return serve(args[0])
	case "test-listen":
		l, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println("listening")
		for {
			c, err := l.Accept()
			if err != nil {
				return 1
			}
			c.Close()
		}
	case "test-eat":
		// Four MiB at a time, and no more than a test machine can bear.
		var eaten [][]byte
		for range 128 {
			piece := make([]byte, 4<<20)
			for i := 0; i < len(piece); i += 1024 {
				piece[i] = 1
			}
			eaten = append(eaten, piece)
			time.Sleep(15 * time.Millisecond)
		}
		fmt.Println("full", len(eaten))
		time.Sleep(time.Minute)
		return 0
	}
	return 2
}

// serve is a server with an engine, to be killed: it starts what it reads and
// says so.
func serve(dir string) int {
	e, err := New(context.Background(), Config{Dir: dir, BackoffMin: 20 * time.Millisecond, ReadyAfter: 20 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	specs := json.NewDecoder(os.Stdin)
	for {
		var s engine.Spec
		if err := specs.Decode(&s); err != nil {
			select {}
		}
		if err := e.Start(context.Background(), s); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println("started")
	}
}

const patience = 30 * time.Second

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
	}
}

// await waits for a status.
func await(t testing.TB, e *Engine, id, what string, ok func(engine.Status) bool) engine.Status {
	t.Helper()
	var found engine.Status
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		for _, s := range e.statuses() {
			if s.ID == id {
				found = s
			}
		}
		if found.ID != "" && ok(found) {
			return found
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s, but %s (%s), run %d, exit %v", what, found.State, found.Reason, found.Run, found.LastExit)
		}
	}
}

func in(states ...backend.InstanceState) func(engine.Status) bool {
	return func(s engine.Status) bool { return slices.Contains(states, s.State) }
}

// endAll stops what runs, at the end of a test.
func endAll(t testing.TB, e *Engine) {
	for _, s := range e.statuses() {
		if err := e.Stop(context.Background(), s.ID, engine.StopOptions{Force: true}); err != nil {
			t.Errorf("Stop(%s) at the end = %v", s.ID, err)
		}
	}
	eventually(t, "end of all instances", func() bool {
		return !slices.ContainsFunc(e.statuses(), func(s engine.Status) bool { return s.State.Live() || s.State == backend.InstanceCrashed })
	})
	if err := e.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
}

func script(id, text string) engine.Spec {
	return engine.Spec{
		ID: id, Owner: "shop", Process: "main", FirstRun: 1, Command: backend.CommandLine{Shell: text},
		Restart: backend.RestartSpec{Policy: backend.RestartNever},
	}
}

// forever runs until it is stopped.
const forever = `trap 'exit 0' TERM; echo "pid $$"; while :; do sleep 0.02; done`

// output returns the lines of an instance; what is no line is in brackets.
func output(t testing.TB, dir string) []string {
	t.Helper()
	d, err := segment.OpenDir(filepath.Join(dir, "log"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	lines := d.Lines()
	defer lines.Close()
	var out []string
	err = lines.All(func(e segment.Entry) error {
		switch e.Kind {
		case segment.Batch:
			out = append(out, string(e.Bytes))
		case segment.Gap:
			out = append(out, "[gap: "+e.Reason.String()+"]")
		case segment.RunEnd:
			out = append(out, fmt.Sprintf("[end %d]", e.Exit))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// keeperOf returns the keeper of an instance, as its state names it.
func keeperOf(t testing.TB, dir string) keeper.Proc {
	t.Helper()
	st, err := keeper.ReadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	return st.Keeper
}

func kill(t testing.TB, p keeper.Proc) {
	t.Helper()
	if p.PID < 2 || !p.Alive() {
		t.Fatalf("process %+v is not there to be killed", p)
	}
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "end of a killed process", func() bool { return !p.Alive() })
}

// server runs an engine in a process of its own and starts instances in it. It
// returns what kills it.
func server(t testing.TB, dir string, specs ...engine.Spec) (kill func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "test-server", dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	t.Cleanup(kill)
	said := bufio.NewScanner(out)
	for _, s := range specs {
		if err := json.NewEncoder(in).Encode(s); err != nil {
			t.Fatal(err)
		}
		if !said.Scan() || said.Text() != "started" {
			t.Fatalf("the server says %q", said.Text())
		}
	}
	return kill
}

// count is a script that writes numbered lines without a pause.
func count(lines int) string {
	return fmt.Sprintf(`i=0; while [ $i -lt %d ]; do i=$((i+1)); echo $i; done; exit 7`, lines)
}

func checkCount(t testing.TB, got []string, lines int) {
	t.Helper()
	for i := range min(lines, len(got)) {
		if got[i] != strconv.Itoa(i+1) {
			t.Fatalf("line %d is %q", i+1, got[i])
		}
	}
	if len(got) < lines || !strings.HasPrefix(got[lines], "[end") {
		t.Errorf("%d of %d lines, then %q", len(got), lines, got[min(lines, len(got)):])
	}
}

func TestKilledServerLosesNothing(t *testing.T) {
	cfg := quick(t)
	const lines = 300000
	kill := server(t, cfg.Dir, script("counting", count(lines)), script("resting", forever))
	dir := filepath.Join(cfg.Dir, "counting")
	eventually(t, "first line", func() bool { return len(output(t, dir)) > 0 })
	before, err := keeper.ReadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	kill()
	if st, err := keeper.ReadState(dir); err != nil || st.Phase != keeper.Running {
		t.Fatalf("the script ended before the server was killed: %+v, %v", st, err)
	}
	e := open(t, cfg)
	defer endAll(t, e)
	s := await(t, e, "counting", "running instance", in(backend.InstanceRunning, backend.InstanceFailed))
	if s.State == backend.InstanceRunning && s.PID != before.Child.PID {
		t.Errorf("adopted pid %d, it was %d", s.PID, before.Child.PID)
	}
	s = await(t, e, "counting", "exit", in(backend.InstanceFailed))
	if s.LastExit == nil || s.LastExit.Code != 7 || s.Run != 1 {
		t.Errorf("run %d ended with %+v, want 7", s.Run, s.LastExit)
	}
	checkCount(t, output(t, dir), lines)
	await(t, e, "resting", "the other instance", in(backend.InstanceRunning))
}

func TestKilledKeeperIsReplaced(t *testing.T) {
	cfg := quick(t)
	e := open(t, cfg)
	defer endAll(t, e)
	const lines = 400000
	if err := e.Start(t.Context(), script("counting", count(lines))); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cfg.Dir, "counting")
	s := await(t, e, "counting", "running instance", in(backend.InstanceRunning))
	for n := range 3 {
		old := keeperOf(t, dir)
		kill(t, old)
		eventually(t, "another keeper", func() bool {
			now := keeperOf(t, dir)
			return now != old && now.Alive()
		})
		now := await(t, e, "counting", "instance", func(engine.Status) bool { return true })
		if now.State.Live() && (now.PID != s.PID || now.Run != 1) {
			t.Fatalf("after death %d of its keeper it is pid %d, run %d, was pid %d", n+1, now.PID, now.Run, s.PID)
		}
	}
	s = await(t, e, "counting", "exit", in(backend.InstanceFailed))
	if s.LastExit == nil || s.LastExit.Code != 7 && !s.LastExit.Unknown {
		t.Errorf("it ended with %+v, want 7, or unknown where the kernel cannot tell", s.LastExit)
	}
	checkCount(t, output(t, dir), lines)
}

func TestKilledKeeperAndServer(t *testing.T) {
	cfg := quick(t)
	endServer := server(t, cfg.Dir, script("resting", forever))
	dir := filepath.Join(cfg.Dir, "resting")
	eventually(t, "running phase", func() bool {
		st, err := keeper.ReadState(dir)
		return err == nil && st.Phase == keeper.Running && len(output(t, dir)) > 0
	})
	before, err := keeper.ReadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	endServer()
	kill(t, before.Keeper)
	e := open(t, cfg)
	defer endAll(t, e)
	s := await(t, e, "resting", "running instance", in(backend.InstanceRunning))
	if s.PID != before.Child.PID || s.Run != 1 || s.Restarts != 0 {
		t.Errorf("adopted pid %d, run %d, was pid %d", s.PID, s.Run, before.Child.PID)
	}
	if got := firstNotice(t, e); !strings.Contains(got, "output") {
		t.Errorf("the notice of lost output is %q", got)
	}
	if err := e.Stop(t.Context(), "resting", engine.StopOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, e, "resting", "end", in(backend.InstanceStopped))
}

func firstNotice(t testing.TB, e *Engine) string {
	t.Helper()
	feed, err := e.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	batch, err := feed.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range batch {
		if c.Notice != "" {
			return c.Notice
		}
	}
	return ""
}

func TestEndThatNobodySawIsUnknown(t *testing.T) {
	cfg := quick(t)
	again := script("again", forever)
	again.Restart.Policy = backend.RestartAlways
	endServer := server(t, cfg.Dir, script("once", forever), again)
	endServer()
	for _, id := range []string{"once", "again"} {
		dir := filepath.Join(cfg.Dir, id)
		eventually(t, "running phase", func() bool {
			st, err := keeper.ReadState(dir)
			return err == nil && st.Phase == keeper.Running
		})
		st, err := keeper.ReadState(dir)
		if err != nil {
			t.Fatal(err)
		}
		kill(t, st.Keeper)
		kill(t, st.Child)
	}
	e := open(t, cfg)
	defer endAll(t, e)
	s := await(t, e, "once", "end", in(backend.InstanceFailed))
	// The kernel may still tell the truth. Nobody invents another.
	if s.LastExit == nil || !s.LastExit.Unknown && s.LastExit.Signal != "KILL" {
		t.Errorf("an end that nobody saw is %q, %+v", s.Reason, s.LastExit)
	}
	s = await(t, e, "again", "next run", func(s engine.Status) bool { return s.State == backend.InstanceRunning && s.Run == 2 })
	if s.LastExit == nil || !s.LastExit.Unknown && s.LastExit.Signal != "KILL" || s.Restarts != 1 {
		t.Errorf("after an end that nobody saw: %d restarts, %+v", s.Restarts, s.LastExit)
	}
}

func TestRebootLosesRuns(t *testing.T) {
	cfg := quick(t)
	spec := script("always", forever)
	spec.Restart.Policy = backend.RestartAlways
	endServer := server(t, cfg.Dir, spec)
	endServer()
	dir := filepath.Join(cfg.Dir, "always")
	eventually(t, "first line", func() bool { return len(output(t, dir)) > 0 })
	st, err := keeper.ReadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	kill(t, st.Keeper)
	kill(t, st.Child)
	// A living process that has the old pid by now is not to be touched.
	self, err := proc.Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	st.Boot, st.Child = "another-boot", keeper.Proc{PID: os.Getpid(), Start: self.Start}
	if err := writeState(dir, st); err != nil {
		t.Fatal(err)
	}
	for range 2 { // also the next server finds it lost
		e := open(t, cfg)
		s := await(t, e, "always", "status", func(engine.Status) bool { return true })
		if s.State != backend.InstanceLost || s.Reason != "lost: host restarted" || s.PID != 0 || s.LastExit == nil || !s.LastExit.Unknown {
			t.Errorf("after a reboot it is %s (%s), pid %d, exit %+v", s.State, s.Reason, s.PID, s.LastExit)
		}
		runs, err := e.Runs(t.Context(), "always", 0)
		if err != nil || len(runs) != 1 || runs[0].Ended.IsZero() || runs[0].Exit == nil || runs[0].Exit.Reason != "lost: host restarted" {
			t.Errorf("Runs() after a reboot = %+v, %v", runs, err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := output(t, dir); len(got) != 2 || got[1] != "[end -1]" {
		t.Errorf("the log ends with %q, want one end", got)
	}
	e := open(t, cfg)
	defer endAll(t, e)
	if err := e.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	s := await(t, e, "always", "next run", in(backend.InstanceRunning))
	if s.Run != 2 || s.Restarts != 0 {
		t.Errorf("started again it is run %d with %d restarts", s.Run, s.Restarts)
	}
}

func TestForeignKeeperIsLeftAlone(t *testing.T) {
	cfg := quick(t)
	e := open(t, cfg)
	if err := e.Start(t.Context(), script("old", "exit 0")); err != nil {
		t.Fatal(err)
	}
	await(t, e, "old", "end", in(backend.InstanceComplete))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	// This process plays a keeper of a version that nobody speaks any more.
	dir := filepath.Join(cfg.Dir, "old")
	l, err := net.Listen("unixpacket", filepath.Join(dir, "keeper.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p := make([]byte, 4096)
			if n, err := c.Read(p); err == nil {
				var hello struct {
					ID uint64 `json:"id"`
				}
				if json.Unmarshal(p[:n], &hello) == nil {
					fmt.Fprintf(c, `{"id":%d,"error":"this keeper speaks protocol 0"}`, hello.ID)
				}
			}
			c.Close()
		}
	}()
	self, err := proc.Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	st, err := keeper.ReadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	st.Phase, st.Boot, st.Keeper = keeper.Running, keeper.BootID(), keeper.Proc{PID: os.Getpid(), Start: self.Start}
	if err := writeState(dir, st); err != nil {
		t.Fatal(err)
	}
	e = open(t, cfg)
	defer e.Close()
	if got := firstNotice(t, e); !strings.Contains(got, "left alone") || !strings.Contains(got, "protocol 0") {
		t.Errorf("the notice of a keeper of another version is %q", got)
	}
	if err := e.Stop(t.Context(), "old", engine.StopOptions{}); backend.CodeOf(err) != backend.Unavailable {
		t.Errorf("Stop() = %v, want Unavailable", err)
	}
}

func TestTakenPortIsTheProgramsFailure(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg := quick(t)
	e := open(t, cfg)
	defer endAll(t, e)
	spec := engine.Spec{
		ID: "listener", Owner: "shop", Process: "main", FirstRun: 1, Port: true,
		Command: backend.CommandLine{Args: []string{exe, "test-listen"}},
		Restart: backend.RestartSpec{Policy: backend.RestartNever},
		Ready:   &backend.Check{TCP: true, Interval: backend.Duration(10 * time.Millisecond), Timeout: backend.Duration(patience)},
	}
	if err := e.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	s := await(t, e, "listener", "ready instance", in(backend.InstanceRunning))
	if s.Port < cfg.orDefault().Ports.First || s.Port > cfg.orDefault().Ports.Last {
		t.Errorf("its port is %d, outside the range", s.Port)
	}
	if err := e.Stop(t.Context(), "listener", engine.StopOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, e, "listener", "end", in(backend.InstanceStopped))
	thief, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", s.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Close()
	if err := e.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	s = await(t, e, "listener", "failure", in(backend.InstanceFailed))
	if s.LastExit == nil || s.LastExit.Code != 1 {
		t.Errorf("without its port it ended with %+v", s.LastExit)
	}
	if got := strings.Join(output(t, filepath.Join(cfg.Dir, "listener")), "\n"); !strings.Contains(got, "address already in use") {
		t.Errorf("its last words are %q", got)
	}
}

func TestMemoryLimitKills(t *testing.T) {
	for _, without := range []bool{false, true} {
		t.Run(fmt.Sprintf("NoCgroup=%v", without), func(t *testing.T) {
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cfg := quick(t)
			cfg.NoCgroup = without
			e := open(t, cfg)
			defer endAll(t, e)
			d := e.Describe()
			if without && (d.Cgroup != "none" || len(d.Notes) == 0) {
				t.Errorf("Describe() without control groups = %+v", d)
			}
			spec := script("eater", "")
			spec.Command = backend.CommandLine{Args: []string{exe, "test-eat"}}
			spec.Memory = 128 << 20
			if err := e.Start(t.Context(), spec); err != nil {
				t.Fatal(err)
			}
			s := await(t, e, "eater", "end", in(backend.InstanceFailed))
			if want := "exit 137, killed at its memory limit (128 MiB)"; s.Reason != want || !s.LastExit.OOM {
				t.Errorf("it ended as %q, %+v, want %q", s.Reason, s.LastExit, want)
			}
		})
	}
}

func TestAnotherUser(t *testing.T) {
	spec := script("other", `id -un; pwd; : > mine; trap 'exit 0' TERM; printf '["a"]' > "$PITWALL_LOGGERS.known"; echo "$HOME"; echo done; while :; do sleep 0.02; done`)
	spec.User, spec.Levels = "nobody", true
	if ownAccount().name == "nobody" {
		spec.User = "daemon"
	}
	if os.Getuid() != 0 {
		e := open(t, quick(t))
		defer e.Close()
		if err := e.Start(t.Context(), spec); backend.CodeOf(err) != backend.Unsupported {
			t.Errorf("Start() as another user = %v, want Unsupported", err)
		}
		return
	}
	// t.TempDir is closed to others, and so is the state folder by default.
	cfg := quick(t)
	closed := open(t, cfg)
	if err := closed.Start(t.Context(), spec); backend.CodeOf(err) != backend.Invalid || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("Start() in a closed folder = %v, want what to do", err)
	}
	endAll(t, closed)
	top, err := os.MkdirTemp("", "pitwall-user-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	if err := os.Chmod(top, 0o711); err != nil {
		t.Fatal(err)
	}
	cfg.Dir = top + "/instances"
	e := open(t, cfg)
	defer endAll(t, e)
	if err := e.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cfg.Dir, "other")
	eventually(t, "last line", func() bool { return slices.Contains(output(t, dir), "done") })
	if got := output(t, dir); len(got) < 4 || got[0] != "nobody" || got[1] != dir+"/work" {
		t.Errorf("the program says %q", got)
	}
	if names, err := e.Loggers(t.Context(), "other"); err != nil || !slices.Equal(names, []string{"a"}) {
		t.Errorf("Loggers() = %v, %v", names, err)
	}
	conn, err := e.Attach(t.Context(), backend.AttachSpec{Instance: "other", Command: []string{"sh", "-c", "id -un; cat " + dir + "/engine.json"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	out, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(out), "nobody\n") || strings.Contains(string(out), "environ") {
		t.Errorf("an attachment says %q, %v", out, err)
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	files := countFDs(os.Getpid())
	cfg := quick(t)
	e := open(t, cfg)
	spec := script("resting", forever)
	spec.Health = &backend.Check{Exec: []string{"true"}, Interval: backend.Duration(time.Millisecond), Timeout: backend.Duration(patience)}
	if err := e.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	await(t, e, "resting", "ready instance", in(backend.InstanceRunning))
	conn, err := e.Attach(t.Context(), backend.AttachSpec{Instance: "resting", Command: []string{"cat"}, TTY: true})
	if err != nil {
		t.Fatal(err)
	}
	feed, err := e.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exit(t.Context()); err != nil {
		t.Errorf("Exit() of an attachment after Close = %v", err)
	}
	for err == nil {
		_, err = feed.Next(t.Context())
	}
	if err != io.EOF {
		t.Errorf("a feed after Close ends with %v", err)
	}
	if _, err := e.List(t.Context()); backend.CodeOf(err) != backend.Unavailable {
		t.Errorf("List() after Close = %v, want Unavailable", err)
	}
	e = open(t, cfg)
	if s := await(t, e, "resting", "adopted instance", in(backend.InstanceRunning)); s.Run != 1 {
		t.Errorf("after Close it is run %d", s.Run)
	}
	endAll(t, e)
	// What waits for a keeper's end outlives Close by a moment.
	eventually(t, "end of all goroutines and files", func() bool {
		return runtime.NumGoroutine() <= before && countFDs(os.Getpid()) <= files
	})
}

var adoptions = flag.Int("adoptions", 50, "instances that BenchmarkAdopt adopts")

// BenchmarkAdopt measures how long a new engine needs for what runs already.
func BenchmarkAdopt(b *testing.B) {
	cfg := Config{Dir: b.TempDir() + "/instances"}
	e, err := New(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	for i := range *adoptions {
		s := script(fmt.Sprint("resting-", i), "")
		s.Command = backend.CommandLine{Args: []string{"sleep", "1000000"}}
		if err := e.Start(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
	defer func() { endAll(b, e) }()
	for b.Loop() {
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
		if e, err = New(context.Background(), cfg); err != nil {
			b.Fatal(err)
		}
		for _, s := range e.statuses() {
			if !s.State.Live() {
				b.Fatalf("%s is %s (%s)", s.ID, s.State, s.Reason)
			}
		}
	}
	b.ReportMetric(float64(*adoptions), "instances")
	b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N)/float64(*adoptions), "ms/instance")
}

// BenchmarkUsage measures what it costs to measure.
func BenchmarkUsage(b *testing.B) {
	e, err := New(context.Background(), Config{Dir: b.TempDir() + "/instances"})
	if err != nil {
		b.Fatal(err)
	}
	defer endAll(b, e)
	var ids []string
	for i := range *adoptions {
		s := script(fmt.Sprint("resting-", i), "")
		s.Command = backend.CommandLine{Args: []string{"sleep", "1000000"}}
		if err := e.Start(b.Context(), s); err != nil {
			b.Fatal(err)
		}
		ids = append(ids, s.ID)
	}
	for b.Loop() {
		if all, err := e.Usage(b.Context(), ids); err != nil || len(all) != len(ids) {
			b.Fatalf("Usage() of %d = %d, %v", len(ids), len(all), err)
		}
	}
}
