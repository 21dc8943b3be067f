package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"pitwall/backend"
)

// compactEvery is how many events are written between two compactions, so that
// its cost is spread and the table is at most one percent over its bound.
const compactEvery = 1000

// Tx is one transaction of the writer. It is valid inside the function that
// got it. A method that fails makes the transaction fail, whatever the
// function returns.
type Tx struct {
	s     *Store
	ctx   context.Context
	index uint64
	start uint64
	err   error
}

// Update runs fn in a transaction. All that fn wrote is there when Update
// returns nil, nothing of it when it returns an error, fn's own included. It
// survives a killed server; a lost machine may lose the last moments.
func (s *Store) Update(ctx context.Context, fn func(tx *Tx) error) error {
	return s.update(ctx, false, fn)
}

// UpdateDurably is Update for what must survive a lost machine too: that an
// operation was accepted, how it ended, who asked for it.
func (s *Store) UpdateDurably(ctx context.Context, fn func(tx *Tx) error) error {
	return s.update(ctx, true, fn)
}

func (s *Store) update(ctx context.Context, durable bool, fn func(tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return backend.Errorf(backend.Unavailable, "the state database is closed")
	}
	// A write that began is seen to its end: the driver would otherwise
	// interrupt it half way when the caller leaves.
	tx := &Tx{s: s, ctx: context.WithoutCancel(ctx), index: s.index.Load()}
	tx.start = tx.index
	if err := tx.begin(durable); err != nil {
		return s.explain(fmt.Errorf("write state: %w", err))
	}
	err := fn(tx)
	if err == nil {
		err = tx.commit()
	}
	if err != nil {
		if rerr := tx.exec("ROLLBACK"); rerr != nil && tx.err == nil {
			err = errors.Join(err, rerr)
		}
		return s.explain(err)
	}
	s.index.Store(tx.index)
	if s.pending += int(tx.index - tx.start); s.pending >= compactEvery {
		s.pending = 0
		return s.explain(s.compact(tx.ctx))
	}
	return nil
}

func (tx *Tx) begin(durable bool) error {
	if durable != tx.s.durable {
		mode := "PRAGMA synchronous = NORMAL"
		if durable {
			mode = "PRAGMA synchronous = FULL"
		}
		if err := tx.exec(mode); err != nil {
			return err
		}
		tx.s.durable = durable
	}
	return tx.exec("BEGIN IMMEDIATE")
}

func (tx *Tx) commit() error {
	if tx.err != nil {
		return tx.err
	}
	if tx.index != tx.start {
		if err := tx.SetMeta("index", strconv.FormatUint(tx.index, 10)); err != nil {
			return err
		}
	}
	if err := tx.exec("COMMIT"); err != nil {
		return fmt.Errorf("commit state: %w", err)
	}
	return nil
}

// exec runs a prepared statement and remembers the first error.
func (tx *Tx) exec(query string, args ...any) error {
	st, err := tx.s.prepare(tx.ctx, query)
	if err == nil {
		_, err = st.ExecContext(tx.ctx, args...)
	}
	if err != nil && tx.err == nil {
		tx.err = err
	}
	return err
}

func (s *Store) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := s.stmts[query]; ok {
		return st, nil
	}
	st, err := s.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	s.stmts[query] = st
	return st, nil
}

func (tx *Tx) put(what, query string, record any, args ...any) error {
	body, err := json.Marshal(record)
	if err == nil {
		err = tx.exec(query, append(args, body)...)
	}
	if err != nil {
		err = fmt.Errorf("store %s: %w", what, err)
		if tx.err == nil {
			tx.err = err
		}
	}
	return err
}

// SetMeta stores one value by name.
func (tx *Tx) SetMeta(key, value string) error {
	return tx.exec("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", key, value)
}

