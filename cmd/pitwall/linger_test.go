package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

const lingering = `
apps:
  site:
    processes:
      main:
        command: ["BINARY", demo, web]
        instances: 2
        ready: {http: /healthz, interval: 200ms}
    routes:
      - http: site.localhost
`

func TestTakeOverFailsNoRequest(t *testing.T) {
	p := newPit(t)
	edge := freeAddress(t)
	servers := []*exec.Cmd{p.serve("--http", edge)}
	p.apply(strings.ReplaceAll(lingering, "BINARY", binary))
	p.ready("site", 2)
	request := func() error {
		if code, body, _ := fetchSite(t, edge, "/cart/1"); code != 200 {
			return fmt.Errorf("answer %d: %s", code, body)
		}
		return nil
	}
	l := startLoad(t, request, request, request, request)
	for range 3 {
		servers = append(servers, p.serve("--http", edge))
		if err := servers[len(servers)-2].Wait(); err != nil {
			t.Errorf("a server that was taken over from ended with %v", err)
		}
	}
	l.end("while three servers took over")
}
