package ui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"pitwall/backend"
	"pitwall/ui/action"
	"pitwall/ui/dialog"
	"pitwall/ui/keymap"
	"pitwall/ui/safe"
	"pitwall/ui/theme"
)

// Place is an address in the console: a view, and what it is about. Places are
// compared; two equal ones show the same.
type Place struct {
	View string // a Spec's name
	// Ref is what the view is about; zero for everything.
	Ref backend.Ref
	// Arg is the view's own: a run's number, more ids, a level.
	Arg string
}

// Spec makes a kind of view known to the Shell.
type Spec struct {
	// Name is unique and is what the palette takes: "apps".
	Name string
	// Aliases are other words for it: "app", "a".
	Aliases []string
	// Title says in the palette what it is: "every app, worst first".
	Title safe.Text
	// Alone means that it can be opened without a Ref, from the palette.
	Alone bool
	// Of lists the kinds that it can be opened about. For a name chosen in
	// the palette the first Spec with its kind is opened.
	Of []backend.Kind
	// Open makes a view. It does no IO; the view starts in Init.
	Open func(Deps, Place) View
}

// View is one screen. The Shell calls it from one goroutine.
type View interface {
	// Init is called once, before anything else. It starts what the view
	// needs; ctx ends when the view is closed.
	Init(ctx context.Context) tea.Cmd

	// Update takes a message. Keys and pastes come only while Capturing;
	// wheel messages come with Y counted from the view's first line.
	Update(msg tea.Msg) tea.Cmd

	// SetSize tells the cells there are. Both may be 0.
	SetSize(width, height int)

	// Render draws the view: at most the lines and cells of SetSize. It does
	// no IO and changes nothing that can be seen.
	Render() Frame

	// Actions lists what can be done now, the most useful first. It is called
	// often and must be cheap.
	Actions() []action.Action

	// Title is the view's part of the crumbs: "flaky", "instances".
	Title() safe.Text

	// Capturing reports whether the operator is typing into the view. While
	// it does, keys go to Update and no action is run, esc and ctrl+c
	// included: a capturing view must stop capturing on both.
	Capturing() bool

	// Close stops what Init started. The view is not used after it.
	Close()
}

// Frame is what a view drew.
type Frame struct {
	// Lines are the rows from the top; fewer than the height are padded.
	Lines []string
	// Cursor is where the terminal's cursor is, from the view's top left;
	// nil hides it.
	Cursor *tea.Cursor
}

// Companion is a View that names a place to show beside its selection, such as
// the log of the selected app. The Shell shows it where there is room.
type Companion interface {
	// Companion returns the place for the present selection.
	Companion() (Place, bool)
}

// Statused is a View that has more to say on its title line: "all instances ·
// info and above · following".
type Statused interface {
	Status() safe.Text
}

// Sized is a View that may need fewer rows than there are; what is beside it
// has the others.
type Sized interface {
	// Wants is how many rows are enough.
	Wants() int
}

// Copier is a View with something to put on the clipboard.
type Copier interface {
	// Copied are the lines, whole where the screen cuts them, and what to call
	// them: "the row". There may be none.
	Copied() (what safe.Text, lines []string)
}

// Reporter is a View that measures how far behind it is.
type Reporter interface {
	Report() Report
}

// Report is how far behind a view is.
type Report struct {
	Lag     time.Duration // between a line's time and its being shown
	Skipped uint64        // lines that were not shown
}

// Focused is a View that wants to know whether keys go to it; of a list and
// its companion one has the focus.
type Focused interface {
	SetFocus(bool)
}

// Deps is what a view is given. All of it is safe to keep.
//
// The functions that return a command are called in Update, in an action's Run
// or in a command, never while drawing or listing actions: what they ask for is
// done at the end of the Update, before the next key is looked at. The command
// must be returned as well.
type Deps struct {
	Backend backend.Backend
	// Theme is changed in place when the terminal's background is known, so
	// take styles from it while drawing.
	Theme  *theme.Theme
	Keymap *keymap.Map
	// Now is the time, for ages.
	Now func() time.Time
	// Context is where the console is connected to.
	Context Context

	// Do carries out commands and shows a receipt for each that follows its
	// operation to the end. Errors are shown as well. The view learns of the
	// outcome as everybody does, by its feeds.
	Do func(...backend.Command) tea.Cmd
	// Go opens a place; esc comes back with the cursor kept.
	Go func(Place) tea.Cmd
	// Back leaves the place.
	Back func() tea.Cmd
	// Open shows a dialog that the operator asked for.
	Open func(dialog.Dialog) tea.Cmd
	// Alert shows one that comes by itself; for a moment it takes no keys, so
	// that what the operator is typing does not answer it.
	Alert func(dialog.Dialog) tea.Cmd
	// Notify says something in the footer, until the next key.
	Notify func(Notice) tea.Cmd
	// Copy puts text on the operator's clipboard, over SSH too, and says so.
	Copy func(what safe.Text, text string) tea.Cmd
	// Age writes how long ago t was, in four cells at most, and has the
	// Shell repaint when that changes.
	Age func(t time.Time) safe.Text
}

// Context is the server that the console is connected to.
type Context struct {
	Name     string
	Color    string // a colour's name or #rrggbb
	ReadOnly bool
}

// Notice is a line for the footer.
type Notice struct {
	Text safe.Text
	// Bad is drawn as an error.
	Bad bool
}

// RefreshMsg asks views to draw again because time has passed. Views need not
// handle it: every message is followed by a frame.
type RefreshMsg struct{}
