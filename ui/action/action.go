// Package action describes what an operator can do on a screen. The list of
// actions that a view gives is the only table there is: the key switch, the
// help page, the footer, the palette and the menu are projections of it.
package action

import (
	tea "charm.land/bubbletea/v2"

	"pitwall/ui/safe"
)

// Risk is how much an action can break, and so how much it asks first.
type Risk uint8

// The risks, in order.
const (
	None    Risk = iota // acts at once
	Low                 // acts at once, and can be undone
	Medium              // asks for y
	High                // asks for the name of what it hits
	Highest             // asks for the name of the context
)

// Input is what the operator gave with the confirmation.
type Input struct {
	// Reason is why, in the operator's words; empty where none was asked for.
	Reason string
}

// Ask is what a confirmation says.
type Ask struct {
	// Question is one line, such as "Restart flaky?".
	Question safe.Text
	// Verb is what the key that goes on does: "stop". Empty means the action's
	// label.
	Verb safe.Text
	// Effect says in a sentence or two what will happen and to what.
	Effect []safe.Text
	// Name is what to type at [High]: the app's name, or "3 apps".
	Name string
	// Reason asks for a reason too; it may be left empty.
	Reason bool
}

// Action is one thing to do.
type Action struct {
	// ID names the action in the keymap, for example "app.restart".
	ID string
	// Title is what the palette and the help page say: "restart flaky".
	Title safe.Text
	// Label is what the footer says: "restart". An action without a label is
	// not in the footer.
	Label safe.Text
	// Keys come from the keymap; see keymap.Map.Bind.
	Keys []string
	// Hidden keeps movement and the like out of palette and menu.
	Hidden bool

	Risk Risk
	// Ask is called when the action is chosen. It is needed from Medium on; an
	// action of a lower risk with an Ask that wants a reason asks for it.
	Ask func() Ask
	// Enabled says whether it can be done now and, if not, why, as a sentence.
	// Nil means always.
	Enabled func() (ok bool, why safe.Text)
	// Run does it. It may return nil.
	Run func(Input) tea.Cmd
}

// Allowed reports whether the action can be done now, and why not.
func (a Action) Allowed() (bool, safe.Text) {
	if a.Enabled == nil {
		return true, safe.Text{}
	}
	return a.Enabled()
}

// Start runs the action without input.
func (a Action) Start() tea.Cmd {
	if a.Run == nil {
		return nil
	}
	return a.Run(Input{})
}

// ForKey returns the action on a key. Where two are, the first that is allowed
// wins, so that "block" and "unblock" may share one.
func ForKey(list []Action, key string) (Action, bool) {
	var found Action
	ok := false
	for _, a := range list {
		for _, k := range a.Keys {
			if k != key {
				continue
			}
			if can, _ := a.Allowed(); can {
				return a, true
			}
			if !ok {
				found, ok = a, true
			}
		}
	}
	return found, ok
}

// Find returns the action with an ID.
func Find(list []Action, id string) (Action, bool) {
	for _, a := range list {
		if a.ID == id {
			return a, true
		}
	}
	return Action{}, false
}
