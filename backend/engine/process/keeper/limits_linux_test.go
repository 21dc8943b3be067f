package keeper

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pitwall/backend/logstore/segment"
)

// mountSmall mounts a tmpfs of some MiB, or skips the test.
func mountSmall(t *testing.T, dir string, mib int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		t.Skipf("SKIPPED: NOTHING ABOUT FULL DISKS IS TESTED: mounting a tmpfs needs root: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
}

func TestFullDiskDropsWithAGapAndRecovers(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"log", "."} {
		t.Run(where, func(t *testing.T) {
			gate, marker := fifo(t), filepath.Join(t.TempDir(), "flooded")
			const lines = 1_000_000
			s := shell(fmt.Sprintf("%s; touch %s; read x < %s; echo after; exit 4", counting(lines), marker, gate))
			s.Log.SegmentBytes = 1 << 20
			r := &rig{t: t, dir: t.TempDir()}
			t.Cleanup(r.clean)
			mountSmall(t, filepath.Join(r.dir, where), 8)
			ballast := filepath.Join(r.dir, where, "ballast")
			if err := os.WriteFile(ballast, make([]byte, 4<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := WriteSpec(r.dir, s); err != nil {
				t.Fatal(err)
			}
			r.start()
			r.event(EventDegraded)
			poll(t, "the child is not held up", func() bool { _, err := os.Stat(marker); return err == nil })
			if s, err := r.c.Status(r.ctx()); err != nil || s.Degraded == "" || s.Phase != Running {
				t.Errorf("Status() = %+v, %v, want degraded", s, err)
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			if e := r.event(EventRecovered); e.Dropped == 0 {
				t.Errorf("recovered event = %+v", e)
			}
			openFifo(t, gate)
			if e := r.event(EventExited).Exit; e.Code != 4 {
				t.Errorf("exit = %+v", *e)
			}
			r.phase(Exited)
			accounted(t, r, lines)
		})
	}
}

// counting is a command that writes "line 0", "line 1" and so on.
func counting(lines int) string {
	return fmt.Sprintf("seq -f 'line %%.0f' 0 %d", lines-1)
}

// accounted checks that every byte was stored in order or is in a gap.
func accounted(t *testing.T, r *rig, lines int) {
	t.Helper()
	want := int64(len("after\n"))
	for i := range lines {
		want += int64(len("line \n") + len(strconv.Itoa(i)))
	}
	total, gaps, last, whole := int64(0), 0, -1, ""
	r.entries(func(e segment.Entry) {
		switch e.Kind {
		case segment.Gap:
			if e.Reason != segment.DiskFull {
				t.Errorf("gap for %s", e.Reason)
			}
			gaps++
			total += int64(e.Dropped)
		case segment.Batch:
			total += e.Length
			if e.Flags&segment.Unterminated == 0 {
				total++
			}
			whole = string(e.Bytes)
			if n, err := strconv.Atoi(strings.TrimPrefix(whole, "line ")); err == nil && strings.HasPrefix(whole, "line ") &&
				e.Flags&segment.Unterminated == 0 {
				if n <= last {
					t.Fatalf("line %d after line %d", n, last)
				}
				last = n
			}
		}
	})
	t.Logf("%d gaps", gaps)
	if gaps == 0 || total != want {
		t.Errorf("%d gaps, %d bytes stored or told as dropped, want %d", gaps, total, want)
	}
	if whole != "after" {
		t.Errorf("last line = %q", whole)
	}
}

func TestBlockedChildLosesNothingOnAFullDisk(t *testing.T) {
	t.Parallel()
	s := shell(counting(1_000_000))
	s.Log = Log{SegmentBytes: 1 << 20, Block: true}
	r := &rig{t: t, dir: t.TempDir()}
	t.Cleanup(r.clean)
	mountSmall(t, filepath.Join(r.dir, "log"), 24)
	ballast := filepath.Join(r.dir, "log", "ballast")
	if err := os.WriteFile(ballast, make([]byte, 20<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteSpec(r.dir, s); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.event(EventDegraded)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	r.phase(Exited)
	r.counted(1_000_000)
}

func TestMemoryLimitIsKeptAndSaid(t *testing.T) {
	t.Parallel()
	for _, groups := range [][]string{{"pitwall-test"}, nil} {
		t.Run(fmt.Sprint(groups), func(t *testing.T) {
			s := program(t, "grow", "300")
			s.Limits.MemoryBytes = 128 << 20
			s.Cgroup = groups
			r := start(t, s)
			e := r.event(EventExited).Exit
			if !e.OOM || e.Reason != "killed at its memory limit (128 MiB)" {
				t.Errorf("exit = %+v", *e)
			}
			st := r.phase(Exited)
			t.Logf("limits: %q, groups %q", st.Limits, st.Cgroups)
			if groups != nil && os.Geteuid() != 0 {
				t.Log("NOTE: WITHOUT ROOT THE CONTROL GROUPS MAY NOT BE WRITABLE; THE WATCHED LIMIT WAS TESTED")
			}
			r.c.Shutdown(r.ctx(), true)
			for _, d := range st.Cgroups {
				poll(t, d+" removed", func() bool { _, err := os.Stat(d); return err != nil })
			}
		})
	}
}

func TestQuietKeeperDoesNothing(t *testing.T) {
	r := start(t, shell("echo once; exec >&- 2>&-; sleep 1000"))
	r.sawLineExact("once")
	r.phase(Running)
	ticks := func() uint64 {
		p, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.c.Keeper().PID))
		if err != nil {
			t.Fatal(err)
		}
		f := strings.Fields(string(p[strings.LastIndexByte(string(p), ')')+1:]))
		u, _ := strconv.ParseUint(f[11], 10, 64)
		s, _ := strconv.ParseUint(f[12], 10, 64)
		return u + s
	}
	before := ticks()
	time.Sleep(500 * time.Millisecond) // the thing observed is that nothing happens
	if used := ticks() - before; used > 20 {
		t.Errorf("%d ticks of CPU in half a second of silence", used)
	}
}

// TestKeeperIsSmall prints what a keeper costs. The bound is of a binary
// without the race detector.
func TestKeeperIsSmall(t *testing.T) {
	r := start(t, program(t, "flood", "200000"))
	r.phase(Exited)
	r.counted(200_000)
	total := int64(0)
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps", r.c.Keeper().PID))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if w := strings.Fields(sc.Text()); len(w) == 3 && (w[0] == "Private_Clean:" || w[0] == "Private_Dirty:") {
			n, _ := strconv.ParseInt(w[1], 10, 64)
			total += n
		}
	}
	t.Logf("private memory of a keeper after %d lines: %.1f MiB (race detector: %v)", 200_000, float64(total)/1024, raceEnabled)
	if !raceEnabled && total > 6<<10 {
		t.Errorf("private memory = %d KiB, want at most 6 MiB", total)
	}
}
