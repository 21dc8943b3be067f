package loggers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/action"
	"pitwall/ui/dialog"
	"pitwall/ui/line"
	"pitwall/ui/present"
	"pitwall/ui/safe"
)

// Actions set levels, and choose for whom and how long.
func (v *view) Actions() []action.Action {
	list := make([]action.Action, 0, 28)
	list = append(list, v.setters()...)
	list = append(list, v.chooseInstance(), v.chooseFuse())
	list = append(list, v.Table.Actions()...)
	log := ui.Place{View: "logs", Ref: v.of}
	list = append(list, action.Action{
		ID: "logger.logs", Title: safe.Literal("log of the app"), Label: safe.Literal("log"),
		Run: func(action.Input) tea.Cmd { return v.deps.Go(log) },
	})
	return v.deps.Keymap.Bind(list)
}

// may says whether levels can be set.
func (v *view) may() (bool, safe.Text) {
	if a, ok := v.app.Find(v.of.ID); ok && !a.Levels {
		return false, safe.Literal("the app has no log levels")
	}
	_, ok := v.Table.Selected()
	return ok, safe.Literal("no logger is selected")
}

// setters are one action a level.
func (v *view) setters() []action.Action {
	set := func(id string, title, label safe.Text, l backend.Level) action.Action {
		return action.Action{
			ID: id, Title: title, Label: label, Enabled: v.may,
			Run: func(action.Input) tea.Cmd { return v.set(l) },
		}
	}
	l := safe.Literal
	return []action.Action{
		set("logger.debug", l("level debug"), l("debug"), backend.LevelDebug),
		set("logger.info", l("level info"), l("info"), backend.LevelInfo),
		set("logger.warn", l("level warn"), l("warn"), backend.LevelWarn),
		set("logger.error", l("level error"), l("error"), backend.LevelError),
		set("logger.reset", l("no level of its own: inherit"), l("inherit"), ""),
		set("logger.trace", l("level trace"), l("trace"), backend.LevelTrace),
		set("logger.fatal", l("level fatal"), safe.Text{}, backend.LevelFatal),
	}
}

// set gives the marked loggers, or the selected one, a level.
func (v *view) set(l backend.Level) tea.Cmd {
	var commands []backend.Command
	for _, g := range v.Table.Targets() {
		commands = append(commands, backend.SetLevel{
			App: v.of.ID, Instance: v.one, Logger: g.Name, Level: l, For: backend.Duration(v.fuse),
		})
	}
	if len(commands) == 0 {
		return nil
	}
	return v.deps.Do(commands...)
}

// chooseInstance goes through all instances and each of them.
func (v *view) chooseInstance() action.Action {
	return action.Action{
		ID: "logger.instance", Label: safe.Literal("instance"), Enabled: v.may,
		Title: safe.Literal("whom a key is for: all instances, or the next one alone"),
		Run: func(action.Input) tea.Cmd {
			v.one = v.next()
			return nil
		},
	}
}

// next is the instance after the one that is chosen, and all after the last.
func (v *view) next() string {
	all := slices.Clone(v.instances.Items())
	slices.SortFunc(all, func(a, b backend.Instance) int {
		if c := strings.Compare(a.Process, b.Process); c != 0 {
			return c
		}
		return a.Index - b.Index
	})
	at := slices.IndexFunc(all, func(i backend.Instance) bool { return i.ID == v.one })
	if at+1 >= len(all) {
		return ""
	}
	return all[at+1].ID
}

// maxFuse is a month: a longer change is one for good.
const maxFuse = 30 * 24 * time.Hour

// chooseFuse asks how long a change lasts.
func (v *view) chooseFuse() action.Action {
	return action.Action{
		ID: "logger.for", Label: safe.Literal("for how long"), Enabled: v.may,
		Title: safe.Literal("how long a change lasts before the level goes back by itself"),
		Run: func(action.Input) tea.Cmd {
			text := "10m"
			if v.fuse > 0 {
				text = v.fuse.String()
			}
			return v.deps.Open(&dialog.Prompt{
				Title: safe.Literal("How long shall a change last?"),
				Label: safe.Literal("time:"),
				Help:  safe.Literal("Such as 10m or 1h; empty means for good. The server takes it back, whether you are here or not."),
				Field: line.New(text),
				Check: func(s string) error { _, err := parseFuse(s); return err },
				Done: func(s string) tea.Cmd {
					v.fuse, _ = parseFuse(s)
					said := present.Text("changes last %s", present.Lasted(v.fuse))
					if v.fuse == 0 {
						said = safe.Literal("changes are for good")
					}
					return v.deps.Notify(ui.Notice{Text: said})
				},
			})
		},
	}
}

// parseFuse reads a time; nothing is for good.
func parseFuse(s string) (time.Duration, error) {
	if s = strings.TrimSpace(s); s == "" || s == "0" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second || d > maxFuse {
		return 0, fmt.Errorf("%q is not a time from 1s to 720h, such as 10m", s)
	}
	return d, nil
}
