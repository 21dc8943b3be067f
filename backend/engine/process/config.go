package process

import (
	"log/slog"
	"time"

	"pitwall/backend"
)

// Config is what an [Engine] needs to know. Dir is required.
type Config struct {
	// Dir is the folder of the instances' folders. It is made when missing.
	// One engine at a time may use it; the owner of the state folder sees
	// to that.
	Dir string

	// Exe is the program that becomes a keeper when it is run with the
	// keeper's arguments; empty is this program.
	Exe string

	// Node names this machine in statuses.
	Node string

	// Ports is the range that instances' ports are taken from. Zero is 20000
	// to 29999, below what systems use for outgoing connections.
	Ports PortRange

	// ReadyAfter is how long a program without checks must run to count as
	// ready, so that one that crashes at once never does. Zero is a second.
	ReadyAfter time.Duration

	// BackoffMin and BackoffMax bound the wait before a program that crashed
	// is started again; it doubles with each crash. Zero is 1 and 30 seconds.
	BackoffMin, BackoffMax time.Duration

	// NoCgroup makes the engine and its keepers do without control groups,
	// as where they cannot be written.
	NoCgroup bool

	// Now is the clock; nil is time.Now.
	Now func() time.Time

	// Log takes what the engine has to say of itself; nil discards it.
	Log *slog.Logger
}

// PortRange is a range of TCP ports, both ends included.
type PortRange struct{ First, Last int }

// defaultPorts lies below the ephemeral ranges of Linux (32768) and of IANA
// (49152), and above the ports that are commonly configured by hand.
var defaultPorts = PortRange{First: 20000, Last: 29999}

// defaultReadyAfter outlasts a program that fails while it reads its
// configuration.
const defaultReadyAfter = time.Second

func (c Config) orDefault() Config {
	if c.Ports == (PortRange{}) {
		c.Ports = defaultPorts
	}
	if c.ReadyAfter <= 0 {
		c.ReadyAfter = defaultReadyAfter
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// valid fails with a sentence when no engine can be made of the config.
func (c Config) valid() error {
	if c.Dir == "" {
		return backend.Errorf(backend.Invalid, "the process engine was given no folder")
	}
	if c.Ports.First < 1 || c.Ports.Last > 65535 || c.Ports.First > c.Ports.Last {
		return backend.Errorf(backend.Invalid, "%d-%d is not a range of ports", c.Ports.First, c.Ports.Last)
	}
	return nil
}
