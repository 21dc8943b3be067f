package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"pitwall/api"
	"pitwall/backend"
	"pitwall/backend/backendtest"
	"pitwall/backend/guard"
	"pitwall/backend/wire"
)

const token = "s3cret-token"

// silent drops every entry.
func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

// start serves at a TCP door and at a socket door, and returns both addresses.
func start(t *testing.T, cfg api.Config) (tcp, socket string) {
	t.Helper()
	cfg.Log, cfg.Token = silent(), token
	handler := api.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{
		Handler: handler, ConnContext: api.ConnContext, ReadHeaderTimeout: api.ReadHeaderTimeout,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	dir, err := os.MkdirTemp("", "pw") // a socket's path is limited to 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	done := make(chan struct{}, 2)
	serve := func(network, address string) string {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			server.Serve(l)
			done <- struct{}{}
		}()
		return l.Addr().String()
	}
	tcp = serve("tcp", "127.0.0.1:0")
	serve("unix", socket)
	t.Cleanup(func() {
		cancel()
		server.Close()
		<-done
		<-done
	})
	return tcp, socket
}

// over returns a client that reaches everything through a socket.
func over(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
}

// call makes a request and returns its status and body.
func call(t *testing.T, c *http.Client, method, url string, header http.Header) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host := header.Get("Host"); host != "" {
		r.Host = host
		header.Del("Host")
	}
	if header != nil {
		r.Header = header
	}
	reply, err := c.Do(r)
	if err != nil {
		t.Fatalf("%s %s = %v", method, url, err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, string(body)
}

// bearing is a header with a token.
func bearing(token string) http.Header {
	return http.Header{"Authorization": []string{"Bearer " + token}}
}

// TestTCPAsksForTheToken goes over every kind of path.
func TestTCPAsksForTheToken(t *testing.T) {
	tcp, _ := start(t, api.Config{Backend: backendtest.NewFake()})
	paths := []struct {
		method, path string
		open         bool
	}{
		{"GET", "/healthz", true},
		{"GET", "/readyz", true},
		{"GET", "/metrics", false},
		{"GET", "/pitwall/v1/apps", false},
		{"POST", "/pitwall/v1/do/down", false},
		{"POST", "/pitwall/v1/blobs", false},
		{"GET", "/pitwall/v1/feeds", false},
		{"GET", "/pitwall/v1/attach", false},
		{"GET", "/pitwall/v1/openapi.json", false},
		{"GET", "/pitwall/v1/nothing", false},
		{"GET", "/", false},
		{"GET", "/healthz/", false},
		{"POST", "/healthz", false},
		{"GET", "/%70itwall/v1/apps", false},
		{"GET", "//pitwall/v1/apps", false},
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, p := range paths {
		for _, header := range []http.Header{nil, bearing(""), bearing("wrong"), bearing(token + "x"), {"Authorization": []string{"Basic " + token}}, {"Cookie": []string{"token=" + token}}} {
			status, body := call(t, client, p.method, "http://"+tcp+p.path, header)
			if p.open {
				if status != http.StatusOK {
					t.Errorf("%s %s without a token = %d %s, want 200", p.method, p.path, status, body)
				}
				continue
			}
			if status != http.StatusUnauthorized && status/100 != 3 {
				t.Errorf("%s %s with %v = %d %s, want 401", p.method, p.path, header, status, body)
			}
		}
		if status, body := call(t, client, p.method, "http://"+tcp+p.path, bearing(token)); status == http.StatusUnauthorized {
			t.Errorf("%s %s with the token = %d %s", p.method, p.path, status, body)
		}
	}
	if status, _ := call(t, client, "GET", "http://"+tcp+"/pitwall/v1/apps?token="+token, nil); status != http.StatusUnauthorized {
		t.Errorf("a token in the address = %d, want 401", status)
	}
}

func TestNoTokenMeansNobody(t *testing.T) {
	server := httptest.NewServer(api.New(api.Config{Backend: backendtest.NewFake(), Log: silent()}))
	defer server.Close()
	for _, header := range []http.Header{nil, bearing(""), bearing(" ")} {
		if status, _ := call(t, server.Client(), "GET", server.URL+"/pitwall/v1/apps", header); status != http.StatusUnauthorized {
			t.Errorf("with %v = %d, want 401", header, status)
		}
	}
}

func TestHostsOverTCP(t *testing.T) {
	tcp, socket := start(t, api.Config{Backend: backendtest.NewFake(), Hosts: []string{"pit.example.org"}})
	_, port, _ := net.SplitHostPort(tcp)
	for host, want := range map[string]int{
		"127.0.0.1:" + port: 200, "localhost:" + port: 200, "localhost": 200, "LOCALHOST.": 200, "[::1]:" + port: 200,
		"[::ffff:127.0.0.1]": 200, "web.localhost": 200, "pit.example.org": 200, "PIT.example.org:7070": 200,
		"evil.example": 403, "evil.example:" + port: 403, "192.168.1.1": 403, "localhost.evil.example": 403, "0.0.0.0": 403,
	} {
		header := bearing(token)
		header.Set("Host", host)
		if status, body := call(t, http.DefaultClient, "GET", "http://"+tcp+"/pitwall/v1/apps", header); status != want {
			t.Errorf("Host %s = %d %s, want %d", host, status, body, want)
		}
	}
	if status, _ := call(t, over(socket), "GET", "http://evil.example/pitwall/v1/apps", nil); status != 200 {
		t.Errorf("any host over the socket = %d, want 200", status)
	}
}

func TestOriginsOfWebsockets(t *testing.T) {
	fake := backendtest.NewFake()
	fake.AddApp(backend.App{Name: "web", Instances: 1})
	instance := fake.AddInstance(backend.Instance{App: "web"})
	tcp, socket := start(t, api.Config{Backend: fake, Origins: []string{"https://console.example.org"}})
	attach := wire.AttachPath + `?q={"instance":"` + instance.ID + `","command":["echo"]}`
	attach = strings.NewReplacer(`"`, "%22", "{", "%7B", "}", "%7D").Replace(attach)
	tests := []struct {
		origin string
		want   int
	}{
		{"", 101},
		{"http://" + tcp, 101},
		{"https://console.example.org", 101},
		{"https://console.example.org.evil.example", 403},
		{"http://console.example.org", 403},
		{"http://evil.example", 403},
		{"http://127.0.0.1:1", 403},
		{"null", 403},
		{"file://", 403},
	}
	doors := map[string]*websocket.Dialer{
		"tcp": websocket.DefaultDialer,
		"socket": {NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		}},
	}
	for door, dialer := range doors {
		for _, path := range []string{wire.FeedsPath, "/pitwall/v1/%66eeds", attach} {
			for _, tt := range tests {
				header := bearing(token)
				if tt.origin != "" {
					header.Set("Origin", tt.origin)
				}
				ws, reply, err := dialer.DialContext(t.Context(), "ws://"+tcp+path, header)
				if err == nil {
					ws.Close()
				}
				if reply == nil || reply.StatusCode != tt.want {
					t.Errorf("%s: %s from %q = %v, %v, want %d", door, path, tt.origin, reply, err, tt.want)
				}
			}
		}
		header := bearing(token)
		header.Set("Host", "evil.example")
		ws, reply, err := dialer.DialContext(t.Context(), "ws://"+tcp+wire.FeedsPath, header)
		if err == nil {
			ws.Close()
		}
		want := map[string]int{"tcp": 403, "socket": 101}[door]
		if reply == nil || reply.StatusCode != want {
			t.Errorf("%s: Host evil.example = %v, %v, want %d", door, reply, err, want)
		}
	}
}

func TestSocketKnowsItsCaller(t *testing.T) {
	fake := backendtest.NewFake()
	app := fake.AddApp(backend.App{Name: "web"})
	_, socket := start(t, api.Config{Backend: guard.New(fake, guard.Owner(), nil)})
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://x/pitwall/v1/do/block", strings.NewReader(`{"app":"`+app.ID+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := over(socket).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	var result wire.Result
	if err := json.NewDecoder(reply.Body).Decode(&result); err != nil || reply.StatusCode != 200 {
		t.Fatalf("block = %d, %v", reply.StatusCode, err)
	}
	if result.Operation.Author == "" || result.Operation.Author == backendtest.Author || result.Operation.Source != "api" {
		t.Errorf("author = %q, source %q, want this process's user and api", result.Operation.Author, result.Operation.Source)
	}
}

// TestSocketWithoutConnContext is a server that was put together wrong.
func TestSocketWithoutConnContext(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: api.New(api.Config{Backend: backendtest.NewFake(), Token: token, Log: silent()})}
	go server.Serve(l)
	defer server.Close()
	if status, body := call(t, over(l.Addr().String()), "GET", "http://x/pitwall/v1/apps", bearing(token)); status != http.StatusForbidden {
		t.Errorf("apps = %d %s, want 403", status, body)
	}
}

