package backendtest

import (
	"testing"

	"pitwall/backend"
)

// NewFixture returns a Fake ready for [Run]. A test of a door puts the door
// in front of the fixture's Backend.
func NewFixture() Fixture {
	f := NewFake()
	f.Buffer(50)
	app := f.AddApp(backend.App{Name: "web", Scope: backend.Scope{Team: "shop"}, Instances: 1})
	i := f.AddInstance(backend.Instance{App: "web"})
	leveled := f.AddApp(backend.App{Name: "api", Instances: 1})
	f.AddLogger(backend.Logger{AppID: leveled.ID, Name: backend.DefaultLogger, Level: backend.LevelInfo})
	f.AddInstance(backend.Instance{App: "api"})
	return Fixture{
		Backend: f, App: app.ID, Instance: i.ID, Leveled: leveled.ID, Buffer: 50,
		Print:   func(_ *testing.T, lines ...string) { f.Lines(i.ID, backend.LevelInfo, lines...) },
		Echo:    []string{"echo", "3"},
		Sizes:   []string{"echo"},
		Measure: func(*testing.T) { f.Sample(backend.Sample{Ref: app.Ref(), CPU: 0.5}) },
		Compact: func(*testing.T) { f.Compact() },
		Reset:   func(*testing.T) { f.Reset() },
	}
}
