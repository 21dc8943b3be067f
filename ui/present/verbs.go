package present

import (
	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui"
	"pitwall/ui/action"
	"pitwall/ui/safe"
)

// verb is one thing that can be done to an app or to one of its instances.
type verb struct {
	id, word string
	label    safe.Text // in the footer; empty keeps it out
	command  func(app, instance string) backend.Command
	// may says whether it makes sense for an app, and why not.
	may func(backend.App) (bool, safe.Text)
	// mayOne says the same of an instance; nil where the verb is for apps.
	mayOne func(backend.Instance) (bool, safe.Text)
	effect []safe.Text // on an app
	one    []safe.Text // on an instance
	reason bool
}

// verbs lists them, the ones needed first in front.
func verbs() []verb {
	l := safe.Literal
	return []verb{
		{
			id: "app.restart", word: "restart", label: l("restart"),
			command: func(a, i string) backend.Command { return backend.Restart{App: a, Instance: i} },
			may:     mayRestart, mayOne: mayRestartOne,
			effect: []safe.Text{l("One new instance at a time must be ready before an old one is stopped. The first that does not become ready stops the roll. A kick is taken back, a block stays.")},
			one:    []safe.Text{l("A new instance must be ready before this one is drained and stopped.")},
			reason: true,
		},
		{
			id: "app.start", word: "start", label: l("start"),
			command: func(a, i string) backend.Command { return backend.Start{App: a, Instance: i} },
			may:     mayStart,
			mayOne:  func(i backend.Instance) (bool, safe.Text) { return !i.State.Live(), l("it runs") },
		},
		{
			id: "app.block", word: "block", label: l("block"),
			command: func(a, i string) backend.Command { return backend.Block{App: a, Instance: i} },
			may:     func(a backend.App) (bool, safe.Text) { return !a.Blocked, l("it is blocked already") },
			mayOne:  func(i backend.Instance) (bool, safe.Text) { return !i.Blocked, l("it is blocked already") },
			effect:  []safe.Text{l("New connections are refused until you unblock it. Open ones live on, instances stay up.")},
			one:     []safe.Text{l("It gets no new connections until you unblock it. Open ones live on.")},
			reason:  true,
		},
		{
			id: "app.unblock", word: "unblock", label: l("unblock"),
			command: func(a, i string) backend.Command { return backend.Unblock{App: a, Instance: i} },
			may:     func(a backend.App) (bool, safe.Text) { return a.Blocked, l("it is not blocked") },
			mayOne:  func(i backend.Instance) (bool, safe.Text) { return i.Blocked, l("it is not blocked") },
		},
		{
			id: "app.kick", word: "kick", label: l("kick"),
			command: func(a, i string) backend.Command { return backend.Kick{App: a, Instance: i} },
			may:     mayKick,
			mayOne: func(i backend.Instance) (bool, safe.Text) {
				return i.Attached, l("it is kicked already: attach brings it back")
			},
			effect: []safe.Text{l("Every open connection is closed at once, and none comes in until attach, start or a restart. Instances stay up.")},
			one:    []safe.Text{l("Every open connection to it is closed at once, and none comes in until attach or a restart.")},
			reason: true,
		},
		{
			id: "app.attach", word: "attach", label: l("attach"),
			command: func(a, i string) backend.Command { return backend.Attach{App: a, Instance: i} },
			may:     mayAttach,
			mayOne:  func(i backend.Instance) (bool, safe.Text) { return !i.Attached && i.State.Live(), l("it is attached") },
		},
		{
			id: "app.stop", word: "stop",
			command: func(a, i string) backend.Command { return backend.Stop{App: a, Instance: i} },
			may:     mayStop,
			mayOne:  func(i backend.Instance) (bool, safe.Text) { return !i.State.Final(), l("it is stopped") },
			effect:  []safe.Text{l("All instances end, with their signal and grace, and are not started again until you start it. What runs on it now is canceled.")},
			one:     []safe.Text{l("It ends, with its signal and grace, and is not started again until you start it.")},
			reason:  true,
		},
		{
			id: "app.force-restart", word: "force-restart",
			command: func(a, i string) backend.Command { return backend.ForceRestart{App: a, Instance: i} },
			may:     mayRestart, mayOne: mayRestartOne,
			effect: []safe.Text{l("All instances are killed at once, without grace, and started again. Work in flight is lost.")},
			one:    []safe.Text{l("It is killed at once, without grace, and started again. Work in flight is lost.")},
			reason: true,
		},
		{
			id: "app.delete", word: "delete",
			command: func(a, _ string) backend.Command { return backend.Delete{App: a} },
			may:     func(backend.App) (bool, safe.Text) { return yes() },
			effect:  []safe.Text{l("It is stopped and removed, with its releases. Its log is kept until retention removes it.")},
			reason:  true,
		},
		{
			id: "app.rollback", word: "rollback",
			command: func(a, _ string) backend.Command { return backend.Rollback{App: a} },
			may: func(a backend.App) (bool, safe.Text) {
				return a.Release > 1, l("there is no release before the present one")
			},
			effect: []safe.Text{l("The release before the present one is declared again, as a new release, and the instances are replaced one by one.")},
			reason: true,
		},
	}
}

func mayRestart(a backend.App) (bool, safe.Text) {
	return a.State != backend.AppStopped, safe.Literal("it is stopped: start it")
}

func mayRestartOne(i backend.Instance) (bool, safe.Text) {
	return i.State != backend.InstanceStopped, safe.Literal("it is stopped: start it")
}

func mayKick(a backend.App) (bool, safe.Text) {
	if a.State == backend.AppStopped {
		return no(safe.Literal("it is stopped"))
	}
	return a.Attached, safe.Literal("it is kicked already: attach brings it back")
}

