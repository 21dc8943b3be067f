package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

const (
	// chatQueue is what a guest may be behind before the room lets go of it.
	chatQueue = 64

	// chatQuiet is how long a guest may say nothing.
	chatQuiet = 10 * time.Minute

	// chatPulse is how often the room says how many are there.
	chatPulse = 5 * time.Second
)

// room is a chat server. A guest sends lines: NICK name, SAY text, PING or
// QUIT. The room sends lines to all.
type room struct {
	out io.Writer

	mu      sync.Mutex
	guests  map[*guest]bool
	said    int
	closing bool
}

// guest is one connection. It has no nick, and nobody hears of it, until it
// says one: a health check comes and goes unseen.
type guest struct {
	conn net.Conn
	nick string
	send chan string
}

// chat serves until ctx ends, then says goodbye to every guest.
func chat(ctx context.Context, out io.Writer) error {
	l, err := listen(ctx)
	if err != nil {
		return err
	}
	r := &room{out: out, guests: make(map[*guest]bool)}
	stamped(out, "INFO", "chat is open on %s", l.Addr())
	var group sync.WaitGroup
	group.Go(func() {
		for sleep(ctx, chatPulse) {
			r.pulse()
		}
		l.Close()
		r.leave()
	})
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			break
		}
		if err != nil {
			stamped(out, "WARN", "accept: %v", err)
			sleep(ctx, 100*time.Millisecond)
			continue
		}
		g := &guest{conn: conn, send: make(chan string, chatQueue)}
		group.Go(func() { r.host(g) })
	}
	group.Wait()
	stamped(out, "INFO", "chat is closed")
	return nil
}

// host serves one guest until either side leaves.
func (r *room) host(g *guest) {
	defer g.conn.Close()
	r.mu.Lock()
	r.guests[g] = true
	r.mu.Unlock()
	var writer sync.WaitGroup
	writer.Go(func() {
		for line := range g.send {
			g.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
			if _, err := io.WriteString(g.conn, line+"\n"); err != nil {
				g.conn.Close()
			}
		}
	})
	r.listen(g)
	r.mu.Lock()
	delete(r.guests, g)
	close(g.send)
	r.mu.Unlock()
	writer.Wait()
	if g.nick != "" {
		stamped(r.out, "INFO", "%s left", g.nick)
		r.tell("* " + g.nick + " left")
	}
}

// listen reads a guest's lines until the guest leaves.
func (r *room) listen(g *guest) {
	lines := bufio.NewScanner(g.conn)
	lines.Buffer(make([]byte, 0, 512), 4096)
	for r.await(g) && lines.Scan() {
		verb, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		switch strings.ToUpper(verb) {
		case "NICK":
			r.rename(g, rest)
			stamped(r.out, "INFO", "%q joined from %s", rest, g.conn.RemoteAddr())
			r.tell("* " + rest + " joined")
		case "SAY":
			stamped(r.out, "DEBUG", "%s said %q", g.nick, rest)
			r.tell(g.nick + ": " + rest)
		case "PING":
			r.whisper(g, "PONG")
		case "QUIT":
			return
		default:
			r.whisper(g, "? say NICK, SAY, PING or QUIT")
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		stamped(r.out, "WARN", "%s sent a line of more than 4096 bytes", g.nick)
	}
}

// await gives a guest the time to say something, unless the room closes.
func (r *room) await(g *guest) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		return false
	}
	g.conn.SetReadDeadline(time.Now().Add(chatQuiet))
	return true
}

func (r *room) rename(g *guest, nick string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g.nick = nick
}

// tell sends a line to everyone.
func (r *room) tell(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said++
	for g := range r.guests {
		r.push(g, line)
	}
}

// whisper sends a line to one guest.
func (r *room) whisper(g *guest, line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.push(g, line)
}

// push queues a line, and cuts a guest who does not read. The room is locked.
func (r *room) push(g *guest, line string) {
	select {
	case g.send <- line:
	default:
		stamped(r.out, "WARN", "%s reads too slowly and was cut", g.nick)
		g.conn.Close()
	}
}

// pulse tells the room, and the log, how many are there.
func (r *room) pulse() {
	r.mu.Lock()
	guests, said := len(r.guests), r.said
	r.mu.Unlock()
	stamped(r.out, "INFO", "%d guests, %d lines so far", guests, said)
	if guests > 0 {
		r.tell(fmt.Sprintf("* %d are here", guests))
	}
}

// leave ends every connection after a last line.
func (r *room) leave() {
	r.tell("* the room closes")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closing = true
	for g := range r.guests {
		// The reader ends now, the writer once the last line is out.
		g.conn.SetReadDeadline(time.Now())
	}
}
