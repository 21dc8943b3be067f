package backend_test

import (
	"encoding/json"
	"slices"
	"testing"

	"pitwall/backend"
)

func TestCommandsSurviveJSON(t *testing.T) {
	for verb, zero := range backend.Commands() {
		want := backend.WithIntent(zero, backend.Intent{Key: "k", Reason: "because"})
		body, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := backend.DecodeCommand(verb, body)
		if err != nil || got.Verb() != verb || backend.IntentOf(got) != backend.IntentOf(want) {
			t.Errorf("DecodeCommand(%s, %s) = %+v, %v", verb, body, got, err)
		}
	}
}

func TestBadCommandsAreInvalid(t *testing.T) {
	tests := []struct{ verb, body string }{
		{"fly", `{}`},
		{"restart", ``},
		{"restart", `[]`},
		{"restart", `{"app": 1}`},
		{"restart", `{"apq": "x"}`},
		{"restart", `{"app": "x"} {"app": "y"}`},
		{"restart", `{"app": "x"}]`},
	}
	for _, tt := range tests {
		if got, err := backend.DecodeCommand(tt.verb, []byte(tt.body)); backend.CodeOf(err) != backend.Invalid {
			t.Errorf("DecodeCommand(%s, %s) = %+v, %v, want Invalid", tt.verb, tt.body, got, err)
		}
	}
}

// TestEveryCommandSaysWhatItNeeds holds for a guard to be a guard.
func TestEveryCommandSaysWhatItNeeds(t *testing.T) {
	for verb, c := range backend.Commands() {
		if a, ok := c.(backend.Apply); ok {
			a.Apps = []backend.AppSpec{{Name: "a"}}
			c = a
		}
		if len(c.Needs()) == 0 {
			t.Errorf("%s needs nothing", verb)
		}
	}
}

func TestWorstStateComesFirst(t *testing.T) {
	states := []backend.AppState{"new in a later version", backend.AppStopped, backend.AppRunning, backend.AppCrashing, backend.AppFailed}
	slices.SortFunc(states, func(a, b backend.AppState) int { return a.Severity() - b.Severity() })
	if states[0] != backend.AppFailed || states[1] != backend.AppCrashing || states[4] != "new in a later version" {
		t.Errorf("sorted by severity: %q", states)
	}
}
