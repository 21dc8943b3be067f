package demo

import (
	"context"
	"io"
	"os"
	"time"
)

const (
	// leakStep is what leaky takes each second: it meets the demo's limit of
	// 64 MiB within ten seconds.
	leakStep = 8 << 20

	// leakMost is where it stops where nothing limits it, so that a demo
	// never takes a machine down.
	leakMost = 256 << 20
)

// leaky keeps every page it ever made and says how many.
func leaky(ctx context.Context, out io.Writer) error {
	var kept [][]byte
	stamped(out, "INFO", "thumbnail cache is empty")
	for size := leakStep; ; size += leakStep {
		if !sleep(ctx, time.Second) {
			stamped(out, "INFO", "stopped with %d MiB", size>>20)
			return nil
		}
		if size > leakMost {
			continue
		}
		page := make([]byte, leakStep)
		for i := 0; i < len(page); i += os.Getpagesize() {
			page[i] = 1 // The memory is the program's once it is written to.
		}
		kept = append(kept, page)
		level := "INFO"
		if size > 4*leakStep {
			level = "WARN"
		}
		stamped(out, level, "thumbnail cache grew to %d MiB, %d entries, 0 evicted", size>>20, len(kept))
	}
}
