package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// TestMain lets the test binary stand for the product's: with the variable set
// it runs a program of the demo.
func TestMain(m *testing.M) {
	if name := os.Getenv("DEMO_TEST_PROGRAM"); name != "" {
		if err := Run(context.Background(), strings.Fields(name), os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program starts a program of the demo as a process of its own.
func program(t *testing.T, args string) (cmd *exec.Cmd, out *output) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out = new(output)
	cmd = exec.Command(exe)
	cmd.Env = append(os.Environ(), "DEMO_TEST_PROGRAM="+args, "PITWALL_INDEX=0", "GORACE=atexit_sleep_ms=0", "PORT=0")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	return cmd, out
}

// output collects what is written, for many writers.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// wait polls until the output has a line with the text, and returns the line.
func (o *output) wait(t *testing.T, text string) string {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		for line := range strings.Lines(o.String()) {
			if strings.Contains(line, text) && strings.HasSuffix(line, "\n") {
				return strings.TrimSpace(line)
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no line with %q in:\n%s", text, o.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// stop sends SIGTERM and expects a good end.
func stop(t *testing.T, cmd *exec.Cmd, out *output) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, out)
	}
}

// addr finds the address that web logs.
func addr(t *testing.T, line string) string {
	t.Helper()
	var record struct{ Addr string }
	if err := json.Unmarshal([]byte(line), &record); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return record.Addr
}

func TestEveryProgramStopsOnTerm(t *testing.T) {
	first := map[string]string{
		"web":    "listening",
		"worker": "started",
		"chat":   "chat is open",
		"flaky":  "started",
		"leaky":  "empty",
		"load":   "started",
	}
	for _, name := range Names() {
		text, ok := first[name]
		if !ok {
			continue // A job: it ends by itself.
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd, out := program(t, name)
			out.wait(t, text)
			stop(t, cmd, out)
		})
	}
}

func TestFlakyPanics(t *testing.T) {
	t.Parallel()
	cmd, out := program(t, "flaky")
	err := cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 2 {
		t.Errorf("flaky ended with %d (%v), want 2", got, err)
	}
	for _, want := range []string{"ERROR checkout: ", "panic: assignment to entry in nil map", "flaky.go:"} {
		out.wait(t, want)
	}
}

func TestLeakyGrows(t *testing.T) {
	t.Parallel()
	cmd, out := program(t, "leaky")
	out.wait(t, "grew to 16 MiB")
	stop(t, cmd, out)
}

func TestJobsEndWell(t *testing.T) {
	for _, name := range []string{"report", "migrate"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd, out := program(t, name)
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
			out.wait(t, "100% done")
		})
	}
}

func TestStoppedJobFails(t *testing.T) {
	t.Parallel()
	cmd, out := program(t, "migrate")
	out.wait(t, "0%")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 1 {
		t.Errorf("a stopped job ended with %d, want 1\n%s", got, out)
	}
}

func TestWebServesAndEndsItsStreams(t *testing.T) {
	t.Parallel()
	cmd, out := program(t, "web")
	base := "http://" + addr(t, out.wait(t, "listening"))
	for _, path := range []string{"/healthz", "/", "/cart/7"} {
		resp, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("GET %s = %d, want 200", path, resp.StatusCode)
		}
	}
	line := out.wait(t, `"path":"/cart/7"`)
	var record struct{ Level, Logger, Msg string }
	if err := json.Unmarshal([]byte(line), &record); err != nil {
		t.Fatal(err)
	}
	if record.Level != "INFO" || record.Logger != "http" {
		t.Errorf("logged %s, want level INFO of logger http", line)
	}
	resp, err := http.Get(base + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || text != "id: 1\n" {
		t.Errorf("stream began %q, %v", text, err)
	}
	stop(t, cmd, out)
}

