package process

import (
	"context"
	"fmt"
	"time"

	"pitwall/backend"
)

// startGrace is how long a program that has not been well yet may fail its
// health check: a slow start is no reason to start again.
const startGrace = 30 * time.Second

// slowestFirst is the longest pause between two checks of a program that is not
// ready yet, so that a check every ten seconds does not make a start last ten.
const slowestFirst = time.Second

// health is what checks have found of one run.
type health struct {
	run       int
	ready     bool
	wasReady  bool
	since     time.Time // when ready became what it is
	complaint string    // of the last ready check, or the health check before ready
	ending    bool      // it is being ended for failing its health check
	tasks     []*task
}

// readiness follows one check of one run. Its pass and fail are called from one
// goroutine at a time.
type readiness struct {
	what  string // "ready" or "health"
	check backend.Check
	ask   func(ctx context.Context) error
	now   func() time.Time
	began time.Time

	// passed is told of the first pass and of each that follows a failure;
	// failed of each failure, with enough when these are as many in a row
	// as the check allows.
	passed func()
	failed func(err error, enough bool)

	well     bool
	ever     bool
	failures int
	pause    time.Duration
}

// once asks once and returns when to ask again.
func (r *readiness) once(ctx context.Context) time.Duration {
	err := r.ask(ctx)
	if ctx.Err() != nil {
		return 0 // the run has ended
	}
	if err == nil {
		r.failures = 0
		if !r.well {
			r.well, r.ever = true, true
			r.passed()
		}
		return r.check.Interval.Std()
	}
	r.well = false
	r.failures++
	enough := r.failures >= r.check.Failures
	if !r.ever && r.what == "health" && r.now().Sub(r.began) < startGrace {
		enough = false
	}
	r.failed(err, enough)
	if enough {
		r.failures = 0
	}
	if !r.ever {
		r.pause = min(max(2*r.pause, firstDelay), slowestFirst, r.check.Interval.Std())
		return r.pause
	}
	return r.check.Interval.Std()
}

// failing is the notice of a check that failed as often as it may.
func failing(what string, c backend.Check, err error) string {
	times := fmt.Sprintf("%d times in a row", c.Failures)
	if c.Failures == 1 {
		times = "once"
	}
	return fmt.Sprintf("%s check failed %s: %v", what, times, err)
}
