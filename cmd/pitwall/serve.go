package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
)

func (c *cli) serveCommands() []*cobra.Command {
	return []*cobra.Command{c.serveCommand(), c.downCommand(), c.doctorCommand()}
}

func (c *cli) serveCommand() *cobra.Command {
	var o serveOptions
	var verbose bool
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the server without a console",
		Long: "Owns the state folder, runs what is declared, and answers on the unix socket in the folder, and on TCP where --listen says so; TCP asks for the token in STATE/token. When a server runs on the folder already, this one takes over from it: what runs goes on, and so do the listening sockets.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.server != "" {
				return usagef("serve is a server of its own: leave out --server and PITWALL_SERVER")
			}
			level := slog.LevelInfo
			if verbose {
				level = slog.LevelDebug
			}
			if err := o.check(); err != nil {
				return err
			}
			o.log = slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: level}))
			return c.serve(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.listen, "listen", nil, "also answer on TCP at `HOST:PORT`; without HOST on loopback")
	f.StringVar(&o.edgeHTTP, "http", "", "the edge's HTTP `address` (default 127.0.0.1:7080)")
	f.StringVar(&o.name, "name", "", "the server's `name`, shown in the console's header (default local)")
	f.BoolVarP(&verbose, "verbose", "v", false, "log every request")
	return cmd
}

// check refuses addresses that nobody can listen on.
func (o serveOptions) check() error {
	seen := map[string]bool{}
	for _, addr := range o.listen {
		whole, err := loopback(addr)
		if err != nil {
			return err
		}
		if seen[whole] {
			return usagef("--listen %s is there twice: give each address once", addr)
		}
		seen[whole] = true
	}
	if o.edgeHTTP == "" {
		return nil
	}
	if _, port, err := net.SplitHostPort(o.edgeHTTP); err != nil || !validPort(port) {
		return usagef("--http %q is not HOST:PORT, for example 127.0.0.1:7080", o.edgeHTTP)
	}
	return nil
}

func validPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil
}

func (c *cli) serve(ctx context.Context, o serveOptions) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	signal.Ignore(syscall.SIGHUP)
	var err error
	if o.state, err = c.stateFolder(); err != nil {
		return err
	}
	o.takeOver = true
	starting, cancel := c.bounded(ctx)
	srv, err := c.startServer(starting, o)
	cancel()
	if err != nil {
		return err
	}
	o.log.Info("ready", "addresses", strings.Join(srv.addresses(), " "), "state", o.state.path, "version", version(), "pid", os.Getpid())
	err = srv.wait(ctx)
	o.log.Info("ended", "err", err)
	return err
}

// detach starts a server process of its own, which takes over from srv, and
// waits until it has.
func (c *cli) detach(ctx context.Context, srv *server) error {
	exe, err := self()
	if err != nil {
		return errors.Join(err, srv.close())
	}
	log, err := os.OpenFile(srv.o.state.file(serverLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return errors.Join(err, srv.close())
	}
	defer log.Close()
	args := []string{"serve", "--state", srv.o.state.path}
	for _, addr := range srv.o.listen {
		args = append(args, "--listen", addr)
	}
	if srv.o.edgeHTTP != "" {
		args = append(args, "--http", srv.o.edgeHTTP)
	}
	if srv.o.name != "" {
		args = append(args, "--name", srv.o.name)
	}
	cmd := exec.Command(exe, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	cmd.Env = serverEnv(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start a server to go on: %w", err), srv.close())
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	select {
	case <-srv.ended:
		return nil
	case conn := <-srv.takers:
		return srv.handOver(conn)
	case err := <-exited:
		return errors.Join(fmt.Errorf("the server that should go on ended: %v; see %s", err, srv.o.state.file(serverLog)), srv.close())
	case <-ctx.Done():
		return errors.Join(errors.New("the server that should go on did not come up; what runs goes on without one"), srv.close())
	}
}

// serverEnv leaves out what would send the server elsewhere or give it a
// credential.
func serverEnv(env []string) []string {
	var kept []string
	for _, kv := range env {
		if !strings.HasPrefix(kv, "PITWALL_") {
			kept = append(kept, kv)
		}
	}
	return kept
}

// fileLog writes to the state folder's log, for a server behind a screen. The
// file is opened with the first record.
func fileLog(s stateFolder) *slog.Logger {
	return slog.New(slog.NewTextHandler(&lateFile{path: s.file(serverLog)}, nil))
}

// lateFile opens its file with the first write; what cannot be written is
// dropped, as there is nobody to tell.
type lateFile struct {
	path string
	once sync.Once
	file *os.File
}

func (l *lateFile) Write(p []byte) (int, error) {
	l.once.Do(func() {
		l.file, _ = os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	})
	if l.file == nil {
		return len(p), nil
	}
	return l.file.Write(p)
}
