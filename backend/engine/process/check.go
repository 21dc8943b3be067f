package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"pitwall/backend"
)

// probe asks an instance once whether it is well.
type probe struct {
	check backend.Check
	port  int
	// exec runs a command beside the instance and returns its error; its
	// context ends at the check's timeout.
	exec func(ctx context.Context, args []string) error
}

// ask returns nil when the instance is well, else a sentence that says what is
// wrong. It takes the check's timeout at most.
func (p probe) ask(ctx context.Context) error {
	c := p.check.OrDefault()
	ctx, cancel := context.WithTimeout(ctx, c.Timeout.Std())
	defer cancel()
	var err error
	switch {
	case len(c.Exec) > 0:
		err = p.exec(ctx, c.Exec)
	case c.HTTP != "":
		err = askHTTP(ctx, p.address(), c.HTTP)
	default:
		err = askTCP(ctx, p.address())
	}
	if err != nil && ctx.Err() == context.DeadlineExceeded {
		return fmt.Errorf("no answer within %s", c.Timeout)
	}
	return err
}

func (p probe) address() string { return fmt.Sprintf("127.0.0.1:%d", p.port) }

func askTCP(ctx context.Context, address string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return errors.New("nothing listens on " + address)
	}
	return c.Close()
}

// askHTTP asks for a path. A redirect is an answer, not a place to go to.
func askHTTP(ctx context.Context, address, path string) error {
	// A connection each time: one that is kept would stay well while the
	// program accepts no other.
	client := http.Client{
		Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/"+strings.TrimPrefix(path, "/"), nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", path, err)
	}
	req.Header.Set("User-Agent", "pitwall-check")
	resp, err := client.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return errors.New("nothing listens on " + address)
		}
		return fmt.Errorf("GET %s: no answer", path)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10))
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return nil
}

// firstDelay is when a check is asked for the first time after a start: soon,
// so that a program that is ready at once is seen to be.
const firstDelay = 50 * time.Millisecond
