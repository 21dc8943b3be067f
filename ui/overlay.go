package ui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui/action"
	"pitwall/ui/dialog"
	"pitwall/ui/palette"
	"pitwall/ui/safe"
)

// openPalette offers views, then what can be done here, then every name.
func (s *Shell) openPalette() tea.Cmd {
	var items []palette.Item
	for _, sp := range s.o.Views {
		if sp.Alone {
			items = append(items, palette.Item{
				Title: safe.Clean(sp.Name), Detail: sp.Title, Aliases: sp.Aliases,
				Run: func() tea.Cmd { return s.push(Place{View: sp.Name}) },
			})
		}
	}
	items = append(items, s.actionItems(s.actions())...)
	items = append(items, s.nameItems()...)
	s.dialogs.Push(palette.New(items))
	return nil
}

// openMenu offers what can be done here.
func (s *Shell) openMenu() tea.Cmd {
	if v := s.focused(); v != nil {
		s.dialogs.Push(palette.New(s.actionItems(s.keymap.Bind(v.Actions()))))
	}
	return nil
}

func (s *Shell) actionItems(list []action.Action) []palette.Item {
	var items []palette.Item
	for _, a := range list {
		if a.Hidden {
			continue
		}
		it := palette.Item{Title: a.Title, Aliases: []string{a.ID}, Run: func() tea.Cmd { return s.perform(a) }}
		if len(a.Keys) > 0 {
			it.Key = s.keyName(a.Keys[0])
		}
		if ok, why := a.Allowed(); !ok {
			it.Why = why
		}
		items = append(items, it)
	}
	return items
}

// nameItems are the apps and jobs, each leading to the first view for its
// kind; an app's words are its team and space too.
func (s *Shell) nameItems() []palette.Item {
	var items []palette.Item
	add := func(ref backend.Ref, scope backend.Scope, detail string) {
		for _, sp := range s.o.Views {
			if slices.Contains(sp.Of, ref.Kind) {
				items = append(items, palette.Item{
					Title:   safe.Clean(ref.Name),
					Detail:  safe.Clean(detail),
					Aliases: []string{scope.Team + "/" + scope.Space + "/" + ref.Name, ref.ID},
					Run:     func() tea.Cmd { return s.push(Place{View: sp.Name, Ref: ref}) },
				})
				return
			}
		}
	}
	apps := slices.Clone(s.apps.Items())
	slices.SortFunc(apps, func(a, b backend.App) int { return strings.Compare(a.Name, b.Name) })
	for _, a := range apps {
		add(a.Ref(), a.Scope, "app of "+a.Team+", "+string(a.State))
	}
	jobs := slices.Clone(s.jobs.Items())
	slices.SortFunc(jobs, func(a, b backend.Job) int { return strings.Compare(a.Name, b.Name) })
	for _, j := range jobs {
		add(j.Ref(), j.Scope, "job of "+j.Team)
	}
	return items
}

// keyColumn is the width of the keys on the help page.
const keyColumn = 14

// openHelp lists every action with its keys: those of the view, then the
// Shell's own.
func (s *Shell) openHelp() tea.Cmd {
	var lines []safe.Text
	list := s.actions()
	own := len(list) - len(s.global())
	for i, a := range list {
		if i == own && own > 0 {
			lines = append(lines, safe.Text{})
		}
		if len(a.Keys) == 0 {
			continue
		}
		names := make([]string, 0, len(a.Keys))
		for _, k := range a.Keys {
			names = append(names, s.keyName(k).String())
		}
		keys := strings.Join(names, " ")
		line := safe.Join(safe.Text{}, safe.Clean(keys+strings.Repeat(" ", max(1, keyColumn-safe.Clean(keys).Width()))), a.Title)
		if ok, why := a.Allowed(); !ok && !why.Empty() {
			line = safe.Join(safe.Text{}, line, safe.Literal(" ("), why, safe.Literal(")"))
		}
		lines = append(lines, line)
	}
	s.dialogs.Push(&dialog.Message{Title: safe.Literal("keys"), Lines: lines, Indent: keyColumn})
	return nil
}
