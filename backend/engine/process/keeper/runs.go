package keeper

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// maxOwed bounds the records that wait in memory while the disk takes none.
const maxOwed = 256

// runLog appends to runs.jsonl.
type runLog struct {
	name string
	owed [][]byte
}

// add appends a record and forces it to disk. What the disk refuses is
// remembered, up to maxOwed records, and written with the next.
func (l *runLog) add(e Exit) error {
	p, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("record run: %w", err)
	}
	if len(l.owed) < maxOwed {
		l.owed = append(l.owed, append(p, '\n'))
	}
	return l.flush()
}

func (l *runLog) flush() error {
	if len(l.owed) == 0 {
		return nil
	}
	f, err := os.OpenFile(l.name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("record run: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("record run: %w", err)
	}
	all := bytes.Join(l.owed, nil)
	if n := st.Size(); n > 0 {
		var last [1]byte
		if _, err := f.ReadAt(last[:], n-1); err == nil && last[0] != '\n' {
			all = append([]byte{'\n'}, all...) // a torn line stays alone
		}
	}
	if _, err := f.WriteAt(all, st.Size()); err != nil {
		f.Truncate(st.Size())
		return fmt.Errorf("record run: %w", err)
	}
	l.owed = nil
	if err := f.Sync(); err != nil {
		return fmt.Errorf("record run: %w", err)
	}
	return nil
}

// parseRuns reads the lines of runs.jsonl; torn ones are skipped.
func parseRuns(p []byte) []Exit {
	var runs []Exit
	at := map[uint32]int{}
	for line := range bytes.Lines(p) {
		var e Exit
		if json.Unmarshal(line, &e) != nil || e.Run == 0 {
			continue
		}
		if i, ok := at[e.Run]; ok {
			runs[i] = e
			continue
		}
		at[e.Run] = len(runs)
		runs = append(runs, e)
	}
	return runs
}
