package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pitwall/backend"
)

// completion lists the words that may stand after args.
type completion func(ctx context.Context, b backend.Backend, args []string) []string

// complete makes a completion of live names. It asks a running server only,
// for half a second at most, and is silent when there is none.
func (c *cli) complete(words completion) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if words == nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), 500*time.Millisecond)
		defer cancel()
		if err := c.checkFlags(); err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		b, err := c.attach(ctx)
		if err != nil || b == nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer b.Close()
		given := map[string]bool{}
		for _, a := range args {
			given[a] = true
		}
		var match []string
		for _, w := range words(ctx, b, args) {
			if bare, _, _ := strings.Cut(w, "\t"); strings.HasPrefix(bare, prefix) && !given[bare] {
				match = append(match, w)
			}
		}
		return match, cobra.ShellCompDirectiveNoFileComp
	}
}

func completeApps(ctx context.Context, b backend.Backend, _ []string) []string {
	list, _ := b.Apps(ctx, backend.AppQuery{}) // what cannot be listed is not offered
	name := shortest(list.Items, scopeOfApp)
	return each(list.Items, func(a backend.App) string { return name(a) + "\t" + appState(a) })
}

func completeJobs(ctx context.Context, b backend.Backend, _ []string) []string {
	list, _ := b.Jobs(ctx, backend.JobQuery{})
	name := shortest(list.Items, scopeOfJob)
	return each(list.Items, func(j backend.Job) string { return name(j) + "\tjob" })
}

func completeTargets(ctx context.Context, b backend.Backend, args []string) []string {
	return append(completeApps(ctx, b, args), completeJobs(ctx, b, args)...)
}

func completeInstances(ctx context.Context, b backend.Backend, args []string) []string {
	var q backend.InstanceQuery
	if len(args) > 0 {
		app, err := resolveApp(ctx, b, args[0])
		if err != nil {
			return nil
		}
		q.Apps = []string{app.ID}
	}
	list, _ := b.Instances(ctx, q)
	var words []string
	for _, in := range list.Items {
		words = append(words, in.ID+"\t"+string(in.State))
	}
	return words
}

func completeOperations(ctx context.Context, b backend.Backend, _ []string) []string {
	list, _ := b.Operations(ctx, backend.OperationQuery{Page: backend.Page{Limit: 20}})
	var words []string
	for _, o := range list.Items {
		words = append(words, o.ID+"\t"+o.Kind+" "+o.Target)
	}
	return words
}

func completeLoglevel(ctx context.Context, b backend.Backend, args []string) []string {
	switch len(args) {
	case 0:
		return completeApps(ctx, b, args)
	case 1:
		app, err := resolveApp(ctx, b, args[0])
		if err != nil {
			return nil
		}
		list, _ := b.Loggers(ctx, backend.LoggerQuery{App: app.ID})
		var words []string
		for _, l := range list.Items {
			words = append(words, l.Name)
		}
		return words
	case 2:
		return append(levelWords(), "inherit")
	}
	return nil
}

// completeRollback offers the app, then its releases.
func completeRollback(ctx context.Context, b backend.Backend, args []string) []string {
	if len(args) == 0 {
		return completeApps(ctx, b, args)
	}
	app, err := resolveApp(ctx, b, args[0])
	if err != nil || len(args) > 1 {
		return nil
	}
	list, _ := b.Releases(ctx, backend.ReleaseQuery{App: app.ID})
	return each(list.Items, func(r backend.Release) string { return strconv.Itoa(r.Number) + "\t" + fieldChanges(r.Diff) })
}

// completeScale offers the app, then what each of its processes has now.
func completeScale(ctx context.Context, b backend.Backend, args []string) []string {
	if len(args) == 0 {
		return completeApps(ctx, b, args)
	}
	app, err := resolveApp(ctx, b, args[0])
	if err != nil {
		return nil
	}
	return each(app.Spec.Processes, func(p backend.ProcessSpec) string { return fmt.Sprintf("%s=%d", p.Name, p.Instances) })
}

// completeSignal offers the usual signals, then apps.
func completeSignal(ctx context.Context, b backend.Backend, args []string) []string {
	if len(args) == 0 {
		return []string{"HUP", "USR1", "USR2", "INT", "QUIT", "TERM", "KILL"}
	}
	return completeApps(ctx, b, args)
}

func levelWords() []string {
	return each(backend.Levels(), func(l backend.Level) string { return string(l) })
}

// fixed completes a flag by words that are known beforehand.
func fixed(cmd *cobra.Command, flag string, words ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // fails for an unknown flag only
}
