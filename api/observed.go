package api

import (
	"bufio"
	"net"
	"net/http"
)

// observed is a ResponseWriter that remembers what went through it.
type observed struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// Unwrap lets http.ResponseController reach what is inside.
func (o *observed) Unwrap() http.ResponseWriter { return o.ResponseWriter }

func (o *observed) WriteHeader(status int) {
	if o.status == 0 {
		o.status = status
	}
	o.ResponseWriter.WriteHeader(status)
}

func (o *observed) Write(p []byte) (int, error) {
	if o.status == 0 {
		o.status = http.StatusOK
	}
	n, err := o.ResponseWriter.Write(p)
	o.bytes += int64(n)
	return n, err
}

// Hijack implements http.Hijacker, which websockets ask for.
func (o *observed) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if o.status == 0 {
		o.status = http.StatusSwitchingProtocols
	}
	return http.NewResponseController(o.ResponseWriter).Hijack()
}

// code is the reply's status; one that wrote nothing is 200.
func (o *observed) code() int {
	if o.status == 0 {
		return http.StatusOK
	}
	return o.status
}
