package local_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pitwall/backend"
	"pitwall/backend/backendtest"
	"pitwall/backend/engine/process"
	"pitwall/backend/engine/process/keeper"
	"pitwall/backend/local"
	"pitwall/backend/logstore"
	"pitwall/backend/proxy"
	"pitwall/backend/sqlite"
)

// TestMain makes this binary what an engine executes as keepers.
func TestMain(m *testing.M) {
	if code, mine := keeper.Dispatch(os.Args[1:]); mine {
		syscall.Exit(code) // os.Exit sleeps for a second under the race detector
	}
	os.Exit(m.Run())
}

// real is a Backend with everything real behind it.
type real struct {
	dir   string
	store *sqlite.Store
	eng   *process.Engine
	logs  *logstore.Store
	edge  *proxy.Edge
	b     *local.Backend
}

// keepEvents is low, so that a test can have events compacted.
const keepEvents = 500

func openReal(t *testing.T, dir string) *real {
	t.Helper()
	r := &real{dir: dir, edge: proxy.New(proxy.Config{HTTPAddr: "127.0.0.1:0"}), logs: logstore.New(logstore.Config{})}
	var err error
	if r.store, err = sqlite.Open(context.Background(), sqlite.Config{
		Path: filepath.Join(dir, "state.db"), Limits: sqlite.Limits{Events: keepEvents},
	}); err != nil {
		t.Fatalf("open store: %v", err)
	}
	r.eng, err = process.New(context.Background(), process.Config{
		Dir: filepath.Join(dir, "instances"), BackoffMin: 20 * time.Millisecond, ReadyAfter: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatalf("open engine: %v", err)
	}
	r.b, err = local.New(context.Background(), local.Config{
		Store: r.store, Engine: r.eng, Edge: r.edge, Logs: r.logs, Bundles: filepath.Join(dir, "bundles"),
		Node: backend.Node{Name: "here", StateDir: dir},
	})
	if err != nil {
		t.Fatalf("open backend: %v", err)
	}
	return r
}

func (r *real) close(t *testing.T) {
	t.Helper()
	for name, closer := range map[string]func() error{"backend": r.b.Close, "logs": r.logs.Close, "edge": r.edge.Close} {
		if err := closer(); err != nil {
			t.Errorf("close %s: %v", name, err)
		}
	}
	r.eng.Close()
	r.store.Close()
}

// end stops all that runs and closes. The test may have closed the Backend.
func (r *real) end(t *testing.T) {
	t.Helper()
	if _, err := r.b.Nodes(context.Background(), backend.NodeQuery{}); backend.CodeOf(err) == backend.Unavailable {
		r.close(t)
		*r = *openReal(t, r.dir)
	}
	w := &world{T: t, b: r.b, ctx: context.Background()}
	list, err := r.b.Apps(w.ctx, backend.AppQuery{})
	if err != nil {
		t.Fatalf("Apps() = %v", err)
	}
	for _, a := range list.Items {
		w.must(backend.ForceRestart{App: a.ID}) // no grace
		w.must(backend.Delete{App: a.ID})
	}
	r.close(t)
}

// script declares an app of one shell script.
func script(name, text string) backend.AppSpec {
	return backend.AppSpec{Name: name, Processes: []backend.ProcessSpec{{
		Name: "main", Instances: 1, Command: backend.CommandLine{Shell: text}, Stop: backend.StopSpec{Grace: backend.Duration(time.Second)},
	}}}
}

func TestContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Fixture {
		dir, err := os.MkdirTemp("", "pw")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		pipe := filepath.Join(dir, "say")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		r := openReal(t, dir)
		t.Cleanup(func() { r.end(t) })
		w := &world{T: t, b: r.b, ctx: t.Context()}
		leveled := script("api", "exec sleep 1000")
		leveled.Levels = backend.LevelsFile
		w.must(apply(script("web", "exec cat 0<>"+pipe), leveled))
		app := w.app("web")
		return backendtest.Fixture{
			Backend: r.b, App: app.ID, Instance: w.instances("web")[0].ID, Leveled: w.app("api").ID,
			Compact: func(t *testing.T) {
				for i := range keepEvents {
					d := backend.Document{Kind: "filler", Name: fmt.Sprint(i)}
					if _, err := r.b.Do(t.Context(), backend.PutDocument{Document: d}); err != nil {
						t.Fatalf("Do(put-document) = %v", err)
					}
				}
				if err := r.store.Compact(t.Context()); err != nil {
					t.Fatalf("Compact() = %v", err)
				}
			},
			Print: func(t *testing.T, lines ...string) { say(t, pipe, lines...) },
			Echo:  []string{"sh", "-c", "cat; exit 3"},
			Sizes: []string{"sh", "-c", `while :; do stty size | (read r c; echo "${c}x${r}"); sleep 0.05; done`},
		}
	})
}

func say(t *testing.T, pipe string, lines ...string) {
	t.Helper()
	f, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := bufio.NewWriter(f)
	for _, l := range lines {
		fmt.Fprintln(out, l)
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
}

func TestRealProgramsOverTwoServers(t *testing.T) {
	dir, err := os.MkdirTemp("", "pw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := openReal(t, dir)
	w := &world{T: t, b: r.b, ctx: t.Context()}
	flaky := script("flaky", `echo "level=error msg=\"no cart\""; exit 2`)
	flaky.Processes[0].Ready = &backend.Check{Exec: []string{"false"}} // however late it ends, it was never ready
	o := w.do(apply(flaky))
	if o.State != backend.OperationFailed || !strings.Contains(o.Error, "exit 2") {
		t.Errorf("apply of what crashes = %s %q", o.State, o.Error)
	}
	w.must(apply(script("web", "echo hello; exec sleep 1000")))
	pid := w.instances("web")[0].PID
	r.close(t)

	*r = *openReal(t, dir)
	w.b = r.b
	t.Cleanup(func() { r.end(t) })
	w.eventually("the same process", func() bool {
		in := w.instances("web")[0]
		return in.PID == pid && in.State == backend.InstanceRunning && in.Run == 1
	})
	w.eventually("last words", func() bool {
		a := w.app("flaky")
		return a.State == backend.AppCrashing && a.LastError == `exit 2 "no cart"`
	})
	w.must(backend.Restart{App: w.app("web").ID})
	if in := w.instances("web")[0]; in.PID == pid || in.Run != 2 {
		t.Errorf("after restart: pid %d run %d, was pid %d", in.PID, in.Run, pid)
	}
	w.must(backend.Delete{App: w.app("flaky").ID})
}