// Event stores an event and gives it the next index.
func (tx *Tx) Event(e *backend.Event) error {
	tx.index++
	e.Index = tx.index
	quiet := 0
	if e.Message == "" {
		quiet = 1
	}
	return tx.put("event", "INSERT INTO events (idx, time, kind, owner, level, quiet, body) VALUES (?, ?, ?, ?, ?, ?, ?)", e,
		int64(e.Index), e.Time.UnixNano(), string(e.Ref.Kind), e.OwnerID, e.Level.Rank(), quiet)
}

// PutApp stores an app, new or changed.
func (tx *Tx) PutApp(a App) error {
	return tx.put("app "+a.App.Name, `INSERT INTO apps (id, team, space, name, body) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET body = excluded.body`, a, a.App.ID, a.App.Team, a.App.Space, a.App.Name)
}

// DeleteApp removes an app with its releases, instances, runs and levels.
func (tx *Tx) DeleteApp(id string) error {
	for _, q := range []string{
		"DELETE FROM apps WHERE id = ?", "DELETE FROM releases WHERE app = ?",
		"DELETE FROM instances WHERE owner = ?", "DELETE FROM runs WHERE owner = ?", "DELETE FROM levels WHERE app = ?",
	} {
		if err := tx.exec(q, id); err != nil {
			return fmt.Errorf("delete app: %w", err)
		}
	}
	return nil
}

// PutRelease stores a release.
func (tx *Tx) PutRelease(r backend.Release) error {
	return tx.put("release", `INSERT INTO releases (app, number, body) VALUES (?, ?, ?)
		ON CONFLICT DO UPDATE SET body = excluded.body`, r, r.AppID, r.Number)
}

// PutJob stores a job, new or changed.
func (tx *Tx) PutJob(j Job) error {
	return tx.put("job "+j.Job.Name, `INSERT INTO jobs (id, team, space, name, body) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET body = excluded.body`, j, j.Job.ID, j.Job.Team, j.Job.Space, j.Job.Name)
}

// DeleteJob removes a job with its instances and runs.
func (tx *Tx) DeleteJob(id string) error {
	for _, q := range []string{"DELETE FROM jobs WHERE id = ?", "DELETE FROM instances WHERE owner = ?", "DELETE FROM runs WHERE owner = ?"} {
		if err := tx.exec(q, id); err != nil {
			return fmt.Errorf("delete job: %w", err)
		}
	}
	return nil
}

// PutInstance stores an instance, new or changed.
func (tx *Tx) PutInstance(i Instance) error {
	ended := 0
	if i.Ended {
		ended = 1
	}
	return tx.put("instance "+i.Instance.ID, `INSERT INTO instances (id, owner, ended, body) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET ended = excluded.ended, body = excluded.body`, i, i.Instance.ID, i.Owner(), ended)
}

// DeleteInstance forgets an instance. Its runs are kept.
func (tx *Tx) DeleteInstance(id string) error {
	return tx.exec("DELETE FROM instances WHERE id = ?", id)
}

// PutRun stores a run, new or changed.
func (tx *Tx) PutRun(r backend.Run) error {
	owner := r.JobID
	if owner == "" {
		owner = r.AppID
	}
	return tx.put("run "+r.ID, `INSERT INTO runs (id, owner, process, idx, number, instance, state, started, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET state = excluded.state, started = excluded.started, body = excluded.body`, r,
		r.ID, owner, r.Process, r.Index, r.Number, r.Instance, string(r.State), nanos(r.Started))
}

// TrimRuns removes all but the newest runs of a place of an app.
func (tx *Tx) TrimRuns(owner, process string, index, keep int) error {
	return tx.exec(`DELETE FROM runs WHERE owner = ?1 AND process = ?2 AND idx = ?3 AND number <=
		(SELECT number FROM runs WHERE owner = ?1 AND process = ?2 AND idx = ?3 ORDER BY number DESC LIMIT 1 OFFSET ?4)`,
		owner, process, index, keep)
}

// DeleteRuns removes the runs of an instance.
func (tx *Tx) DeleteRuns(instance string) error {
	return tx.exec("DELETE FROM runs WHERE instance = ?", instance)
}

