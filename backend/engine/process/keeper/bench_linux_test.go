package keeper

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// BenchmarkCapture stores 128 MiB that a child writes as fast as it can;
// BenchmarkCat is the same through cat, to compare with in one run.
func BenchmarkCapture(b *testing.B) {
	big := corpus(b)
	for b.Loop() {
		r := prepare(b, shell("exec cat "+big))
		r.start()
		r.event(EventExited)
		b.StopTimer()
		r.c.Shutdown(r.ctx(), true)
		os.RemoveAll(filepath.Join(r.dir, "log"))
		b.StartTimer()
	}
}

func BenchmarkCat(b *testing.B) {
	big := corpus(b)
	for b.Loop() {
		out := filepath.Join(b.TempDir(), "out")
		if err := exec.Command("/bin/sh", "-c", "cat "+big+" | cat > "+out).Run(); err != nil {
			b.Fatal(err)
		}
		os.Remove(out)
	}
}

func corpus(b *testing.B) string {
	const size = 128 << 20
	line := []byte(`{"time":"2026-01-01T00:00:00Z","level":"info","msg":"request done","status":200,"ms":12,"path":"/cart/items"}` + "\n")
	name := filepath.Join(b.TempDir(), "corpus")
	if err := os.WriteFile(name, bytes.Repeat(line, size/len(line)), 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	return name
}
