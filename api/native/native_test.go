package native_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"pitwall/api/native"
	"pitwall/backend"
	"pitwall/backend/backendtest"
	"pitwall/backend/wire"
)

// start serves a fake with one app and one instance.
func start(t *testing.T, b backend.Backend) (*httptest.Server, *native.Handler) {
	t.Helper()
	h := native.New(native.Config{Backend: b, Version: "1.2.3"})
	mux := http.NewServeMux()
	h.Mount(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server, h
}

func shop() (*backendtest.Fake, backend.App, backend.Instance) {
	f := backendtest.NewFake()
	app := f.AddApp(backend.App{Name: "web", Instances: 1})
	return f, app, f.AddInstance(backend.Instance{App: "web"})
}

// ask makes a request and returns the reply and its body.
func ask(t *testing.T, method, url, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply, string(text)
}

func TestRanges(t *testing.T) {
	f, _, instance := shop()
	f.Lines(instance.ID, "", "0123456789", "abcdefghij")
	server, _ := start(t, f)
	url := server.URL + wire.BlobPath(backend.BlobRef{Kind: backend.LogBlob, ID: instance.ID, Stream: backend.Stdout})
	tests := []struct {
		ask, want, content string
		status             int
	}{
		{"", "0123456789\nabcdefghij\n", "", 200},
		{"bytes=0-3", "0123", "bytes 0-3/*", 206},
		{"bytes=5-12", "56789\nab", "bytes 5-12/*", 206},
		{"bytes=20-99", "j\n", "bytes 20-21/*", 206},
		{"bytes=11-", "abcdefghij\n", "bytes 11-21/*", 206},
		{"bytes=99-", "", "bytes */*", 416},
		{"bytes=-5", "0123456789\nabcdefghij\n", "", 200},
		{"bytes=5-2", "0123456789\nabcdefghij\n", "", 200},
		{"lines=1-2", "0123456789\nabcdefghij\n", "", 200},
	}
	for _, tt := range tests {
		reply, body := ask(t, "GET", url, "", http.Header{"Range": []string{tt.ask}})
		if reply.StatusCode != tt.status || body != tt.want || reply.Header.Get("Content-Range") != tt.content {
			t.Errorf("Range %q = %d %q %q, want %d %q %q", tt.ask, reply.StatusCode, body, reply.Header.Get("Content-Range"), tt.status, tt.want, tt.content)
		}
	}
}

// tearing is a backend whose blobs break off.
type tearing struct{ backend.Backend }

type torn struct{ io.Reader }

func (torn) Close() error { return nil }

func (tearing) Open(context.Context, backend.BlobRef) (io.ReadCloser, error) {
	return torn{io.MultiReader(strings.NewReader("half of it"), failing{})}, nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) {
	return 0, backend.Errorf(backend.Exhausted, "the disk is gone")
}

func TestABlobThatBreaksOffSaysSo(t *testing.T) {
	server, _ := start(t, tearing{})
	reply, body := ask(t, "GET", server.URL+wire.BlobsPath+"/bundle/x", "", nil)
	var e wire.Error
	if err := json.Unmarshal([]byte(reply.Trailer.Get(wire.ErrorTrailer)), &e); err != nil || e.Code != backend.Exhausted || body != "half of it" {
		t.Errorf("open = %q with trailer %v, %v, want the half and why", body, reply.Trailer, err)
	}
}

func TestIdempotencyHeader(t *testing.T) {
	f, app, _ := shop()
	server, _ := start(t, f)
	url := server.URL + wire.DoPath("block")
	body := `{"app":"` + app.ID + `"}`
	key := http.Header{"Idempotency-Key": []string{"one"}}
	var ids []string
	for range 3 {
		_, text := ask(t, "POST", url, body, key)
		var r wire.Result
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatalf("reply %s: %v", text, err)
		}
		ids = append(ids, r.Operation.ID)
	}
	if ids[0] == "" || ids[0] != ids[1] || ids[1] != ids[2] {
		t.Errorf("operations = %v, want one", ids)
	}
	reply, _ := ask(t, "POST", url, `{"app":"`+app.ID+`","key":"two"}`, key)
	if reply.StatusCode != 400 {
		t.Errorf("two keys that differ = %d, want 400", reply.StatusCode)
	}
}

