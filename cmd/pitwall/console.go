package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"pitwall/assets"
	"pitwall/backend"
	"pitwall/backend/manifest"
	"pitwall/backend/remote"
	"pitwall/cmd/pitwall/demo"
	"pitwall/ui"
	"pitwall/ui/safe"
	"pitwall/views"
)

// console opens the screen on a running server, or on one of its own. It
// always talks to the server by its socket, so that the screen lives on when
// another server takes over.
func (c *cli) console(ctx context.Context) error {
	if !c.terminal {
		return usagef("the console needs a terminal; without one, use a command such as pitwall apps -o json")
	}
	if term := c.env("TERM"); term == "" || term == "dumb" {
		return usagef("TERM is %q, the console cannot draw: set it, for example to xterm-256color", term)
	}
	// A terminal that goes away ends the screen, never what runs.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP, syscall.SIGTERM, os.Interrupt)
	defer stop()
	if c.server != "" {
		b, err := c.attach(ctx)
		if err != nil {
			return err
		}
		defer b.Close()
		_, err = c.show(ctx, b, nil)
		return err
	}
	return c.consoleHere(ctx)
}

// consoleHere opens the screen on the owner of the state folder, or makes this
// process the owner.
func (c *cli) consoleHere(ctx context.Context) error {
	s, err := c.stateFolder()
	if err != nil {
		return err
	}
	var srv *server
	starting := make(chan error, 1)
	if !s.owned() {
		if srv, err = c.openDoors(ctx, serveOptions{state: s, edgeHTTP: c.edgeHTTP, log: fileLog(s)}); err != nil && !errors.Is(err, errOwned) {
			return err
		}
	}
	// The client outlives a signal, which must still be able to stop apps.
	b, err := c.dialState(context.WithoutCancel(ctx), s)
	if err != nil {
		return err
	}
	defer b.Close()
	if srv == nil {
		starting <- c.declareDemo(ctx, b)
		result, err := c.show(ctx, b, starting)
		if result.Leave == stopAll {
			err = errors.Join(err, c.stopEverything(b))
		}
		return err
	}
	return c.consoleOn(ctx, srv, b, starting)
}

// consoleOn shows the screen of a server that this process runs. The screen
// does not wait for the server to stand.
func (c *cli) consoleOn(ctx context.Context, srv *server, b *remote.Client, starting chan error) error {
	serving, done := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		err := srv.assemble(ctx)
		starting <- errors.Join(err, c.declareDemo(ctx, b))
		if err != nil {
			served <- errors.Join(err, srv.close())
			return
		}
		served <- srv.wait(serving)
	}()
	result, err := c.show(ctx, b, starting)
	switch {
	case c.exitWithMe || result.Leave == stopAll:
		err = errors.Join(err, c.stopEverything(b))
		time.AfterFunc(stopTime, done)
		return errors.Join(err, <-served)
	case srv.gone():
		done()
		return errors.Join(err, <-served)
	}
	defer done()
	return errors.Join(err, c.leave(srv))
}

// stopAll is the answer of q that ends what runs.
const stopAll = "stop"

// show runs the screen. An error from starting ends it.
func (c *cli) show(ctx context.Context, b *remote.Client, starting <-chan error) (ui.Result, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	if starting != nil {
		go func() {
			select {
			case err := <-starting:
				if err != nil {
					fail(err)
				}
			case <-ctx.Done():
			}
		}()
	}
	o := ui.Options{
		Backend: b, Views: views.Default(), Context: c.context(),
		NoColor: c.env("NO_COLOR") != "", ASCII: !utf8Locale(c.env),
	}
	if c.demo {
		o.Leave = []ui.Leaving{
			{Key: "s", Text: safe.Literal("stop the demo's apps and leave"), Value: stopAll},
			{Key: "k", Text: safe.Literal("leave and keep them running"), Value: "keep"},
		}
	}
	var err error
	if o.Keymap, err = c.configFile("keymap.yaml"); err != nil {
		return ui.Result{}, err
	}
	if o.ThemeFile, err = c.configFile("theme.yaml"); err != nil {
		return ui.Result{}, err
	}
	result, err := ui.Run(ctx, ui.Terminal{In: c.in, Out: c.out, Env: os.Environ(), SSH: c.env("SSH_TTY") != ""}, o)
	if errors.Is(err, context.Canceled) {
		err = nil // the terminal went away, or a signal: what runs goes on
	}
	if err == nil {
		c.farewell(result)
	}
	return result, err
}

// farewell says what keeps running, or that it is being stopped.
func (c *cli) farewell(result ui.Result) {
	if result.Apps == 0 {
		return
	}
	what := ui.Plural(result.Apps, "app") + " with " + ui.Plural(result.Instances, "instance")
	if result.Leave == stopAll || c.exitWithMe {
		c.println("stopping " + what + " …")
		return
	}
	again := "pitwall"
	switch {
	case c.server != "":
		again += " --server " + c.server
	case c.state != "":
		again += " --state " + c.state
	}
	c.println(what + " keep running")
	c.println("  " + again + "  brings you back")
	if c.server == "" {
		c.println("  " + strings.Replace(again, "pitwall", "pitwall down --apps", 1) + "  ends them")
	}
}

func (c *cli) context() ui.Context {
	if c.server != "" {
		return ui.Context{Name: strings.TrimPrefix(strings.TrimPrefix(c.server, "http://"), "https://")}
	}
	return ui.Context{Name: "local"}
}

// declareDemo applies the demo's manifest where it was asked for.
func (c *cli) declareDemo(ctx context.Context, b backend.Backend) error {
	if !c.demo {
		return nil
	}
	exe, err := self()
	if err != nil {
		return err
	}
	declared, err := manifest.Parse(assets.ManifestSchema, manifest.File{Name: "the demo's manifest", Body: demo.Manifest(exe, c.edgeHTTP)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err = b.Do(ctx, backend.Apply{Apps: declared.Apps, Jobs: declared.Jobs, Set: "demo", Intent: backend.Intent{Source: "console", Reason: "the demo"}})
	return err
}

// stopTime bounds how long a leaving console waits for apps to stop: two
// default graces.
const stopTime = 25 * time.Second

// stopEverything stops all apps and waits for them.
func (c *cli) stopEverything(b backend.Backend) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	_, err := b.Do(ctx, backend.Down{Apps: true, Intent: backend.Intent{Source: "console", Reason: "the console left"}})
	return err
}

// configFile reads an operator's own file; none is no error.
func (c *cli) configFile(name string) ([]byte, error) {
	dir := c.env("XDG_CONFIG_HOME")
	if dir == "" {
		if c.env("HOME") == "" {
			return nil, nil
		}
		dir = filepath.Join(c.env("HOME"), ".config")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "pitwall", name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return raw, nil
}

func utf8Locale(env func(string) string) bool {
	l := strings.ToLower(firstSet(env("LC_ALL"), env("LC_CTYPE"), env("LANG")))
	return strings.Contains(l, "utf-8") || strings.Contains(l, "utf8")
}
