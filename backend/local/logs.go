package local

import (
	"context"
	"io"
	"strings"
	"time"

	"pitwall/backend"
	"pitwall/backend/logstore"
	"pitwall/backend/sqlite"
)

// Logs is what local needs of package logstore.
type Logs interface {
	Register(s logstore.Source)
	Notify(instance string)
	End(instance string)
	Mark(appID string, d backend.LogDivider, at time.Time)
	Forget(instance string) error

	Logs(ctx context.Context, q backend.LogQuery) (backend.Feed[backend.LogEntry], error)
	Stats(ctx context.Context, q backend.LogQuery) (backend.Feed[backend.LogStats], error)
	Open(ctx context.Context, ref backend.BlobRef) (io.ReadCloser, error)
	LastLines(instance string, run, n int) []string
	InstanceCounters(instance string) logstore.Counters
	AppCounters(owner string) logstore.Counters
	Changed(ctx context.Context) (backend.Feed[string], error)
}

var _ Logs = (*logstore.Store)(nil)

func source(m sqlite.Instance, policy backend.LogPolicy, live bool) logstore.Source {
	in := m.Instance
	return logstore.Source{
		Instance: in.ID, AppID: in.AppID, JobID: in.JobID, Owner: in.App + in.Job, Process: in.Process, Index: in.Index,
		Dir: m.LogDir, Live: live, Policy: policy,
	}
}

func errNoLogs() error { return backend.Errorf(backend.Unsupported, "this server keeps no logs") }

// readable fails when there are no logs, or none of what a query names.
func (b *Backend) readable(ctx context.Context, q backend.LogQuery) error {
	if err := b.enter(ctx); err != nil {
		return err
	}
	if b.cfg.Logs == nil {
		return errNoLogs()
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, id := range q.Apps {
		if _, ok := b.apps[id]; !ok {
			return noApp(id)
		}
	}
	for _, id := range q.Jobs {
		if _, ok := b.jobs[id]; !ok {
			return noJob(id)
		}
	}
	return nil
}

// Logs reads log entries.
func (b *Backend) Logs(ctx context.Context, q backend.LogQuery) (backend.Feed[backend.LogEntry], error) {
	if err := b.readable(ctx, q); err != nil {
		return nil, err
	}
	return b.cfg.Logs.Logs(ctx, q)
}

// LogStats counts a query's lines.
func (b *Backend) LogStats(ctx context.Context, q backend.LogQuery) (backend.Feed[backend.LogStats], error) {
	if err := b.readable(ctx, q); err != nil {
		return nil, err
	}
	return b.cfg.Logs.Stats(ctx, q)
}

// mark places an operation in the logs of what it acts on.
func (b *Backend) mark(op *operation, at time.Time) {
	if b.cfg.Logs == nil {
		return
	}
	o := op.present()
	text := []string{op.what}
	switch {
	case o.State == backend.OperationRunning:
		text = append(text, "by "+o.Author)
		if o.Reason != "" {
			text = append(text, o.Reason)
		}
	case o.Error != "":
		text = append(text, string(o.State), o.Error)
	default:
		text = append(text, string(o.State))
	}
	d := backend.LogDivider{Kind: "operation", Text: strings.Join(text, " · ")}
	for _, r := range append([]backend.Ref{o.Ref}, o.Also...) {
		if r.Kind == backend.KindApp || r.Kind == backend.KindJob {
			b.cfg.Logs.Mark(r.ID, d, at)
		}
	}
}
