package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"pitwall/backend"
	"pitwall/ui/safe"
)

// release is the version of this source.
const release = "0.1.0"

func version() string { return release }

// stdio is what a run of the program sees of the world outside.
type stdio struct {
	in       *os.File
	out, err io.Writer
	env      func(string) string

	// terminal is whether in and out are one; width is its width in cells.
	terminal bool
	width    int
}

func osStdio() stdio {
	s := stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv, width: 80}
	s.terminal = isTerminal(os.Stdin) && isTerminal(os.Stdout)
	if ws, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ); err == nil && ws.Col > 0 {
		s.width = int(ws.Col)
	}
	return s
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}

// Exit codes that scripts rely on.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitDenied      = 4
	exitTimeout     = 5
	exitUnreachable = 6
)

// run carries out one command line and returns the exit code.
func run(ctx context.Context, args []string, io stdio) int {
	c := &cli{stdio: io}
	root := c.root()
	root.SetArgs(args)
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if msg := err.Error(); msg != "" {
		fmt.Fprintln(io.err, "pitwall: "+sentence(msg))
	}
	return exitCode(err)
}

// maxSentence is how much is said of one thing that is wrong; what is longer
// repeats input that nobody reads to its end.
const maxSentence = 600

// sentence makes an error's text fit for a terminal. A manifest's has a line
// for each thing that is wrong.
func sentence(msg string) string {
	lines := strings.Split(strings.TrimSpace(msg), "\n")
	for i, line := range lines {
		lines[i] = safe.Clean(line).Truncate(maxSentence, safe.Literal("…")).String()
	}
	return strings.Join(lines, "\n")
}

// usageError marks a wrong command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// silent is an error whose story has been told already.
type silent struct{ error }

func (silent) Error() string { return "" }

// Unwrap gives the exit code its error.
func (s silent) Unwrap() error { return s.error }

func exitCode(err error) int {
	var code exited
	switch {
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, new(usageError)):
		return exitUsage
	}
	switch backend.CodeOf(err) {
	case "":
		return exitOK
	case backend.Invalid, backend.Ambiguous:
		return exitUsage
	case backend.NotFound:
		return exitNotFound
	case backend.Denied, backend.Unauthenticated:
		return exitDenied
	case backend.Timeout:
		return exitTimeout
	case backend.Unavailable:
		return exitUnreachable
	}
	return exitFailed
}

// cli is one command line: its flags and its streams.
type cli struct {
	stdio

	state, server, token string
	output               string
	yes                  bool
	timeout              time.Duration
	demo                 bool
	exitWithMe           bool
	edgeHTTP             string
}

const about = "Pitwall shows what runs, the worst first, reads every instance's log in one stream, and blocks, " +
	"kicks or restarts in a few keys, with a receipt.\n\nWithout a command it opens the console: on the server that " +
	"owns the state folder, or, when there is none, on one of its own, which goes on when you leave."

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:                        "pitwall",
		Short:                      "An operations console for application platforms",
		Long:                       about,
		Args:                       noArgs,
		SuggestionsMinimumDistance: 2,
		SilenceUsage:               true,
		SilenceErrors:              true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.console(cmd.Context())
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return c.checkFlags() },
	}
	root.CompletionOptions.HiddenDefaultCmd = false
	root.SetFlagErrorFunc(flagError)
	f := root.PersistentFlags()
	f.StringVar(&c.state, "state", "", "the state `folder` (default $XDG_STATE_HOME/pitwall)")
	f.StringVar(&c.server, "server", "", "a server's `address`: http://HOST:PORT or unix:PATH (default $PITWALL_SERVER)")
	f.StringVarP(&c.output, "output", "o", "table", "`format`: table, wide, json, yaml or name")
	f.BoolVarP(&c.yes, "yes", "y", false, "answer the confirm with yes")
	f.DurationVar(&c.timeout, "timeout", 0, "give up after this `time`, with exit 5")
	root.Flags().BoolVar(&c.demo, "demo", false, "declare the demo's apps and show them")
	root.Flags().BoolVar(&c.exitWithMe, "exit-with-me", false, "stop everything that this console's server runs when it leaves")
	root.Flags().StringVar(&c.edgeHTTP, "http", "", "the edge's HTTP `address` when it serves (default 127.0.0.1:7080)")
	fixed(root, "output", "table", "wide", "json", "yaml", "name")

	group(root, "read", "Look:", c.readCommands())
	group(root, "act", "Act:", c.actCommands())
	group(root, "serve", "Serve:", c.serveCommands())
	group(root, "more", "More:", []*cobra.Command{c.manCommand(), c.demoCommand()})
	root.SetCompletionCommandGroupID("more")
	root.SetHelpCommandGroupID("more")
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	fitHelp(root)
	return root
}