func TestBundleTooLarge(t *testing.T) {
	f, _, _ := shop()
	h := native.New(native.Config{Backend: f, MaxBundle: 1000})
	mux := http.NewServeMux()
	h.Mount(mux)
	server := httptest.NewServer(mux)
	defer server.Close()
	reply, body := ask(t, "POST", server.URL+wire.BlobsPath, strings.Repeat("x", 1001), nil)
	if reply.StatusCode != http.StatusInsufficientStorage || !strings.Contains(body, "1000") {
		t.Errorf("put = %d %s, want 507 with the bound", reply.StatusCode, body)
	}
}

func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	server, _ := start(t, backendtest.NewFake())
	_, text := ask(t, "GET", server.URL+wire.OpenAPIPath, "", nil)
	var doc struct {
		OpenAPI string
		Info    struct{ Version string }
		Paths   map[string]map[string]struct {
			Parameters  []struct{ Name string }
			RequestBody *struct{}
		}
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("read: %v", err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.") || doc.Info.Version != "1.2.3" {
		t.Errorf("openapi %q of version %q", doc.OpenAPI, doc.Info.Version)
	}
	for verb := range backend.Commands() {
		post, ok := doc.Paths[wire.DoPath(verb)]["post"]
		if !ok || post.RequestBody == nil {
			t.Errorf("the command %s is not described", verb)
		}
	}
	for _, name := range []string{wire.Apps, wire.Instances, wire.Jobs, wire.Runs, wire.Releases, wire.Loggers, wire.Operations, wire.Events, wire.Nodes, wire.Documents} {
		get, ok := doc.Paths[wire.Prefix+"/"+name]["get"]
		if !ok || len(get.Parameters) != 1 || get.Parameters[0].Name != "q" {
			t.Errorf("the listing %s is not described", name)
		}
	}
	for rest := text; ; {
		_, after, found := strings.Cut(rest, `"$ref":"#/components/schemas/`)
		if !found {
			break
		}
		name, _, _ := strings.Cut(after, `"`)
		if _, ok := doc.Components.Schemas[name]; !ok {
			t.Errorf("the schema %s is referred to and not there", name)
		}
		rest = after
	}
	if !strings.Contains(string(doc.Components.Schemas["AppList"]), `"errorsPerMinute"`) {
		t.Errorf("AppList = %.200s, want an app's fields", doc.Components.Schemas["AppList"])
	}
}

// feeds opens the websocket of feeds.
func feeds(t *testing.T, server *httptest.Server) *websocket.Conn {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+wire.FeedsPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	ws.SetReadDeadline(time.Now().Add(time.Minute))
	return ws
}

