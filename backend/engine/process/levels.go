package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"pitwall/backend"
)

// maxKnown bounds what is read of the loggers that a program announces: it is
// the program's file, so it may hold anything.
const maxKnown = 1 << 20

// levelsFile is the levels file of an instance. Its folder is the program's
// own, since the program announces its loggers there.
func levelsFile(dir string) string { return filepath.Join(dir, "levels", "levels.json") }

// levelsText is what a levels file says. Nil levels are info everywhere.
func levelsText(levels map[string]backend.Level) ([]byte, error) {
	file := struct {
		Default backend.Level            `json:"default"`
		Loggers map[string]backend.Level `json:"loggers"`
	}{backend.LevelInfo, map[string]backend.Level{}}
	for name, level := range levels {
		if level.Rank() == 0 {
			return nil, backend.Errorf(backend.Invalid, "%q is not a level: use trace, debug, info, warn, error or fatal", string(level))
		}
		if name == backend.DefaultLogger {
			file.Default = level
			continue
		}
		file.Loggers[name] = level
	}
	text, err := json.Marshal(file)
	return append(text, '\n'), err
}

// readKnown returns the names of loggers in the file beside the levels file.
// No file is no names. What is not a short array of strings is an error.
func readKnown(dir string) ([]string, error) {
	root, err := os.OpenRoot(filepath.Dir(levelsFile(dir)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open levels folder: %w", err)
	}
	defer root.Close()
	// The folder is the program's: a link or a pipe there must not make the
	// server read another file or wait.
	name := filepath.Base(levelsFile(dir)) + ".known"
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read known loggers: not a file (%w)", errors.Join(err, fs.ErrInvalid))
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read known loggers: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKnown))
	if err != nil {
		return nil, fmt.Errorf("read known loggers: %w", err)
	}
	var names []string
	if err := json.Unmarshal(text, &names); err != nil {
		return nil, fmt.Errorf("read known loggers: %w", err)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
