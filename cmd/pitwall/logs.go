package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"pitwall/backend"
	"pitwall/ui/safe"
)

// logFlags are the flags of pitwall logs.
type logFlags struct {
	follow       bool
	since, until string
	level        string
	grep, regexp string
	invert       bool
	instance     string
	run, tail    int
	after        string
	stream       string
	noDividers   bool
}

func (c *cli) logsCommand() *cobra.Command {
	var f logFlags
	cmd := &cobra.Command{
		Use: "logs APP|JOB...", Short: "Print what instances wrote, merged by time",
		Long:    "Prints the lines of all instances of apps and jobs, merged by time. Nothing is left out in silence: what is missing is printed as a gap with its sequence numbers.",
		Example: "  pitwall logs web -f\n  pitwall logs web --level error --since 2h\n  pitwall logs web --grep timeout -n 50 -o json",
		Args:    names(1, -1, "an app or a job"), ValidArgsFunction: c.complete(completeTargets),
		RunE: func(cmd *cobra.Command, args []string) error {
			if c.output == "name" {
				return usagef("lines have no names: use -o table, wide, json or yaml")
			}
			if !cmd.Flags().Changed("tail") && (f.since != "" || f.after != "" || f.until != "" || f.run != 0) {
				f.tail = 0
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return c.with(ctx, func(ctx context.Context, b backend.Backend) error { return c.logs(ctx, b, args, f) })
		},
	}
	fl := cmd.Flags()
	fl.BoolVarP(&f.follow, "follow", "f", false, "go on with what comes")
	fl.IntVarP(&f.tail, "tail", "n", 100, "start with the last `n` lines; 0 is all, with --follow none (all with --since, --until, --run and --after)")
	fl.StringVar(&f.since, "since", "", "from this `time` on: 10m, 2h, or RFC 3339")
	fl.StringVar(&f.until, "until", "", "up to this `time`: 10m, 2h, or RFC 3339")
	fl.StringVar(&f.level, "level", "", "this `level` and above")
	fl.StringVar(&f.grep, "grep", "", "only lines with this `text`")
	fl.StringVar(&f.regexp, "regexp", "", "only lines that match this `expression`")
	fl.BoolVar(&f.invert, "invert", false, "only lines that --grep and --regexp do not match")
	fl.StringVar(&f.instance, "instance", "", "only this `instance`: id, place (main.0) or index")
	fl.IntVar(&f.run, "run", 0, "only the run with this `number`")
	fl.StringVar(&f.stream, "stream", "", "only `stdout` or stderr")
	fl.StringVar(&f.after, "after", "", "go on after the entry with this `cursor`")
	fl.BoolVar(&f.noDividers, "no-dividers", false, "leave out starts and exits")
	_ = cmd.RegisterFlagCompletionFunc("instance", c.complete(completeInstances)) // fails for an unknown flag only
	fixed(cmd, "level", levelWords()...)
	fixed(cmd, "stream", string(backend.Stdout), string(backend.Stderr))
	return cmd
}

func (c *cli) logs(ctx context.Context, b backend.Backend, args []string, f logFlags) error {
	q, several, err := c.logQuery(ctx, b, args, f)
	if err != nil {
		return err
	}
	feed, err := b.Logs(ctx, q)
	if err != nil {
		return err
	}
	defer feed.Close()
	out := bufio.NewWriterSize(c.out, 64<<10)
	defer out.Flush()
	w := *c
	w.out = out
	err = follows(ctx, feed, func(entries []backend.LogEntry) error {
		for _, e := range entries {
			if err := w.printEntry(e, several); err != nil {
				return err
			}
		}
		return out.Flush()
	})
	if f.follow && backend.CodeOf(err) == backend.Canceled {
		return nil // the reader has seen enough
	}
	return err
}

func (c *cli) logQuery(ctx context.Context, b backend.Backend, args []string, f logFlags) (q backend.LogQuery, several bool, err error) {
	now := time.Now()
	q = backend.LogQuery{
		Text: f.grep, Regexp: f.regexp, Invert: f.invert, Run: f.run, Follow: f.follow, Tail: f.tail,
		After: backend.Cursor(f.after), Dividers: !f.noDividers && !c.structured(),
	}
	if f.tail < 0 || f.run < 0 {
		return q, false, usagef("--tail and --run are numbers from 0 on")
	}
	if q.Since, err = moment(f.since, now); err != nil {
		return q, false, usagef("--since: %w", err)
	}
	if q.Until, err = moment(f.until, now); err != nil {
		return q, false, usagef("--until: %w", err)
	}
	if f.level != "" {
		if q.Level, err = backend.ParseLevel(f.level); err != nil {
			return q, false, err
		}
	}
	switch backend.Stream(f.stream) {
	case "":
	case backend.Stdout, backend.Stderr:
		q.Streams = []backend.Stream{backend.Stream(f.stream)}
	default:
		return q, false, usagef("--stream %q: use stdout or stderr", f.stream)
	}
	if q.Apps, q.Jobs, err = resolveIDs(ctx, b, args); err != nil {
		return q, false, err
	}
	if f.instance != "" {
		err = c.oneInstance(ctx, b, &q, f.instance)
	}
	return q, len(args) > 1, err
}

// oneInstance narrows q to an instance: all that ever had a place when the
// place is named, else the one with the id.
func (c *cli) oneInstance(ctx context.Context, b backend.Backend, q *backend.LogQuery, name string) error {
	known := backend.InstanceQuery{Apps: q.Apps, Jobs: q.Jobs, Ended: true}
	if process, index, ok := strings.Cut(name, "."); ok {
		if n, err := strconv.Atoi(index); err == nil {
			q.Process, q.Index = process, &n
			return placeKnown(ctx, b, known, name)
		}
	}
	in, err := resolveInstance(ctx, b, known, name)
	if err != nil {
		return err
	}
	q.Apps, q.Jobs, q.Instances = nil, nil, []string{in.ID}
	return nil
}

// placeKnown fails when no instance ever had the place.
func placeKnown(ctx context.Context, b backend.Backend, q backend.InstanceQuery, place string) error {
	instances, err := all(func(p backend.Page) (backend.List[backend.Instance], error) {
		q.Page = p
		return b.Instances(ctx, q)
	})
	if err != nil || slices.ContainsFunc(instances, func(in backend.Instance) bool { return in.Name() == place }) {
		return err
	}
	return noInstance(place)
}

// moment reads a time, or how long before now one is.
func moment(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d.Abs()), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.UTC); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write 10m, 2h or 2006-01-02T15:04:05Z", s)
}

