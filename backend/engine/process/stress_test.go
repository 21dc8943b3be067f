//go:build linux

package process

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"pitwall/backend"
	"pitwall/backend/engine"
	"pitwall/backend/engine/process/keeper"
	"pitwall/backend/engine/process/keeper/proc"
)

// leaders counts the programs that run for an instance: each leads a session, as
// do commands beside it, which are left out.
func leaders(t *testing.T, id string) int {
	t.Helper()
	pids, err := marked("PITWALL_INSTANCE=" + id)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, pid := range pids {
		st, err := proc.Read(pid)
		env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err == nil && st.Session == pid && !bytes.Contains(env, []byte("PITWALL_COMMAND=")) {
			n++
		}
	}
	return n
}

// TestManyHandsOneProcess has everything done at once to a few instances, their
// keepers killed among it. In the end each has one process, and then none.
func TestManyHandsOneProcess(t *testing.T) {
	cfg := quick(t)
	e := open(t, cfg)
	defer func() { endAll(t, e) }()
	const seed = 7
	ids := []string{}
	for i := range 3 {
		ids = append(ids, fmt.Sprintf("busy-%d-%d", i, os.Getpid()))
	}
	spec := func(id string) engine.Spec {
		s := script(id, forever)
		s.Restart = backend.RestartSpec{Policy: backend.RestartAlways, Budget: 1000}
		s.Health = &backend.Check{Exec: []string{"true"}, Interval: backend.Duration(1e6), Timeout: backend.Duration(patience)}
		return s
	}
	for _, id := range ids {
		if err := e.Start(t.Context(), spec(id)); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for hand := range 4 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(hand)))
			for range 15 {
				id := ids[random.IntN(len(ids))]
				var err error
				what := random.IntN(6)
				switch what {
				case 0, 1:
					err = e.Start(t.Context(), spec(id))
				case 2:
					err = e.Stop(t.Context(), id, engine.StopOptions{Force: random.IntN(2) == 0})
				case 3:
					err = e.Restart(t.Context(), id, engine.StopOptions{Force: true})
				case 4:
					err = e.Signal(t.Context(), id, "KILL")
				case 5:
					if st, stErr := keeper.ReadState(filepath.Join(cfg.Dir, id)); stErr == nil && st.Keeper.Alive() {
						syscall.Kill(st.Keeper.PID, syscall.SIGKILL)
					}
				}
				t.Logf("hand %d: %d of %s: %v", hand, what, id, err)
			}
		})
	}
	all.Wait()
	for _, id := range ids {
		eventually(t, "start of "+id, func() bool { return e.Start(t.Context(), spec(id)) == nil })
		await(t, e, id, "running instance", in(backend.InstanceRunning))
	}
	for _, id := range ids {
		if n := leaders(t, id); n != 1 {
			t.Errorf("%s has %d processes", id, n)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, cfg)
	for _, id := range ids {
		await(t, e, id, "running instance", in(backend.InstanceRunning))
		if n := leaders(t, id); n != 1 {
			t.Errorf("%s has %d processes after another adoption", id, n)
		}
		if err := e.Stop(t.Context(), id, engine.StopOptions{}); err != nil {
			t.Errorf("Stop(%s) = %v", id, err)
		}
		await(t, e, id, "end", in(backend.InstanceStopped))
		eventually(t, "end of all processes of "+id, func() bool { return leaders(t, id) == 0 })
	}
}

// orphan leaves an instance on disk as a server does that died while it started
// it: with a record and a spec, and no state.
func orphan(t *testing.T, cfg Config, id string) {
	t.Helper()
	e := open(t, cfg)
	if err := e.Start(t.Context(), script(id, forever)); err != nil {
		t.Fatal(err)
	}
	endAll(t, e)
	for _, name := range []string{"state.json", "runs.jsonl", "log"} {
		if err := os.RemoveAll(filepath.Join(cfg.Dir, id, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnstartedInstanceIsPending(t *testing.T) {
	cfg := quick(t)
	orphan(t, cfg, "unstarted")
	e := open(t, cfg)
	defer func() { endAll(t, e) }()
	await(t, e, "unstarted", "pending instance", in(backend.InstancePending))
	if err := e.Stop(t.Context(), "unstarted", engine.StopOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, e, "unstarted", "stopped instance", in(backend.InstanceStopped))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, cfg)
	await(t, e, "unstarted", "stopped instance", in(backend.InstanceStopped))
	if err := e.Start(t.Context(), script("unstarted", forever)); err != nil {
		t.Fatal(err)
	}
	if s := await(t, e, "unstarted", "running instance", in(backend.InstanceRunning)); s.Run != 1 || s.Restarts != 0 {
		t.Errorf("its first run is %d, with %d restarts", s.Run, s.Restarts)
	}
}

// TestRestartOutlivesItsKeeper kills the keeper while it waits for a stubborn
// program to take the stop signal.
func TestRestartOutlivesItsKeeper(t *testing.T) {
	cfg := quick(t)
	e := open(t, cfg)
	defer endAll(t, e)
	spec := script("stubborn", `trap '' TERM; echo "pid $$"; while :; do sleep 0.02; done`)
	spec.Stop.Grace = backend.Duration(300 * time.Millisecond)
	if err := e.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cfg.Dir, "stubborn")
	await(t, e, "stubborn", "running instance", in(backend.InstanceRunning))
	eventually(t, "trap", func() bool { return len(output(t, dir)) > 0 })
	if err := e.Restart(t.Context(), "stubborn", engine.StopOptions{}); err != nil {
		t.Fatal(err)
	}
	kill(t, keeperOf(t, dir))
	s := await(t, e, "stubborn", "second run", func(s engine.Status) bool { return s.Run == 2 && s.State == backend.InstanceRunning })
	if n := leaders(t, "stubborn"); n != 1 || s.Restarts != 0 {
		t.Errorf("after its restart there are %d processes, and %d restarts by itself", n, s.Restarts)
	}
}

func TestNewbornKeeperIsAdopted(t *testing.T) {
	cfg := quick(t)
	orphan(t, cfg, "newborn")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var born sync.WaitGroup
	born.Go(func() {
		c, err := keeper.Start(t.Context(), exe, filepath.Join(cfg.Dir, "newborn"))
		if err != nil {
			t.Errorf("Start() of the keeper = %v", err)
			return
		}
		c.Close()
	})
	e := open(t, cfg)
	defer endAll(t, e)
	born.Wait()
	s := await(t, e, "newborn", "running instance", in(backend.InstanceRunning))
	if s.Run != 1 || leaders(t, "newborn") != 1 {
		t.Errorf("it is run %d and has %d processes", s.Run, leaders(t, "newborn"))
	}
}
