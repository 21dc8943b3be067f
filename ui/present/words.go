package present

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"pitwall/backend"
	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

// Text formats like fmt.Sprintf and cleans the result, so that any value may
// be put into it.
func Text(format string, args ...any) safe.Text {
	if len(args) == 0 {
		return safe.Clean(format)
	}
	return safe.Clean(fmt.Sprintf(format, args...))
}

// Number writes n, and nothing for 0, so that a column shows what there is.
func Number(n int) safe.Text {
	if n == 0 {
		return safe.Text{}
	}
	return safe.Clean(strconv.Itoa(n))
}

// CPU writes a fraction of a core in percent, as top does.
func CPU(f float64) safe.Text {
	switch {
	case f <= 0:
		return safe.Text{}
	case f < 0.01:
		return safe.Literal("<1%")
	}
	return safe.Clean(strconv.FormatFloat(f*100, 'f', 0, 64) + "%")
}

// Word is a state as it is drawn: a mark and a word.
type Word struct {
	State theme.State
	Text  safe.Text
}

// fresh is how long an error of an app that runs is worth a warning.
const fresh = 5 * time.Minute

// App returns the state of an app with the flags beside it. One that runs and
// had an error a moment ago is marked as degraded.
func App(a backend.App, now time.Time) Word {
	w := appWord(a)
	flag := flags(a.Blocked, !a.Attached && a.State != backend.AppStopped && a.State != backend.AppStopping)
	if !flag.Empty() {
		if w.State != theme.Running {
			w.Text = safe.Join(safe.Literal(", "), w.Text, flag)
			return w
		}
		return Word{theme.Blocked, flag}
	}
	if w.State == theme.Running && Troubled(&a, now) {
		w.State = theme.Degraded
	}
	return w
}

// Troubled reports whether an app has had errors a moment ago, or has one that
// stays, which has no time.
func Troubled(a *backend.App, now time.Time) bool {
	if a.ErrorsPerMinute > 0 {
		return true
	}
	return a.LastError != "" && (a.LastErrorAt.IsZero() || now.Sub(a.LastErrorAt) < fresh)
}

// flags are the words for what stands beside a state; both are said, since to
// take back one leaves the other.
func flags(blocked, kicked bool) safe.Text {
	switch {
	case blocked && kicked:
		return safe.Literal("blocked, kicked")
	case blocked:
		return safe.Literal("blocked")
	case kicked:
		return safe.Literal("kicked")
	}
	return safe.Text{}
}

func appWord(a backend.App) Word {
	switch a.State {
	case backend.AppFailed:
		return Word{theme.Failed, safe.Literal("failed")}
	case backend.AppCrashing:
		return Word{theme.Failed, safe.Literal("crash loop")}
	case backend.AppDegraded:
		return Word{theme.Degraded, safe.Literal("degraded")}
	case backend.AppStarting:
		return Word{theme.Starting, safe.Literal("starting")}
	case backend.AppStopping:
		return Word{theme.Stopping, safe.Literal("stopping")}
	case backend.AppRunning:
		return Word{theme.Running, safe.Literal("running")}
	case backend.AppStopped:
		return Word{theme.Stopped, safe.Literal("stopped")}
	}
	return Word{theme.Unknown, Text("%s", a.State)}
}

// LastWords says what an operator should know first of an app: who blocked it
// and why, or its last error.
func LastWords(a backend.App) safe.Text {
	switch {
	case a.Blocked && a.BlockedReason != "":
		return Text("blocked by %s: %q", a.BlockedBy, a.BlockedReason)
	case a.Blocked && a.BlockedBy != "":
		return Text("blocked by %s", a.BlockedBy)
	case a.LastError != "":
		return safe.Clean(a.LastError)
	case !a.Attached && a.State != backend.AppStopped && a.State != backend.AppStopping:
		return safe.Literal("kicked off the edge; attach brings it back")
	}
	return safe.Clean(a.Spec.Description)
}

// Instance returns the state of an instance with the flags beside it.
func Instance(i backend.Instance) Word {
	w := Word{theme.Unknown, Text("%s", i.State)}
	switch i.State {
	case backend.InstancePending, backend.InstanceStarting:
		w.State = theme.Starting
	case backend.InstanceRunning:
		w.State = theme.Running
	case backend.InstanceUnready:
		w.State = theme.Degraded
	case backend.InstanceCrashed, backend.InstanceFailed, backend.InstanceLost:
		w.State = theme.Failed
	case backend.InstanceStopping:
		w.State = theme.Stopping
	case backend.InstanceStopped, backend.InstanceComplete:
		w.State = theme.Stopped
	}
	flag := flags(i.Blocked, !i.Attached && i.State.Live())
	if flag.Empty() {
		return w
	}
	if w.State != theme.Running {
		w.Text = safe.Join(safe.Literal(", "), w.Text, flag)
		return w
	}
	return Word{theme.Blocked, flag}
}

