package process

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// readyMark is ready.json: the run whose check passed when it was last asked.
// It is there for the next server, which must not send anybody away from an
// instance that it has not asked yet. A machine that loses power ends the run,
// so it need not be forced to disk.
type readyMark struct {
	Run   int       `json:"run"`
	Since time.Time `json:"since"`
}

const readyName = "ready.json"

// readReady returns the mark in an instance's folder, or none.
func readReady(dir string) readyMark {
	var m readyMark
	text, err := os.ReadFile(filepath.Join(dir, readyName))
	if err != nil || json.Unmarshal(text, &m) != nil {
		return readyMark{}
	}
	return m
}

// write replaces the mark on disk.
func (m readyMark) write(dir string) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("mark as ready: %w", err)
	}
	name := filepath.Join(dir, readyName)
	if err := os.WriteFile(name+".new", text, 0o600); err != nil {
		return fmt.Errorf("mark as ready: %w", err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return fmt.Errorf("mark as ready: %w", err)
	}
	return nil
}

// removeReady takes the mark away.
func removeReady(dir string) error {
	if err := os.Remove(filepath.Join(dir, readyName)); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("mark as not ready: %w", err)
	}
	return nil
}
