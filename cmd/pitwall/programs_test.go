package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pitwall/backend"
)

// Programs that are none of ours, behind the edge.

const redisManifest = `
apps:
  cache:
    team: shop
    space: dev
    processes:
      main:
        command: ["REDIS", "--port", "$PORT", "--bind", "127.0.0.1", "--save", "", "--maxclients", "MAXCLIENTS"]
        instances: 2
        memory: 256Mi
        ready: {tcp: true, interval: 200ms, timeout: 1s}
        health: {tcp: true, interval: 1s, timeout: 1s, failures: 3}
        stop: {signal: TERM, grace: 1s}
    env: {GREETING: hello}
    routes:
      - tcp: ROUTE
`

func redisText(program, route string, maxClients int) string {
	return strings.NewReplacer("REDIS", program, "ROUTE", route, "MAXCLIENTS", strconv.Itoa(maxClients)).Replace(redisManifest)
}

func TestRedisBehindTheEdge(t *testing.T) {
	program := distributed(t, "redis-server")
	p := newPit(t)
	p.serve("--http", freeAddress(t))
	route := freeAddress(t)
	p.apply(redisText(program, route, 100))
	p.ready("cache", 2)

	// Least connections first: two clients, two programs.
	open, other := dialRedis(t, route), dialRedis(t, route)
	first, second := open.info("process_id"), other.info("process_id")
	if first == second {
		t.Errorf("two connections through the edge went to one program, pid %s", first)
	}
	for _, in := range read[[]backend.Instance](p, "instances", "cache") {
		if pid := strconv.Itoa(in.PID); pid != first && pid != second {
			t.Errorf("instance %s has pid %s, but the programs say %s and %s", in.ID, pid, first, second)
		}
	}
	p.until("the edge counts both connections", func() bool { return p.state1("cache").Connections == 2 })

	p.run("block", "cache", "--wait", "--reason", "a look")
	if err := pingOnce(route); err == nil {
		t.Error("a blocked app answered a new connection")
	} else if refused(err) {
		t.Errorf("a blocked app's listener is gone: %v", err)
	}
	open.mustPing("while its app is blocked")
	p.run("unblock", "cache", "--wait")
	if err := pingOnce(route); err != nil {
		t.Errorf("PING after unblock: %v", err)
	}

	p.run("kick", "cache", "--yes", "--wait")
	for _, c := range []*redisClient{open, other} {
		if err := c.ended(); err != nil {
			t.Errorf("after kick an open connection: %v", err)
		}
	}
	if err := pingOnce(route); err == nil {
		t.Error("a kicked app answered a new connection")
	}
	if a := p.state1("cache"); a.Attached || a.Ready != 2 {
		t.Errorf("after kick: attached %v, %d ready, want false and 2", a.Attached, a.Ready)
	}
	p.run("attach", "cache", "--wait")
	if err := pingOnce(route); err != nil {
		t.Errorf("PING after attach: %v", err)
	}
	p.says("cache", "Ready to accept connections")
}

