package backendtest_test

import (
	"testing"

	"pitwall/backend"
	"pitwall/backend/backendtest"
)

func TestFakeKeepsTheContract(t *testing.T) {
	backendtest.Run(t, func(*testing.T) backendtest.Fixture { return backendtest.NewFixture() })
}

func TestFixtureIsWhatItSays(t *testing.T) {
	fix := backendtest.NewFixture()
	app, err := fix.Backend.Apps(t.Context(), backend.AppQuery{IDs: []string{fix.App}})
	if err != nil || len(app.Items) != 1 {
		t.Errorf("Apps() = %v, %v, want the fixture's app", app.Items, err)
	}
}
