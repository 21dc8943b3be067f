package logstore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestRemovedLogTakesAnEmptyInstanceFolderAlong(t *testing.T) {
	for _, tt := range []struct {
		name  string
		other string // beside the log
		left  bool
	}{
		{"alone", "", false},
		{"with a record", "engine.json", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			around := filepath.Join(t.TempDir(), "web-main-0-abcde")
			log := filepath.Join(around, "log")
			if err := os.MkdirAll(log, 0o700); err != nil {
				t.Fatal(err)
			}
			if tt.other != "" {
				if err := os.WriteFile(filepath.Join(around, tt.other), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := removeLog(log); err != nil {
				t.Fatalf("removeLog() = %v", err)
			}
			if _, err := os.Stat(log); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the log is still there: %v", err)
			}
			if _, err := os.Stat(around); (err == nil) != tt.left {
				t.Errorf("the folder around it: %v, want it left: %v", err, tt.left)
			}
		})
	}
}
