package process

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"pitwall/backend/engine"
)

// record is engine.json: what the engine must know of an instance that its
// keeper need not.
type record struct {
	Spec    engine.Spec `json:"spec"`
	Created time.Time   `json:"created"`
	Port    int         `json:"port,omitempty"`
	Dir     string      `json:"dir"` // the working directory
	Environ []string    `json:"environ"`

	// First is the number of the first run, and Asked how many of those
	// after it a command started: the others were restarts by themselves.
	First int `json:"first"`
	Asked int `json:"asked"`

	// Overdue is the run that was ended for its deadline.
	Overdue int `json:"overdue,omitempty"`
	// Lost says why nobody knows how the last run ended.
	Lost string `json:"lost,omitempty"`
	// LostAt is when that was found.
	LostAt time.Time `json:"lostAt,omitzero"`
}

const recordName = "engine.json"

func readRecord(dir string) (record, error) {
	var r record
	text, err := os.ReadFile(filepath.Join(dir, recordName))
	if err != nil {
		return r, fmt.Errorf("read instance: %w", err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("read instance: %w", err)
	}
	return r, nil
}

// write replaces the record on disk. It has secrets: the environment.
func (r record) write(dir string) error {
	return writeJSON(filepath.Join(dir, recordName), r)
}