func TestWebFollowsLevels(t *testing.T) {
	file := t.TempDir() + "/loggers.json"
	if err := os.WriteFile(file, []byte(`{"loggers":{"db":"debug"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PITWALL_LOGGERS", file)
	cmd, out := program(t, "web")
	base := "http://" + addr(t, out.wait(t, "listening"))
	resp, err := http.Get(base + "/cart/7")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	out.wait(t, `"msg":"query"`)
	if strings.Contains(out.String(), `"msg":"lookup"`) {
		t.Errorf("the cache logs at debug, only db should:\n%s", out)
	}
	known, err := os.ReadFile(file + ".known")
	if err != nil || strings.TrimSpace(string(known)) != `["cache","db","http"]` {
		t.Errorf("announced %s, %v", known, err)
	}
	stop(t, cmd, out)
}

func TestChatTellsEveryone(t *testing.T) {
	t.Parallel()
	cmd, out := program(t, "chat")
	line := out.wait(t, "chat is open on ")
	at := line[strings.LastIndexByte(line, ' ')+1:]
	join := func(nick string) (net.Conn, *bufio.Reader) {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(time.Minute))
		fmt.Fprintf(conn, "NICK %s\n", nick)
		return conn, bufio.NewReader(conn)
	}
	expect := func(r *bufio.Reader, want string) {
		t.Helper()
		for {
			got, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("waiting for %q: %v", want, err)
			}
			if strings.TrimSpace(got) == want {
				return
			}
		}
	}
	_, first := join("one")
	expect(first, "* one joined")
	conn, second := join("two")
	expect(first, "* two joined")
	fmt.Fprintf(conn, "SAY hello\nPING\nDANCE\n")
	expect(first, "two: hello")
	expect(second, "PONG")
	expect(second, "? say NICK, SAY, PING or QUIT")
	fmt.Fprintf(conn, "QUIT\n")
	expect(first, "* two left")

	// A connection that says nothing, as a health check makes, is not told of.
	silent, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	silent.Close()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	expect(first, "* the room closes")
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	if got := strings.Count(out.String(), " joined from "); got != 2 {
		t.Errorf("%d guests were logged, want 2:\n%s", got, out)
	}
}

func TestLoadSurvivesWhatTheEdgeDoes(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	refuse := false
	served := 0
	edge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Host != "web.localhost" {
			t.Errorf("Host = %q, want web.localhost", r.Host)
		}
		if refuse {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		served++
		io.WriteString(w, "ok")
	}))
	defer edge.Close()
	cmd, out := program(t, "load --rate 100 --streams 1 --guests 1 --chat 127.0.0.1:1 --edge "+edge.Listener.Addr().String())
	until := func(what string, done func() bool) {
		t.Helper()
		deadline := time.Now().Add(time.Minute)
		for {
			mu.Lock()
			ok := done()
			mu.Unlock()
			if ok {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s did not happen:\n%s", what, out)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	until("the first request", func() bool { return served > 3 })
	mu.Lock()
	refuse = true
	mu.Unlock()
	out.wait(t, "web refuses")
	mu.Lock()
	refuse, served = false, 0
	mu.Unlock()
	until("a request after the refusals", func() bool { return served > 3 })
	out.wait(t, "web answers")
	edge.CloseClientConnections()
	edge.Close()
	out.wait(t, "web cannot be reached")
	stop(t, cmd, out)
}

func TestLoadKeepsItsConnections(t *testing.T) {
	t.Parallel()
	room, chatOut := program(t, "chat")
	line := chatOut.wait(t, "chat is open on ")
	at := line[strings.LastIndexByte(line, ' ')+1:]
	shop, webOut := program(t, "web")
	edge := addr(t, webOut.wait(t, "listening"))
	cmd, out := program(t, "load --streams 1 --guests 2 --chat "+at+" --edge "+edge)
	chatOut.wait(t, `"load-0" joined`)
	chatOut.wait(t, `"load-1" joined`)
	webOut.wait(t, "stream opened")
	webOut.wait(t, `"path":"/cart/`)
	stop(t, cmd, out)
	chatOut.wait(t, "load-0 left")
	stop(t, room, chatOut)
	stop(t, shop, webOut)
}

func TestUnknownProgram(t *testing.T) {
	for _, args := range [][]string{nil, {"dance"}, {"load", "--rate", "0"}, {"load", "--nope"}} {
		if err := Run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("Run(%q) = nil, want an error", args)
		}
	}
}

func TestManifestNamesTheBinary(t *testing.T) {
	for _, exe := range []string{"/usr/bin/pitwall", `/tmp/a "b" \c: [d]/$HOME/pitwall`} {
		var m struct {
			Apps map[string]struct {
				Processes map[string]struct{ Command []string }
			}
			Jobs map[string]struct{ Command []string }
		}
		if err := yaml.Unmarshal(Manifest(exe, ""), &m); err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(exe, "$", "$$")
		seen := make(map[string]bool)
		check := func(command []string) {
			if command[0] != want {
				t.Errorf("command begins with %q, want %q", command[0], want)
			}
			seen[command[2]] = true
		}
		for _, app := range m.Apps {
			check(app.Processes["main"].Command)
		}
		for _, job := range m.Jobs {
			check(job.Command)
		}
		for _, name := range Names() {
			if !seen[name] {
				t.Errorf("the demo does not run %s", name)
			}
		}
	}
}

func TestManifestMovesWithTheEdge(t *testing.T) {
	for edge, chat := range map[string]string{
		"":                  "127.0.0.1:7091",
		"127.0.0.1:7080":    "127.0.0.1:7091",
		"127.0.0.1:9000":    "127.0.0.1:9011",
		"[::1]:9000":        "127.0.0.1:9011",
		"127.0.0.1:65530":   "127.0.0.1:7091",
		"127.0.0.1:0":       "127.0.0.1:7091",
		"127.0.0.1:pitwall": "127.0.0.1:7091",
	} {
		var m struct {
			Apps map[string]struct {
				Processes map[string]struct{ Command []string }
				Routes    []map[string]string
			}
		}
		if err := yaml.Unmarshal(Manifest("/usr/bin/pitwall", edge), &m); err != nil {
			t.Fatal(err)
		}
		if got := m.Apps["chat"].Routes; len(got) != 1 || got[0]["tcp"] != chat {
			t.Errorf("beside %q the chat's routes are %v, want %s", edge, got, chat)
		}
		listener := edge
		if edge == "" {
			listener = "127.0.0.1:7080"
		}
		load := m.Apps["load"].Processes["main"].Command
		if !slices.Contains(load, listener) || !slices.Contains(load, chat) {
			t.Errorf("beside %q the load is %q, want it to visit %s and %s", edge, load, listener, chat)
		}
	}
}