func TestRedisRollsWithoutAFailedRequest(t *testing.T) {
	program := distributed(t, "redis-server")
	p := newPit(t)
	p.serve("--http", freeAddress(t))
	route := freeAddress(t)
	p.apply(redisText(program, route, 100))
	p.ready("cache", 2)
	before := p.pids("cache")

	load := startLoad(t, func() error { return pingOnce(route) }, holdRedis(route))
	out := p.run("restart", "cache", "--wait")
	if !strings.Contains(out, "restart cache: succeeded") {
		t.Errorf("restart --wait printed\n%s", out)
	}
	load.end("during a rolling restart")
	for pid := range p.pids("cache") {
		if before[pid] {
			t.Errorf("pid %d runs on after a restart", pid)
		}
	}

	// A changed spec is a release; it rolls likewise.
	load = startLoad(t, func() error { return pingOnce(route) }, holdRedis(route))
	p.run("apply", "-f", p.write("pitwall.yaml", redisText(program, route, 200)), "--wait")
	load.end("while a release rolled out")
	if got := dialRedis(t, route).maxClients(); got != "200" {
		t.Errorf("after apply the program has maxclients %s, want 200", got)
	}
	releases := read[[]backend.Release](p, "releases", "cache")
	if len(releases) != 2 || releases[0].Number != 2 || !releases[0].Current || len(releases[0].Diff) == 0 {
		t.Errorf("releases after apply = %+v, want the current release 2 with its difference first", releases)
	}
	if out := p.run("apply", "-f", p.write("pitwall.yaml", redisText(program, route, 200))); !strings.Contains(out, "1 unchanged") {
		t.Errorf("apply of the same again printed\n%s", out)
	}

	p.run("rollback", "cache", "--yes", "--wait")
	if got := dialRedis(t, route).maxClients(); got != "100" {
		t.Errorf("after rollback the program has maxclients %s, want 100", got)
	}
	if r := read[[]backend.Release](p, "releases", "cache"); len(r) == 0 || !r[0].Current || r[0].From != 1 {
		t.Errorf("releases after rollback = %+v, want the first to be current and from release 1", r)
	}
}

const nginxManifest = `
apps:
  site:
    processes:
      main:
        command: "sed \"s/@PORT@/$PORT/\" CONFIG > nginx.conf && exec NGINX -e stderr -p \"$PWD\" -c \"$PWD/nginx.conf\" -g 'daemon off;'"
        instances: 2
        ready: {http: /healthz, interval: 200ms, timeout: 1s}
        health: {http: /healthz, interval: 500ms, timeout: 500ms, failures: 2}
        stop: {signal: QUIT, grace: 5s}
    routes:
      - http: site.localhost
`

const nginxConfig = `
USER
worker_processes 1;
error_log stderr notice;
pid nginx.pid;
events { worker_connections 64; }
http {
	access_log /dev/stdout;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	server {
		listen 127.0.0.1:@PORT@;
		location = /healthz { access_log off; return 200 "well\n"; }
		location = /slow { limit_rate 2k; alias SLOW; }
		location / { return 200 "hello from $pid\n"; }
	}
}
`

// slowBytes at 2 KiB a second last longer than the test.
const slowBytes = 1 << 20

func newSite(t *testing.T) (p *pit, edge string) {
	t.Helper()
	program := distributed(t, "nginx")
	p = newPit(t)
	edge = freeAddress(t)
	p.serve("--http", edge)
	user := ""
	if os.Getuid() == 0 {
		user = "user root root;" // its workers would be nobody, who may not read the test's folder
	}
	slow := p.write("slow", strings.Repeat("slow\n", slowBytes/5))
	config := p.write("nginx.conf", strings.NewReplacer("USER", user, "SLOW", slow).Replace(nginxConfig))
	p.apply(strings.NewReplacer("NGINX", program, "CONFIG", config).Replace(nginxManifest))
	p.ready("site", 2)
	return p, edge
}

func TestNginxBehindTheEdge(t *testing.T) {
	p, edge := newSite(t)
	get := func() (int, string, http.Header) { return fetchSite(t, edge, "/") }
	if code, body, _ := get(); code != http.StatusOK || !strings.HasPrefix(body, "hello from ") {
		t.Fatalf("GET / through the edge = %d %q", code, body)
	}
	p.says("site", "GET / HTTP/1")

	slow := openSlow(t, edge)
	p.run("block", "site", "--wait")
	code, _, header := get()
	if code != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("GET / of a blocked app = %d with Retry-After %q, want 503 and one", code, header.Get("Retry-After"))
	}
	if _, err := io.ReadFull(slow, make([]byte, 1<<10)); err != nil {
		t.Errorf("a response that streams while its app is blocked: %v", err)
	}
	p.run("unblock", "site", "--wait")
	p.run("kick", "site", "--yes", "--wait")
	if n, err := io.Copy(io.Discard, slow); err == nil {
		t.Errorf("a response that streamed ended well after kick, with %d more bytes", n)
	}
	if code, _, _ := get(); code == http.StatusOK {
		t.Error("a kicked app answered")
	}

	// A restart brings it back, and from then on no request fails.
	p.run("restart", "site", "--wait")
	load := startLoad(t, func() error {
		if code, body, _ := fetchSite(t, edge, "/"); code != http.StatusOK {
			return fmt.Errorf("GET / = %d %q", code, body)
		}
		return nil
	})
	p.run("restart", "site", "--wait")
	load.end("during a rolling restart")
}

