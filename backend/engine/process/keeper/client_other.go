//go:build !linux

package keeper

import "context"

// Dispatch is never responsible: keepers need Linux.
func Dispatch(args []string) (code int, mine bool) { return 0, false }

// Client reaches a keeper.
type Client struct{}

// Start returns [ErrUnsupported].
func Start(ctx context.Context, exe, dir string) (*Client, error) { return nil, ErrUnsupported }

// Dial returns [ErrUnsupported].
func Dial(ctx context.Context, dir string) (*Client, error) { return nil, ErrUnsupported }

// Resume returns [ErrUnsupported].
func Resume(ctx context.Context, exe, dir string, p Pipes) (*Client, error) {
	return nil, ErrUnsupported
}

// Close does nothing.
func (p *Pipes) Close() error { return nil }

// Keeper is nobody.
func (c *Client) Keeper() Proc { return Proc{} }

// Done is nil.
func (c *Client) Done() <-chan struct{} { return nil }

// Next returns [ErrUnsupported].
func (c *Client) Next(ctx context.Context) ([]Event, error) { return nil, ErrUnsupported }

// Status returns [ErrUnsupported].
func (c *Client) Status(ctx context.Context) (Status, error) { return Status{}, ErrUnsupported }

// Start returns [ErrUnsupported].
func (c *Client) Start(ctx context.Context) error { return ErrUnsupported }

// Stop returns [ErrUnsupported].
func (c *Client) Stop(ctx context.Context, o StopOptions) error { return ErrUnsupported }

// Restart returns [ErrUnsupported].
func (c *Client) Restart(ctx context.Context, o StopOptions) error { return ErrUnsupported }

// BeginStop returns [ErrUnsupported].
func (c *Client) BeginStop(o StopOptions) (wait func(ctx context.Context) error, err error) {
	return nil, ErrUnsupported
}

// BeginRestart returns [ErrUnsupported].
func (c *Client) BeginRestart(o StopOptions) (wait func(ctx context.Context) error, err error) {
	return nil, ErrUnsupported
}

// Signal returns [ErrUnsupported].
func (c *Client) Signal(ctx context.Context, name string) error { return ErrUnsupported }

// KillTree returns [ErrUnsupported].
func (c *Client) KillTree(ctx context.Context) error { return ErrUnsupported }

// Shutdown returns [ErrUnsupported].
func (c *Client) Shutdown(ctx context.Context, force bool) error { return ErrUnsupported }

// Pipes returns nothing to hold.
func (c *Client) Pipes() Pipes { return Pipes{} }

// Close does nothing.
func (c *Client) Close() error { return nil }
