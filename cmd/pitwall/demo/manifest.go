package demo

import (
	"bytes"
	"encoding/json"
	"math"
	"net"
	"strconv"

	"pitwall/assets"
)

// placeholder stands in the manifest where the binary's path goes.
const placeholder = "$PITWALL_DEMO"

// Where the manifest expects the edge's HTTP listener, and the chat room's
// route: it is chatAbove ports above the listener.
const (
	edgeAddress = "127.0.0.1:7080"
	chatAddress = "127.0.0.1:7091"
	chatAbove   = 11
)

// Manifest returns the manifest of the demo, with the path of the binary that
// is to run its programs in place, and the address of the edge's HTTP listener;
// empty is the default. The chat room's route moves with that listener, so that
// two demos fit on one machine.
func Manifest(exe, edge string) []byte {
	// A $ in the path is no variable, and JSON's quotes are YAML's.
	exe = string(bytes.ReplaceAll([]byte(exe), []byte("$"), []byte("$$")))
	quoted, err := json.Marshal(exe)
	if err != nil {
		quoted = []byte(`""`) // Text always marshals.
	}
	body := bytes.ReplaceAll(assets.Demo, []byte("["+placeholder), append([]byte("["), quoted...))
	if edge == "" {
		return body
	}
	body = bytes.ReplaceAll(body, []byte(strconv.Quote(edgeAddress)), []byte(strconv.Quote(edge)))
	return bytes.ReplaceAll(body, []byte(chatAddress), []byte(chatBeside(edge)))
}

// chatBeside is the chat room's address where the edge listens at another than
// the manifest's. Where no port is left for it, it stays.
func chatBeside(edge string) string {
	_, port, err := net.SplitHostPort(edge)
	if err != nil {
		return chatAddress
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || n+chatAbove > math.MaxUint16 {
		return chatAddress
	}
	return net.JoinHostPort("127.0.0.1", strconv.FormatUint(n+chatAbove, 10))
}
