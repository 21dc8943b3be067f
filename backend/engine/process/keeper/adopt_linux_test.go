package keeper

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pitwall/backend/logstore/segment"
)

func TestAdoptedTreeIsStoppedWhole(t *testing.T) {
	t.Parallel()
	for _, groups := range [][]string{nil, {"pitwall-test"}} {
		t.Run(fmt.Sprint(groups), func(t *testing.T) {
			s := shell("trap '' TERM; (setsid sh -c 'echo far $$; exec sleep 1000' &); echo near $$; while :; do sleep 0.05; done")
			s.Cgroup, s.Stop.Grace = groups, 20*time.Millisecond
			r := start(t, s)
			far, near := r.pidOf("far"), r.pidOf("near")
			kill(t, r.c.Keeper())
			<-r.c.Done()
			r.resume(r.c.Pipes())
			if st := r.phase(Running); st.Child != near {
				t.Fatalf("child = %+v, want %+v", st.Child, near)
			}
			if err := r.c.Stop(r.ctx(), StopOptions{}); err != nil {
				t.Fatal(err)
			}
			for _, p := range []Proc{far, near} {
				if p.Alive() {
					t.Errorf("process %d lives on", p.PID)
				}
			}
			if st := r.phase(Stopped); st.Last == nil || !st.Last.Stopped {
				t.Errorf("status = %+v", st)
			}
		})
	}
}

func TestInterruptedRestartIsFinished(t *testing.T) {
	t.Parallel()
	s := shell("trap '' TERM; echo ready; while :; do sleep 0.05; done")
	s.Stop.Grace = time.Hour
	r := start(t, s)
	r.sawLineExact("ready")
	ended := make(chan error, 1)
	go func() { ended <- r.c.Restart(r.ctx(), StopOptions{}) }()
	r.event(EventStopping)
	kill(t, r.c.Keeper())
	<-r.c.Done()
	if err := <-ended; err == nil {
		t.Error("Restart() succeeded under a dead keeper")
	}
	s.Stop.Grace = 20 * time.Millisecond
	if err := WriteSpec(r.dir, s); err != nil {
		t.Fatal(err)
	}
	r.resume(r.c.Pipes())
	r.running(2)
	if runs, _ := Runs(r.dir); len(runs) != 2 || !runs[0].Stopped {
		t.Errorf("runs = %+v", runs)
	}
}

func TestSecondClientCanTakeOver(t *testing.T) {
	t.Parallel()
	gate := fifo(t)
	r := start(t, shell("echo before; read x < "+gate+"; echo after"))
	r.sawLineExact("before")
	second, err := Dial(r.ctx(), r.dir)
	if err != nil {
		t.Fatal(err)
	}
	r.c.Close()
	r.c = second
	kill(t, second.Keeper())
	<-second.Done()
	r.resume(second.Pipes())
	openFifo(t, gate)
	r.event(EventExited)
	if got := r.lines(segment.Out); len(got) != 2 || got[1] != "after" {
		t.Errorf("stdout = %q", got)
	}
}

func TestKeeperOfALostChildsPipesStillAdopts(t *testing.T) {
	t.Parallel()
	gate := fifo(t)
	r := start(t, shell("trap '' PIPE; read x < "+gate+"; exit 3"))
	child := r.phase(Running).Child
	kill(t, r.c.Keeper())
	r.c.Close() // the server died as well: nobody holds the pipes
	r.start()
	if st := r.phase(Running); st.Child != child || st.Run != 1 {
		t.Errorf("status = %+v, want child %+v: a second copy was started", st, child)
	}
	openFifo(t, gate)
	if e := r.event(EventExited).Exit; !e.Unknown && e.Code != 3 {
		t.Errorf("exit = %+v", *e)
	}
}

func TestKeeperAskedToEndTakesItsChildAlong(t *testing.T) {
	t.Parallel()
	r := start(t, shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done"))
	r.sawLineExact("ready")
	child := r.phase(Running).Child
	keeper := r.c.Keeper()
	terminate(t, keeper)
	poll(t, "keeper ended", func() bool { return !keeper.Alive() })
	if child.Alive() {
		t.Error("the child lives on")
	}
	if s := r.state(); s.Phase != Stopped {
		t.Errorf("state = %+v", s)
	}
	if _, err := os.Lstat(filepath.Join(r.dir, socketName)); err == nil {
		t.Error("the socket is still there")
	}
}

func TestBusyChildDoesNotCostARecordALine(t *testing.T) {
	t.Parallel()
	r := start(t, program(t, "flood", "200000", "1"))
	r.phase(Exited)
	r.counted(200_000)
	st, err := os.Stat(filepath.Join(r.dir, "log", "00000001.idx"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d KiB of index for 200,000 writes", st.Size()>>10)
	if st.Size() > 200_000*64/10 {
		t.Errorf("index of %d bytes: more than a record for ten writes", st.Size())
	}
}
