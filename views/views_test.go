package views_test

import (
	"time"

	"pitwall/backend/backendtest"
)

// settled is longer than anything a view waits for before it rests; patience
// longer than the longest pause between two attempts.
const (
	settled  = 2 * time.Second
	patience = 20 * time.Second
)

func newEmpty() *backendtest.Fake { return backendtest.NewFake() }
