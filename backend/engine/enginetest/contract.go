package enginetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-cmp/cmp"

	"pitwall/backend"
	"pitwall/backend/engine"
)

func lookPath(name string) (string, error) { return exec.LookPath(name) }

func environmentIsTheContract(h *harness) {
	h.Setenv("PITWALL_TOKEN", "canary-in-the-environment")
	h.Setenv("SERVER_ONLY", "canary-in-the-environment")
	spec := h.script("env; pwd; echo end of it")
	spec.Port, spec.Levels, spec.Index = true, true, 3
	spec.Env = map[string]string{"COLOR": "blue sky", "HOME": "/somewhere", "PITWALL_INDEX": "99"}
	h.start(spec)
	h.awaitLine(spec.ID, "end of it")
	env := map[string]string{}
	for _, line := range h.output(spec.ID) {
		if strings.Contains(line, "canary") {
			h.Errorf("the program sees %q of the server's environment", line)
		}
		if name, value, ok := strings.Cut(line, "="); ok {
			env[name] = value
		}
	}
	want := map[string]string{
		"COLOR": "blue sky", "HOME": "/somewhere", "PITWALL_APP": "shop", "PITWALL_PROCESS": "main",
		"PITWALL_INDEX": "3", "PITWALL_INSTANCE": spec.ID, "PORT": strconv.Itoa(h.status(spec.ID).Port),
	}
	for name, value := range want {
		if env[name] != value {
			h.Errorf("%s = %q, want %q", name, env[name], value)
		}
	}
	for _, name := range []string{"PATH", "USER", "LANG", "TMPDIR", "PITWALL_LOGGERS"} {
		if env[name] == "" {
			h.Errorf("the environment has no %s", name)
		}
	}
}

func commandIsExpanded(h *harness) {
	spec := h.script("")
	spec.Command = backend.CommandLine{Args: []string{"sh", "-c", `echo "$$0|$$1|$$2"`, "$NAME", "${NAME}s and $5", "$$NAME"}}
	spec.Env = map[string]string{"NAME": "a b"}
	h.start(spec)
	h.await(spec.ID, backend.InstanceComplete)
	if diff := cmp.Diff([]string{"a b|a bs and $5|$NAME"}, h.output(spec.ID)); diff != "" {
		h.Errorf("output (-want +got):\n%s", diff)
	}
	unknown := h.script("")
	unknown.Command = backend.CommandLine{Args: []string{"echo", "$NOT_THERE"}}
	h.code("Start() with an unknown variable", h.Engine.Start(h.Context(), unknown), backend.Invalid)
	empty := h.script("")
	h.code("Start() without a command", h.Engine.Start(h.Context(), empty), backend.Invalid)
	if all := h.list(h.Context()); len(all) != 1 {
		h.Errorf("List() after two refused starts has %d instances, want 1", len(all))
	}
}

func portStays(h *harness) {
	one, two := h.script(forever), h.script(forever)
	one.Port, two.Port = true, true
	first, other := h.run(one), h.run(two)
	if first.Port == 0 || first.Port == other.Port {
		h.Fatalf("ports %d and %d", first.Port, other.Port)
	}
	if err := h.Engine.Restart(h.Context(), one.ID, engine.StopOptions{}); err != nil {
		h.Fatalf("Restart() = %v", err)
	}
	s := h.awaitStatus(one.ID, "second run", func(s engine.Status) bool { return s.Run == 2 && s.State == backend.InstanceRunning })
	if s.Port != first.Port {
		h.Errorf("port %d became %d with the second run", first.Port, s.Port)
	}
	h.reopen()
	if s := h.status(one.ID); s.Port != first.Port {
		h.Errorf("port %d became %d with a new engine", first.Port, s.Port)
	}
	third := h.script(forever)
	third.Port = true
	if s := h.run(third); s.Port == first.Port || s.Port == other.Port {
		h.Errorf("a third instance got port %d, which another has", s.Port)
	}
}

