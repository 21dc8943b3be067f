package proxy

import (
	"testing"
	"time"
)

func TestDeclarationDoesNotEndADrainUnderWay(t *testing.T) {
	p := newPool("shop")
	a := App{ID: "shop", Attached: true, Targets: []Target{{ID: "a", Addr: "127.0.0.1:1", Ready: true}}}
	p.declare(a)
	p.startDrain(p.target("a"))
	p.declare(a)
	if got := p.choose(&flow{}, time.Now()); got != nil {
		t.Errorf("choose() while it drains = %s, want none", got.id)
	}
	p.endDrain(p.target("a"))
	if got := p.choose(&flow{}, time.Now()); got != nil {
		t.Errorf("choose() after the drain = %s, want none", got.id)
	}
	p.declare(a)
	if got := p.choose(&flow{}, time.Now()); got == nil {
		t.Error("choose() when it is declared again = none, want a")
	}
}

func TestTargetThatCannotBeDialledIsTriedLast(t *testing.T) {
	p := newPool("shop")
	p.declare(App{ID: "shop", Attached: true, Targets: []Target{
		{ID: "dead", Addr: "127.0.0.1:1", Ready: true},
		{ID: "busy", Addr: "127.0.0.1:2", Ready: true},
	}})
	f := &flow{pool: p}
	if p.admit(f); f.target.id != "dead" {
		t.Fatalf("first target = %s, want dead", f.target.id)
	}
	if !p.retry(f) || f.target.id != "busy" {
		t.Fatalf("second target = %s, want busy", f.target.id)
	}
	now := time.Now()
	if got := p.choose(&flow{}, now); got.id != "busy" {
		t.Errorf("choose() right after = %s, want busy", got.id)
	}
	if got := p.choose(&flow{}, now.Add(2*coolOff)); got.id != "dead" {
		t.Errorf("choose() later = %s, want dead, which has less open", got.id)
	}
}

func TestHostOf(t *testing.T) {
	for in, want := range map[string]string{
		"Shop.LocalHost":  "shop.localhost",
		"shop:7080":       "shop",
		"shop.:80":        "shop",
		"127.0.0.1:1":     "127.0.0.1",
		"[::1]:80":        "::1",
		"[::1]":           "::1",
		"::1":             "::1",
		"":                "",
		":80":             "",
		"shop.localhost.": "shop.localhost",
	} {
		if got := hostOf(in); got != want {
			t.Errorf("hostOf(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzHostOf(f *testing.F) {
	f.Add("[::1]:80")
	f.Add("Shop.localhost:7080")
	f.Fuzz(func(t *testing.T, host string) {
		r, err := Route{HTTP: host}.normal()
		if err != nil {
			return
		}
		if r.HTTP == "" {
			t.Errorf("route host %q is accepted as nothing", host)
		}
	})
}
