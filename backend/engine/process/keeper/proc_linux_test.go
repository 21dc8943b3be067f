package keeper

import (
	"os/exec"
	"testing"
)

func TestExitOfAStrangersChildIsLearned(t *testing.T) {
	t.Parallel()
	for _, reaped := range []bool{false, true} {
		cmd := exec.Command("/bin/sh", "-c", "read x; exit 9")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		proc, err := findProc(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		fd, err := openPidfd(proc)
		if err != nil {
			t.Fatal(err)
		}
		defer fd.file.Close()
		in.Close()
		if err := fd.wait(); err != nil {
			t.Fatal(err)
		}
		if reaped {
			cmd.Wait()
		}
		ws, ok := fd.status()
		if !reaped {
			cmd.Wait()
		}
		if reaped && !ok {
			t.Skip("SKIPPED: THIS KERNEL (BEFORE 6.15) FORGETS HOW A REAPED PROCESS ENDED")
		}
		if !ok || ws.ExitStatus() != 9 {
			t.Errorf("status() of a process reaped=%v = %d, %v, want 9", reaped, ws.ExitStatus(), ok)
		}
	}
}

func TestReusedPidIsNotTakenForTheChild(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/bin/sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	stale := Proc{PID: cmd.Process.Pid, Start: 1}
	if stale.Alive() {
		t.Error("Alive() of a stale process")
	}
	if _, err := openPidfd(stale); err == nil {
		t.Error("openPidfd() of a stale process succeeded")
	}
}
