package ui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"pitwall/ui/safe"
)

// ages has the screen drawn again when the ages on it have changed: every ten
// seconds while one is under a minute, else each minute.
type ages struct {
	youngest time.Duration // of those in the last frame
	shown    bool
	due      time.Time // of the tick under way
}

type ageTick struct{ due time.Time }

// The pauses between two frames that only time has changed.
const (
	youngPause = 10 * time.Second
	oldPause   = time.Minute
)

// start asks for the first tick.
func (a *ages) start(now time.Time) tea.Cmd { return a.ask(now, youngPause) }

func (a *ages) ask(now time.Time, d time.Duration) tea.Cmd {
	due := now.Add(d)
	a.due = due
	return tea.Tick(d, func(time.Time) tea.Msg { return ageTick{due} })
}

// next asks for a tick where none is under way that comes in time. One that
// is overtaken by an earlier one still comes, and costs a frame that is equal.
func (a *ages) next(now time.Time) tea.Cmd {
	want := oldPause
	if a.shown && a.youngest < time.Minute {
		want = youngPause
	}
	if a.due.After(now) && !a.due.After(now.Add(want)) {
		return nil
	}
	return a.ask(now, want)
}

// age is Deps.Age.
func (s *Shell) age(t time.Time) safe.Text {
	if t.IsZero() {
		return safe.Text{}
	}
	d := s.now().Sub(t)
	if !s.ages.shown || d < s.ages.youngest {
		s.ages.shown, s.ages.youngest = true, d
	}
	return Age(d)
}
