// Package manifest reads what an operator declares: apps and jobs in YAML, held
// against a JSON Schema and against what a schema cannot say.
//
// A manifest is all right or it is nothing: [Parse] returns every problem it
// finds, each with file, line and path and what was expected there, or the
// whole declaration with its defaults filled in. The schema is given by the
// caller, since it ships with the program's assets; its titles and examples
// are the words of the problems.
package manifest

import (
	"encoding/json"
	"fmt"

	"github.com/google/jsonschema-go/jsonschema"

	"pitwall/backend"
)

// File is one manifest, under the name that problems give it.
type File struct {
	Name string
	Body []byte
}

// Declaration is what files declare together, in the order they do.
type Declaration struct {
	Apps []backend.AppSpec
	Jobs []backend.JobSpec
}

// Parse reads files as one declaration: a name, and an address of the edge, may
// be declared in one of them only. Every default is filled in, so that what is
// written out and what is left to the default are the same declaration.
//
// It fails with an [*Error], whose code is Invalid, when anything in any file
// is wrong, and returns nothing then. A schema that cannot be read is an error
// of the program's, with no code.
func Parse(schema []byte, files ...File) (Declaration, error) {
	root := new(jsonschema.Schema)
	if err := json.Unmarshal(schema, root); err != nil {
		return Declaration{}, fmt.Errorf("read the manifest's schema: %w", err)
	}
	whole, err := root.Resolve(nil)
	if err != nil {
		return Declaration{}, fmt.Errorf("resolve the manifest's schema: %w", err)
	}
	r := new(report)
	check := newChecker(r, root)
	d := newDecoder(r)
	for _, f := range files {
		r.open(printable(f.Name))
		before := len(r.problems)
		for _, doc := range parseYAML(r, f.Body) {
			check.value(doc, root, nil)
			d.document(doc)
			if len(r.problems) != before {
				continue
			}
			// The words above are ours; the last one has the schema itself.
			if err := whole.Validate(doc.plain()); err != nil {
				r.add(doc.line, nil, "does not match the schema: %v", err)
			}
		}
	}
	d.together()
	if len(r.problems) > 0 {
		return Declaration{}, r.err()
	}
	return d.declaration, nil
}

// printable returns a file's name for a line of text.
func printable(name string) string {
	if name == "" || name == "-" {
		return "stdin"
	}
	return plainText(name)
}
