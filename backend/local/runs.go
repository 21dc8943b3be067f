package local

import (
	"fmt"
	"strings"
	"time"

	"pitwall/backend"
	"pitwall/backend/engine"
	"pitwall/backend/sqlite"
)

// runs drafts the records of runs that are new, and what to say of them.
func (c *change) runs(d *draft[sqlite.Instance], n news) error {
	in := &d.now.Instance
	for i, rec := range n.runs {
		if rec.Number <= d.now.Recorded {
			continue
		}
		run := c.b.runOf(*d.now, rec)
		run.LastLines = n.lines[rec.Number]
		kind := backend.EventUpdated
		if rec.Number > d.was.Instance.Run && rec.Exit == nil {
			kind = backend.EventCreated
		}
		if rec.Exit != nil {
			d.now.Recorded = rec.Number
			last := i == len(n.runs)-1
			c.ended(d, run, last)
		}
		if err := c.putRun(kind, run); err != nil {
			return err
		}
		if in.JobID != "" {
			c.jobRun(run)
			continue
		}
		if err := c.TrimRuns(in.AppID, in.Process, in.Index, c.b.cfg.KeepRuns); err != nil {
			return err
		}
	}
	return nil
}

// ended tells how a run ended.
func (c *change) ended(d *draft[sqlite.Instance], run backend.Run, last bool) {
	in := &d.now.Instance
	asked := run.State == backend.RunCanceled
	if !asked && !clean(*run.Exit) {
		n := c.b.counters(in.ID, "")
		in.LastError = ""
		in.LastError = words(*run.Exit, *in, n)
	}
	if in.JobID != "" {
		return // the operation tells
	}
	text := fmt.Sprintf("%s %s · run %d lasted %s", nameOf(*d.now), exited(*run.Exit), run.Number, lasted(run))
	if wait := in.NextStart.Sub(c.now); last && in.State == backend.InstanceCrashed && wait > 0 {
		text += " · next start in " + short(wait)
	}
	level := backend.LevelError
	if asked || clean(*run.Exit) {
		level = backend.LevelInfo
	}
	d.say(level, text)
}

// exited says how a run ended, as a verb: "exited with 2".
func exited(e backend.Exit) string {
	if e.Reason == "" && !e.Unknown && !e.OOM && e.Signal == "" {
		return fmt.Sprintf("exited with %d", e.Code)
	}
	if e.Unknown && e.Reason == "" {
		return "ended, how is not known"
	}
	if e.Reason == "" || strings.HasPrefix(e.Reason, "killed") {
		return "was " + e.String()
	}
	return "ended: " + e.Reason
}

func lasted(r backend.Run) string { return short(r.Duration(r.Ended)) }

// short writes a duration with two digits or so: 1.9s, 42s, 3m20s.
func short(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	}
	return d.Round(time.Minute).String()
}

// runOf makes an engine's record a run.
func (b *Backend) runOf(m sqlite.Instance, rec engine.RunRecord) backend.Run {
	in := m.Instance
	run := backend.Run{
		ID: runID(in.ID, rec.Number), Number: rec.Number, AppID: in.AppID, App: in.App, JobID: in.JobID, Job: in.Job,
		Scope: in.Scope, Instance: in.ID, Process: in.Process, Index: in.Index, State: backend.RunRunning, Exit: rec.Exit,
		PID: rec.PID, Release: in.Release, EnvHash: rec.EnvHash, Trigger: m.Trigger, Author: m.Author, Scheduled: m.Scheduled,
		Started: rec.Started.UTC(), Ended: rec.Ended.UTC(),
	}
	if rec.Ended.IsZero() {
		run.Ended = time.Time{}
	}
	if in.AppID != "" && rec.Number > m.FirstRun {
		run.Trigger = "restart"
	}
	if rec.Exit == nil {
		return run
	}
	if run.Ended.IsZero() {
		run.Ended = rec.Exit.Time.UTC()
	}
	switch e := *rec.Exit; {
	case e.Unknown:
		run.State = backend.RunLost
	case m.Canceled || in.State == backend.InstanceStopped && rec.Number == in.Run:
		run.State = backend.RunCanceled
	case clean(e):
		run.State = backend.RunSucceeded
	default:
		run.State = backend.RunFailed
	}
	return run
}
