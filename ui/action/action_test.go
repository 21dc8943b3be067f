package action_test

import (
	"testing"

	"pitwall/ui/action"
	"pitwall/ui/safe"
)

func TestForKeyPrefersWhatIsAllowed(t *testing.T) {
	no := func() (bool, safe.Text) { return false, safe.Literal("not blocked") }
	list := []action.Action{
		{ID: "unblock", Keys: []string{"b"}, Enabled: no},
		{ID: "block", Keys: []string{"b"}},
		{ID: "kick", Keys: []string{"K"}, Enabled: no},
	}
	if a, ok := action.ForKey(list, "b"); !ok || a.ID != "block" {
		t.Errorf("ForKey(b) = %v, %v; want block", a.ID, ok)
	}
	if a, ok := action.ForKey(list, "K"); !ok || a.ID != "kick" {
		t.Errorf("ForKey(K) = %v, %v; want the disabled kick, so that it can say why", a.ID, ok)
	}
	if a, ok := action.ForKey(list, "x"); ok {
		t.Errorf("ForKey(x) = %v, want none", a.ID)
	}
}
