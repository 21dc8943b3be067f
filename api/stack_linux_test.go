package api_test

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pitwall/api"
	"pitwall/backend"
	"pitwall/backend/backendtest"
	enginepkg "pitwall/backend/engine"
	"pitwall/backend/engine/process"
	"pitwall/backend/engine/process/keeper"
	"pitwall/backend/guard"
	"pitwall/backend/local"
	"pitwall/backend/logstore"
	"pitwall/backend/proxy"
	"pitwall/backend/remote"
	"pitwall/backend/sqlite"
)

// TestMain makes this binary what the engine executes as keepers.
func TestMain(m *testing.M) {
	if code, mine := keeper.Dispatch(os.Args[1:]); mine {
		os.Exit(code)
	}
	// Most of a test on real programs is waiting for them to be ready, and
	// for keepers with the race detector to exit: a second each.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// platform is a backend with real processes, a real store and a real edge,
// and an app whose program prints what is appended to a file.
func platform(t *testing.T) backendtest.Fixture {
	t.Helper()
	t.Parallel()
	dir := t.TempDir()
	ctx := context.Background()
	store, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, "state.db")})
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	engine, err := process.New(ctx, process.Config{Dir: filepath.Join(dir, "instances"), Exe: exe, Log: silent()})
	if err != nil {
		t.Fatal(err)
	}
	logs := logstore.New(logstore.Config{Log: silent()})
	edge := proxy.New(proxy.Config{HTTPAddr: "127.0.0.1:0"})
	b, err := local.New(ctx, local.Config{
		Store: store, Engine: engine, Edge: edge, Logs: logs, Log: slog.New(slog.DiscardHandler),
		Bundles: filepath.Join(dir, "bundles"), Node: backend.Node{ID: "node", Name: "pit", Started: time.Now()},
		OnDown: func(bool) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(dir, "lines")
	if err := os.WriteFile(source, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fix := backendtest.Fixture{
		Backend: b,
		Print: func(t *testing.T, lines ...string) {
			f, err := os.OpenFile(source, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString(strings.Join(lines, "\n") + "\n")
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				t.Fatalf("print: %v", err)
			}
		},
		Echo:  []string{"sh", "-c", "cat; exit 3"},
		Sizes: []string{"sh", "-c", `while :; do stty size | (read r c; echo "${c}x${r}"); sleep 0.05; done`},
	}
	t.Cleanup(func() { tearDown(t, b, engine, logs, edge, store) })
	declare(t, &fix, source)
	return fix
}

// owner is the context of a caller who may all.
func owner(ctx context.Context) context.Context {
	return backend.WithAttribution(ctx, backend.Attribution{Principal: backend.Principal{Name: "ana", Admin: true}, Door: "in-process"})
}

// declare applies the fixture's apps and waits until they run.
func declare(t *testing.T, fix *backendtest.Fixture, source string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(owner(t.Context()), time.Minute)
	defer cancel()
	app := func(name string, command ...string) backend.AppSpec {
		return backend.AppSpec{Name: name, Processes: []backend.ProcessSpec{{
			Name: "main", Instances: 1, Command: backend.CommandLine{Args: command},
			Stop: backend.StopSpec{Grace: backend.Duration(time.Second)},
		}}}
	}
	leveled := app("api", "sleep", "1000")
	leveled.Levels = backend.LevelsFile
	apply := backend.Apply{Apps: []backend.AppSpec{app("web", "tail", "-n", "+1", "-f", source), leveled}}
	if _, err := fix.Backend.Do(ctx, apply); err != nil {
		t.Fatalf("Do(apply) = %v", err)
	}
	for {
		apps, err := fix.Backend.Apps(ctx, backend.AppQuery{})
		if err != nil {
			t.Fatal(err)
		}
		ready := 0
		for _, a := range apps.Items {
			if a.Ready == 1 && a.Operation == "" {
				ready++
			}
			if a.Name == "web" {
				fix.App = a.ID
			} else {
				fix.Leveled = a.ID
			}
		}
		if ready == 2 {
			break
		}
		time.Sleep(5 * time.Millisecond) // Until both are ready; ctx bounds it.
	}
	instances, err := fix.Backend.Instances(ctx, backend.InstanceQuery{Apps: []string{fix.App}})
	if err != nil || len(instances.Items) != 1 {
		t.Fatalf("Instances() = %d, %v, want one", len(instances.Items), err)
	}
	fix.Instance = instances.Items[0].ID
}

// tearDown ends what runs and lets go of everything, whatever the test has
// closed already. A server that closes leaves its apps running, so they are
// ended through the engine.
func tearDown(t *testing.T, b *local.Backend, engine *process.Engine, logs *logstore.Store, edge *proxy.Edge, store *sqlite.Store) {
	b.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for live := true; live; {
		statuses, err := engine.List(ctx)
		if err != nil {
			t.Errorf("List() = %v", err)
			break
		}
		live = false
		for _, s := range statuses {
			if s.State.Live() || s.State == backend.InstanceCrashed {
				live = true
				engine.Stop(ctx, s.ID, enginepkg.StopOptions{Force: true})
			}
		}
		time.Sleep(5 * time.Millisecond) // Until none lives; ctx bounds it.
	}
	if err := errors.Join(edge.Close(), engine.Close(), logs.Close(), store.Close()); err != nil {
		t.Errorf("Close() = %v", err)
	}
}

func TestContractOnRealPrograms(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Fixture {
		fix := platform(t)
		_, socket := start(t, api.Config{Backend: guard.New(fix.Backend, guard.Owner(), nil)})
		client, err := remote.Dial(context.Background(), remote.Config{URL: "unix:" + socket})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		fix.Backend = client
		return fix
	})
}

func TestContractInProcess(t *testing.T) {
	backendtest.Run(t, platform)
}
