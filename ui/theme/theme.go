// Package theme names how things look. A [Theme] is read from a file, one for
// dark terminals and one for light ones, and passed down; nothing here is
// global. Colour carries meaning only, and never alone: each state has a glyph
// and a word as well, so that a terminal without colour says the same.
package theme

import (
	"fmt"
	"hash/fnv"
	"io/fs"

	"go.yaml.in/yaml/v3"

	"pitwall/ui/safe"
)

// Options choose how a theme is made.
type Options struct {
	// Light asks for the theme for light backgrounds.
	Light bool
	// NoColor leaves bold, underline and reverse, and no colour.
	NoColor bool
	// ASCII draws with ASCII glyphs, for locales other than UTF-8.
	ASCII bool
}

// Theme is a set of named styles and the glyphs to draw with. It is read only
// and may be shared.
type Theme struct {
	Options

	Text, Dim, Faint, Title, Head, Rule, Key  Style
	OK, Warn, Bad, Blocked, Busy, Off         Style
	Selected, Marked, Match, MatchHere, Stale Style
	Gap, Divider, Dialog, DialogBad, Field    Style

	// Levels is indexed by level: none, trace, debug, info, warn, error, fatal.
	Levels [7]Style

	Glyphs Glyphs

	instances []Style
}

// file is a theme as it is written.
type file struct {
	Name      string            `yaml:"name"`
	Styles    map[string]string `yaml:"styles"`
	Instances []string          `yaml:"instances"`
}

// New reads the built-in theme that the options ask for.
func New(files fs.FS, o Options) (*Theme, error) {
	name := "themes/dark.yaml"
	if o.Light {
		name = "themes/light.yaml"
	}
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, fmt.Errorf("read theme: %w", err)
	}
	t, err := Parse(data, o)
	if err != nil {
		return nil, fmt.Errorf("theme %s: %w", name, err)
	}
	return t, nil
}

// Plain returns a theme without colours that needs no file.
func Plain(o Options) *Theme {
	t := &Theme{Options: o, Glyphs: glyphs(o.ASCII), instances: make([]Style, 1)}
	rev, bold := Style{on: "\x1b[7m"}, Style{on: "\x1b[1m"}
	t.Title, t.Key, t.Bad, t.Marked, t.Gap, t.DialogBad = bold, bold, bold, bold, bold, bold
	t.Selected, t.Match, t.MatchHere, t.Field = rev, rev, rev, rev
	return t
}

// Parse reads a theme file. A style that the file leaves out is plain.
func Parse(data []byte, o Options) (*Theme, error) {
	var f file
	if err := yaml.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("parse theme: %w", err)
	}
	t := &Theme{Options: o, Glyphs: glyphs(o.ASCII)}
	slots := t.slots()
	for name, text := range f.Styles {
		slot, ok := slots[name]
		if !ok {
			return nil, fmt.Errorf("there is no style %q", name)
		}
		s, err := parseStyle(text, o.NoColor)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		*slot = s
	}
	for _, text := range f.Instances {
		s, err := parseStyle(text, o.NoColor)
		if err != nil {
			return nil, fmt.Errorf("instances: %w", err)
		}
		t.instances = append(t.instances, s)
	}
	if len(t.instances) == 0 {
		t.instances = make([]Style, 1)
	}
	return t, nil
}

// slots maps the names in a file to the fields.
func (t *Theme) slots() map[string]*Style {
	return map[string]*Style{
		"text": &t.Text, "dim": &t.Dim, "faint": &t.Faint, "title": &t.Title,
		"head": &t.Head, "rule": &t.Rule, "key": &t.Key,
		"ok": &t.OK, "warn": &t.Warn, "bad": &t.Bad, "blocked": &t.Blocked,
		"busy": &t.Busy, "off": &t.Off,
		"selected": &t.Selected, "marked": &t.Marked, "match": &t.Match,
		"match-here": &t.MatchHere, "stale": &t.Stale,
		"gap": &t.Gap, "divider": &t.Divider, "dialog": &t.Dialog,
		"dialog-bad": &t.DialogBad, "field": &t.Field,
		"level-trace": &t.Levels[1], "level-debug": &t.Levels[2],
		"level-info": &t.Levels[3], "level-warn": &t.Levels[4],
		"level-error": &t.Levels[5], "level-fatal": &t.Levels[6],
	}
}

