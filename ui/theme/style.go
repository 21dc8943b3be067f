package theme

import (
	"fmt"
	"image/color"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// reset ends every style.
const reset = "\x1b[m"

// Style is how a piece of text looks. The zero Style is the terminal's own.
// Styles are small values that only append; they never measure, wrap or pad.
type Style struct {
	on string // the sequence that starts it
}

// Append adds s in this style to buf.
func (s Style) Append(buf []byte, text string) []byte {
	if s.on == "" || text == "" {
		return append(buf, text...)
	}
	buf = append(buf, s.on...)
	buf = append(buf, text...)
	return append(buf, reset...)
}

// AppendOver is like [Style.Append], on top of a style that fills the row.
func (s Style) AppendOver(buf []byte, under Style, text string) []byte {
	if text == "" || s.on == "" && under.on == "" {
		return append(buf, text...)
	}
	buf = append(buf, under.on...)
	buf = append(buf, s.on...)
	buf = append(buf, text...)
	return append(buf, reset...)
}

// Render returns s in this style.
func (s Style) Render(text string) string {
	if s.on == "" || text == "" {
		return text
	}
	return s.on + text + reset
}

// Over returns this style on top of another.
func (s Style) Over(under Style) Style { return Style{on: under.on + s.on} }

// Start returns the sequence that begins the style, for text that holds styles
// of its own and has to come back to this one.
func (s Style) Start() string { return s.on }

// Zero reports whether the style changes nothing.
func (s Style) Zero() bool { return s.on == "" }

// ParseStyle reads a style as theme files write it: words for emphasis, a
// colour for the text, and "on COLOUR" for what is behind it.
func ParseStyle(text string) (Style, error) { return parseStyle(text, false) }

// parseStyle leaves colours out where plain is set; a background then becomes
// reverse, because it is there to be seen.
func parseStyle(text string, plain bool) (Style, error) {
	var st ansi.Style
	words := strings.Fields(text)
	for i := 0; i < len(words); i++ {
		w := words[i]
		behind := w == "on"
		if behind {
			if i++; i == len(words) {
				return Style{}, fmt.Errorf("style %q: a colour must follow \"on\"", text)
			}
			w = words[i]
		} else if next, ok := emphasis(st, w); ok {
			st = next
			continue
		}
		c, err := parseColor(w)
		switch {
		case err != nil:
			return Style{}, fmt.Errorf("style %q: %w", text, err)
		case plain && behind:
			st = st.Reverse(true)
		case plain:
		case behind:
			st = st.BackgroundColor(c)
		default:
			st = st.ForegroundColor(c)
		}
	}
	if len(st) == 0 {
		return Style{}, nil
	}
	return Style{on: st.String()}, nil
}

func emphasis(st ansi.Style, word string) (ansi.Style, bool) {
	switch word {
	case "bold":
		return st.Bold(), true
	case "dim":
		return st.Faint(), true
	case "italic":
		return st.Italic(true), true
	case "underline":
		return st.Underline(true), true
	case "reverse":
		return st.Reverse(true), true
	case "strike":
		return st.Strikethrough(true), true
	}
	return st, false
}

// colorNames is in the order of the sixteen basic colours.
var colorNames = [...]string{
	"black", "red", "green", "yellow", "blue", "magenta", "cyan", "white",
	"grey", "bright-red", "bright-green", "bright-yellow", "bright-blue",
	"bright-magenta", "bright-cyan", "bright-white",
}

func parseColor(word string) (color.Color, error) {
	if hex, ok := strings.CutPrefix(word, "#"); ok {
		n, err := strconv.ParseUint(hex, 16, 24)
		if err != nil || len(hex) != 6 {
			return nil, fmt.Errorf("colour %q is not #rrggbb", word)
		}
		return color.RGBA{R: uint8(n >> 16), G: uint8(n >> 8), B: uint8(n), A: 255}, nil
	}
	if n, err := strconv.ParseUint(word, 10, 8); err == nil {
		if n < 16 {
			return ansi.BasicColor(n), nil
		}
		return ansi.IndexedColor(n), nil
	}
	for i, name := range colorNames {
		if name == word {
			return ansi.BasicColor(i), nil
		}
	}
	return nil, fmt.Errorf("%q is no colour: write a name such as red, a number from 0 to 255, or #rrggbb", word)
}