func TestFailingCheckRestartsNginx(t *testing.T) {
	p, edge := newSite(t)
	p.run("scale", "site", "1", "--wait")
	before := p.instance1("site")
	worker := child(t, before.PID)
	if err := syscall.Kill(worker, syscall.SIGSTOP); err != nil { // it listens and does not answer
		t.Fatal(err)
	}
	p.until("the instance was restarted for its check", func() bool {
		in := p.instance1("site")
		return in.PID != before.PID && in.Ready && in.Run > before.Run
	})
	if code, body, _ := fetchSite(t, edge, "/"); code != http.StatusOK {
		t.Errorf("GET / after the restart = %d %q", code, body)
	}
	if syscall.Kill(worker, 0) == nil {
		t.Error("the worker that did not answer is still there")
	}
	if events := p.run("events", "site"); !strings.Contains(events, "check") || !strings.Contains(events, "it is ended") {
		t.Errorf("no event says that a check ended it:\n%s", events)
	}
}

// distributed finds a program of the distribution or skips the test.
func distributed(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	if path, err := exec.LookPath("/usr/sbin/" + name); err == nil {
		return path
	}
	t.Skipf("SKIPPED, LOUDLY: %s IS NOT INSTALLED, SO NO PROGRAM BUT OURS RAN BEHIND THE EDGE", strings.ToUpper(name))
	return ""
}

// ready waits until an app runs with all its instances ready.
func (p *pit) ready(app string, n int) {
	p.t.Helper()
	p.until(fmt.Sprintf("%s has %d ready instances", app, n), func() bool {
		a := p.state1(app)
		return a.State == backend.AppRunning && a.Ready == n
	})
}

func (p *pit) pids(app string) map[int]bool {
	p.t.Helper()
	pids := map[int]bool{}
	for _, in := range read[[]backend.Instance](p, "instances", app) {
		pids[in.PID] = true
	}
	return pids
}

// says waits until an app's log has a text.
func (p *pit) says(app, text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("the log of %s has %q", app, text), func() bool {
		return strings.Contains(p.run("logs", app, "--grep", text), text)
	})
}

// redisClient is one connection that speaks to a redis.
type redisClient struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func dialRedis(t *testing.T, addr string) *redisClient {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &redisClient{t, conn, bufio.NewReader(conn)}
	c.mustPing("when it is new")
	return c
}

// ask sends a command and reads its reply: a line, or a bulk string.
func (c *redisClient) ask(command string) (string, error) {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c.conn, command+"\r\n"); err != nil {
		return "", err
	}
	return c.reply()
}

func (c *redisClient) reply() (string, error) {
	line, err := c.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSpace(line)
	n, isSize := 0, false
	if len(line) > 1 && (line[0] == '$' || line[0] == '*') {
		n, err = strconv.Atoi(line[1:])
		isSize = err == nil
	}
	switch {
	case !isSize:
		return line, nil
	case line[0] == '$':
		text := make([]byte, n+len("\r\n"))
		_, err := io.ReadFull(c.in, text)
		return string(text[:n]), err
	}
	var all []string
	for range n {
		item, err := c.reply()
		if err != nil {
			return "", err
		}
		all = append(all, item)
	}
	return strings.Join(all, " "), nil
}

