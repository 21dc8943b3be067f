package demo

import (
	"context"
	"io"
	"time"
)

// basket is a customer's items by name. It has the defect that everyone has
// written once: nothing makes the map.
type basket struct {
	items map[string]int
}

// add puts one more of an item into the basket.
func (b *basket) add(item string) {
	b.items[item]++
}

// flaky comes up well and, within four seconds, dies as Go programs die: a
// panic in a goroutine, a trace on stderr, exit 2.
func flaky(ctx context.Context, stdout, stderr io.Writer) error {
	r := random("flaky")
	stamped(stdout, "INFO", "flaky 2.3.1 started, opening the checkout")
	if !sleep(ctx, between(r, time.Second, 2*time.Second)) {
		return nil
	}
	stamped(stdout, "INFO", "checkout is open")
	if !sleep(ctx, between(r, time.Second, 2*time.Second)) {
		return nil
	}
	stamped(stderr, "ERROR", "checkout: restore basket of session 7f3a: no such session, continuing with none")
	go new(basket).add("umbrella")
	// The goroutine above ends the process.
	<-ctx.Done()
	return nil
}
