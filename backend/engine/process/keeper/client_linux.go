package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// maxEvents bounds the events that wait for [Client.Next]. A client further
// behind is cut off, and learns from a status what is so.
const maxEvents = 4096

// Client is a connection to a keeper. Its methods may be called from several
// goroutines; they return [ErrGone] once the keeper is gone.
type Client struct {
	conn   *net.UnixConn
	keeper Proc
	done   chan struct{}
	wake   chan struct{}

	mu     sync.Mutex
	nextID uint64
	wait   map[uint64]chan message
	events []Event
	pipes  Pipes
}

// Dial reaches the keeper of an instance's folder.
func Dial(ctx context.Context, dir string) (*Client, error) {
	// A socket's path is limited to 107 bytes; this one always fits.
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open instance folder: %w", err)
	}
	defer unix.Close(fd)
	path := filepath.Join("/proc/self/fd", strconv.Itoa(fd), socketName)
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unixpacket", path)
	if err != nil {
		return nil, fmt.Errorf("reach keeper of %s: %w", filepath.Base(dir), cause(err))
	}
	c := &Client{
		conn: conn.(*net.UnixConn), done: make(chan struct{}), wake: make(chan struct{}, 1),
		wait: map[uint64]chan message{},
	}
	if err := checkPeer(c.conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("reach keeper of %s: %w", filepath.Base(dir), err)
	}
	go c.read()
	m, err := c.call(ctx, request{Op: "hello", Versions: []int{ProtocolVersion}})
	if err == nil && m.Status == nil {
		err = errors.New("no status in the reply")
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("greet keeper of %s: %w", filepath.Base(dir), err)
	}
	c.mu.Lock()
	c.keeper = m.Status.Keeper
	c.mu.Unlock()
	return c, nil
}

// cause strips the socket's path, which means nothing to a reader.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// Keeper is the keeper's process, to be watched for its death.
func (c *Client) Keeper() Proc {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keeper
}

// Done is closed when the connection has ended, which it does when the keeper
// dies.
func (c *Client) Done() <-chan struct{} { return c.done }

// Close ends the connection. The keeper and its child go on. The pipes are
// closed too, unless [Client.Pipes] handed them out.
func (c *Client) Close() error {
	err := c.conn.Close()
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(err, c.pipes.closeAll())
}

// Pipes hands out the pipes of the last run that the keeper told of. The
// caller closes them, or passes them to [Resume], which does. They can be
// taken from a client whose keeper is gone: that is what they are for.
func (c *Client) Pipes() Pipes {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pipes
	c.pipes = Pipes{}
	return p
}

// Next waits for an event, and returns all that have come. What it returns
// after a reconnect begins with now: ask for the status first.
func (c *Client) Next(ctx context.Context) ([]Event, error) {
	for {
		c.mu.Lock()
		events := c.events
		c.events = nil
		c.mu.Unlock()
		if len(events) > 0 {
			return events, nil
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.done:
			c.mu.Lock()
			left := len(c.events)
			c.mu.Unlock()
			if left == 0 {
				return nil, ErrGone
			}
		}
	}
}

// Status asks what the instance does now.
func (c *Client) Status(ctx context.Context) (Status, error) {
	m, err := c.call(ctx, request{Op: "status"})
	if err != nil {
		return Status{}, fmt.Errorf("ask keeper: %w", err)
	}
	return *m.Status, nil
}

// Start begins a run by spec.json as it is now. It is an error if one is on.
func (c *Client) Start(ctx context.Context) error {
	return c.do(ctx, request{Op: "start"})
}

// Stop ends the run and returns when nothing of it is left.
func (c *Client) Stop(ctx context.Context, o StopOptions) error {
	wait, err := c.BeginStop(o)
	if err != nil {
		return err
	}
	return wait(ctx)
}

// BeginStop is the first half of [Client.Stop]: when it returns, the keeper
// deals with the request before all later ones. The second half is wait, which
// must be called.
func (c *Client) BeginStop(o StopOptions) (wait func(ctx context.Context) error, err error) {
	return c.begin("stop", o)
}

// Restart stops the run, if one is on, and begins the next by spec.json as it
// is now. It returns when the old one has ended and the next was started.
func (c *Client) Restart(ctx context.Context, o StopOptions) error {
	wait, err := c.BeginRestart(o)
	if err != nil {
		return err
	}
	return wait(ctx)
}

// BeginRestart is to [Client.Restart] what [Client.BeginStop] is to Stop.
func (c *Client) BeginRestart(o StopOptions) (wait func(ctx context.Context) error, err error) {
	return c.begin("restart", o)
}

