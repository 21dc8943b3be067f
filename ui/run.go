package ui

import (
	"context"
	"errors"
	"fmt"
	"io"

	tea "charm.land/bubbletea/v2"
)

// Terminal is where a console runs: this process's own, or a session's.
type Terminal struct {
	In  io.Reader
	Out io.Writer
	// Env is the terminal's environment, for what Bubble Tea knows of
	// terminals: TERM, COLORTERM, TMUX and the like.
	Env []string
	// SSH slows frames down, since each crosses a network.
	SSH bool
	// Width and Height are the size where it cannot be asked of Out.
	Width, Height int
}

// Frames a second. A person does not see more of a text; over a network fewer
// keep keys quick.
const (
	localFrames  = 30
	remoteFrames = 15
)

// Run shows a console on a terminal until the operator leaves or ctx ends. It
// traps no signals: its caller does, and ends ctx. The result is good with an
// error too, which then says why the console could not go on.
func Run(ctx context.Context, t Terminal, o Options) (Result, error) {
	s, err := New(ctx, o)
	if err != nil {
		return Result{}, err
	}
	defer s.Close()
	frames := localFrames
	if t.SSH {
		frames = remoteFrames
	}
	opts := []tea.ProgramOption{
		tea.WithContext(ctx), tea.WithoutSignalHandler(), tea.WithFPS(frames),
	}
	if t.In != nil {
		opts = append(opts, tea.WithInput(t.In))
	}
	if t.Out != nil {
		opts = append(opts, tea.WithOutput(t.Out))
	}
	if t.Env != nil {
		opts = append(opts, tea.WithEnvironment(t.Env))
	}
	if t.Width > 0 && t.Height > 0 {
		opts = append(opts, tea.WithWindowSize(t.Width, t.Height))
	}
	_, err = tea.NewProgram(s, opts...).Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		s.leave("")
		return s.result, context.Cause(ctx)
	}
	if err != nil {
		return s.result, fmt.Errorf("run the console: %w", err)
	}
	return s.result, nil
}