func (c *cli) printEntry(e backend.LogEntry, several bool) error {
	if c.structured() {
		return c.printLogStructured(e)
	}
	owner := backend.InstanceName(e.Process, e.Index)
	if several {
		owner = e.App + " " + owner
	}
	at := e.Time.UTC().Format("15:04:05.000")
	if c.output == "wide" {
		at = e.Time.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	switch {
	case e.Progress != nil:
		return nil
	case e.Gap != nil:
		c.println(fmt.Sprintf("── %s: %d lines are missing, %d to %d: %s ──", e.Gap.Instance, e.Gap.Count, e.Gap.From, e.Gap.To, e.Gap.Reason))
	case e.Divider != nil:
		c.println(fmt.Sprintf("─ %s %s ─", at, e.Divider.Text))
	default:
		text := safe.Clean(e.Text).String()
		if e.Cut > 0 {
			text += fmt.Sprintf(" … (%d bytes)", e.Cut)
		}
		fmt.Fprintf(c.out, "%s %s %-5s %s\n", at, safe.Clean(owner), strings.ToUpper(string(e.Level)), text)
	}
	return nil
}

// logLine is a line as scripts read it.
type logLine struct {
	Seq      uint64         `json:"seq"`
	Time     time.Time      `json:"time"`
	App      string         `json:"app"`
	Instance string         `json:"instance"`
	Process  string         `json:"process"`
	Index    int            `json:"index"`
	Run      int            `json:"run"`
	Stream   backend.Stream `json:"stream"`
	Level    backend.Level  `json:"level"`
	Text     string         `json:"text"`
	Cut      int64          `json:"cut,omitempty"`
	Cursor   backend.Cursor `json:"cursor"`
}

// logGap is a gap as scripts read it.
type logGap struct {
	Gap    *backend.LogGap `json:"gap"`
	Cursor backend.Cursor  `json:"cursor"`
}

// printLogStructured prints lines and gaps: in JSON an object on a line each,
// in YAML a document.
func (c *cli) printLogStructured(e backend.LogEntry) error {
	plain := *c
	plain.terminal = false
	switch {
	case e.Gap != nil:
		return plain.printDocument(logGap{e.Gap, e.Cursor})
	case e.Divider != nil, e.Progress != nil:
		return nil
	}
	return plain.printDocument(logLine{
		Seq: e.Seq, Time: e.Time.UTC(), App: e.App, Instance: e.Instance, Process: e.Process, Index: e.Index,
		Run: e.Run, Stream: e.Stream, Level: e.Level, Text: e.Text, Cut: e.Cut, Cursor: e.Cursor,
	})
}
