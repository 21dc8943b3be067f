package segment

import (
	"bytes"
	"io"
	"testing"
)

// filled makes a log of 128 MiB in batches of a size.
func filled(b *testing.B, batch int) *Dir {
	b.Helper()
	dir := b.TempDir()
	w := open(b, dir, Options{Sync: SyncNever})
	line := []byte(`{"time":"2026-01-01T00:00:00Z","level":"info","msg":"request done","status":200,"ms":12,"path":"/cart/items"}` + "\n")
	p := bytes.Repeat(line, max(1, batch/len(line)))
	total := 0
	for total < 128<<20 {
		if err := w.Append(Out, p); err != nil {
			b.Fatal(err)
		}
		total += len(p)
	}
	w.Close()
	d, err := OpenDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	b.SetBytes(int64(total))
	return d
}

func BenchmarkReader(b *testing.B) {
	for name, batch := range map[string]int{"large": 256 << 10, "lines": 1} {
		b.Run(name, func(b *testing.B) {
			d := filled(b, batch)
			b.ReportAllocs()
			for b.Loop() {
				r := d.Reader(0)
				for {
					if _, _, err := r.Next(); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
				r.Close()
			}
		})
	}
}

func BenchmarkLines(b *testing.B) {
	d := filled(b, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		l := d.Lines()
		if err := l.All(func(Entry) error { return nil }); err != nil {
			b.Fatal(err)
		}
		l.Close()
	}
}

func BenchmarkTail(b *testing.B) {
	d := filled(b, 256<<10)
	b.SetBytes(0)
	for b.Loop() {
		l := d.Lines()
		if err := l.Tail(50); err != nil {
			b.Fatal(err)
		}
		if err := l.All(func(Entry) error { return nil }); err != nil {
			b.Fatal(err)
		}
		l.Close()
	}
}
