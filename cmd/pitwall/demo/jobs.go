package demo

import (
	"context"
	"fmt"
	"io"
	"time"
)

// step is one part of a job that takes a while.
type step struct {
	text string
	took time.Duration
}

// report is what the schedule starts.
func report(ctx context.Context, out io.Writer) error {
	return steps(ctx, out, "report", []step{
		{"reading the orders of the last minute", 500 * time.Millisecond},
		{"adding up 214 orders", 700 * time.Millisecond},
		{"writing the report", 400 * time.Millisecond},
	})
}

// migrate is what a person starts.
func migrate(ctx context.Context, out io.Writer) error {
	return steps(ctx, out, "migrate", []step{
		{"locking the schema at version 41", 400 * time.Millisecond},
		{"42: add column carts.expires_at", time.Second},
		{"43: fill carts.expires_at, 18 204 rows", 1500 * time.Millisecond},
		{"44: create index carts_expires_at", 800 * time.Millisecond},
		{"unlocking the schema at version 44", 200 * time.Millisecond},
	})
}

// steps does one step after the other. A job that is stopped half way fails,
// since its work is not done.
func steps(ctx context.Context, out io.Writer, job string, list []step) error {
	start := time.Now()
	for i, s := range list {
		stamped(out, "INFO", "%s %d%% %s", job, 100*i/len(list), s.text)
		if !sleep(ctx, s.took) {
			stamped(out, "WARN", "%s stopped after %d of %d steps", job, i, len(list))
			return fmt.Errorf("%s: stopped after %d of %d steps", job, i, len(list))
		}
	}
	stamped(out, "INFO", "%s 100%% done in %s", job, time.Since(start).Round(100*time.Millisecond))
	return nil
}
