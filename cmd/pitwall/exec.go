package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"pitwall/backend"
)

func (c *cli) execCommand() *cobra.Command {
	var instance string
	cmd := &cobra.Command{
		Use: "exec APP [--instance X] -- COMMAND [ARG...]", Short: "Run a command beside an instance",
		Long:    "Runs a command in the folder, environment and user of an instance, and exits with its code. It reads this command's input; what it writes, on standard error too, is this command's output.",
		Example: "  pitwall exec web -- env\n  pitwall exec web --instance main.1 -- sh -c 'ls -l | wc -l'",
		Args:    names(2, -1, "an app and a command"), ValidArgsFunction: c.complete(completeApps),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.exec(cmd.Context(), args[0], instance, args[1:])
		},
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w: put -- before the command, as in %s web -- ls -l", err, cmd.CommandPath())
	})
	c.besideFlag(cmd, &instance)
	return cmd
}

func (c *cli) shellCommand() *cobra.Command {
	var instance string
	cmd := &cobra.Command{
		Use: "shell APP", Short: "Open a shell beside an instance", Args: names(1, 1, "one app"), ValidArgsFunction: c.complete(completeApps),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.exec(cmd.Context(), args[0], instance, []string{"sh"})
		},
	}
	c.besideFlag(cmd, &instance)
	return cmd
}

func (c *cli) besideFlag(cmd *cobra.Command, instance *string) {
	cmd.Flags().StringVar(instance, "instance", "", "the `instance`: id, place (main.0) or index; default the first that runs")
	_ = cmd.RegisterFlagCompletionFunc("instance", c.complete(completeInstances)) // fails for an unknown flag only
}

func (c *cli) exec(ctx context.Context, app, instance string, command []string) error {
	return c.with(ctx, func(ctx context.Context, b backend.Backend) error {
		in, err := c.running(ctx, b, app, instance)
		if err != nil {
			return err
		}
		conn, err := b.Attach(ctx, backend.AttachSpec{Instance: in.ID, Command: command, TTY: c.terminal, Size: c.size()})
		if err != nil {
			return err
		}
		defer conn.Close()
		code, err := c.pipe(ctx, conn)
		if err != nil {
			return err
		}
		if code != 0 {
			return silent{exited(code)}
		}
		return nil
	})
}

// exited is the exit code of a command that ran beside an instance.
type exited int

func (e exited) Error() string { return "the command failed" }

// running finds the instance that is named, or the app's first that runs.
func (c *cli) running(ctx context.Context, b backend.Backend, name, instance string) (backend.Instance, error) {
	app, err := resolveApp(ctx, b, name)
	if err != nil {
		return backend.Instance{}, err
	}
	q := backend.InstanceQuery{Apps: []string{app.ID}}
	if instance != "" {
		return resolveInstance(ctx, b, q, instance)
	}
	list, err := b.Instances(ctx, q)
	if err != nil {
		return backend.Instance{}, err
	}
	for _, in := range list.Items {
		if in.State.Live() {
			return in, nil
		}
	}
	return backend.Instance{}, backend.Errorf(backend.Conflict, "no instance of %s runs", name)
}

func (c *cli) size() backend.Size {
	w := c.out
	if counting, ok := w.(*counted); ok {
		w = counting.Writer
	}
	out, ok := w.(*os.File)
	if !ok {
		return backend.Size{}
	}
	ws, err := unix.IoctlGetWinsize(int(out.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return backend.Size{}
	}
	return backend.Size{Columns: int(ws.Col), Rows: int(ws.Row)}
}

// pipe joins the terminal and the attachment until the command ends.
func (c *cli) pipe(ctx context.Context, conn backend.Conn) (int, error) {
	if c.terminal {
		old, err := term.MakeRaw(c.in.Fd())
		if err == nil {
			defer term.Restore(c.in.Fd(), old)
		}
		defer c.followSize(conn)()
	}
	go func() {
		// Ends with the input; a read of a terminal ends with the process.
		_, _ = io.Copy(conn, c.in)
		_ = conn.CloseWrite()
	}()
	if _, err := io.Copy(c.out, conn); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return conn.Exit(ctx)
}

// followSize passes on the terminal's size as it changes, until the returned
// function is called.
func (c *cli) followSize(conn backend.Conn) (stop func()) {
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-resized:
				_ = conn.Resize(c.size()) // the next resize tries again
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(resized)
		close(done)
	}
}
