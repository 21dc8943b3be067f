package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	// bulkAfter is how many full reads in a row make a stream one that is worth
	// splicing.
	bulkAfter = 4

	// bulkSize is how much is spliced before it is counted.
	bulkSize = 1 << 20

	// bulkWait is how long a splice may wait for more before what it has moved
	// is counted and its pipe given back.
	bulkWait = 250 * time.Millisecond
)

// pump copies src to dst until src ends, and counts bytes as they pass. While
// src is silent it holds no buffer and no pipe, so that ten thousand quiet
// connections cost their sockets alone; a stream in full flow is spliced within
// the kernel where that is possible.
func pump(dst, src *net.TCPConn, buffers *bufferPool, count func(int)) error {
	r, err := newReader(src, buffers)
	if err != nil {
		return err
	}
	for full := 0; ; {
		if full >= bulkAfter {
			full = 0
			if done, err := splice(dst, src, count); done || err != nil {
				return err
			}
			continue
		}
		n, err := r.pass(dst)
		count(n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		full++
		if n < bufferSize {
			full = 0
		}
	}
}

// splice moves bytes in the kernel until src pauses or ends; done is that it
// ended.
func splice(dst, src *net.TCPConn, count func(int)) (done bool, err error) {
	defer src.SetReadDeadline(time.Time{})
	for {
		if err := src.SetReadDeadline(time.Now().Add(bulkWait)); err != nil {
			return false, err
		}
		n, err := io.CopyN(dst, src, bulkSize)
		count(int(n))
		switch {
		case errors.Is(err, io.EOF):
			return true, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return false, nil
		case err != nil:
			return false, err
		}
	}
}

// reader reads from a socket into a buffer that it has only while there is
// something to read.
type reader struct {
	raw     syscall.RawConn
	ready   func(fd uintptr) bool // r.read, bound once
	buffers *bufferPool
	buf     *[bufferSize]byte
	n       int
	err     error
}

func newReader(c *net.TCPConn, buffers *bufferPool) (*reader, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	r := &reader{raw: raw, buffers: buffers}
	r.ready = r.read
	return r, nil
}

// pass waits for bytes, writes them to dst and says how many.
func (r *reader) pass(dst *net.TCPConn) (int, error) {
	if err := r.raw.Read(r.ready); err != nil {
		return 0, err
	}
	if r.buf == nil {
		return 0, r.err
	}
	defer r.giveBack()
	return dst.Write(r.buf[:r.n])
}

// read is called when the socket may have bytes; false waits for more.
func (r *reader) read(fd uintptr) bool {
	r.buf = r.buffers.take()
	for {
		r.n, r.err = syscall.Read(int(fd), r.buf[:])
		if !errors.Is(r.err, syscall.EINTR) {
			break
		}
	}
	if r.n > 0 {
		return true
	}
	r.giveBack()
	if errors.Is(r.err, syscall.EAGAIN) {
		return false
	}
	if r.err == nil {
		r.err = io.EOF
	}
	return true
}

func (r *reader) giveBack() {
	r.buffers.put(r.buf)
	r.buf = nil
}
