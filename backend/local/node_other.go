//go:build !linux

package local

import "pitwall/backend"

// measureNode knows nothing of this kind of machine.
func measureNode(*backend.Node) {}

// bootID is not known here.
func bootID() string { return "" }
