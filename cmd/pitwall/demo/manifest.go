package demo

import (
	"bytes"
	"encoding/json"

	"pitwall/assets"
)

// placeholder stands in the manifest where the binary's path goes.
const placeholder = "$PITWALL_DEMO"

// Manifest returns the manifest of the demo, with the path of the binary that
// is to run its programs in place.
func Manifest(exe string) []byte {
	// A $ in the path is no variable, and JSON's quotes are YAML's.
	exe = string(bytes.ReplaceAll([]byte(exe), []byte("$"), []byte("$$")))
	quoted, err := json.Marshal(exe)
	if err != nil {
		quoted = []byte(`""`) // Text always marshals.
	}
	return bytes.ReplaceAll(assets.Demo, []byte("["+placeholder), append([]byte("["), quoted...))
}
