// Package sqlite keeps everything that must survive a server: what was
// declared and what became of it, operations, events, the audit, documents.
//
// There is one writer, [Store.Update], which writes state, events and audit in
// one transaction, and any number of readers, which see one moment each. The
// database is in WAL mode: a transaction survives a killed server, and one of
// [Store.UpdateDurably] a lost machine too.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"pitwall/backend"
)

// Limits bound what is kept. Zero fields mean the defaults.
type Limits struct {
	Events   int           // 100,000
	EventAge time.Duration // 30 days
	// Operations is how many that have ended are kept: 20,000.
	Operations int
	// KeyAge is how long an idempotency key is remembered: 24 hours.
	KeyAge time.Duration
}

func (l Limits) orDefault() Limits {
	if l.Events == 0 {
		l.Events = 100_000
	}
	if l.EventAge == 0 {
		l.EventAge = 30 * 24 * time.Hour
	}
	if l.Operations == 0 {
		l.Operations = 20_000
	}
	if l.KeyAge == 0 {
		l.KeyAge = 24 * time.Hour
	}
	return l
}

// Config says where the database is and what it keeps.
type Config struct {
	Path   string
	Limits Limits
	Now    func() time.Time // nil means time.Now
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	path   string
	limits Limits
	now    func() time.Time
	reads  *sql.DB

	index     atomic.Uint64
	compacted atomic.Uint64

	mu      sync.Mutex // one writer
	db      *sql.DB
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt
	durable bool // the connection's synchronous is FULL
	pending int  // events written since the last compaction
}

// Open opens the database and brings its schema up to date; it makes one when
// there is none. A database that is damaged, or that a newer Pitwall wrote, is
// refused with a sentence that says what to do, and left as it is.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := createPrivate(cfg.Path); err != nil {
		return nil, err
	}
	s := &Store{path: cfg.Path, limits: cfg.Limits.orDefault(), now: cfg.Now, stmts: make(map[string]*sql.Stmt)}
	if err := s.open(ctx); err != nil {
		err = s.explain(err)
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	var err error
	if s.db, err = sql.Open("sqlite", dsn(s.path, "_txlock=immediate", "_pragma=synchronous(1)")); err != nil {
		return fmt.Errorf("open state database: %w", err)
	}
	s.db.SetMaxOpenConns(1)
	if s.conn, err = s.db.Conn(ctx); err != nil {
		return fmt.Errorf("open state database: %w", err)
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if s.reads, err = sql.Open("sqlite", dsn(s.path, "_pragma=query_only(1)")); err != nil {
		return fmt.Errorf("open state database: %w", err)
	}
	s.reads.SetMaxOpenConns(4)
	s.reads.SetMaxIdleConns(4)
	for key, v := range map[string]*atomic.Uint64{"index": &s.index, "compacted": &s.compacted} {
		n, err := s.metaNumber(ctx, key)
		if err != nil {
			return err
		}
		v.Store(n)
	}
	return nil
}

// createPrivate makes the file with mode 0600, since it tells what runs here
// with which environment.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open state database: %w", err)
	}
	return f.Close()
}

func dsn(path string, options ...string) string {
	u := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"
	for _, o := range options {
		u += "&" + o
	}
	return u
}

func (s *Store) metaNumber(ctx context.Context, key string) (uint64, error) {
	text, err := s.meta(ctx, key)
	if err != nil || text == "" {
		return 0, err
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, backend.Errorf(backend.Internal, "%s: %q is no number for %s", s.damaged(), text, key)
	}
	return n, nil
}

func (s *Store) meta(ctx context.Context, key string) (string, error) {
	var text string
	err := s.conn.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = ?", key).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read %s of the state database: %w", key, err)
	}
	return text, nil
}

// Index returns the last change index that is written.
func (s *Store) Index() uint64 { return s.index.Load() }

// Compacted returns the newest index whose event is no longer kept.
func (s *Store) Compacted() uint64 { return s.compacted.Load() }

// Close writes what is in the log to the database and lets go of it. It may be
// called twice.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, st := range s.stmts {
		errs = append(errs, st.Close())
	}
	clear(s.stmts)
	if s.reads != nil {
		errs = append(errs, s.reads.Close())
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
		s.conn = nil
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close state database: %w", err)
	}
	return nil
}

// explain turns what SQLite says of a damaged or full database into a
// sentence that says what to do. Other errors pass.
func (s *Store) explain(err error) error {
	var e *driver.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case lib.SQLITE_NOTADB, lib.SQLITE_CORRUPT:
			return backend.Errorf(backend.Internal, "%s: %w", s.damaged(), err)
		case lib.SQLITE_FULL:
			return backend.Errorf(backend.Exhausted, "the disk of the state database %s is full: %w", s.path, err)
		case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_PERM:
			return backend.Errorf(backend.Internal, "the state database %s cannot be written by this user: %w", s.path, err)
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		return backend.Errorf(backend.Internal, "the state database %s cannot be opened by this user: %w", s.path, err)
	}
	return err
}

func (s *Store) damaged() string {
	return fmt.Sprintf("the state database %s is damaged and was left as it is; "+
		"restore a backup in its place, or move it away and apply the manifests again", s.path)
}
