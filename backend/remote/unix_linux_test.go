package remote_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pitwall/backend"
	"pitwall/backend/backendtest"
	"pitwall/backend/remote"
)

// TestLongSocketPath reaches a socket whose path does not fit an address.
func TestLongSocketPath(t *testing.T) {
	short := t.TempDir()
	l := listen(t, "unix", filepath.Join(short, "s"))
	serve(t, l, backendtest.NewFake())
	long := filepath.Join(t.TempDir(), strings.Repeat("a", 100), strings.Repeat("b", 100))
	if err := os.MkdirAll(filepath.Dir(long), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(short, long); err != nil {
		t.Fatal(err)
	}
	c := dial(t, remote.Config{URL: "unix:" + filepath.Join(long, "s")})
	if _, err := c.Nodes(t.Context(), backend.NodeQuery{}); err != nil {
		t.Errorf("Nodes() = %v", err)
	}
	none := dial(t, remote.Config{URL: "unix:" + filepath.Join(long, "none")})
	if _, err := none.Nodes(t.Context(), backend.NodeQuery{}); backend.CodeOf(err) != backend.Unavailable {
		t.Errorf("Nodes() = %v, want unavailable", err)
	}
}