func readyByCheck(h *harness) {
	flag := h.TempDir() + "/ready"
	spec := h.script(forever)
	spec.Ready = &backend.Check{Exec: []string{"test", "-e", flag}, Interval: backend.Duration(10 * time.Millisecond), Timeout: backend.Duration(patience)}
	h.start(spec)
	h.awaitStatus(spec.ID, "reason", func(s engine.Status) bool { return s.PID != 0 && strings.Contains(s.Reason, "test") })
	if s := h.status(spec.ID); s.State != backend.InstanceStarting || s.Ready {
		h.Errorf("before its check passes an instance is %s, ready %v", s.State, s.Ready)
	}
	write(h, flag)
	if s := h.await(spec.ID, backend.InstanceRunning); !s.Ready {
		h.Error("an instance is running and not ready")
	}
}

// reopenKeepsReady asks at once: a server that takes over sends nobody away
// from instances that it has not asked yet.
func reopenKeepsReady(h *harness) {
	slow := h.TempDir() + "/slow"
	spec := h.script(forever)
	spec.Ready = &backend.Check{Exec: []string{"sh", "-c", "test ! -e " + slow + " || sleep 1000"}, Interval: backend.Duration(10 * time.Millisecond), Timeout: backend.Duration(patience)}
	first := h.run(spec)
	write(h, slow)
	h.reopen()
	if s := h.status(spec.ID); s.State != backend.InstanceRunning || !s.Ready || !s.Since.Equal(first.Since) {
		h.Errorf("at once after reopening it is %s, ready %v, since %v; want %s since %v", s.State, s.Ready, s.Since, backend.InstanceRunning, first.Since)
	}
}

func failingReadyOnlyTakesReadyAway(h *harness) {
	flag := h.TempDir() + "/ready"
	write(h, flag)
	spec := h.script(forever)
	spec.Ready = &backend.Check{Exec: []string{"test", "-e", flag}, Interval: backend.Duration(10 * time.Millisecond), Timeout: backend.Duration(patience), Failures: 2}
	first := h.run(spec)
	if err := os.Remove(flag); err != nil {
		h.Fatal(err)
	}
	s := h.await(spec.ID, backend.InstanceUnready)
	if s.Ready || s.PID != first.PID || s.Run != 1 {
		h.Errorf("an unready instance is ready %v, pid %d (it was %d), run %d", s.Ready, s.PID, first.PID, s.Run)
	}
	write(h, flag)
	h.await(spec.ID, backend.InstanceRunning)
}

func failingHealthRestarts(h *harness) {
	flag := h.TempDir() + "/healthy"
	write(h, flag)
	spec := h.script(forever)
	spec.Restart = backend.RestartSpec{Policy: backend.RestartAlways}
	spec.Health = &backend.Check{Exec: []string{"test", "-e", flag}, Interval: backend.Duration(10 * time.Millisecond), Timeout: backend.Duration(patience), Failures: 2}
	first := h.run(spec)
	feed, err := h.Engine.Watch(h.Context())
	if err != nil {
		h.Fatalf("Watch() = %v", err)
	}
	defer feed.Close()
	if err := os.Remove(flag); err != nil {
		h.Fatal(err)
	}
	notice := awaitNotice(h, feed)
	write(h, flag)
	if !strings.Contains(notice, "check") {
		h.Errorf("the notice of a failing check is %q", notice)
	}
	s := h.awaitStatus(spec.ID, "another run", func(s engine.Status) bool { return s.Run >= 2 && s.State == backend.InstanceRunning })
	if s.Restarts == 0 || s.PID == first.PID {
		h.Errorf("after a failing check: %d restarts, pid %d (it was %d)", s.Restarts, s.PID, first.PID)
	}
}

func awaitNotice(h *harness, feed backend.Feed[engine.Change]) string {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), patience)
	defer cancel()
	for {
		batch, err := feed.Next(ctx)
		if err != nil {
			h.Fatalf("Next() before a notice = %v", err)
		}
		for _, c := range batch {
			if c.Notice != "" {
				return c.Notice
			}
		}
	}
}

func write(h *harness, name string) {
	h.Helper()
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		h.Fatal(err)
	}
}

