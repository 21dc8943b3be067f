package process

import (
	"strings"

	"pitwall/backend"
)

// expand replaces $NAME and ${NAME} in an argument by the variables of the
// environment, and $$ by $. A $ that starts none of these stays. It fails with
// Invalid when the argument names a variable that is not there.
func expand(arg string, env map[string]string) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(arg, "$")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		name, after := variable(rest)
		switch value, known := env[name]; {
		case strings.HasPrefix(rest, "$"):
			out.WriteByte('$')
			after = rest[1:]
		case name == "":
			out.WriteByte('$')
			after = rest
		case !known:
			return "", backend.Errorf(backend.Invalid,
				"the command names $%s, which is not in the instance's environment (write $$%s for a plain dollar)", name, name)
		default:
			out.WriteString(value)
		}
		arg = after
	}
}

// variable splits what follows a $ into the variable's name and the rest. The
// name is empty when there is none.
func variable(s string) (name, rest string) {
	if inner, after, closed := strings.Cut(s, "}"); closed && strings.HasPrefix(inner, "{") {
		if n := nameLength(inner[1:]); n > 0 && n == len(inner)-1 {
			return inner[1:], after
		}
		return "", s
	}
	n := nameLength(s)
	return s[:n], s[n:]
}

// nameLength is the length of the variable name at the start of s.
func nameLength(s string) int {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || '9' < c) {
			return i
		}
	}
	return len(s)
}

// commandLine is what is exec'd for a command in an environment.
func commandLine(c backend.CommandLine, env map[string]string) ([]string, error) {
	if c.Shell != "" {
		return []string{"/bin/sh", "-c", c.Shell}, nil
	}
	if len(c.Args) == 0 || c.Args[0] == "" {
		return nil, backend.Errorf(backend.Invalid, "the command is empty")
	}
	args := make([]string, len(c.Args))
	for i, arg := range c.Args {
		var err error
		if args[i], err = expand(arg, env); err != nil {
			return nil, err
		}
	}
	return args, nil
}
