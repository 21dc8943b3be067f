// Package guard decides whether a caller may, in one place for every door. It
// is a Backend around a Backend: a call goes through when the context says who
// is calling, see [backend.WithAttribution], and the [Policy] permits all that
// the call needs.
//
// It lists every method of Backend by hand, so that a new one cannot go
// unguarded.
package guard

import (
	"context"
	"fmt"
	"io"

	"pitwall/backend"
)

// Policy says what a principal may do. It is asked for every need of every
// call, by many goroutines at once, and must not wait.
type Policy interface {
	Permits(p backend.Principal, need backend.Need) bool
}

// Owner is the policy of a server with one owner: an admin may do all, anybody
// else nothing.
func Owner() Policy { return owner{} }

type owner struct{}

func (owner) Permits(p backend.Principal, _ backend.Need) bool { return p.Admin }

// Backend asks for permission before it calls the Backend inside.
type Backend struct {
	inner  backend.Backend
	policy Policy
	merge  *merger
}

var _ backend.Backend = (*Backend)(nil)

// New guards inner. Refusals are told to audit, which may be nil.
func New(inner backend.Backend, policy Policy, audit Auditor) *Backend {
	return &Backend{inner: inner, policy: policy, merge: &merger{audit: audit}}
}

// may refuses a context without a principal, and a principal that lacks one of
// the needs.
func (b *Backend) may(ctx context.Context, op string, needs ...backend.Need) error {
	who := backend.AttributionFrom(ctx)
	if who.Principal.IsZero() {
		err := backend.Errorf(backend.Unauthenticated, "who is calling is not known")
		err.Op = op
		b.merge.refused(ctx, Refusal{Attribution: who, Op: op, Code: err.Code})
		return err
	}
	for _, need := range needs {
		if b.policy.Permits(who.Principal, need) {
			continue
		}
		err := backend.Errorf(backend.Denied, "%s may not %s", who.Principal.Name, need.Permission)
		err.Op, err.Ref = op, need.Ref
		b.merge.refused(ctx, Refusal{Attribution: who, Op: op, Need: need, Code: err.Code})
		return err
	}
	return nil
}

// read is the need of a listing that is not about one resource.
func read() backend.Need { return backend.Need{Permission: backend.PermitRead} }

func readApp(id string) backend.Need {
	return backend.Need{Permission: backend.PermitRead, Ref: backend.Ref{Kind: backend.KindApp, ID: id}}
}

// each returns a need for every id, or one for everything where none is named.
func each(p backend.Permission, ids map[backend.Kind][]string) []backend.Need {
	var needs []backend.Need
	for _, kind := range []backend.Kind{backend.KindApp, backend.KindJob, backend.KindInstance} {
		for _, id := range ids[kind] {
			needs = append(needs, backend.Need{Permission: p, Ref: backend.Ref{Kind: kind, ID: id}})
		}
	}
	if len(needs) == 0 {
		needs = append(needs, backend.Need{Permission: p})
	}
	return needs
}

// Apps implements [backend.Backend].
func (b *Backend) Apps(ctx context.Context, q backend.AppQuery) (backend.List[backend.App], error) {
	if err := b.may(ctx, "apps", each(backend.PermitRead, map[backend.Kind][]string{backend.KindApp: q.IDs})...); err != nil {
		return backend.List[backend.App]{}, err
	}
	return b.inner.Apps(ctx, q)
}

// Instances implements [backend.Backend].
func (b *Backend) Instances(ctx context.Context, q backend.InstanceQuery) (backend.List[backend.Instance], error) {
	needs := each(backend.PermitRead, map[backend.Kind][]string{
		backend.KindApp: q.Apps, backend.KindJob: q.Jobs, backend.KindInstance: q.IDs,
	})
	if err := b.may(ctx, "instances", needs...); err != nil {
		return backend.List[backend.Instance]{}, err
	}
	return b.inner.Instances(ctx, q)
}

// Jobs implements [backend.Backend].
func (b *Backend) Jobs(ctx context.Context, q backend.JobQuery) (backend.List[backend.Job], error) {
	if err := b.may(ctx, "jobs", each(backend.PermitRead, map[backend.Kind][]string{backend.KindJob: q.IDs})...); err != nil {
		return backend.List[backend.Job]{}, err
	}
	return b.inner.Jobs(ctx, q)
}

// Runs implements [backend.Backend].
func (b *Backend) Runs(ctx context.Context, q backend.RunQuery) (backend.List[backend.Run], error) {
	needs := each(backend.PermitRead, map[backend.Kind][]string{
		backend.KindApp: q.Apps, backend.KindJob: q.Jobs, backend.KindInstance: q.Instances,
	})
	if err := b.may(ctx, "runs", needs...); err != nil {
		return backend.List[backend.Run]{}, err
	}
	return b.inner.Runs(ctx, q)
}

// Releases implements [backend.Backend].
func (b *Backend) Releases(ctx context.Context, q backend.ReleaseQuery) (backend.List[backend.Release], error) {
	if err := b.may(ctx, "releases", readApp(q.App)); err != nil {
		return backend.List[backend.Release]{}, err
	}
	return b.inner.Releases(ctx, q)
}

// Loggers implements [backend.Backend].
func (b *Backend) Loggers(ctx context.Context, q backend.LoggerQuery) (backend.List[backend.Logger], error) {
	if err := b.may(ctx, "loggers", readApp(q.App)); err != nil {
		return backend.List[backend.Logger]{}, err
	}
	return b.inner.Loggers(ctx, q)
}