func write(t *testing.T, ws *websocket.Conn, text string) {
	t.Helper()
	if err := ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func next(t *testing.T, ws *websocket.Conn) wire.Frame {
	t.Helper()
	_, message, err := ws.ReadMessage()
	if err != nil {
		t.Fatalf("read frame: %v", err)
	}
	f, err := wire.DecodeFrame(message)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestNothingComesWithoutCredit(t *testing.T) {
	f, app, instance := shop()
	server, _ := start(t, f)
	ws := feeds(t, server)
	write(t, ws, `{"type":"open","feed":1,"kind":"logs","query":{"apps":["`+app.ID+`"],"follow":true},"credit":1}`)
	if got := next(t, ws); got.Type != wire.Opened || got.Feed != 1 || got.Time.IsZero() {
		t.Fatalf("frame = %+v, want opened", got)
	}
	f.Lines(instance.ID, "", "one")
	if got := next(t, ws); got.Type != wire.Items || len(got.Items) != 1 {
		t.Fatalf("frame = %+v, want one line", got)
	}
	f.Lines(instance.ID, "", "two", "three")
	// The answers to another feed come after anything that the first one
	// could have sent, which is nothing.
	write(t, ws, `{"type":"open","feed":2,"kind":"samples","credit":1}`)
	if got := next(t, ws); got.Type != wire.Opened || got.Feed != 2 {
		t.Fatalf("frame = %+v, want the second feed opened", got)
	}
	f.Sample(backend.Sample{Ref: app.Ref()})
	if got := next(t, ws); got.Feed != 2 || got.Type != wire.Items {
		t.Fatalf("frame = %+v, want the sample", got)
	}
	write(t, ws, `{"type":"credit","feed":1,"credit":1}`)
	if got := next(t, ws); got.Feed != 1 || len(got.Items) != 2 {
		t.Fatalf("frame = %+v, want the two lines", got)
	}
}

func TestFramesAreBounded(t *testing.T) {
	f, app, instance := shop()
	line := strings.Repeat("x", 60_000)
	for range 40 {
		f.Lines(instance.ID, "", line)
	}
	server, _ := start(t, f)
	ws := feeds(t, server)
	write(t, ws, `{"type":"open","feed":1,"kind":"logs","query":{"apps":["`+app.ID+`"]},"credit":100}`)
	lines := 0
	for {
		_, message, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if len(message) > wire.MaxOut+1000 {
			t.Errorf("a frame of %d bytes", len(message))
		}
		got, err := wire.DecodeFrame(message)
		if err != nil {
			t.Fatal(err)
		}
		if got.Type == wire.End {
			break
		}
		lines += len(got.Items)
	}
	if lines != 40 {
		t.Errorf("%d lines, want 40", lines)
	}
}

func TestBadFramesEndTheConnection(t *testing.T) {
	f, _, _ := shop()
	server, h := start(t, f)
	tests := []struct {
		name     string
		kind     int
		messages []string
		status   int
	}{
		{"nonsense", websocket.TextMessage, []string{"hello"}, websocket.CloseProtocolError},
		{"binary", websocket.BinaryMessage, []string{`{"type":"close","feed":1}`}, websocket.CloseUnsupportedData},
		{"number used again", websocket.TextMessage, []string{
			`{"type":"open","feed":1,"kind":"watch"}`, `{"type":"open","feed":1,"kind":"watch"}`,
		}, websocket.CloseProtocolError},
		{"a server's frame", websocket.TextMessage, []string{`{"type":"items","feed":1}`}, websocket.CloseProtocolError},
		{"too much credit", websocket.TextMessage, []string{
			`{"type":"open","feed":1,"kind":"watch","credit":65536}`, `{"type":"credit","feed":1,"credit":1}`,
		}, websocket.CloseProtocolError},
		{"too long", websocket.TextMessage, []string{strings.Repeat(" ", wire.MaxIn+1)}, websocket.CloseMessageTooBig},
	}
	for _, tt := range tests {
		ws := feeds(t, server)
		for _, message := range tt.messages {
			if err := ws.WriteMessage(tt.kind, []byte(message)); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		for err == nil {
			_, _, err = ws.ReadMessage()
		}
		if !websocket.IsCloseError(err, tt.status) {
			t.Errorf("%s: %v, want status %d", tt.name, err, tt.status)
		}
	}
	deadline := time.Now().Add(time.Minute)
	for s := h.Stats(); s.Feeds != 0 || s.Connections != 0; s = h.Stats() {
		if time.Now().After(deadline) {
			t.Fatalf("left open: %+v", s)
		}
	}
}

func TestBadQueriesEndTheFeedAlone(t *testing.T) {
	f, app, _ := shop()
	server, _ := start(t, f)
	ws := feeds(t, server)
	bad := map[string]backend.Code{
		`{"type":"open","feed":%d,"kind":"watch","query":{"sinse":1}}`:                     backend.Invalid,
		`{"type":"open","feed":%d,"kind":"watch","query":{"since":99999}}`:                 backend.Compacted,
		`{"type":"open","feed":%d,"kind":"logs","query":{"regexp":"("}}`:                   backend.Invalid,
		`{"type":"open","feed":%d,"kind":"logstats","query":{"apps":["none"]},"credit":1}`: backend.NotFound,
	}
	n := 0
	for frame, want := range bad {
		n++
		write(t, ws, fmt.Sprintf(frame, n))
		if got := next(t, ws); got.Type != wire.End || got.Error == nil || got.Error.Code != want || got.Feed != uint64(n) {
			t.Errorf("%s = %+v, want the end with %s", frame, got, want)
		}
	}
	write(t, ws, fmt.Sprintf(`{"type":"open","feed":%d,"kind":"watch","credit":1}`, n+1))
	if got := next(t, ws); got.Type != wire.Opened || got.Since == 0 {
		t.Errorf("frame = %+v, want opened with an index", got)
	}
	f.Emit(backend.Event{Ref: app.Ref()})
	if got := next(t, ws); got.Type != wire.Items {
		t.Errorf("frame = %+v, want the event", got)
	}
}

func TestTooManyFeeds(t *testing.T) {
	f, _, _ := shop()
	server, _ := start(t, f)
	ws := feeds(t, server)
	for n := range wire.MaxFeeds {
		write(t, ws, fmt.Sprintf(`{"type":"open","feed":%d,"kind":"watch"}`, n+1))
	}
	write(t, ws, fmt.Sprintf(`{"type":"open","feed":%d,"kind":"watch"}`, wire.MaxFeeds+1))
	for {
		got := next(t, ws)
		if got.Feed != wire.MaxFeeds+1 {
			continue
		}
		if got.Type != wire.End || got.Error.Code != backend.Exhausted {
			t.Errorf("frame = %+v, want the end with exhausted", got)
		}
		return
	}
}

// TestAStillClientIsDropped neither answers pings nor reads.
func TestAStillClientIsDropped(t *testing.T) {
	f, _, _ := shop()
	h := native.New(native.Config{Backend: f, PingEvery: 10 * time.Millisecond, DeadAfter: 50 * time.Millisecond})
	mux := http.NewServeMux()
	h.Mount(mux)
	server := httptest.NewServer(mux)
	defer server.Close()
	ws := feeds(t, server)
	write(t, ws, `{"type":"open","feed":1,"kind":"watch","credit":1}`)
	deadline := time.Now().Add(time.Minute)
	for h.Stats().Feeds == 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // Until it is open.
	}
	for h.Stats().Connections > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("still open: %+v", h.Stats())
		}
		time.Sleep(time.Millisecond) // Until it is dropped.
	}
}