func levelsReachTheProgram(h *harness) {
	spec := h.script(`printf '["http","db"]' > "$PITWALL_LOGGERS.new"; mv "$PITWALL_LOGGERS.new" "$PITWALL_LOGGERS.known"
		trap 'exit 0' TERM; echo "pid $$"
		while :; do new=$(cat "$PITWALL_LOGGERS"); if [ "$new" != "$old" ]; then echo "levels $new"; old=$new; fi; sleep 0.02; done`)
	spec.Levels = true
	h.run(spec)
	if got := h.awaitLine(spec.ID, "levels "); !json.Valid([]byte(got)) {
		h.Errorf("the first levels file is %q, no JSON", got)
	}
	h.eventually("known loggers", func() bool {
		names, err := h.Engine.Loggers(h.Context(), spec.ID)
		return err == nil && cmp.Equal(names, []string{"db", "http"})
	})
	levels := map[string]backend.Level{"default": backend.LevelWarn, "http": backend.LevelDebug}
	if err := h.Engine.SetLevels(h.Context(), spec.ID, levels); err != nil {
		h.Fatalf("SetLevels() = %v", err)
	}
	var last struct {
		Default string
		Loggers map[string]string
	}
	h.eventually("new levels in the program", func() bool {
		lines := h.output(spec.ID)
		text, _ := strings.CutPrefix(lines[len(lines)-1], "levels ")
		return json.Unmarshal([]byte(text), &last) == nil && last.Default == "warn" && last.Loggers["http"] == "debug"
	})
	h.code("SetLevels() with no level", h.Engine.SetLevels(h.Context(), spec.ID, map[string]backend.Level{"http": "loud"}), backend.Invalid)

	plain := h.run(h.script(forever))
	h.code("SetLevels() without levels", h.Engine.SetLevels(h.Context(), plain.ID, levels), backend.Unsupported)
}

func attachGivesOutputAndStatus(h *harness) {
	spec := h.script(forever)
	spec.Env = map[string]string{"COLOR": "blue"}
	h.run(spec)
	conn := h.attach(backend.AttachSpec{Instance: spec.ID, Command: []string{"sh", "-c", `cat; echo "$COLOR $PITWALL_INSTANCE" >&2; exit 17`}})
	if _, err := conn.Write([]byte("input\n")); err != nil {
		h.Fatalf("Write() = %v", err)
	}
	if err := conn.CloseWrite(); err != nil {
		h.Fatalf("CloseWrite() = %v", err)
	}
	out, err := io.ReadAll(conn)
	if err != nil {
		h.Fatalf("Read() = %v", err)
	}
	if want := "input\nblue " + spec.ID + "\n"; string(out) != want {
		h.Errorf("output %q, want %q", out, want)
	}
	if code, err := conn.Exit(h.Context()); code != 17 || err != nil {
		h.Errorf("Exit() = %d, %v, want 17", code, err)
	}
	_, err = h.Engine.Attach(h.Context(), backend.AttachSpec{Instance: spec.ID, Command: []string{"no-such-program-here"}})
	h.code("Attach() of a missing command", err, backend.Invalid)
	_, err = h.Engine.Attach(h.Context(), backend.AttachSpec{Instance: spec.ID})
	h.code("Attach() of no command", err, backend.Invalid)
	h.stop(spec.ID, engine.StopOptions{})
	h.await(spec.ID, backend.InstanceStopped)
	_, err = h.Engine.Attach(h.Context(), backend.AttachSpec{Instance: spec.ID, Command: []string{"true"}})
	h.code("Attach() to a stopped instance", err, backend.Conflict)
}

func attachWithTerminal(h *harness) {
	s := h.run(h.script(forever))
	conn := h.attach(backend.AttachSpec{
		Instance: s.ID, TTY: true, Size: backend.Size{Columns: 71, Rows: 19},
		Command: []string{"sh", "-c", "stty size; read line; stty size; test -t 0 && exit 4"},
	})
	var got bytes.Buffer
	readUntil(h, conn, &got, "19 71")
	if err := conn.Resize(backend.Size{Columns: 100, Rows: 30}); err != nil {
		h.Fatalf("Resize() = %v", err)
	}
	if _, err := conn.Write([]byte("go\n")); err != nil {
		h.Fatalf("Write() = %v", err)
	}
	readUntil(h, conn, &got, "30 100")
	if code, err := conn.Exit(h.Context()); code != 4 || err != nil {
		h.Errorf("Exit() = %d, %v, want 4", code, err)
	}
}

