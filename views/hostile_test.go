package views_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pitwall/backend"
	"pitwall/views/viewstest"
)

// evil clears the screen, turns the text around and sets the title.
const evil = "x\x1b[2J\u202ey\x1b]0;owned\x07\x9b2Jz"

// hostile is a world in which every text does harm.
func hostile() *viewstest.World {
	w := viewstest.New()
	now := w.Now()
	route := []backend.Route{{HTTP: evil, Process: evil}}
	bad := w.AddApp(backend.App{
		Name: evil, Scope: backend.Scope{Team: evil, Space: evil}, State: backend.AppState(evil), Blocked: true, BlockedBy: evil,
		BlockedReason: evil, LastError: evil, Operation: evil, Routes: route, Levels: true,
		Spec: backend.AppSpec{
			Description: evil, Routes: route, Env: map[string]string{evil: evil}, Levels: backend.LevelsFile,
			Processes: []backend.ProcessSpec{{
				Name: evil, Command: backend.CommandLine{Args: []string{evil, evil}}, Dir: evil, User: evil,
				Health: &backend.Check{Exec: []string{evil}}, Ready: &backend.Check{HTTP: evil},
				Stop: backend.StopSpec{Signal: evil}, Restart: backend.RestartSpec{Policy: backend.RestartPolicy(evil)},
			}},
		},
	})
	i := w.AddInstance(backend.Instance{
		App: evil, Process: evil, State: backend.InstanceState(evil), Reason: evil, LastError: evil, Node: evil, EnvHash: evil,
		LastExit: &backend.Exit{Reason: evil},
	})
	w.AddRun(backend.Run{
		App: evil, Instance: i.ID, Process: evil, State: backend.RunFailed, Started: now, Trigger: evil, Author: evil,
		Exit: &backend.Exit{Reason: evil}, LastLines: []string{evil, "panic: " + evil},
	})
	w.AddRelease(backend.Release{
		AppID: bad.ID, Number: 1, Author: evil, Reason: evil, Created: now,
		Diff: []backend.FieldChange{{Path: evil, Old: evil, New: evil}},
	})
	w.AddLogger(backend.Logger{
		App: evil, Name: evil, Level: backend.Level(evil), Instances: map[string]backend.Level{evil: backend.Level(evil)},
		Was: backend.Level(evil), Until: now.Add(time.Hour),
	})
	w.AddOperation(backend.Operation{
		Kind: evil, Target: evil, Ref: bad.Ref(), State: backend.OperationFailed, Author: evil, Source: evil,
		Reason: evil, Error: evil, Undo: evil, Steps: []backend.Step{{Name: evil, State: backend.OperationState(evil), Detail: evil}},
	})
	j := w.AddJob(backend.Job{Name: evil, Schedule: evil, Spec: backend.JobSpec{
		Description: evil, Timezone: evil,
		Command: backend.CommandLine{Shell: evil}, Concurrency: backend.Concurrency(evil), Env: map[string]string{evil: ""},
	}})
	w.AddRun(backend.Run{Job: evil, JobID: j.ID, State: backend.RunFailed, Started: now, Exit: &backend.Exit{Reason: evil}})
	w.SetNode(func(n *backend.Node) { n.Name, n.State, n.Reason, n.Engine, n.Version = evil, evil, evil, evil, evil })
	w.Emit(backend.Event{
		Kind: backend.EventUpdated, Ref: bad.Ref(), Owner: evil, OwnerID: bad.ID, Level: backend.Level(evil),
		Message: evil, Author: evil,
	})
	w.Log(
		backend.LogEntry{Instance: i.ID, Text: evil},
		backend.LogEntry{Instance: i.ID, Divider: &backend.LogDivider{Kind: evil, Text: evil}},
		backend.LogEntry{Instance: i.ID, Gap: &backend.LogGap{Instance: i.ID, Count: 3, Reason: evil}},
	)
	w.Flaky, w.Web, w.Main, w.Nightly = bad, bad, i, j
	return w
}

func TestNoTerminalObeysWhatIsShown(t *testing.T) {
	for name := range places(hostile()) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := hostile()
				d := console(t, w, places(w)[name], 200, 60)
				d.Wait(settled)
				screens := d.Content()
				for _, key := range []string{"?", "esc", "m", "esc", "R", "esc", "D", "esc", "=", "esc", "G"} {
					d.Press(key)
					d.Wait(time.Second)
					screens += d.Content()
				}
				if !strings.Contains(screens, "x␛[2J<202E>y") && name != "logs of worker" && name != "operations of chat" && name != "runs of report" {
					t.Errorf("nothing hostile is shown, which proves nothing:\n%s", d.Screen())
				}
				for _, seq := range []string{"\x1b[2J", "\u202e", "\x1b]0", "\x07", "\x9b2J"} {
					if strings.Contains(screens, seq) {
						t.Errorf("the terminal gets %q", seq)
					}
				}
			})
		})
	}
}
