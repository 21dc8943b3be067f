package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"pitwall/backend"
)

// maxItems is the most items of one page.
const maxItems = 10_000

// view runs fn on one moment of the database and returns its index.
func (s *Store) view(ctx context.Context, fn func(tx *sql.Tx) error) (uint64, error) {
	tx, err := s.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return 0, s.explain(fmt.Errorf("read state: %w", err))
	}
	defer tx.Rollback()
	var index uint64
	err = tx.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'index'").Scan(&index)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, s.explain(fmt.Errorf("read state: %w", err))
	}
	if err := fn(tx); err != nil {
		return 0, s.explain(err)
	}
	return index, nil
}

// bodies decodes the last column of a query's rows.
func bodies[T any](ctx context.Context, tx *sql.Tx, query string, args ...any) ([]T, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	defer rows.Close()
	var out []T
	var raw sql.RawBytes
	for rows.Next() {
		var item T
		if err := rows.Scan(&raw); err != nil {
			return nil, fmt.Errorf("read state: %w", err)
		}
		if err := json.Unmarshal(raw, &item); err != nil {
			return nil, fmt.Errorf("read stored %T: %w", item, err)
		}
		out = append(out, item)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	return out, nil
}

// Load reads what a server keeps in memory.
func (s *Store) Load(ctx context.Context) (State, error) {
	var st State
	var err error
	st.Index, err = s.view(ctx, func(tx *sql.Tx) error {
		var errs [5]error
		st.Apps, errs[0] = bodies[App](ctx, tx, "SELECT body FROM apps")
		st.Jobs, errs[1] = bodies[Job](ctx, tx, "SELECT body FROM jobs")
		st.Instances, errs[2] = bodies[Instance](ctx, tx, "SELECT body FROM instances WHERE ended = 0")
		st.Levels, errs[3] = bodies[Level](ctx, tx, "SELECT body FROM levels")
		st.Operations, errs[4] = bodies[Operation](ctx, tx,
			"SELECT body FROM operations WHERE state IN ('scheduled', 'queued', 'running') ORDER BY seq")
		return errors.Join(errs[:]...)
	})
	st.Compacted = s.Compacted()
	return st, err
}

// clause collects conditions of a query.
type clause struct {
	text []string
	args []any
}

func (c *clause) add(text string, args ...any) {
	c.text = append(c.text, text)
	c.args = append(c.args, args...)
}

// in adds a condition that column has one of the values; none means any.
func (c *clause) in(column string, values []string) {
	if len(values) == 0 {
		return
	}
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", ")
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	c.add(column+" IN ("+marks+")", args...)
}

func (c *clause) where() string {
	if len(c.text) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.text, " AND ")
}

// page adds the cursor's condition and returns how many items to read: one
// more than asked, to know whether more follow.
func (c *clause) page(p backend.Page, column string) (int, error) {
	limit := maxItems
	if p.Limit > 0 && p.Limit < limit {
		limit = p.Limit
	}
	if p.After != "" {
		n, err := strconv.ParseInt(string(p.After), 10, 64)
		if err != nil {
			return 0, backend.Errorf(backend.Invalid, "%q is not a page of this list", p.After)
		}
		c.add(column+" < ?", n)
	}
	return limit + 1, nil
}

// numbered is a row with the number that pages go by.
type numbered[T any] struct {
	number int64
	item   T
}

// listing reads a page, newest first, of rows that keep passes.
func listing[T any](ctx context.Context, s *Store, table, column string, c clause, p backend.Page, keep func(T) bool) (backend.List[T], error) {
	limit, err := c.page(p, column)
	if err != nil {
		return backend.List[T]{}, err
	}
	var found []numbered[T]
	index, err := s.view(ctx, func(tx *sql.Tx) error {
		query := "SELECT " + column + ", body FROM " + table + c.where() + " ORDER BY " + column + " DESC"
		rows, err := tx.QueryContext(ctx, query, c.args...)
		if err != nil {
			return fmt.Errorf("read %s: %w", table, err)
		}
		defer rows.Close()
		var raw sql.RawBytes
		for len(found) < limit && rows.Next() {
			var row numbered[T]
			if err := rows.Scan(&row.number, &raw); err != nil {
				return fmt.Errorf("read %s: %w", table, err)
			}
			if err := json.Unmarshal(raw, &row.item); err != nil {
				return fmt.Errorf("read %s: %w", table, err)
			}
			if keep == nil || keep(row.item) {
				found = append(found, row)
			}
		}
		return rows.Err()
	})
	if err != nil {
		return backend.List[T]{}, err
	}
	list := backend.List[T]{Index: index, Items: make([]T, 0, len(found))}
	if len(found) == limit {
		found = found[:limit-1]
		list.Next = backend.Cursor(strconv.FormatInt(found[len(found)-1].number, 10))
	}
	for _, row := range found {
		list.Items = append(list.Items, row.item)
	}
	return list, nil
}

