//go:build !linux

package process

import (
	"context"

	"pitwall/backend"
	"pitwall/backend/engine"
)

// Engine is the process engine, which this system cannot have.
type Engine struct{ engine.Engine }

// New fails with Unsupported: keepers rest on what only Linux has.
func New(context.Context, Config) (*Engine, error) {
	return nil, backend.Errorf(backend.Unsupported, "programs can be run on Linux alone: attach to a Pitwall server there with --server")
}
