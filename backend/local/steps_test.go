package local_test

import (
	"fmt"
	"testing"

	"pitwall/backend"
)

// An operation on many apps must not store all its steps anew for each one.
func TestManyStepsAreStoredTogether(t *testing.T) {
	const many = 300
	w := newWorld(t)
	var specs []backend.AppSpec
	for i := range many {
		specs = append(specs, spec(fmt.Sprintf("app-%d", i), 0, "sleep"))
	}
	before, err := w.b.Operations(w.ctx, backend.OperationQuery{})
	if err != nil {
		t.Fatal(err)
	}
	done := w.must(apply(specs...))
	if len(done.Steps) != many {
		t.Errorf("the operation has %d steps, want %d", len(done.Steps), many)
	}
	feed, err := w.b.Watch(w.ctx, backend.WatchQuery{Since: before.Index + 1, Ref: done.AsRef()})
	if err != nil {
		t.Fatalf("Watch() = %v", err)
	}
	defer feed.Close()
	for stored := 1; ; {
		events, err := feed.Next(w.ctx)
		if err != nil {
			t.Fatalf("Next() = %v", err)
		}
		for _, e := range events {
			if e.Op == nil {
				continue
			}
			if stored++; stored > many {
				t.Fatalf("an operation of %d steps was stored more than %d times", many, many)
			}
			if e.Op.State.Ended() {
				return
			}
		}
	}
}
