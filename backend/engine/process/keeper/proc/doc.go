// Package proc reads what Linux says of processes and of control groups, for
// the keeper and for the engine. It knows no instance and decides nothing.
package proc
