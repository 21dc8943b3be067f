// Package assets holds the files that ship inside the binary. A folder is a
// variable of its own, so that a program links what it uses.
package assets

import "embed"

// Themes has the colour themes: themes/dark.yaml and themes/light.yaml.
//
//go:embed themes/*.yaml
var Themes embed.FS

// Keymap is the default key table.
//
//go:embed keymap.yaml
var Keymap []byte

// Demo is the manifest of the demo's apps and jobs. In the first place of a
// command, $PITWALL_DEMO stands where the path of the binary goes.
//
//go:embed demo/pitwall.yaml
var Demo []byte

// ManifestSchema is the JSON Schema of a manifest.
//
//go:embed schema/manifest.json
var ManifestSchema []byte