func TestHealthAndReadiness(t *testing.T) {
	var why error
	tcp, _ := start(t, api.Config{Backend: backendtest.NewFake(), Ready: func() error { return why }})
	if status, body := call(t, http.DefaultClient, "GET", "http://"+tcp+"/readyz", nil); status != 200 || body != "ok\n" {
		t.Errorf("readyz = %d %q", status, body)
	}
	why = errors.New("the store is opening")
	if status, body := call(t, http.DefaultClient, "GET", "http://"+tcp+"/readyz", nil); status != 503 || !strings.Contains(body, "opening") {
		t.Errorf("readyz = %d %q, want 503 with the reason", status, body)
	}
	if status, _ := call(t, http.DefaultClient, "GET", "http://"+tcp+"/healthz", nil); status != 200 {
		t.Errorf("healthz = %d, want 200", status)
	}
}

func TestMetrics(t *testing.T) {
	fake := backendtest.NewFake()
	app := fake.AddApp(backend.App{Name: "web", Scope: backend.Scope{Team: "shop"}, Instances: 1, Restarts: 7, ErrorsPerMinute: 3})
	fake.AddInstance(backend.Instance{App: "web"})
	fake.AddApp(backend.App{Name: "old", State: backend.AppStopped})
	if _, err := fake.Do(t.Context(), backend.Block{App: app.ID}); err != nil {
		t.Fatal(err)
	}
	tcp, _ := start(t, api.Config{Backend: fake, Version: "1.2.3"})
	status, body := call(t, http.DefaultClient, "GET", "http://"+tcp+"/metrics", bearing(token))
	if status != 200 {
		t.Fatalf("metrics = %d %s", status, body)
	}
	for _, want := range []string{
		`pitwall_apps{state="running"} 1`, `pitwall_apps{state="stopped"} 1`, `pitwall_apps_blocked 1`,
		`pitwall_instances{state="running"} 1`, `pitwall_app_restarts{app="web",space="default",team="shop"} 7`,
		`pitwall_app_errors_per_minute{app="web",space="default",team="shop"} 3`,
		`pitwall_operations{state="succeeded",verb="block"} 1`, `pitwall_build_info{version="1.2.3"} 1`,
		"pitwall_feeds_open 0", "pitwall_feed_lags_total 0", "process_resident_memory_bytes", "pitwall_backend_up 1",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	fake.Fail("instances", backend.Errorf(backend.Internal, "the store is broken"))
	if _, body := call(t, http.DefaultClient, "GET", "http://"+tcp+"/metrics", bearing(token)); !strings.Contains(body, "pitwall_backend_up 0") {
		t.Error("metrics do not say that the backend fails")
	}
}

func TestReadErrorsAreBodies(t *testing.T) {
	fake := backendtest.NewFake()
	_, socket := start(t, api.Config{Backend: fake})
	client := over(socket)
	tests := []struct {
		method, path, body string
		status             int
		code               backend.Code
	}{
		{"GET", "/pitwall/v1/apps?q=%7B%22nmae%22:1%7D", "", 400, backend.Invalid},
		{"GET", "/pitwall/v1/apps?name=web", "", 400, backend.Invalid},
		{"GET", "/pitwall/v1/releases?q=%7B%22app%22:%22x%22%7D", "", 404, backend.NotFound},
		{"GET", "/pitwall/v1/nothing", "", 404, backend.NotFound},
		{"DELETE", "/pitwall/v1/apps", "", 404, backend.NotFound},
		{"GET", "/nothing", "", 404, backend.NotFound},
		{"POST", "/pitwall/v1/do/explode", "{}", 400, backend.Invalid},
		{"POST", "/pitwall/v1/do/restart", `{"ap":"x"}`, 400, backend.Invalid},
		{"POST", "/pitwall/v1/do/restart", `{"app":`, 400, backend.Invalid},
		{"POST", "/pitwall/v1/do/restart", `{"app":"x"}`, 404, backend.NotFound},
		{"POST", "/pitwall/v1/do/restart", `{"app":"` + strings.Repeat("x", 2<<20) + `"}`, 400, backend.Invalid},
		{"GET", "/pitwall/v1/blobs/cheese/x", "", 400, backend.Invalid},
		{"GET", "/pitwall/v1/blobs/bundle/x?offset=-1", "", 400, backend.Invalid},
		{"GET", "/pitwall/v1/blobs/bundle/none", "", 404, backend.NotFound},
		{"GET", "/pitwall/v1/feeds", "", 400, backend.Invalid},
		{"GET", "/pitwall/v1/attach", "", 400, backend.Invalid},
	}
	for _, tt := range tests {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, "http://x"+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		reply, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var body wire.ErrorBody
		err = json.NewDecoder(reply.Body).Decode(&body)
		reply.Body.Close()
		if err != nil || reply.StatusCode != tt.status || body.Error.Code != tt.code || body.Error.Message == "" {
			t.Errorf("%s %s %.30s = %d %+v, %v, want %d %s", tt.method, tt.path, tt.body, reply.StatusCode, body.Error, err, tt.status, tt.code)
		}
		if reply.Header.Get(wire.RequestHeader) == "" {
			t.Errorf("%s %s has no request id", tt.method, tt.path)
		}
	}
}

// broken is a backend with a defect.
type broken struct{ backend.Backend }

func TestPanicIsAnError(t *testing.T) {
	tcp, _ := start(t, api.Config{Backend: broken{}})
	status, body := call(t, http.DefaultClient, "GET", "http://"+tcp+"/pitwall/v1/apps", bearing(token))
	if status != 500 || !strings.Contains(body, `"internal"`) || strings.Contains(body, "goroutine") {
		t.Errorf("apps = %d %s, want an internal error and no stack", status, body)
	}
}

func TestCheckPeerOfThisProcess(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := api.CheckPeer(conn.(*net.UnixConn)); err != nil {
		t.Errorf("CheckPeer(uid %d) = %v", os.Getuid(), err)
	}
}
