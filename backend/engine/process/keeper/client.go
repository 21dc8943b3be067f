package keeper

import "errors"

// socketName is the socket in the instance's folder.
const socketName = "keeper.sock"

// Errors of a [Client].
var (
	// ErrGone means that the keeper has ended or cut the connection.
	ErrGone = errors.New("keeper is gone")
	// ErrUnsupported means that this system cannot run keepers.
	ErrUnsupported = errors.New("keepers need Linux")
)

// Pipes are duplicates of the read ends of a child's output, held so that the
// child goes on writing should its keeper die. Nobody reads them but a keeper.
// The zero value holds nothing.
type Pipes struct {
	Run      uint32
	out, err int // descriptors; 0 is none
}

// Empty says that there is nothing to hold.
func (p Pipes) Empty() bool { return p.out == 0 }
