package main

import (
	"encoding/json"
	"strings"
	"testing"

	"pitwall/backend"
)

// A console that goes away never takes what runs with it: its server goes on
// in a process of its own.
func TestLostTerminalHandsTheServerOn(t *testing.T) {
	s := newScreen(t, shortState(t), 80, 24)
	p := &pit{t: t, state: s.state, dir: t.TempDir()}
	s.see(`(?i)no apps`)
	p.apply(sleeping)
	s.see(`sleepy.*running`)
	before := p.instance1("sleepy")
	owner := p.owner()

	s.tmux("kill-session", "-t", "pitwall") // the terminal is gone, as when SSH drops
	p.until("another process owns the server", func() bool {
		now := p.owner()
		return now != 0 && now != owner
	})
	after := p.instance1("sleepy")
	if after.PID != before.PID || after.State != backend.InstanceRunning {
		t.Errorf("after the terminal was lost: pid %d %s, want %d running", after.PID, after.State, before.PID)
	}

	// Attached again from another terminal, it is all there.
	again := newScreen(t, s.state, 100, 30)
	again.see(`sleepy.*running`)
	again.press("q")
	again.see(`left with 0`)
}

func TestLeavingAConsoleHandsTheServerOn(t *testing.T) {
	s := newScreen(t, shortState(t), 80, 24)
	p := &pit{t: t, state: s.state, dir: t.TempDir()}
	s.see(`(?i)no apps`)
	p.apply(sleeping)
	s.see(`sleepy.*running`)
	before := p.instance1("sleepy")
	s.press("q")
	s.see(`1 app with 1 instance keep running`)
	s.see(`left with 0`)
	if after := p.instance1("sleepy"); after.PID != before.PID {
		t.Errorf("after leaving: pid %d, want %d", after.PID, before.PID)
	}
	p.run("down", "--apps", "--yes")
	if out := p.run("apps", "-o", "name"); !strings.Contains(out, "sleepy") {
		t.Errorf("apps after down --apps = %q, want sleepy declared still", out)
	}
}

// The console stays when its server goes, says so, and goes on with the next.
func TestConsoleOutlivesItsServer(t *testing.T) {
	p := newPit(t)
	server := p.serve()
	p.apply(sleeping)
	s := newScreen(t, p.state, 80, 24)
	s.see(`sleepy.*running`)
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait()
	s.see(`(?i)stale|lost|down|retry`)
	s.see(`sleepy`)
	p.serve()
	s.see(`(?i)live`)
	s.press("q")
	s.see(`left with 0`)
}

// owner is the pid of the server that answers, 0 for none.
func (p *pit) owner() int {
	out, _, err := p.try("nodes", "-o", "json")
	var nodes []backend.Node
	if err != nil || json.Unmarshal([]byte(out), &nodes) != nil || len(nodes) == 0 {
		return 0
	}
	return nodes[0].PID
}
