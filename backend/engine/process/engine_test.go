//go:build linux

package process

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"pitwall/backend/engine"
	"pitwall/backend/engine/enginetest"
	"pitwall/backend/engine/process/keeper"
)

// TestMain makes this binary what an engine executes as keepers.
func TestMain(m *testing.M) {
	if code, mine := keeper.Dispatch(os.Args[1:]); mine {
		syscall.Exit(code) // os.Exit sleeps for a second under the race detector
	}
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "test-") {
		os.Exit(act(os.Args[1], os.Args[2:]))
	}
	os.Exit(m.Run())
}

// quick is a config that does not make tests wait.
func quick(t *testing.T) Config {
	return Config{
		Dir: t.TempDir() + "/instances", Node: "here",
		BackoffMin: 20 * time.Millisecond, ReadyAfter: 20 * time.Millisecond,
	}
}

func open(t *testing.T, cfg Config) *Engine {
	t.Helper()
	e, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatalf("New() = %v", err)
	}
	return e
}

func TestContract(t *testing.T) {
	enginetest.Run(t, func(t *testing.T) (engine.Engine, func() engine.Engine) {
		cfg := quick(t)
		e := open(t, cfg)
		return e, func() engine.Engine {
			if err := e.Close(); err != nil {
				t.Errorf("Close() = %v", err)
			}
			e = open(t, cfg)
			return e
		}
	})
}