// PutOperation stores an operation, new or changed.
func (tx *Tx) PutOperation(o Operation) error {
	return tx.put("operation", `INSERT INTO operations (id, target, kind, state, created, body) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, body = excluded.body`, o,
		o.Op.ID, o.Op.Ref.ID, o.Op.Kind, string(o.Op.State), o.Op.Created.UnixNano())
}

// Audit writes down who asked for what, and what came of it.
func (tx *Tx) Audit(a Audit) error {
	return tx.exec(`INSERT INTO audit (time, principal, door, address, request, verb, target, operation, outcome, reason)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, tx.s.now().UnixNano(), a.Attribution.Principal.Name, a.Attribution.Door,
		a.Attribution.Address, a.Attribution.Request, a.Verb, a.Target, a.Operation, a.Outcome, a.Reason)
}

// PutDocument stores a document.
func (tx *Tx) PutDocument(d backend.Document) error {
	return tx.put("document", `INSERT INTO documents (kind, team, space, name, version, body) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET version = excluded.version, body = excluded.body`, d, d.Kind, d.Team, d.Space, d.Name, d.Version)
}

// DeleteDocument removes a document.
func (tx *Tx) DeleteDocument(d backend.Document) error {
	return tx.exec("DELETE FROM documents WHERE kind = ? AND team = ? AND space = ? AND name = ?", d.Kind, d.Team, d.Space, d.Name)
}

// PutKey remembers an idempotency key.
func (tx *Tx) PutKey(k Key) error {
	if err := tx.exec("DELETE FROM keys WHERE created < ?", tx.s.now().Add(-tx.s.limits.KeyAge).UnixNano()); err != nil {
		return err
	}
	return tx.put("key", `INSERT INTO keys (key, created, operation, body) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET created = excluded.created, operation = excluded.operation, body = excluded.body`, k,
		k.Key, tx.s.now().UnixNano(), k.Operation)
}

// PutLevel stores a level.
func (tx *Tx) PutLevel(l Level) error {
	return tx.put("level", `INSERT INTO levels (app, instance, logger, body) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET body = excluded.body`, l, l.App, l.Instance, l.Logger)
}

// DeleteLevel removes a level.
func (tx *Tx) DeleteLevel(l Level) error {
	return tx.exec("DELETE FROM levels WHERE app = ? AND instance = ? AND logger = ?", l.App, l.Instance, l.Logger)
}

// Compact removes what is over the limits now. Update does it by itself from
// time to time.
func (s *Store) Compact(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return backend.Errorf(backend.Unavailable, "the state database is closed")
	}
	return s.explain(s.compact(ctx))
}

func (s *Store) compact(ctx context.Context) error {
	var old sql.NullInt64
	err := s.conn.QueryRowContext(ctx, "SELECT max(idx) FROM events WHERE time < ? AND idx < ?",
		s.now().Add(-s.limits.EventAge).UnixNano(), int64(s.index.Load())).Scan(&old)
	if err != nil {
		return fmt.Errorf("find old events: %w", err)
	}
	until := max(old.Int64, int64(s.index.Load())-int64(s.limits.Events))
	tx := &Tx{s: s, ctx: ctx}
	if err := tx.exec("BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("compact events: %w", err)
	}
	if until > int64(s.compacted.Load()) {
		tx.exec("DELETE FROM events WHERE idx <= ?", until)
		tx.SetMeta("compacted", strconv.FormatInt(until, 10))
	}
	tx.exec(`DELETE FROM operations WHERE state IN ('succeeded', 'failed', 'canceled') AND seq <=
		(SELECT max(seq) FROM operations) - ?`, s.limits.Operations)
	if err := errors.Join(tx.err); err != nil {
		tx.exec("ROLLBACK")
		return fmt.Errorf("compact events: %w", err)
	}
	if err := tx.exec("COMMIT"); err != nil {
		return fmt.Errorf("compact events: %w", err)
	}
	s.compacted.Store(max(uint64(max(until, 0)), s.compacted.Load()))
	return nil
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