// Operations lists operations, newest first.
func (s *Store) Operations(ctx context.Context, q backend.OperationQuery) (backend.List[Operation], error) {
	var c clause
	c.in("id", q.IDs)
	c.in("kind", q.Kinds)
	c.in("state", texts(q.States))
	if q.Target != "" {
		c.add("(target = ? OR (target = '' AND instr(body, ?) > 0))", q.Target, q.Target)
	}
	return listing(ctx, s, "operations", "seq", c, q.Page, func(o Operation) bool {
		return q.Contains(o.Op.Scope) && (q.Target == "" || concerns(o.Op, q.Target))
	})
}

func concerns(o backend.Operation, id string) bool {
	if o.Ref.ID == id {
		return true
	}
	for _, r := range o.Also {
		if r.ID == id {
			return true
		}
	}
	return false
}

// Events lists events, newest first.
func (s *Store) Events(ctx context.Context, q backend.EventQuery) (backend.List[backend.Event], error) {
	var c clause
	if !q.Quiet {
		c.add("quiet = 0")
	}
	c.in("kind", texts(q.Kinds))
	if q.Owner != "" {
		c.add("owner = ?", q.Owner)
	}
	if q.Level != "" {
		c.add("level >= ?", q.Level.Rank())
	}
	if !q.Since.IsZero() {
		c.add("time >= ?", q.Since.UnixNano())
	}
	if !q.Until.IsZero() {
		c.add("time < ?", q.Until.UnixNano())
	}
	return listing(ctx, s, "events", "idx", c, q.Page, func(e backend.Event) bool { return q.Contains(e.Scope) })
}

// EventsAfter returns up to limit events after an index, the oldest first. It
// fails with Compacted when some of them are no longer kept.
func (s *Store) EventsAfter(ctx context.Context, index uint64, limit int) ([]backend.Event, error) {
	var out []backend.Event
	_, err := s.view(ctx, func(tx *sql.Tx) error {
		var err error
		out, err = bodies[backend.Event](ctx, tx, "SELECT body FROM events WHERE idx > ? ORDER BY idx LIMIT ?", int64(index), limit)
		return err
	})
	// Events are numbered without a gap: one that misses its neighbour shows a
	// compaction that has not been told yet.
	if err == nil && (index < s.Compacted() || len(out) > 0 && out[0].Index != index+1) {
		return nil, backend.Errorf(backend.Compacted, "changes after %d are no longer kept: list again", index)
	}
	return out, err
}

// Runs lists runs, the newest first.
func (s *Store) Runs(ctx context.Context, q backend.RunQuery) (backend.List[backend.Run], error) {
	var c clause
	c.in("id", q.IDs)
	c.in("owner", append(append([]string{}, q.Apps...), q.Jobs...))
	c.in("instance", q.Instances)
	c.in("state", texts(q.States))
	return listing(ctx, s, "runs", "rowid", c, q.Page, func(r backend.Run) bool { return q.Contains(r.Scope) })
}

// LastRun returns the highest number of a run in a place of an app, 0 when
// there was none.
func (s *Store) LastRun(ctx context.Context, owner, process string, index int) (int, error) {
	var n sql.NullInt64
	_, err := s.view(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, "SELECT max(number) FROM runs WHERE owner = ? AND process = ? AND idx = ?", owner, process, index).Scan(&n)
	})
	return int(n.Int64), err
}