func readUntil(h *harness, conn backend.Conn, got *bytes.Buffer, want string) {
	h.Helper()
	p := make([]byte, 1024)
	for !strings.Contains(got.String(), want) {
		n, err := conn.Read(p)
		got.Write(p[:n])
		if err != nil {
			h.Fatalf("Read() = %v after %q, want %q", err, got, want)
		}
	}
}

func attachCloseKillsTheTree(h *harness) {
	needsSetsid(h.T)
	s := h.run(h.script(forever))
	conn := h.attach(backend.AttachSpec{Instance: s.ID, Command: []string{"sh", "-c", doubleFork}})
	var got bytes.Buffer
	readUntil(h, conn, &got, "pid ")
	readUntil(h, conn, &got, "escaped ")
	readUntil(h, conn, &got, "\n")
	var pids []int
	h.eventually("two pids", func() bool {
		pids = pids[:0]
		for line := range strings.Lines(got.String()) {
			var word string
			var pid int
			if n, _ := fmt.Sscanf(line, "%s %d\n", &word, &pid); n == 2 {
				pids = append(pids, pid)
			}
		}
		return len(pids) == 2
	})
	if err := conn.Close(); err != nil {
		h.Fatalf("Close() = %v", err)
	}
	for _, pid := range pids {
		if alive(pid) {
			syscall.Kill(pid, syscall.SIGKILL)
			h.Errorf("pid %d of an attachment lives after Close", pid)
		}
	}
	if _, err := conn.Exit(h.Context()); err != nil {
		h.Errorf("Exit() after Close = %v", err)
	}
}

func (h *harness) attach(s backend.AttachSpec) backend.Conn {
	h.Helper()
	conn, err := h.Engine.Attach(h.Context(), s)
	if err != nil {
		h.Fatalf("Attach(%q) = %v", s.Command, err)
	}
	h.Cleanup(func() { conn.Close() })
	return conn
}

func usageOfTheTree(h *harness) {
	busy, idle := h.script(`(while :; do :; done) & `+forever), h.script("exit 0")
	h.run(busy)
	h.start(idle)
	h.await(idle.ID, backend.InstanceComplete)
	ids := []string{busy.ID, idle.ID, "no-such-instance"}
	h.eventually("usage of the tree", func() bool {
		all, err := h.Engine.Usage(h.Context(), ids)
		if err != nil {
			h.Fatalf("Usage() = %v", err)
		}
		u, ok := all[busy.ID]
		if !ok || len(all) != 1 {
			h.Fatalf("Usage() = %v, want that of the running instance alone", all)
		}
		return u.CPU > 0.05 && u.RSS > 0 && u.Processes >= 2 && u.FDs > 0
	})
}

func outputInOrder(h *harness) {
	const lines = 20000
	spec := h.script(fmt.Sprintf("seq 1 %d; printf unfinished", lines))
	h.start(spec)
	h.await(spec.ID, backend.InstanceComplete)
	var got []string
	h.eventually("last line", func() bool {
		got = h.output(spec.ID)
		return len(got) > lines
	})
	for i, line := range got[:lines] {
		if line != strconv.Itoa(i+1) {
			h.Fatalf("line %d is %q", i+1, line)
		}
	}
	if got[lines] != "unfinished" || len(got) != lines+1 {
		h.Errorf("after the last line come %q", got[lines:])
	}
}

func closedOutputIsNoEnd(h *harness) {
	marker := h.TempDir() + "/marker"
	spec := h.script(fmt.Sprintf(`trap 'exit 6' TERM; echo "pid $$"; exec >&- 2>&-; sleep 0.1; : > %s; while :; do sleep 0.02; done`, marker))
	s := h.run(spec)
	h.eventually("the program goes on", func() bool { _, err := os.Stat(marker); return err == nil })
	if now := h.status(spec.ID); now.PID != s.PID || now.State != backend.InstanceRunning {
		h.Errorf("a program that closed its output is %s, pid %d (it was %d)", now.State, now.PID, s.PID)
	}
	h.stop(spec.ID, engine.StopOptions{})
	if s := h.await(spec.ID, backend.InstanceStopped); s.LastExit == nil || s.LastExit.Code != 6 {
		h.Errorf("it ended with %+v, want 6", s.LastExit)
	}
}