func (c *redisClient) ping() error {
	got, err := c.ask("PING")
	if err == nil && got != "+PONG" {
		err = fmt.Errorf("PING got %q", got)
	}
	return err
}

func (c *redisClient) mustPing(when string) {
	c.t.Helper()
	if err := c.ping(); err != nil {
		c.t.Fatalf("PING through the edge %s: %v", when, err)
	}
}

// info is one field of INFO server.
func (c *redisClient) info(field string) string {
	c.t.Helper()
	text, err := c.ask("INFO server")
	if err != nil {
		c.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, field+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

func (c *redisClient) maxClients() string {
	c.t.Helper()
	text, err := c.ask("CONFIG GET maxclients")
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimPrefix(text, "maxclients ")
}

// ended waits until the other side has closed the connection.
func (c *redisClient) ended() error {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.in.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("is still open: %v", err)
	}
	return nil
}

// pingOnce sends one PING over a connection of its own.
func pingOnce(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	return (&redisClient{conn: conn, in: bufio.NewReader(conn)}).ping()
}

func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// holdRedis returns a request over a connection that is kept: one that was
// closed while it was idle is opened again, as clients of a pool do, and then
// the first PING must work.
func holdRedis(addr string) func() error {
	var c *redisClient
	return func() error {
		if c != nil && c.ping() == nil {
			return nil
		}
		conn, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			return err
		}
		if c != nil {
			c.conn.Close()
		}
		c = &redisClient{conn: conn, in: bufio.NewReader(conn)}
		return c.ping()
	}
}

// load sends requests until it is ended.
type load struct {
	t      *testing.T
	stop   chan struct{}
	once   sync.Once
	work   sync.WaitGroup
	sent   atomic.Int64
	failed atomic.Int64
	first  atomic.Value // of the errors
}

// startLoad repeats each request in a goroutine of its own, and returns when
// some have been sent.
func startLoad(t *testing.T, requests ...func() error) *load {
	t.Helper()
	l := &load{t: t, stop: make(chan struct{})}
	for _, request := range requests {
		l.work.Go(func() { l.repeat(request) })
	}
	t.Cleanup(l.halt)
	for l.sent.Load() < 10 {
		time.Sleep(5 * time.Millisecond) // a poll, not a synchronisation
	}
	return l
}

func (l *load) repeat(request func() error) {
	for {
		if err := request(); err != nil {
			l.failed.Add(1)
			l.first.CompareAndSwap(nil, err.Error())
		}
		l.sent.Add(1)
		select {
		case <-l.stop:
			return
		case <-time.After(5 * time.Millisecond): // a busy client, not a flood
		}
	}
}

func (l *load) halt() {
	l.once.Do(func() { close(l.stop) })
	l.work.Wait()
}

// end stops the load and fails the test for requests that failed.
func (l *load) end(when string) {
	l.t.Helper()
	l.halt()
	if n := l.failed.Load(); n > 0 {
		l.t.Errorf("%d of %d requests failed %s, the first with: %v", n, l.sent.Load(), when, l.first.Load())
	}
}

// fetchSite asks the edge for a path of the site, over a connection of its own.
func fetchSite(t *testing.T, edge, path string) (code int, body string, header http.Header) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+edge+path, nil)
	if err != nil {
		return 0, err.Error(), nil
	}
	req.Host = "site.localhost"
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := client.Do(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error(), nil
	}
	return res.StatusCode, string(text), res.Header
}

// openSlow asks for a response that takes minutes and returns its body.
func openSlow(t *testing.T, edge string) io.Reader {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+edge+"/slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "site.localhost"
	res, err := (&http.Client{Transport: &http.Transport{}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res.Body
}

// child is the first child process of a process.
func child(t *testing.T, pid int) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(raw), " ")
	n, err := strconv.Atoi(first)
	if err != nil {
		t.Fatalf("process %d has no child: %q", pid, raw)
	}
	return n
}