// Reason says why an instance is in its state, where that is more than the
// state's word; of one that waits, when it is started again.
func Reason(i backend.Instance, now time.Time) safe.Text {
	reason := i.Reason
	if reason == string(i.State) {
		reason = ""
	}
	reason = strings.TrimPrefix(reason, string(i.State)+", ") // it is there already
	if i.State != backend.InstanceCrashed || i.NextStart.IsZero() {
		return safe.Clean(reason)
	}
	reason, _, _ = strings.Cut(reason, ", next start") // as it was then
	next := safe.Join(safe.Literal(" "), safe.Literal("next start"), Until(i.NextStart, now))
	if reason == "" {
		return next
	}
	return safe.Join(safe.Literal(", "), safe.Clean(reason), next)
}

// Run returns the state of a run.
func Run(r backend.Run) Word {
	w := Word{theme.Unknown, Text("%s", r.State)}
	switch r.State {
	case backend.RunPending:
		w.State = theme.Starting
	case backend.RunRunning:
		w.State = theme.Starting
	case backend.RunSucceeded:
		w.State = theme.Running
	case backend.RunFailed, backend.RunLost:
		w.State = theme.Failed
	case backend.RunCanceled:
		w.State = theme.Stopped
	}
	return w
}

// Operation returns the state of an operation.
func Operation(o backend.Operation) Word {
	return Step(o.State)
}

// Step returns the state of a step of an operation.
func Step(s backend.OperationState) Word {
	w := Word{theme.Unknown, Text("%s", s)}
	switch s {
	case backend.OperationScheduled, backend.OperationQueued, backend.OperationRunning:
		w.State = theme.Starting
	case backend.OperationSucceeded:
		w.State = theme.Running
	case backend.OperationFailed:
		w.State = theme.Failed
	case backend.OperationCanceled:
		w.State = theme.Stopped
	}
	return w
}

// Level returns a level as a word, "any" for an unknown one.
func Level(l backend.Level) safe.Text {
	if l == backend.LevelUnknown {
		return safe.Literal("any")
	}
	return safe.Clean(string(l))
}

// Exit says how a run ended, and nothing while it goes on.
func Exit(r backend.Run) safe.Text {
	switch {
	case r.Exit != nil:
		return safe.Clean(r.Exit.String())
	case r.State == backend.RunLost:
		return safe.Literal("exit unknown")
	}
	return safe.Text{}
}

// Lasted writes a duration so that two of them can be told apart: "1.9s",
// "41s", "3m20s", "2h10m".
func Lasted(d time.Duration) safe.Text {
	switch {
	case d <= 0:
		return safe.Text{}
	case d < time.Second:
		return safe.Clean(d.Round(time.Millisecond).String())
	case d < 10*time.Second:
		return safe.Clean(d.Round(100 * time.Millisecond).String())
	case d < time.Hour:
		s := d.Round(time.Second).String()
		if strings.HasSuffix(s, "m0s") {
			s = strings.TrimSuffix(s, "0s")
		}
		return safe.Clean(s)
	case d < 48*time.Hour:
		return Text("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return Text("%dd", int(d.Hours())/24)
}

// Clock writes a time of the day, with the date where it is another day than
// now.
func Clock(t, now time.Time) safe.Text {
	if t.IsZero() {
		return safe.Text{}
	}
	t, now = t.UTC(), now.UTC()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return safe.Clean(t.Format("15:04:05"))
	}
	return safe.Clean(t.Format("Jan 02 15:04"))
}

// Until writes how long it is to a time to come: "in 9m".
func Until(t, now time.Time) safe.Text {
	d := t.Sub(now)
	switch {
	case t.IsZero():
		return safe.Text{}
	case d < time.Second:
		return safe.Literal("now")
	case d < time.Minute:
		return Text("in %ds", int(d.Seconds()))
	case d < time.Hour:
		return Text("in %dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return Text("in %dh", int(d.Hours()))
	}
	return Text("in %dd", int(d.Hours())/24)
}

// Why says why something could not be read.
func Why(what string, err error) safe.Text {
	switch backend.CodeOf(err) {
	case backend.NotFound:
		return Text("%s: there is no such thing any more.", what)
	case backend.Denied:
		return Text("%s: you may not read this.", what)
	case backend.Unavailable:
		return Text("%s: the server cannot be reached; trying again.", what)
	}
	return Text("%s: %v; trying again.", what, err)
}

// Took says how long an operation took, or takes by now.
func Took(o backend.Operation, now time.Time) safe.Text {
	return span(o.Started, o.Ended, now)
}

// span says how long it is from a start to an end, or to now without one.
func span(from, to, now time.Time) safe.Text {
	switch {
	case from.IsZero():
		return safe.Text{}
	case to.IsZero():
		return Lasted(now.Sub(from))
	}
	return Lasted(to.Sub(from))
}

// StepTook says how long a step took, or takes by now.
func StepTook(s backend.Step, now time.Time) safe.Text {
	return span(s.Started, s.Ended, now)
}