func TestAnAttachmentKeepsItsWindow(t *testing.T) {
	f, _, instance := shop()
	server, _ := start(t, f)
	url := "ws" + strings.TrimPrefix(server.URL, "http") + wire.AttachPath + "?q=%7B%22instance%22:%22" + instance.ID + "%22,%22command%22:[%22echo%22]%7D"
	ws, _, err := websocket.DefaultDialer.DialContext(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	ws.SetReadDeadline(time.Now().Add(time.Minute))
	part := make([]byte, 32<<10)
	input, output := 0, 0
	for sent := 0; sent < 4*wire.AttachWindow; {
		for sent < wire.AttachWindow+input {
			if err := ws.WriteMessage(websocket.BinaryMessage, part); err != nil {
				t.Fatal(err)
			}
			sent += len(part)
		}
		kind, body, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if kind == websocket.BinaryMessage {
			output += len(body)
			continue
		}
		c, err := wire.DecodeControl(body)
		if err != nil {
			t.Fatal(err)
		}
		input += c.Credit
	}
	if output > wire.AttachWindow {
		t.Errorf("%d bytes of output without a grant, want %d at most", output, wire.AttachWindow)
	}
	// Input beyond what was granted ends it.
	for range 100 {
		if err = ws.WriteMessage(websocket.BinaryMessage, part); err != nil {
			break
		}
	}
	for err == nil {
		_, _, err = ws.ReadMessage()
	}
	var closed *websocket.CloseError
	if errors.As(err, &closed) && closed.Code != websocket.CloseProtocolError {
		t.Errorf("the end = %v, want a protocol error", err)
	}
}
