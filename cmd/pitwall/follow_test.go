package main

import (
	"context"
	"errors"
	"io"
	"testing"

	"pitwall/backend"
)

// scripted is a Backend whose watches end as they are told to.
type scripted struct {
	backend.Backend
	ends    []error // of the watches, one after the other
	watched []uint64
}

func (s *scripted) Watch(_ context.Context, q backend.WatchQuery) (backend.Feed[backend.Event], error) {
	s.watched = append(s.watched, q.Since)
	end := s.ends[0]
	s.ends = s.ends[1:]
	return &endedFeed{end}, nil
}

// endedFeed has nothing but its end.
type endedFeed struct{ end error }

func (f *endedFeed) Next(context.Context) ([]backend.Event, error) { return nil, f.end }
func (f *endedFeed) Close() error                                  { return nil }

func TestSettleListsAgainAfterAWatchMissedSomething(t *testing.T) {
	b := &scripted{ends: []error{
		&backend.LaggedError{Missed: 3}, backend.Errorf(backend.Compacted, "too old"), backend.Errorf(backend.Reset, "rights changed"), io.EOF,
	}}
	lists := 0
	err := settle(t.Context(), b, backend.WatchQuery{}, settling{
		list: func(context.Context) (uint64, error) {
			lists++
			return uint64(lists), nil
		},
		settled: func() bool { return lists == 5 },
	})
	if err != nil || lists != 5 {
		t.Errorf("settle() = %v after %d lists, want none after 5", err, lists)
	}
	for i, since := range b.watched {
		if since != uint64(i+1) {
			t.Errorf("watch %d began at %d, want the index of its list, %d", i, since, i+1)
		}
	}
}

func TestSettleEndsWithWhatIsNotMadeGood(t *testing.T) {
	broken := errors.New("broken")
	b := &scripted{ends: []error{broken}}
	err := settle(t.Context(), b, backend.WatchQuery{}, settling{
		list:    func(context.Context) (uint64, error) { return 1, nil },
		settled: func() bool { return false },
	})
	if !errors.Is(err, broken) {
		t.Errorf("settle() = %v, want %v", err, broken)
	}
}

func TestOutcomeIsTheExitCode(t *testing.T) {
	for _, tt := range []struct {
		op   backend.Operation
		want int
	}{
		{backend.Operation{State: backend.OperationRunning}, exitOK},
		{backend.Operation{State: backend.OperationSucceeded}, exitOK},
		{backend.Operation{State: backend.OperationFailed, Code: backend.NotFound, Error: "gone"}, exitFailed},
		{backend.Operation{State: backend.OperationFailed}, exitFailed},
		{backend.Operation{State: backend.OperationCanceled, Code: backend.Canceled}, exitFailed},
		{backend.Operation{State: backend.OperationFailed, Code: backend.Timeout}, exitTimeout},
		{backend.Operation{State: backend.OperationFailed, Code: backend.Denied}, exitDenied},
	} {
		err := outcomeError(tt.op)
		if got := exitCode(err); got != tt.want {
			t.Errorf("exit code of %s %s = %d, want %d", tt.op.State, tt.op.Code, got, tt.want)
		}
		if err != nil && err.Error() != "" {
			t.Errorf("outcomeError(%s) says %q, which was printed already", tt.op.State, err)
		}
	}
}

func TestSentenceFitsATerminal(t *testing.T) {
	got := sentence("first \x1b[31mred\nsecond\n")
	if want := "first ␛[31mred\nsecond"; got != want {
		t.Errorf("sentence() = %q, want %q", got, want)
	}
	if n := len([]rune(sentence(string(make([]byte, 100_000))))); n > maxSentence {
		t.Errorf("sentence() of a long text has %d characters, want %d at most", n, maxSentence)
	}
}