// Operations implements [backend.Backend].
func (b *Backend) Operations(ctx context.Context, q backend.OperationQuery) (backend.List[backend.Operation], error) {
	if err := b.may(ctx, "operations", read()); err != nil {
		return backend.List[backend.Operation]{}, err
	}
	return b.inner.Operations(ctx, q)
}

// Events implements [backend.Backend].
func (b *Backend) Events(ctx context.Context, q backend.EventQuery) (backend.List[backend.Event], error) {
	if err := b.may(ctx, "events", read()); err != nil {
		return backend.List[backend.Event]{}, err
	}
	return b.inner.Events(ctx, q)
}

// Nodes implements [backend.Backend].
func (b *Backend) Nodes(ctx context.Context, q backend.NodeQuery) (backend.List[backend.Node], error) {
	if err := b.may(ctx, "nodes", read()); err != nil {
		return backend.List[backend.Node]{}, err
	}
	return b.inner.Nodes(ctx, q)
}

// Documents implements [backend.Backend].
func (b *Backend) Documents(ctx context.Context, q backend.DocumentQuery) (backend.List[backend.Document], error) {
	need := backend.Need{Permission: backend.PermitRead, Ref: backend.Ref{Kind: backend.KindDocument}}
	if err := b.may(ctx, "documents", need); err != nil {
		return backend.List[backend.Document]{}, err
	}
	return b.inner.Documents(ctx, q)
}

// Do implements [backend.Backend]. It needs what the command says it needs.
func (b *Backend) Do(ctx context.Context, c backend.Command) (backend.Result, error) {
	if c == nil {
		return backend.Result{}, backend.Errorf(backend.Invalid, "there is no command")
	}
	needs := c.Needs()
	if len(needs) == 0 {
		// A command that needs nothing still changes something.
		needs = []backend.Need{{Permission: backend.PermitApply}}
	}
	if err := b.may(ctx, c.Verb(), needs...); err != nil {
		return backend.Result{}, err
	}
	return b.inner.Do(ctx, c)
}

// Watch implements [backend.Backend].
func (b *Backend) Watch(ctx context.Context, q backend.WatchQuery) (backend.Feed[backend.Event], error) {
	if err := b.may(ctx, "watch", backend.Need{Permission: backend.PermitRead, Ref: q.Ref}); err != nil {
		return nil, err
	}
	return b.inner.Watch(ctx, q)
}

// Samples implements [backend.Backend].
func (b *Backend) Samples(ctx context.Context, q backend.SampleQuery) (backend.Feed[backend.Sample], error) {
	needs := each(backend.PermitRead, map[backend.Kind][]string{
		backend.KindApp: q.Apps, backend.KindInstance: q.InstanceIDs,
	})
	if err := b.may(ctx, "samples", needs...); err != nil {
		return nil, err
	}
	return b.inner.Samples(ctx, q)
}

// logNeeds is what a log query needs.
func logNeeds(q backend.LogQuery) []backend.Need {
	return each(backend.PermitLogs, map[backend.Kind][]string{
		backend.KindApp: q.Apps, backend.KindJob: q.Jobs, backend.KindInstance: q.Instances,
	})
}

// Logs implements [backend.Backend].
func (b *Backend) Logs(ctx context.Context, q backend.LogQuery) (backend.Feed[backend.LogEntry], error) {
	if err := b.may(ctx, "logs", logNeeds(q)...); err != nil {
		return nil, err
	}
	return b.inner.Logs(ctx, q)
}

// LogStats implements [backend.Backend].
func (b *Backend) LogStats(ctx context.Context, q backend.LogQuery) (backend.Feed[backend.LogStats], error) {
	if err := b.may(ctx, "logstats", logNeeds(q)...); err != nil {
		return nil, err
	}
	return b.inner.LogStats(ctx, q)
}

// Attach implements [backend.Backend].
func (b *Backend) Attach(ctx context.Context, s backend.AttachSpec) (backend.Conn, error) {
	need := backend.Need{Permission: backend.PermitExec, Ref: backend.Ref{Kind: backend.KindInstance, ID: s.Instance}}
	if err := b.may(ctx, "exec", need); err != nil {
		return nil, err
	}
	return b.inner.Attach(ctx, s)
}

// Open implements [backend.Backend].
func (b *Backend) Open(ctx context.Context, ref backend.BlobRef) (io.ReadCloser, error) {
	need := backend.Need{Permission: backend.PermitBundle}
	switch ref.Kind {
	case backend.LogBlob:
		need = backend.Need{Permission: backend.PermitLogs, Ref: backend.Ref{Kind: backend.KindInstance, ID: ref.ID}}
	case backend.OutputBlob:
		need = backend.Need{Permission: backend.PermitRead, Ref: backend.Ref{Kind: backend.KindOperation, ID: ref.ID}}
	}
	if err := b.may(ctx, "open", need); err != nil {
		return nil, err
	}
	return b.inner.Open(ctx, ref)
}

// Put implements [backend.Backend].
func (b *Backend) Put(ctx context.Context, r io.Reader) (backend.BlobRef, error) {
	if err := b.may(ctx, "put", backend.Need{Permission: backend.PermitBundle}); err != nil {
		return backend.BlobRef{}, err
	}
	return b.inner.Put(ctx, r)
}

// Close closes the Backend inside, after what was refused is told.
func (b *Backend) Close() error {
	b.merge.flush(context.Background())
	if err := b.inner.Close(); err != nil {
		return fmt.Errorf("close guarded backend: %w", err)
	}
	return nil
}
