package backendtest

import (
	"context"
	"testing"
	"time"

	"pitwall/backend"
)

// patience is how long the suite waits for what must come. It bounds a
// failure, not a success.
const patience = time.Minute

// Fixture is a Backend to be tested, with what the suite needs to drive it.
type Fixture struct {
	Backend backend.Backend

	// App is the id of an app without routes, blocks or operations, and
	// Instance the id of its one running instance, whose program writes
	// nothing but what Print asks for.
	App, Instance string

	// Print makes the program write lines to its standard output, in order.
	Print func(t *testing.T, lines ...string)

	// Echo is a command for Attach that copies its input to its output and
	// ends with 3 when the input ends. Nil: it cannot attach.
	Echo []string

	// Sizes is a command for Attach with a terminal that says "100x40" when
	// it is resized to that, and ends when its input does. Nil: it cannot
	// resize.
	Sizes []string

	// Measure makes a sample of App. Nil: it measures by itself.
	Measure func(t *testing.T)

	// Leveled is the id of an app that follows a levels file. Empty: there
	// is none.
	Leveled string

	// Compact forgets every event up to now. Nil: it cannot be made to.
	Compact func(t *testing.T)

	// Reset ends every watch. Nil: it cannot be made to.
	Reset func(t *testing.T)

	// Buffer is how many events a watcher that reads nothing may be behind
	// at most. 0: not to be tested.
	Buffer int
}

// Run holds the Backends that open makes against the contract. Open is called
// once a test and cleans up by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	tests := []struct {
		name string
		run  func(*suite)
	}{
		{"ListsHaveItemsAndIndex", (*suite).lists},
		{"QueriesSelect", (*suite).queries},
		{"PagesAddUp", (*suite).pages},
		{"ErrorsHaveCodes", (*suite).codes},
		{"WatchContinuesAList", (*suite).watchContinues},
		{"WatchSinceZeroStartsWithWhatComes", (*suite).watchFromNow},
		{"WatchSelects", (*suite).watchSelects},
		{"FilteredWatchGetsBookmarks", (*suite).bookmarks},
		{"OldIndexIsCompacted", (*suite).compacted},
		{"ChangedRightsReset", (*suite).reset},
		{"SlowWatcherIsTold", (*suite).lagging},
		{"CommandsMakeOperations", (*suite).operations},
		{"KeyMakesItTheSameOperation", (*suite).idempotency},
		{"EventsTell", (*suite).events},
		{"ApplyDryRunChangesNothing", (*suite).dryRun},
		{"DocumentsHaveVersions", (*suite).documents},
		{"LevelsAreSet", (*suite).levels},
		{"LogsTail", (*suite).logsTail},
		{"LogsFollow", (*suite).logsFollow},
		{"LogsResume", (*suite).logsResume},
		{"LogsSelect", (*suite).logsSelect},
		{"LogsGoBack", (*suite).logsBefore},
		{"LogsKeepHostileText", (*suite).logsHostile},
		{"LogStatsCount", (*suite).logStats},
		{"SamplesStartWithWhatIsKnown", (*suite).samples},
		{"AttachEchoes", (*suite).attach},
		{"AttachResizes", (*suite).resize},
		{"AttachCloses", (*suite).attachClose},
		{"BlobsRoundTrip", (*suite).blobs},
		{"PutKeepsNothingBroken", (*suite).putBroken},
		{"RawLogRanges", (*suite).rawLog},
		{"EndedContext", (*suite).endedContext},
		{"NextEndsWithItsContext", (*suite).nextContext},
		{"CloseWakesNext", (*suite).closeWakes},
		{"ConcurrentUse", (*suite).concurrent},
		{"Close", (*suite).closes},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fix := open(t)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			tt.run(&suite{T: t, Fixture: fix, ctx: ctx})
		})
	}
}

// suite is one running test.
type suite struct {
	*testing.T
	Fixture
	ctx context.Context
}

// app returns the app as it is now.
func (s *suite) app() backend.App {
	s.Helper()
	apps, err := s.Backend.Apps(s.ctx, backend.AppQuery{IDs: []string{s.App}})
	if err != nil || len(apps.Items) != 1 {
		s.Fatalf("Apps(%s) = %d items, %v, want one", s.App, len(apps.Items), err)
	}
	return apps.Items[0]
}

// do carries out c and waits for the end of its operation.
func (s *suite) do(c backend.Command) backend.Operation {
	s.Helper()
	r, err := s.Backend.Do(s.ctx, c)
	if err != nil {
		s.Fatalf("Do(%s) = %v", c.Verb(), err)
	}
	return s.await(r.Operation)
}

// await follows an operation to its end, as a door does: list, then watch.
func (s *suite) await(o backend.Operation) backend.Operation {
	s.Helper()
	ops, err := s.Backend.Operations(s.ctx, backend.OperationQuery{IDs: []string{o.ID}})
	if err != nil || len(ops.Items) != 1 {
		s.Fatalf("Operations(%s) = %d items, %v, want one", o.ID, len(ops.Items), err)
	}
	o = ops.Items[0]
	if o.State.Ended() {
		return o
	}
	feed, err := s.Backend.Watch(s.ctx, backend.WatchQuery{Since: ops.Index, Ref: o.AsRef()})
	if err != nil {
		s.Fatalf("Watch(%s) = %v", o.AsRef(), err)
	}
	defer feed.Close()
	for {
		events, err := feed.Next(s.ctx)
		if err != nil {
			s.Fatalf("Next() while %s is %s: %v", o.AsRef(), o.State, err)
		}
		for _, e := range events {
			if e.Op != nil && e.Op.ID == o.ID && e.Op.State.Ended() {
				return *e.Op
			}
		}
	}
}

// toggle blocks and unblocks the app n times in turn, from unblocked.
func (s *suite) toggle(n int) {
	s.Helper()
	for i := range n {
		var c backend.Command = backend.Block{App: s.App}
		if i%2 == 1 {
			c = backend.Unblock{App: s.App}
		}
		if _, err := s.Backend.Do(s.ctx, c); err != nil {
			s.Fatalf("Do(%s) = %v", c.Verb(), err)
		}
	}
}

func (s *suite) wantCode(call string, err error, want backend.Code) {
	s.Helper()
	if backend.CodeOf(err) != want {
		s.Errorf("%s = %v (code %q), want code %q", call, err, backend.CodeOf(err), want)
	}
}