// group adds commands under a heading of the help.
func group(root *cobra.Command, id, title string, cmds []*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: id, Title: title})
	for _, cmd := range cmds {
		cmd.GroupID = id
		root.AddCommand(cmd)
	}
}

// helpWidth is the width that help fits in: that of a plain terminal.
const helpWidth = 80

// fitHelp makes the help of every command fit a plain terminal. Texts are
// paragraphs, with an empty line between two.
func fitHelp(root *cobra.Command) {
	usage := strings.NewReplacer(
		".LocalFlags.FlagUsages", fmt.Sprintf("(.LocalFlags.FlagUsagesWrapped %d)", helpWidth),
		".InheritedFlags.FlagUsages", fmt.Sprintf("(.InheritedFlags.FlagUsagesWrapped %d)", helpWidth),
	).Replace(root.UsageTemplate())
	root.SetUsageTemplate(usage)
	root.Long = ansi.Wordwrap(root.Long, helpWidth, "")
	for _, cmd := range root.Commands() {
		cmd.Long = ansi.Wordwrap(cmd.Long, helpWidth, "")
	}
}

func (c *cli) checkFlags() error {
	switch c.output {
	case "table", "wide", "json", "yaml", "name":
	default:
		return usagef("%q is not an output format: use table, wide, json, yaml or name", c.output)
	}
	if c.timeout < 0 {
		return usagef("--timeout %v is negative: write a time such as 10s, or 0 for none", c.timeout)
	}
	if c.server == "" {
		c.server = c.env("PITWALL_SERVER")
	}
	c.token = c.env("PITWALL_TOKEN")
	return nil
}

var flagNamed = regexp.MustCompile(`for "(?:-\w, )?--([a-z-]+)" flag`)

// flagError says what a wrong flag should have been.
func flagError(cmd *cobra.Command, err error) error {
	if wrong, ok := err.(interface{ GetValue() string }); ok {
		if name := flagNamed.FindStringSubmatch(err.Error()); name != nil {
			return usagef("--%s %q: write %s; see %s --help", name[1], wrong.GetValue(), valueWords(cmd, name[1]), cmd.CommandPath())
		}
	}
	return usagef("%w; see %s --help", err, cmd.CommandPath())
}

// valueWords says what a flag takes.
func valueWords(cmd *cobra.Command, flag string) string {
	f := cmd.Flags().Lookup(flag)
	if f == nil {
		return "another value"
	}
	switch f.Value.Type() {
	case "int":
		return "a whole number"
	case "duration":
		return "a time such as 10s, 5m or 2h"
	case "bool":
		return "true or false, or the flag alone"
	}
	return "another value"
}

// noArgs refuses arguments with a sentence that names the nearest command.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasParent() {
		return usagef("%s takes no arguments, but got %q; see %s --help", cmd.Name(), args[0], cmd.CommandPath())
	}
	msg := fmt.Sprintf("%q is not a command of %s", args[0], cmd.CommandPath())
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef("%s; did you mean %s?", msg, strings.Join(near, " or "))
	}
	return usagef("%s; see %s --help", msg, cmd.CommandPath())
}

// names asks for at least min arguments, called what.
func names(min, max int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < min {
			return usagef("%s needs %s; see %s --help", cmd.Name(), what, cmd.CommandPath())
		}
		if max >= 0 && len(args) > max {
			return usagef("%s takes %s and no more, but got %q too", cmd.Name(), what, args[max])
		}
		return nil
	}
}

// bounded returns ctx with the time limit of --timeout.
func (c *cli) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.timeout <= 0 {
		return context.WithCancel(ctx)
	}
	cause := backend.Errorf(backend.Timeout, "not done after %v", c.timeout)
	return context.WithTimeoutCause(ctx, c.timeout, cause)
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			switch {
			case c.structured():
				return c.printStructured(map[string]string{"version": version(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
			case c.output == "name":
				c.println(version())
				return nil
			}
			fmt.Fprintf(c.out, "pitwall %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
