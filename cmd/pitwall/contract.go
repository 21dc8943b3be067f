package main

import (
	"time"

	"pitwall/backend"
)

// This file is what scripts may rely on in the output of -o json and -o yaml:
// every field that is promised is there, whatever its value; a list is never
// null, and a time that has not come is.

// outApp is an app as scripts read it.
func outApp(a backend.App) backend.App {
	a.Routes = list(a.Routes)
	return a
}

// operationOut is an operation as scripts read it.
type operationOut struct {
	backend.Operation
	Steps   []backend.Step `json:"steps"`
	Started *time.Time     `json:"started"`
	Ended   *time.Time     `json:"ended"`
}

func outOperation(o backend.Operation) operationOut {
	return operationOut{o, list(o.Steps), reached(o.Started), reached(o.Ended)}
}

// promised returns v as scripts read it.
func promised(v any) any {
	switch v := v.(type) {
	case backend.App:
		return outApp(v)
	case []backend.App:
		return each(v, outApp)
	case backend.Operation:
		return outOperation(v)
	case []backend.Operation:
		return each(v, outOperation)
	}
	return v
}

func each[T, U any](items []T, f func(T) U) []U {
	out := make([]U, len(items))
	for i, it := range items {
		out[i] = f(it)
	}
	return out
}

// list is items, and empty where they are none.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// reached is nil for a time that has not come.
func reached(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
