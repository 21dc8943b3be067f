package sqlite

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"pitwall/backend"
)

// applicationID marks the file as ours, for file(1) and for people who name
// the wrong one: "Pitw".
const applicationID = 0x50697477

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to the last migration. The number of the last
// one that ran is the database's user_version.
func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return fmt.Errorf("list migrations: %w", err)
	}
	var version, app, tables int
	if err := s.conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("read state database: %w", err)
	}
	if version == len(files) {
		return nil
	}
	if version > len(files) {
		return backend.Errorf(backend.Unsupported, "the state database %s was written by a newer Pitwall "+
			"(its schema is %d, this one knows %d): use that version, or another state folder", s.path, version, len(files))
	}
	if err := s.conn.QueryRowContext(ctx, "PRAGMA application_id").Scan(&app); err != nil {
		return fmt.Errorf("read state database: %w", err)
	}
	if err := s.conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return fmt.Errorf("read state database: %w", err)
	}
	if app != applicationID && tables > 0 {
		return backend.Errorf(backend.Invalid, "%s is a database of another program: choose another state folder", s.path)
	}
	for i := version; i < len(files); i++ {
		if err := s.migrateTo(ctx, files[i], i+1); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) migrateTo(ctx context.Context, file string, version int) error {
	text, err := fs.ReadFile(migrations, file)
	if err != nil {
		return fmt.Errorf("read migration: %w", err)
	}
	script := fmt.Sprintf("BEGIN IMMEDIATE;\n%s\nPRAGMA application_id = %d;\nPRAGMA user_version = %d;\nCOMMIT;",
		text, applicationID, version)
	if _, err := s.conn.ExecContext(ctx, script); err != nil {
		s.conn.ExecContext(ctx, "ROLLBACK")
		return fmt.Errorf("migrate state database to schema %d: %w", version, err)
	}
	return nil
}