// OpenRuns lists runs that have not ended.
func (s *Store) OpenRuns(ctx context.Context) ([]backend.Run, error) {
	var out []backend.Run
	_, err := s.view(ctx, func(tx *sql.Tx) error {
		var err error
		out, err = bodies[backend.Run](ctx, tx, "SELECT body FROM runs WHERE state IN ('pending', 'running')")
		return err
	})
	return out, err
}

// Releases lists an app's releases, newest first.
func (s *Store) Releases(ctx context.Context, q backend.ReleaseQuery) (backend.List[backend.Release], error) {
	var c clause
	c.add("app = ?", q.App)
	return listing[backend.Release](ctx, s, "releases", "number", c, q.Page, nil)
}

// EndedInstances lists instances that have ended, of one owner or of all.
func (s *Store) EndedInstances(ctx context.Context, owner string) ([]Instance, error) {
	var c clause
	c.add("ended = 1")
	if owner != "" {
		c.add("owner = ?", owner)
	}
	var out []Instance
	_, err := s.view(ctx, func(tx *sql.Tx) error {
		var err error
		out, err = bodies[Instance](ctx, tx, "SELECT body FROM instances"+c.where()+" ORDER BY rowid", c.args...)
		return err
	})
	return out, err
}

// Documents lists documents of a kind by name.
func (s *Store) Documents(ctx context.Context, q backend.DocumentQuery) (backend.List[backend.Document], error) {
	var c clause
	c.add("kind = ?", q.Kind)
	c.in("name", q.Names)
	if q.Team != "" {
		c.add("team = ?", q.Team)
	}
	if q.Space != "" {
		c.add("space = ?", q.Space)
	}
	limit := maxItems
	if q.Page.Limit > 0 {
		limit = min(limit, q.Page.Limit)
	}
	if q.Page.After != "" {
		c.add("team || '/' || space || '/' || name > ?", string(q.Page.After))
	}
	var list backend.List[backend.Document]
	index, err := s.view(ctx, func(tx *sql.Tx) error {
		var err error
		list.Items, err = bodies[backend.Document](ctx, tx,
			"SELECT body FROM documents"+c.where()+" ORDER BY team || '/' || space || '/' || name LIMIT ?", append(c.args, limit+1)...)
		return err
	})
	list.Index = index
	if list.Items == nil {
		list.Items = []backend.Document{}
	}
	if len(list.Items) > limit {
		list.Items = list.Items[:limit]
		last := list.Items[limit-1]
		list.Next = backend.Cursor(last.Qualify(last.Name))
	}
	return list, err
}

// KeyOf returns what an idempotency key stands for, if it is known and not
// too old.
func (s *Store) KeyOf(ctx context.Context, key string) (Key, bool, error) {
	var k Key
	var body []byte
	_, err := s.view(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, "SELECT operation, body FROM keys WHERE key = ? AND created >= ?", key,
			s.now().Add(-s.limits.KeyAge).UnixNano()).Scan(&k.Operation, &body)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Key{}, false, nil
	}
	if err != nil {
		return Key{}, false, fmt.Errorf("read key: %w", err)
	}
	if err := json.Unmarshal(body, &k); err != nil {
		return Key{}, false, fmt.Errorf("read key: %w", err)
	}
	k.Key = key
	return k, true, nil
}

// Audits lists who asked for what, newest first.
func (s *Store) Audits(ctx context.Context, limit int) ([]Audit, error) {
	var out []Audit
	_, err := s.view(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT principal, door, address, request, verb, target, operation, outcome, reason
			FROM audit ORDER BY seq DESC LIMIT ?`, limit)
		if err != nil {
			return fmt.Errorf("read audit: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			var a Audit
			if err := rows.Scan(&a.Attribution.Principal.Name, &a.Attribution.Door, &a.Attribution.Address, &a.Attribution.Request,
				&a.Verb, &a.Target, &a.Operation, &a.Outcome, &a.Reason); err != nil {
				return fmt.Errorf("read audit: %w", err)
			}
			out = append(out, a)
		}
		return rows.Err()
	})
	return out, err
}

func texts[S ~string](values []S) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}
