package demo

import (
	"context"
	"io"
	"log/slog"
	"time"
)

// worker takes orders from a queue that never ends. Most go well.
func worker(ctx context.Context, out io.Writer) error {
	log := slog.New(slog.NewTextHandler(out, nil)).With("queue", "orders")
	r := random("worker")
	log.Info("started", "batch", 1)
	for order := 1000; ; order++ {
		if !sleep(ctx, between(r, 400*time.Millisecond, 1600*time.Millisecond)) {
			log.Info("stopped, nothing in hand")
			return nil
		}
		took := between(r, 4*time.Millisecond, 90*time.Millisecond)
		switch n := order % 40; n {
		case 17:
			log.Error("charge failed", "order", order, "error", "gateway answered 502 Bad Gateway", "attempt", 1)
		case 18:
			log.Info("charged again", "order", order-1, "attempt", 2, "ms", took.Milliseconds())
		case 9, 29:
			log.Warn("queue is growing", "depth", 40+r.IntN(20), "oldest", "12s")
		default:
			log.Info("order done", "order", order, "ms", took.Milliseconds())
		}
	}
}
