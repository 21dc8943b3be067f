package present

import (
	"pitwall/backend"
	"pitwall/ui/action"
	"pitwall/ui/safe"
)

// yes and no are answers of Enabled.
func yes() (bool, safe.Text) { return true, safe.Text{} }

func no(why safe.Text) (bool, safe.Text) { return false, why }

// given puts the operator's reason into a command.
func given(c backend.Command, in action.Input) backend.Command {
	if in.Reason == "" {
		return c
	}
	i := backend.IntentOf(c)
	i.Reason = in.Reason
	return backend.WithIntent(c, i)
}
