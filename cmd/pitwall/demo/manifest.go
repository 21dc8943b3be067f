package demo

import (
	"bytes"
	"encoding/json"
	"strconv"

	"pitwall/assets"
)

// placeholder stands in the manifest where the binary's path goes.
const placeholder = "$PITWALL_DEMO"

// edgeAddress is where the manifest expects the edge's HTTP listener.
const edgeAddress = `"127.0.0.1:7080"`

// Manifest returns the manifest of the demo, with the path of the binary that
// is to run its programs in place, and the address of the edge's HTTP listener;
// empty is the default.
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
	return bytes.ReplaceAll(body, []byte(edgeAddress), []byte(strconv.Quote(edge)))
}