// Instance returns the style of an instance's label: the same for the same
// name, at every place and in every session.
func (t *Theme) Instance(name string) Style {
	h := fnv.New32a()
	h.Write([]byte(name))
	return t.instances[h.Sum32()%uint32(len(t.instances))]
}

// Context returns the style of a context's name from a colour that its
// configuration gives, such as "red" or "#ff8800". An empty or unknown colour
// is bold.
func (t *Theme) Context(color string) Style {
	s, err := parseStyle("bold "+color, t.NoColor)
	if err != nil {
		return t.Title
	}
	return s
}

// State is what a thing is in, as far as a screen tells states apart.
type State uint8

// The states of apps, instances, jobs, runs and operations.
const (
	Unknown  State = iota
	Running        // works, or ended well
	Starting       // on the way to running
	Stopping       // on the way to stopped
	Stopped        // not running, as asked
	Blocked        // runs, and takes no new work
	Degraded       // runs, and something is wrong
	Failed         // does not run, and should
)

// Mark is the glyph and the colour of a state.
type Mark struct {
	Glyph safe.Text
	Style Style
}

// Mark returns how a state is drawn; its word is the caller's.
func (t *Theme) Mark(s State) Mark {
	g := t.Glyphs
	switch s {
	case Running:
		return Mark{g.OK, t.OK}
	case Starting, Stopping:
		return Mark{g.Busy, t.Busy}
	case Stopped:
		return Mark{g.Off, t.Off}
	case Blocked:
		return Mark{g.Block, t.Blocked}
	case Degraded:
		return Mark{g.Warn, t.Warn}
	case Failed:
		return Mark{g.Bad, t.Bad}
	}
	return Mark{g.Unknown, t.Dim}
}

// Glyphs are what lines, states and marks are drawn with. Each takes the cells
// that its width says, in both sets.
type Glyphs struct {
	OK, Warn, Bad, Block, Off, Busy, Unknown safe.Text
	Ellipsis, Bar, Rule, Cursor, Mark        safe.Text
	Enter, Paused, Up, Down, Sorted, Reverse safe.Text
	Dot, Crumb                               safe.Text
	TopLeft, TopRight, BottomLeft            safe.Text
	BottomRight                              safe.Text
	// Spark holds the eight heights of a sparkline, lowest first.
	Spark [8]safe.Text
}

func glyphs(ascii bool) Glyphs {
	l := safe.Literal
	if ascii {
		return Glyphs{
			OK: l("+"), Warn: l("!"), Bad: l("x"), Block: l("#"), Off: l("o"),
			Busy: l("~"), Unknown: l("?"),
			Ellipsis: l("~"), Bar: l("|"), Rule: l("-"), Cursor: l(">"), Mark: l("*"),
			Enter: l("enter"), Paused: l("^"), Up: l("^"), Down: l("v"),
			Sorted: l("v"), Reverse: l("^"), Dot: l("-"), Crumb: l(">"),
			TopLeft: l("+"), TopRight: l("+"), BottomLeft: l("+"), BottomRight: l("+"),
			Spark: [8]safe.Text{l("_"), l("."), l(","), l("-"), l("="), l("+"), l("*"), l("#")},
		}
	}
	return Glyphs{
		OK: l("✓"), Warn: l("!"), Bad: l("✗"), Block: l("■"), Off: l("○"),
		Busy: l("…"), Unknown: l("?"),
		Ellipsis: l("…"), Bar: l("│"), Rule: l("─"), Cursor: l("▸"), Mark: l("●"),
		Enter: l("⏎"), Paused: l("▲"), Up: l("↑"), Down: l("↓"),
		Sorted: l("▾"), Reverse: l("▴"), Dot: l("·"), Crumb: l("›"),
		TopLeft: l("╭"), TopRight: l("╮"), BottomLeft: l("╰"), BottomRight: l("╯"),
		Spark: [8]safe.Text{l("▁"), l("▂"), l("▃"), l("▄"), l("▅"), l("▆"), l("▇"), l("█")},
	}
}
