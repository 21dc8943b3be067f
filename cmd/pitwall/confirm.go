package main

import (
	"bufio"
	"fmt"
	"strings"

	"pitwall/backend"
	"pitwall/ui/safe"
)

// confirm asks before what loses work. Without a terminal it wants --yes.
func (c *cli) confirm(cmds []named, all bool) error {
	if c.yes || riskOf(cmds, all) < backend.RiskMedium {
		return nil
	}
	question := cmds[0].cmd.Verb() + " " + listed(cmds)
	if !c.terminal {
		return usagef("%s asks for a confirm and there is no terminal: add --yes", question)
	}
	fmt.Fprintf(c.err, "%s? [y/N] ", safe.Clean(question))
	line, _ := bufio.NewReader(c.in).ReadString('\n') // no answer is no
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return backend.Errorf(backend.Canceled, "nothing was done")
}

// riskOf is the highest risk among commands; going to everything adds one.
func riskOf(cmds []named, all bool) backend.Risk {
	risk := backend.RiskNone
	for _, n := range cmds {
		risk = max(risk, backend.RiskOf(n.cmd))
	}
	if all && risk > backend.RiskNone {
		risk++
	}
	return risk
}

// listed names what commands act on: up to five names, then a number.
func listed(cmds []named) string {
	var names []string
	for i, n := range cmds {
		if i == 5 {
			names = append(names, fmt.Sprintf("and %d more", len(cmds)-5))
			break
		}
		names = append(names, n.name)
	}
	return strings.Join(names, ", ")
}
