// Package keymap is the table of keys: the one that ships, with the operator's
// own file over it. It knows action IDs and keys, nothing of what they do.
package keymap

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"pitwall/ui/action"
)

// Map is a checked table of keys. It is read only and may be shared.
type Map struct {
	keys        map[string][]string
	modes       map[string][]string
	destructive map[string]bool
}

// file is a keymap as it is written.
type file struct {
	Keys        map[string][]string `yaml:"keys"`
	Modes       map[string][]string `yaml:"modes"`
	Destructive []string            `yaml:"destructive"`
}

// Parse reads and checks the table that ships.
func Parse(data []byte) (*Map, error) {
	var f file
	if err := yaml.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("parse keymap: %w", err)
	}
	m := &Map{keys: f.Keys, modes: f.Modes, destructive: map[string]bool{}}
	for _, id := range f.Destructive {
		m.destructive[id] = true
	}
	return m, m.check()
}

// Over returns this table with the operator's file over it. The file names
// actions and their keys, under "keys:" or at the top. On an error the table
// is nil, and the error has a sentence for each thing that is wrong.
func (m *Map) Over(data []byte) (*Map, error) {
	own, err := parseOwn(data)
	if err != nil {
		return nil, err
	}
	out := &Map{keys: map[string][]string{}, modes: m.modes, destructive: m.destructive}
	for id, keys := range m.keys {
		out.keys[id] = keys
	}
	var errs []error
	for _, id := range sortedKeys(own) {
		if _, ok := m.keys[id]; !ok {
			errs = append(errs, fmt.Errorf("there is no action %q", id))
		}
		out.keys[id] = own[id]
	}
	if err := errors.Join(append(errs, out.check())...); err != nil {
		return nil, err
	}
	return out, nil
}

func parseOwn(data []byte) (map[string][]string, error) {
	var f file
	if err := yaml.Unmarshal(data, &f); err == nil && len(f.Keys) > 0 {
		return f.Keys, nil
	}
	own := map[string][]string{}
	if err := yaml.Unmarshal(data, &own); err != nil {
		return nil, fmt.Errorf("parse keymap: %w; write a line such as app.restart: [R]", err)
	}
	return own, nil
}

// Keys returns the keys of an action.
func (m *Map) Keys(id string) []string { return m.keys[id] }

// Bind gives each action its keys and returns the same slice. An action that
// the table does not know keeps the keys that it has.
func (m *Map) Bind(list []action.Action) []action.Action {
	for i := range list {
		if keys, ok := m.keys[list[i].ID]; ok {
			list[i].Keys = keys
		}
	}
	return list
}

// Check reports what is wrong with a view's actions: two on a key, an
// unconfirmed destructive one, or a destructive one on a control key. Tests of
// views call it.
func (m *Map) Check(list []action.Action) error {
	var errs []error
	owner := map[string]string{}
	for _, a := range m.Bind(slices.Clone(list)) {
		for _, k := range a.Keys {
			if other, ok := owner[k]; ok && other != a.ID {
				errs = append(errs, fmt.Errorf("key %q means both %s and %s", k, other, a.ID))
			}
			owner[k] = a.ID
			if a.Risk >= action.Medium && controlLetter(k) {
				errs = append(errs, fmt.Errorf("%s is destructive and must not be on %q", a.ID, k))
			}
		}
		if a.Risk >= action.Medium && a.Ask == nil {
			errs = append(errs, fmt.Errorf("%s is destructive and asks nothing", a.ID))
		}
	}
	return errors.Join(errs...)
}

// check reports unknown keys, collisions and control keys on what destroys.
func (m *Map) check() error {
	var errs []error
	for _, id := range sortedKeys(m.keys) {
		for _, k := range m.keys[id] {
			if !known(k) {
				errs = append(errs, fmt.Errorf("%s: there is no key %q", id, k))
			}
			if m.destructive[id] && controlLetter(k) {
				errs = append(errs, fmt.Errorf("%s is destructive and must not be on the control key %q: choose a letter", id, k))
			}
		}
	}
	return errors.Join(append(errs, m.collisions()...)...)
}

// collisions names each pair of actions that share a key in a mode, once.
func (m *Map) collisions() []error {
	var errs []error
	seen := map[string]bool{}
	for _, mode := range sortedKeys(m.modes) {
		owner := map[string]string{}
		for _, id := range sortedKeys(m.keys) {
			if !slices.Contains(m.modes[mode], group(id)) {
				continue
			}
			for _, k := range m.keys[id] {
				other, taken := owner[k]
				owner[k] = id
				pair := other + " " + id + " " + k
				if !taken || seen[pair] {
					continue
				}
				seen[pair] = true
				errs = append(errs, fmt.Errorf("key %q means both %s and %s on the %s screen: give one of them another key", k, other, id, mode))
			}
		}
	}
	return errs
}

// group is the part of an ID before its first dot.
func group(id string) string {
	g, _, _ := strings.Cut(id, ".")
	return g
}

// controlLetter reports whether a key is a letter with control.
func controlLetter(k string) bool {
	rest, ok := strings.CutPrefix(k, "ctrl+")
	return ok && utf8.RuneCountInString(rest) == 1
}

// named are the keys that have a name rather than a character.
var named = [...]string{
	"up", "down", "left", "right", "home", "end", "pgup", "pgdown", "insert", "delete",
	"enter", "tab", "space", "backspace", "esc",
	"f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11", "f12",
}

// known reports whether k is a key: a character or a name, with modifiers.
func known(k string) bool {
	for {
		i := strings.Index(k, "+")
		if i <= 0 || i == len(k)-1 {
			break
		}
		if !slices.Contains([]string{"ctrl", "alt", "shift"}, k[:i]) {
			return false
		}
		k = k[i+1:]
	}
	return utf8.RuneCountInString(k) == 1 || slices.Contains(named[:], k)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
