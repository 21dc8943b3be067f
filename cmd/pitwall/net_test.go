package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// freeAddress returns a loopback address that nobody listens on now.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// fetch asks for a URL and prints status, chosen header and body:
// fetch URL [-host HOST] [-token TOKEN] [-origin ORIGIN] [-websocket yes]
func fetch(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 || neg {
		ts.Fatalf("usage: fetch URL [-host HOST] [-token TOKEN] [-origin ORIGIN] [-websocket yes]")
	}
	req, err := http.NewRequest(http.MethodGet, args[0], nil)
	ts.Check(err)
	for i := 1; i+1 < len(args); i += 2 {
		switch args[i] {
		case "-host":
			req.Host = args[i+1]
		case "-token":
			req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(args[i+1]))
		case "-origin":
			req.Header.Set("Origin", args[i+1])
		case "-websocket":
			for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
				req.Header.Set(k, v)
			}
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "status %d\nretry-after %q\n%s\n", res.StatusCode, res.Header.Get("Retry-After"), body)
}
