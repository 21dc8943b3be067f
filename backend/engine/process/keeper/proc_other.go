//go:build !linux

package keeper

// Alive is false: processes are followed on Linux only.
func (p Proc) Alive() bool { return false }

// BootID is empty: it is known on Linux only.
func BootID() string { return "" }