func watchStartsWithAll(h *harness) {
	one, two := h.run(h.script(forever)), h.run(h.script(forever))
	feed, err := h.Engine.Watch(h.Context())
	if err != nil {
		h.Fatalf("Watch() = %v", err)
	}
	defer feed.Close()
	batch, err := feed.Next(h.Context())
	if err != nil {
		h.Fatalf("Next() = %v", err)
	}
	found := map[string]bool{}
	for _, c := range batch {
		if c.Status != nil {
			found[c.ID] = c.Status.State == backend.InstanceRunning
		}
	}
	if want := (map[string]bool{one.ID: true, two.ID: true}); !cmp.Equal(found, want) {
		h.Errorf("the first batch has %v, want %v", found, want)
	}
	ctx, cancel := context.WithCancel(h.Context())
	cancel()
	if _, err := feed.Next(ctx); !errors.Is(err, context.Canceled) && err != nil {
		h.Errorf("Next() with a canceled context = %v", err)
	}
	h.stop(one.ID, engine.StopOptions{})
	h.await(one.ID, backend.InstanceStopped)
	if err := h.Engine.Remove(h.Context(), one.ID); err != nil {
		h.Fatalf("Remove() = %v", err)
	}
	awaitChange(h, feed, func(c engine.Change) bool { return c.ID == one.ID && c.Removed })
	if err := errors.Join(feed.Close(), feed.Close()); err != nil {
		h.Errorf("Close() twice = %v", err)
	}
	if _, err := feed.Next(h.Context()); err == nil {
		h.Error("Next() after Close has no error")
	}
}

func watchCoalesces(h *harness) {
	feed, err := h.Engine.Watch(h.Context())
	if err != nil {
		h.Fatalf("Watch() = %v", err)
	}
	defer feed.Close()
	spec := h.script("seq 1 2000; exit 1")
	spec.Restart = backend.RestartSpec{Policy: backend.RestartAlways, Budget: 2}
	h.start(spec)
	h.await(spec.ID, backend.InstanceFailed)
	statuses, logged, state := 0, 0, backend.InstanceState("")
	awaitChange(h, feed, func(c engine.Change) bool {
		if c.Status != nil {
			statuses++
			state = c.Status.State
		}
		if c.Logged {
			logged++
		}
		return state == backend.InstanceFailed && logged > 0
	})
	// Nobody read while it went through a dozen states and wrote 6000 lines.
	if statuses > 2 || logged > 2 {
		h.Errorf("a slow reader got %d statuses and %d times news of the log", statuses, logged)
	}
}

func awaitChange(h *harness, feed backend.Feed[engine.Change], ok func(engine.Change) bool) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), patience)
	defer cancel()
	for {
		batch, err := feed.Next(ctx)
		if err != nil {
			h.Fatalf("Next() = %v", err)
		}
		for _, c := range batch {
			if ok(c) {
				return
			}
		}
	}
}

func unknownInstances(h *harness) {
	ctx, e, id := h.Context(), h.Engine, "no-such-instance"
	h.code("Stop()", e.Stop(ctx, id, engine.StopOptions{}), backend.NotFound)
	h.code("Restart()", e.Restart(ctx, id, engine.StopOptions{}), backend.NotFound)
	h.code("Signal()", e.Signal(ctx, id, "TERM"), backend.NotFound)
	h.code("Remove()", e.Remove(ctx, id), backend.NotFound)
	h.code("SetLevels()", e.SetLevels(ctx, id, nil), backend.NotFound)
	_, err := e.Runs(ctx, id, 0)
	h.code("Runs()", err, backend.NotFound)
	_, err = e.Loggers(ctx, id)
	h.code("Loggers()", err, backend.NotFound)
	_, err = e.Attach(ctx, backend.AttachSpec{Instance: id, Command: []string{"true"}})
	h.code("Attach()", err, backend.NotFound)
	evil := h.script(forever)
	evil.ID = "../evil"
	h.code("Start() with a path for an id", e.Start(ctx, evil), backend.Invalid)
}

func describes(h *harness) {
	d := h.Engine.Describe()
	if d.Name == "" || d.Cgroup == "" {
		h.Errorf("Describe() = %+v", d)
	}
	for _, note := range d.Notes {
		if !strings.Contains(note, " ") {
			h.Errorf("the note %q is no sentence", note)
		}
	}
}
