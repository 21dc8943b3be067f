package api

import (
	"errors"
	"testing"

	"pitwall/backend"
)

func TestWhoMayCallAtTheSocket(t *testing.T) {
	tests := []struct {
		peer peer
		own  int
		want backend.Code
	}{
		{peer{uid: 1000, name: "ana"}, 1000, ""},
		{peer{uid: 0, name: "root"}, 1000, ""},
		{peer{uid: 0, name: "root"}, 0, ""},
		{peer{uid: 1001, name: "bo"}, 1000, backend.Denied},
		{peer{uid: 1000, name: "ana"}, 0, backend.Denied},
		{peer{err: errors.New("no such option")}, 0, backend.Denied},
	}
	for _, tt := range tests {
		if err := tt.peer.check(tt.own); backend.CodeOf(err) != tt.want {
			t.Errorf("check(%+v) by uid %d = %v, want %q", tt.peer, tt.own, err, tt.want)
		}
	}
}
