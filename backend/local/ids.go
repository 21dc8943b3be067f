package local

import (
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// newID makes 24 hexadecimal digits.
func (b *Backend) newID() (string, error) {
	var raw [12]byte
	if _, err := io.ReadFull(b.cfg.Random, raw[:]); err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return hex.EncodeToString(raw[:]), nil
}

// newInstanceID makes an id that no instance has that is known. The caller
// holds changing.
func (b *Backend) newInstanceID(owner, process string, index int) (string, error) {
	for {
		var raw [4]byte
		if _, err := io.ReadFull(b.cfg.Random, raw[:]); err != nil {
			return "", fmt.Errorf("make an id: %w", err)
		}
		suffix := strings.ToLower(base32.StdEncoding.EncodeToString(raw[:])[:5])
		id := fmt.Sprintf("%s-%s-%d-%s", owner, process, index, suffix)
		if _, taken := b.instances[id]; !taken {
			return id, nil
		}
	}
}

// runID names a run of an instance.
func runID(instance string, number int) string { return fmt.Sprintf("%s/%d", instance, number) }
