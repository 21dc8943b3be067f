package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// checker holds values against the schema, goes on after a problem, and says
// what was expected in the schema's own words. What it does not know of a
// schema is left to the validation of the whole.
type checker struct {
	report *report
	root   *jsonschema.Schema
	leaves map[*jsonschema.Schema]*jsonschema.Resolved
}

func newChecker(r *report, root *jsonschema.Schema) *checker {
	return &checker{report: r, root: root, leaves: make(map[*jsonschema.Schema]*jsonschema.Resolved)}
}

// value checks one value and all below it. It marks what is wrong.
func (c *checker) value(v *value, s *jsonschema.Schema, path trail) {
	s = c.follow(s)
	if v.wrong {
		return
	}
	if !c.kindFits(v, s) {
		v.wrong = true
		c.report.add(v.line, path, "expected %s, not %s", expected(s), describe(v))
		return
	}
	switch v.kind {
	case mapping:
		c.mapping(v, s, path)
	case list:
		if s.MinItems != nil && len(v.items) < *s.MinItems {
			v.wrong = true
			c.report.add(v.line, path, "expected %s, not an empty list", expected(s))
		}
		for i, item := range v.items {
			if s.Items != nil {
				c.value(item, s.Items, path.at(i))
			}
		}
	case scalar:
		if !c.matches(s, v.plain()) {
			v.wrong = true
			c.report.add(v.line, path, "expected %s, not %s", expected(s), describe(v))
		}
	}
}

func (c *checker) mapping(v *value, s *jsonschema.Schema, path trail) {
	if s.MinProperties != nil && len(v.fields) < *s.MinProperties {
		v.wrong = true
		c.report.add(v.line, path, "expected %s, not an empty one", expected(s))
	}
	for _, f := range v.fields {
		at := path.with(f.key)
		if s.PropertyNames != nil {
			if names := c.follow(s.PropertyNames); !c.matches(names, f.key) {
				f.value.wrong = true
				c.report.add(f.line, at, "expected %s, not %s", expected(names), quote(f.key))
				continue
			}
		}
		switch known, ok := s.Properties[f.key]; {
		case ok:
			c.value(f.value, known, at)
		case s.AdditionalProperties == nil:
		case refusesAll(s.AdditionalProperties):
			f.value.wrong = true
			c.report.add(f.line, at, "is not known here: %s", suggest(f.key, s))
		default:
			c.value(f.value, s.AdditionalProperties, at)
		}
	}
	for _, key := range s.Required {
		if v.field(key) == nil {
			v.wrong = true
			c.report.add(v.line, path, "%s is missing: expected %s", key, expected(c.follow(s.Properties[key])))
		}
	}
}

// follow returns the schema that a reference leads to.
func (c *checker) follow(s *jsonschema.Schema) *jsonschema.Schema {
	for s != nil && s.Ref != "" {
		s = c.root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
	}
	if s == nil {
		return new(jsonschema.Schema)
	}
	return s
}

// kindFits reports whether a schema takes a mapping, list or scalar.
func (c *checker) kindFits(v *value, s *jsonschema.Schema) bool {
	allowed := s.Types
	if s.Type != "" {
		allowed = []string{s.Type}
	}
	switch v.kind {
	case mapping:
		return slices.Contains(allowed, "object")
	case list:
		return slices.Contains(allowed, "array")
	}
	return len(allowed) == 0 || slices.ContainsFunc(allowed, func(t string) bool { return t != "object" && t != "array" })
}

// matches asks the library about one scalar.
func (c *checker) matches(s *jsonschema.Schema, plain any) bool {
	leaf, ok := c.leaves[s]
	if !ok {
		alone := &jsonschema.Schema{
			Type: s.Type, Types: s.Types, Enum: s.Enum, Pattern: s.Pattern,
			MinLength: s.MinLength, MaxLength: s.MaxLength, Minimum: s.Minimum, Maximum: s.Maximum,
		}
		// A part of a schema that resolved as a whole resolves.
		leaf, _ = alone.Resolve(nil)
		c.leaves[s] = leaf
	}
	return leaf != nil && leaf.Validate(plain) == nil
}

// refusesAll reports whether a schema is false.
func refusesAll(s *jsonschema.Schema) bool {
	return s.Not != nil
}

// expected says what a schema takes, with examples where it has some.
func expected(s *jsonschema.Schema) string {
	if len(s.Enum) > 0 && s.Title != "true" {
		return oneOf(texts(s.Enum))
	}
	what := s.Title
	switch {
	case what == "":
		what = "something else"
	case what == "text" || strings.HasPrefix(what, "true"):
	case strings.ContainsRune("aeiou", rune(what[0])) && !strings.HasPrefix(what, "one ") && !strings.HasPrefix(what, "user"):
		what = "an " + what
	default:
		what = "a " + what
	}
	if len(s.Examples) > 0 && !isCompound(s.Examples[0]) {
		what += ", such as " + strings.Join(texts(s.Examples[:min(2, len(s.Examples))]), " or ")
	}
	return what
}

// isCompound reports whether an example is no scalar: too long for a sentence.
func isCompound(example any) bool {
	switch example.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

func texts(values []any) []string {
	out := make([]string, len(values))
	for i, v := range values {
		text, err := json.Marshal(v)
		if s, ok := v.(string); ok || err != nil {
			text = []byte(s)
		}
		out[i] = string(text)
	}
	return out
}

// oneOf lists words as a sentence does.
func oneOf(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// describe says what a value is.
func describe(v *value) string {
	switch {
	case v.kind == mapping:
		return "a mapping"
	case v.kind == list:
		return "a list"
	case v.tag == "!!null":
		return "nothing"
	case v.tag == "!!str":
		return quote(v.text)
	}
	return fmt.Sprintf("the %s %s", map[string]string{
		"!!int": "number", "!!float": "number", "!!bool": "truth value",
	}[v.tag], plainText(v.text))
}

// suggest names the key that was probably meant, or all there are.
func suggest(key string, s *jsonschema.Schema) string {
	known := slices.Sorted(maps.Keys(s.Properties))
	best, least := "", max(2, len(key)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(key), k); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "expected " + oneOf(known)
}

// distance is how many letters must change to make b of a.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
