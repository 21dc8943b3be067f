package manifest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// contract lists the variables that every instance and run has, whatever it
// declares. TZ is none of them: it is there only where the server has one.
var contract = []string{
	"PITWALL_APP", "PITWALL_PROCESS", "PITWALL_INDEX", "PITWALL_INSTANCE",
	"HOME", "PATH", "PWD", "USER", "LANG", "TMPDIR",
}

// variables are the names that the words of a command may use.
type variables map[string]bool

// newVariables returns those of the contract, of env, and extra ones.
func newVariables(env map[string]string, extra ...string) variables {
	v := make(variables)
	for _, name := range slices.Concat(contract, extra, slices.Collect(maps.Keys(env))) {
		v[name] = true
	}
	return v
}

// check says what is wrong with the first $ of a word that is. A $ that no name
// follows, as in ^a$, stands for itself.
func (v variables) check(word string) error {
	for rest := word; ; {
		_, after, found := strings.Cut(rest, "$")
		if !found {
			return nil
		}
		if strings.HasPrefix(after, "$") {
			rest = after[1:]
			continue
		}
		name, length, err := variableName(after)
		if err != nil {
			return err
		}
		if name != "" && !v[name] {
			return v.unknown(name)
		}
		rest = after[length:]
	}
}

// variableName reads NAME, {NAME} or nothing at the start of a text, and
// returns how long that is.
func variableName(text string) (name string, length int, err error) {
	if inner, ok := strings.CutPrefix(text, "{"); ok {
		name, _, closed := strings.Cut(inner, "}")
		if !closed || wordLength(name) != len(name) || name == "" {
			return "", 0, fmt.Errorf("expected a name in braces after $, as in ${PORT}, not %s", quote("$"+text))
		}
		return name, len(name) + 2, nil
	}
	n := wordLength(text)
	return text[:n], n, nil
}

// wordLength is how much of a text's start is a variable's name.
func wordLength(text string) int {
	for i := range len(text) {
		c := text[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		digit := '0' <= c && c <= '9'
		if !letter && (!digit || i == 0) {
			return i
		}
	}
	return len(text)
}

func (v variables) unknown(name string) error {
	best, least := "", min(2, len(name)/2)+1
	for _, known := range slices.Sorted(maps.Keys(v)) {
		if d := distance(name, known); d < least {
			best, least = known, d
		}
	}
	switch {
	case name == "PITWALL_LOGGERS":
		return errors.New("$PITWALL_LOGGERS is only there with levels: file")
	case name == "PORT":
		return errors.New("$PORT is only there in the processes of an app")
	case best != "":
		return fmt.Errorf("$%s is not known here: did you mean $%s?", name, best)
	}
	return fmt.Errorf("$%s is not known here: declare it in env, or write $$ for a $", name)
}