func mayAttach(a backend.App) (bool, safe.Text) {
	if a.State == backend.AppStopped {
		return no(safe.Literal("it is stopped: start it"))
	}
	return !a.Attached, safe.Literal("it is attached")
}

func mayStart(a backend.App) (bool, safe.Text) {
	switch a.State {
	case backend.AppStopped, backend.AppStopping, backend.AppFailed:
		return yes()
	}
	return a.Desired == backend.DesiredStopped, safe.Literal("it is started")
}

func mayStop(a backend.App) (bool, safe.Text) {
	return a.State != backend.AppStopped, safe.Literal("it is stopped")
}

// target is a thing that a verb goes to.
type target struct {
	app, instance string // ids
	name          string // as a person names it
	may           func(verb) (bool, safe.Text)
}

// AppVerbs lists what can be done to apps: the one selected or all that are
// marked. A verb goes, as one command each, to those of them that it makes
// sense for; where there is none it says why.
func AppVerbs(d ui.Deps, apps []backend.App) []action.Action {
	targets := make([]target, len(apps))
	for i, a := range apps {
		targets[i] = target{app: a.ID, name: a.Name, may: func(v verb) (bool, safe.Text) { return v.may(a) }}
	}
	list := make([]action.Action, 0, 12)
	for _, v := range verbs() {
		list = append(list, v.action(d, targets, "app"))
	}
	list = append(list, scale(d, apps), undo(d, apps))
	return oneKey(d.Keymap.Bind(list))
}

// InstanceVerbs lists what can be done to instances: the one selected or all
// that are marked. Those of jobs have none.
func InstanceVerbs(d ui.Deps, instances []backend.Instance) []action.Action {
	targets := make([]target, len(instances))
	for n, i := range instances {
		targets[n] = target{app: i.AppID, instance: i.ID, name: i.App + " " + i.Name(), may: func(v verb) (bool, safe.Text) {
			if i.AppID == "" {
				return no(safe.Literal("it belongs to a job: cancel its run"))
			}
			return v.mayOne(i)
		}}
	}
	var list []action.Action
	for _, v := range verbs() {
		if v.mayOne != nil {
			list = append(list, v.action(d, targets, "instance"))
		}
	}
	return oneKey(d.Keymap.Bind(list))
}

// oneKey lets a verb that cannot be done be what takes it back: the key that
// blocks unblocks what is blocked. The other keeps its own key.
func oneKey(list []action.Action) []action.Action {
	for _, pair := range [...][2]string{{"app.block", "app.unblock"}, {"app.kick", "app.attach"}} {
		do, back := find(list, pair[0]), find(list, pair[1])
		if do == nil || back == nil {
			continue
		}
		can, _ := do.Allowed()
		if canBack, _ := back.Allowed(); can || !canBack {
			back.Label = safe.Text{}
			continue
		}
		id, keys := do.ID, do.Keys
		*do = *back
		do.ID, do.Keys = id, keys
		back.Hidden, back.Label = true, safe.Text{}
	}
	return list
}

func find(list []action.Action, id string) *action.Action {
	for i := range list {
		if list[i].ID == id {
			return &list[i]
		}
	}
	return nil
}

// action makes the action of a verb on targets.
func (v verb) action(d ui.Deps, targets []target, noun string) action.Action {
	var hit []target
	why := safe.Clean("no " + noun + " is selected")
	for i, t := range targets {
		ok, reason := t.may(v)
		if ok {
			hit = append(hit, t)
		} else if i == 0 {
			why = reason
		}
	}
	what := whom(targets, noun)
	if len(hit) > 0 {
		what = whom(hit, noun)
	}
	commands := make([]backend.Command, len(hit))
	for i, t := range hit {
		commands[i] = v.command(t.app, t.instance)
	}
	a := action.Action{
		ID: v.id, Title: safe.Clean(v.word + " " + what), Label: v.label,
		Risk:    ui.RiskOf(commands...),
		Enabled: func() (bool, safe.Text) { return len(hit) > 0, why },
		Run: func(in action.Input) tea.Cmd {
			if len(commands) == 0 {
				return nil
			}
			for i, c := range commands {
				commands[i] = given(c, in)
			}
			return d.Do(commands...)
		},
	}
	if a.Risk >= action.Medium || v.reason {
		a.Ask = func() action.Ask { return v.ask(hit, what, noun) }
	}
	return a
}

func (v verb) ask(hit []target, what, noun string) action.Ask {
	ask := action.Ask{
		Question: safe.Clean(upper(v.word) + " " + what + "?"),
		Verb:     safe.Clean(v.word),
		Effect:   v.effect,
		Name:     what,
		Reason:   v.reason,
	}
	if noun == "instance" {
		ask.Effect = v.one
	}
	if len(hit) > 1 {
		ask.Effect = append([]safe.Text{named(hit)}, ask.Effect...)
	}
	return ask
}

// maxNamed is how many of the targets a question names.
const maxNamed = 8

func named(hit []target) safe.Text {
	names := make([]safe.Text, 0, maxNamed+1)
	for i, t := range hit {
		if i == maxNamed {
			names = append(names, Text("and %d more", len(hit)-i))
			break
		}
		names = append(names, safe.Clean(t.name))
	}
	return safe.Join(safe.Literal(", "), names...)
}

// whom names one target, or counts several.
func whom(targets []target, noun string) string {
	if len(targets) == 1 {
		return targets[0].name
	}
	return ui.Plural(len(targets), noun)
}

// upper writes a word with a capital.
func upper(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}
