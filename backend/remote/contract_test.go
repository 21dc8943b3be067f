package remote_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pitwall/api/native"
	"pitwall/backend"
	"pitwall/backend/backendtest"
	"pitwall/backend/remote"
)

// quick is a backoff for tests.
func quick(int) time.Duration { return time.Millisecond }

// serve serves a backend on a listener until the test ends, and returns the
// handler.
func serve(t *testing.T, l net.Listener, b backend.Backend) *native.Handler {
	t.Helper()
	cfg := native.Config{Backend: b, Version: "test", AllowUpgrade: func(*http.Request) error { return nil }}
	if fake, ok := b.(*backendtest.Fake); ok {
		cfg.Now = fake.Now // A server and its logs have one clock.
	}
	h := native.New(cfg)
	mux := http.NewServeMux()
	h.Mount(mux)
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{Handler: mux, BaseContext: func(net.Listener) context.Context { return ctx }}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(l)
	}()
	t.Cleanup(func() {
		cancel()
		server.Close()
		<-done
	})
	return h
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dial(t *testing.T, cfg remote.Config) *remote.Client {
	t.Helper()
	if cfg.Backoff == nil {
		cfg.Backoff = quick
	}
	c, err := remote.Dial(context.Background(), cfg)
	if err != nil {
		t.Fatalf("Dial(%s) = %v", cfg.URL, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// through puts a remote client and a served handler before a fixture's
// backend. What is on its way counts as buffered too.
func through(t *testing.T, l net.Listener, cfg remote.Config) backendtest.Fixture {
	fix := backendtest.NewFixture()
	serve(t, l, fix.Backend)
	fix.Backend = dial(t, cfg)
	fix.Buffer = 600
	return fix
}

func TestContractOverTCP(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Fixture {
		l := listen(t, "tcp", "127.0.0.1:0")
		return through(t, l, remote.Config{URL: "http://" + l.Addr().String()})
	})
}

func TestContractOverUnixSocket(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Fixture {
		path := filepath.Join(t.TempDir(), "s")
		return through(t, listen(t, "unix", path), remote.Config{URL: "unix:" + path})
	})
}

func TestContractCompressed(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Fixture {
		l := listen(t, "tcp", "127.0.0.1:0")
		return through(t, l, remote.Config{URL: "http://" + l.Addr().String(), Compress: true})
	})
}

func TestAddressesThatCannotBe(t *testing.T) {
	for _, url := range []string{"", "localhost:7070", "ftp://x", "unix:", "http://", "http://ana:secret@host", "http://host/path", "http://host?x=1"} {
		_, err := remote.Dial(t.Context(), remote.Config{URL: url})
		if backend.CodeOf(err) != backend.Invalid {
			t.Errorf("Dial(%q) = %v, want invalid", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("Dial() shows the password: %v", err)
		}
	}
}

func TestNothingListens(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	l.Close()
	urls := []string{"http://" + l.Addr().String(), "unix:" + filepath.Join(t.TempDir(), "none")}
	for _, url := range urls {
		c := dial(t, remote.Config{URL: url})
		_, err := c.Apps(t.Context(), backend.AppQuery{})
		_, watchErr := c.Watch(t.Context(), backend.WatchQuery{})
		_, doErr := c.Do(t.Context(), backend.Block{App: "x"})
		_, attachErr := c.Attach(t.Context(), backend.AttachSpec{Instance: "x"})
		for call, err := range map[string]error{"Apps": err, "Watch": watchErr, "Do": doErr, "Attach": attachErr} {
			if backend.CodeOf(err) != backend.Unavailable || !strings.Contains(err.Error(), url) || !strings.Contains(err.Error(), "pitwall serve") {
				t.Errorf("%s() = %v, want unavailable with %s and what to do", call, err, url)
			}
		}
	}
}

func TestForeignServer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	c := dial(t, remote.Config{URL: server.URL})
	_, err := c.Apps(t.Context(), backend.AppQuery{})
	if backend.CodeOf(err) != backend.Unsupported || !strings.Contains(err.Error(), "404") {
		t.Errorf("Apps() = %v, want unsupported naming 404", err)
	}
}
