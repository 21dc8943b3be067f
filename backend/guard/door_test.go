package guard_test

import (
	"context"
	"io"

	"pitwall/backend"
)

// door calls a Backend as its owner, as a door does that knows its callers.
type door struct{ inner backend.Backend }

func (d door) as(ctx context.Context) context.Context {
	return as(ctx, backend.Principal{Name: "ana", Admin: true})
}

func (d door) Apps(ctx context.Context, q backend.AppQuery) (backend.List[backend.App], error) {
	return d.inner.Apps(d.as(ctx), q)
}

func (d door) Instances(ctx context.Context, q backend.InstanceQuery) (backend.List[backend.Instance], error) {
	return d.inner.Instances(d.as(ctx), q)
}

func (d door) Jobs(ctx context.Context, q backend.JobQuery) (backend.List[backend.Job], error) {
	return d.inner.Jobs(d.as(ctx), q)
}

func (d door) Runs(ctx context.Context, q backend.RunQuery) (backend.List[backend.Run], error) {
	return d.inner.Runs(d.as(ctx), q)
}

func (d door) Releases(ctx context.Context, q backend.ReleaseQuery) (backend.List[backend.Release], error) {
	return d.inner.Releases(d.as(ctx), q)
}

func (d door) Loggers(ctx context.Context, q backend.LoggerQuery) (backend.List[backend.Logger], error) {
	return d.inner.Loggers(d.as(ctx), q)
}

func (d door) Operations(ctx context.Context, q backend.OperationQuery) (backend.List[backend.Operation], error) {
	return d.inner.Operations(d.as(ctx), q)
}

func (d door) Events(ctx context.Context, q backend.EventQuery) (backend.List[backend.Event], error) {
	return d.inner.Events(d.as(ctx), q)
}

func (d door) Nodes(ctx context.Context, q backend.NodeQuery) (backend.List[backend.Node], error) {
	return d.inner.Nodes(d.as(ctx), q)
}

func (d door) Documents(ctx context.Context, q backend.DocumentQuery) (backend.List[backend.Document], error) {
	return d.inner.Documents(d.as(ctx), q)
}

func (d door) Do(ctx context.Context, c backend.Command) (backend.Result, error) {
	return d.inner.Do(d.as(ctx), c)
}

func (d door) Watch(ctx context.Context, q backend.WatchQuery) (backend.Feed[backend.Event], error) {
	return d.inner.Watch(d.as(ctx), q)
}

func (d door) Samples(ctx context.Context, q backend.SampleQuery) (backend.Feed[backend.Sample], error) {
	return d.inner.Samples(d.as(ctx), q)
}

func (d door) Logs(ctx context.Context, q backend.LogQuery) (backend.Feed[backend.LogEntry], error) {
	return d.inner.Logs(d.as(ctx), q)
}

func (d door) LogStats(ctx context.Context, q backend.LogQuery) (backend.Feed[backend.LogStats], error) {
	return d.inner.LogStats(d.as(ctx), q)
}

func (d door) Attach(ctx context.Context, s backend.AttachSpec) (backend.Conn, error) {
	return d.inner.Attach(d.as(ctx), s)
}

func (d door) Open(ctx context.Context, ref backend.BlobRef) (io.ReadCloser, error) {
	return d.inner.Open(d.as(ctx), ref)
}

func (d door) Put(ctx context.Context, r io.Reader) (backend.BlobRef, error) {
	return d.inner.Put(d.as(ctx), r)
}

func (d door) Close() error { return d.inner.Close() }