func (c *Client) begin(op string, o StopOptions) (func(ctx context.Context) error, error) {
	wait, err := c.send(request{Op: op, Signal: o.Signal, GraceMS: o.Grace.Milliseconds(), Force: o.Force})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return func(ctx context.Context) error {
		if _, err := wait(ctx); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		return nil
	}, nil
}

// Signal sends a signal, such as "HUP", to the child's process group.
func (c *Client) Signal(ctx context.Context, name string) error {
	return c.do(ctx, request{Op: "signal", Signal: name})
}

// KillTree kills every process of the run. The restart policy applies.
func (c *Client) KillTree(ctx context.Context) error {
	return c.do(ctx, request{Op: "kill-tree"})
}

// Shutdown ends the keeper. Unless force is set, it refuses while the child
// runs; with it, the child is stopped first.
func (c *Client) Shutdown(ctx context.Context, force bool) error {
	if err := c.do(ctx, request{Op: "shutdown", Force: force}); err != nil {
		return err
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Client) do(ctx context.Context, r request) error {
	if _, err := c.call(ctx, r); err != nil {
		return fmt.Errorf("%s: %w", r.Op, err)
	}
	return nil
}

func (c *Client) call(ctx context.Context, r request) (message, error) {
	wait, err := c.send(r)
	if err != nil {
		return message{}, err
	}
	return wait(ctx)
}

// send sends a request; what it returns waits for the reply.
func (c *Client) send(r request) (func(ctx context.Context) (message, error), error) {
	answer := make(chan message, 1)
	c.mu.Lock()
	c.nextID++
	r.ID = c.nextID
	c.wait[r.ID] = answer
	c.mu.Unlock()
	body, err := json.Marshal(r)
	if err == nil {
		if _, werr := c.conn.Write(body); werr != nil {
			err = ErrGone
		}
	}
	if err != nil {
		c.forget(r.ID)
		return nil, err
	}
	return func(ctx context.Context) (message, error) {
		defer c.forget(r.ID)
		return c.reply(ctx, answer)
	}, nil
}

func (c *Client) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.wait, id)
}

func (c *Client) reply(ctx context.Context, answer chan message) (message, error) {
	var m message
	select {
	case m = <-answer:
	case <-ctx.Done():
		return message{}, ctx.Err()
	case <-c.done:
		select {
		case m = <-answer:
		default:
			return message{}, ErrGone
		}
	}
	if m.Error != "" {
		return m, errors.New(m.Error)
	}
	return m, nil
}

// read takes in what the keeper sends until the connection ends.
func (c *Client) read() {
	defer close(c.done)
	buf := make([]byte, maxPacket)
	oob := make([]byte, unix.CmsgSpace(4*4))
	for {
		n, on, _, _, err := c.conn.ReadMsgUnix(buf, oob)
		if err != nil || n == 0 && on == 0 {
			return
		}
		fds := rights(oob[:on])
		var m message
		if err := json.Unmarshal(buf[:n], &m); err != nil {
			closeAll(fds)
			c.conn.Close()
			return
		}
		c.take(m, fds)
	}
}

func (c *Client) take(m message, fds []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Pipes != 0 && len(fds) == 2 {
		c.pipes.closeAll()
		c.pipes = Pipes{Run: m.Pipes, out: fds[0], err: fds[1]}
	} else {
		closeAll(fds)
	}
	if m.Event == nil {
		if answer := c.wait[m.ID]; answer != nil {
			answer <- m
		}
		return
	}
	if m.Event.Kind == EventExited && m.Event.Run == c.pipes.Run {
		c.pipes.closeAll()
		c.pipes = Pipes{}
	}
	if n := len(c.events); n > 0 && m.Event.Kind == EventAppended && c.events[n-1].Kind == EventAppended {
		c.events[n-1] = *m.Event
	} else if n < maxEvents {
		c.events = append(c.events, *m.Event)
	} else {
		c.conn.Close()
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// rights takes descriptors out of control messages.
func rights(oob []byte) []int {
	var all []int
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, m := range msgs {
		if fds, err := unix.ParseUnixRights(&m); err == nil {
			all = append(all, fds...)
		}
	}
	for _, fd := range all {
		unix.CloseOnExec(fd)
	}
	return all
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// Close lets go of the pipes.
func (p *Pipes) Close() error {
	err := p.closeAll()
	*p = Pipes{}
	return err
}

func (p Pipes) closeAll() error {
	if p.Empty() {
		return nil
	}
	return errors.Join(unix.Close(p.out), unix.Close(p.err))
}
