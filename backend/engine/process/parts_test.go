package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pitwall/backend"
	"pitwall/backend/engine"
)

func TestExpand(t *testing.T) {
	env := map[string]string{"PORT": "20001", "A_1": "x y", "EMPTY": ""}
	tests := []struct{ arg, want string }{
		{"plain", "plain"},
		{"--port=$PORT", "--port=20001"},
		{"${PORT}0", "200010"},
		{"$A_1.", "x y."},
		{"$$PORT", "$PORT"},
		{"$$$PORT", "$20001"},
		{"[$EMPTY]", "[]"},
		{"$1 $- $", "$1 $- $"},
		{"${", "${"},
		{"${1}", "${1}"},
		{"${PORT:-80}", "${PORT:-80}"},
		{"", ""},
	}
	for _, tt := range tests {
		if got, err := expand(tt.arg, env); got != tt.want || err != nil {
			t.Errorf("expand(%q) = %q, %v, want %q", tt.arg, got, err, tt.want)
		}
	}
	for _, arg := range []string{"$NOPE", "${NOPE}", "x$PORTS"} {
		if got, err := expand(arg, env); backend.CodeOf(err) != backend.Invalid {
			t.Errorf("expand(%q) = %q, %v, want Invalid", arg, got, err)
		}
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("$A ${A} $$ $")
	f.Fuzz(func(t *testing.T, arg string) {
		env := map[string]string{"A": "b"}
		quoted := strings.ReplaceAll(arg, "$", "$$")
		if got, err := expand(quoted, env); got != arg || err != nil {
			t.Errorf("expand(%q) = %q, %v, want %q", quoted, got, err, arg)
		}
		_, _ = expand(arg, env)
	})
}

func TestPortsAreUniqueAndFree(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := taken.Addr().(*net.TCPAddr).Port
	p := newPorts(PortRange{First: busy, Last: busy + 40})
	seen := map[int]bool{}
	for i := range 10 {
		port, err := p.take(fmt.Sprint(i))
		if err != nil {
			t.Fatalf("take() = %v", err)
		}
		if port == busy || seen[port] {
			t.Errorf("take() = %d, which is taken", port)
		}
		seen[port] = true
	}
	if p.hold(firstKey(seen), "another") {
		t.Error("hold() of another instance's port = true")
	}
}

func TestPortsRunOut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	p := newPorts(PortRange{First: port, Last: port})
	if got, err := p.take("a"); backend.CodeOf(err) != backend.Exhausted {
		t.Errorf("take() of the last port, in use = %d, %v, want Exhausted", got, err)
	}
	l.Close()
	if got, err := p.take("a"); got != port || err != nil {
		t.Fatalf("take() = %d, %v, want %d", got, err, port)
	}
	p.release(port, "b")
	if _, err := p.take("b"); err == nil {
		t.Error("a port was released by who does not have it")
	}
	p.release(port, "a")
	if got, err := p.take("b"); got != port || err != nil {
		t.Errorf("take() after release = %d, %v", got, err)
	}
}

func firstKey(m map[int]bool) int {
	for k := range m {
		return k
	}
	return 0
}

func TestHTTPCheck(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/bad", http.StatusFound) })
	mux.HandleFunc("/bad", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := httptest.NewServer(mux)
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port
	tests := []struct{ path, want string }{
		{"/ok", ""},
		{"ok", ""},
		{"/moved", ""},
		{"/bad", "503"},
		{"/slow", "within 50ms"},
	}
	for _, tt := range tests {
		p := probe{check: backend.Check{HTTP: tt.path}, port: port}
		if tt.path == "/slow" {
			p.check.Timeout = backend.Duration(50 * time.Millisecond)
		} else {
			p.check.Timeout = backend.Duration(20 * time.Second)
		}
		err := p.ask(t.Context())
		if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ask(%s) = %v, want %q", tt.path, err, tt.want)
		}
	}
	server.Close()
	err := probe{check: backend.Check{HTTP: "/ok"}, port: port}.ask(t.Context())
	if err == nil || !strings.Contains(err.Error(), "nothing listens") {
		t.Errorf("ask() of a closed port = %v", err)
	}
	if err := (probe{check: backend.Check{TCP: true}, port: port}).ask(t.Context()); err == nil {
		t.Error("a TCP check of a closed port passes")
	}
}

func TestScheduleRepeatsAndCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule()
		defer s.close()
		counts := [3]int{}
		once := s.add(time.Second, func(context.Context) time.Duration { counts[0]++; return 0 })
		often := s.add(time.Second, func(context.Context) time.Duration { counts[1]++; return time.Second })
		never := s.add(time.Minute, func(context.Context) time.Duration { counts[2]++; return 0 })
		s.cancel(never)
		time.Sleep(12 * time.Second)
		synctest.Wait()
		if counts[0] != 1 || counts[1] < 9 || counts[1] > 12 {
			t.Errorf("after 12 seconds the tasks ran %v times", counts)
		}
		s.cancel(often)
		s.cancel(once)
		before := counts[1]
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if counts[1] != before || counts[2] != 0 {
			t.Errorf("canceled tasks ran: %v, before %d", counts, before)
		}
	})
}

func TestScheduleCancelEndsTheRun(t *testing.T) {
	s := newSchedule()
	started, ended := make(chan struct{}), make(chan struct{})
	task := s.add(0, func(ctx context.Context) time.Duration {
		close(started)
		<-ctx.Done()
		close(ended)
		return time.Millisecond
	})
	<-started
	s.cancel(task)
	<-ended
	s.close()
}

func TestFeedKeepsTheLatest(t *testing.T) {
	var all feeds
	f := all.watch(func() []engine.Status { return []engine.Status{{ID: "a", Run: 1}, {ID: "b", Run: 1}} })
	for run := 2; run < 100; run++ {
		all.publish(engine.Change{ID: "b", Status: &engine.Status{ID: "b", Run: run}, Logged: true})
		all.publish(engine.Change{ID: "b", Notice: fmt.Sprint("notice ", run), Level: backend.LevelWarn})
	}
	got, err := f.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2+maxNotices || got[0].ID != "a" || got[1].Status.Run != 99 || !got[1].Logged || got[len(got)-1].Notice != "notice 99" {
		t.Errorf("Next() = %+v", got)
	}
	all.publish(engine.Change{ID: "b", Logged: true})
	all.publish(engine.Change{ID: "b", Removed: true})
	want := []engine.Change{{ID: "b", Removed: true}}
	if got, err := f.Next(t.Context()); err != nil || !cmp.Equal(got, want) {
		t.Errorf("Next() after a removal = %+v, %v", got, err)
	}
	all.publish(engine.Change{ID: "a", Logged: true})
	all.close()
	if got, err := f.Next(t.Context()); err != nil || len(got) != 1 {
		t.Errorf("Next() of what was left = %+v, %v", got, err)
	}
	if _, err := f.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("Next() at the end = %v, want io.EOF", err)
	}
}

func TestFeedCloseWakesNext(t *testing.T) {
	var all feeds
	f := all.watch(func() []engine.Status { return nil })
	ended := make(chan error)
	go func() { _, err := f.Next(context.Background()); ended <- err }()
	f.Close()
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Errorf("Next() = %v, want io.EOF", err)
	}
	if len(all.open) != 0 {
		t.Error("a closed feed is still kept")
	}
}

func TestKnownLoggersAreUntrusted(t *testing.T) {
	dir := t.TempDir()
	if names, err := readKnown(dir); names != nil || err != nil {
		t.Errorf("readKnown() without a file = %v, %v", names, err)
	}
	if err := os.Mkdir(dir+"/levels", 0o700); err != nil {
		t.Fatal(err)
	}
	secret := t.TempDir() + "/secret"
	if err := os.WriteFile(secret, []byte(`["secret"]`), 0o600); err != nil {
		t.Fatal(err)
	}
	known := levelsFile(dir) + ".known"
	if err := os.Symlink(secret, known); err != nil {
		t.Fatal(err)
	}
	if names, err := readKnown(dir); err == nil {
		t.Errorf("readKnown() of a link = %v", names)
	}
	for text, want := range map[string][]string{`["b","a","b"]`: {"a", "b"}, `{"a":1}`: nil, `["a"`: nil} {
		os.Remove(known)
		if err := os.WriteFile(known, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if names, err := readKnown(dir); !cmp.Equal(names, want) || (err == nil) != (want != nil) {
			t.Errorf("readKnown() of %s = %v, %v", text, names, err)
		}
	}
}
