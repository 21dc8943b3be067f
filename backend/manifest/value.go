package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

const (
	// maxText bounds a file: thousands of apps fit.
	maxText = 1 << 20

	// maxValues bounds what a file's aliases may expand to, and maxDepth how
	// deep it may nest: far above any manifest, far below any harm.
	maxValues = 200_000
	maxDepth  = 40
)

// kind is what a value is.
type kind int

const (
	scalar kind = iota
	mapping
	list
)

// value is one value of a document, with aliases and merges followed.
type value struct {
	kind   kind
	line   int
	tag    string // of a scalar, as !!int
	text   string // of a scalar, as it is written
	fields []field
	items  []*value

	// wrong says that a problem was reported here: whoever reads the value
	// next leaves it alone.
	wrong bool
}

// field is one key of a mapping.
type field struct {
	key   string
	line  int
	value *value
}

// field returns the value of a key, nil where there is none.
func (v *value) field(key string) *value {
	for _, f := range v.fields {
		if f.key == key {
			return f.value
		}
	}
	return nil
}

// plain returns the value as encoding/json would decode it.
func (v *value) plain() any {
	switch v.kind {
	case mapping:
		m := make(map[string]any, len(v.fields))
		for _, f := range v.fields {
			m[f.key] = f.value.plain()
		}
		return m
	case list:
		l := make([]any, len(v.items))
		for i, item := range v.items {
			l[i] = item.plain()
		}
		return l
	}
	switch v.tag {
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if v.node().Decode(&b) == nil {
			return b
		}
	case "!!int", "!!float":
		var f float64
		if v.node().Decode(&f) == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f
		}
	}
	return v.text
}

func (v *value) node() *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: v.tag, Value: v.text}
}

// syntaxError is how the YAML parser words an error.
var syntaxError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// tabbed reports whether the indentation of a line, counted from one, has a tab,
// which YAML does not allow and the eye does not see.
func tabbed(text []byte, line int) bool {
	lines := bytes.SplitN(text, []byte("\n"), line+1)
	if line < 1 || len(lines) < line {
		return false
	}
	at := lines[line-1]
	return bytes.ContainsRune(at[:len(at)-len(bytes.TrimLeft(at, " \t"))], '\t')
}

// parseYAML returns a file's documents, empty ones left out.
func parseYAML(r *report, text []byte) []*value {
	if len(text) > maxText {
		r.add(1, nil, "the file has %d bytes: expected at most %d", len(text), maxText)
		return nil
	}
	var docs []*value
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			line, reason := 1, err.Error()
			if m := syntaxError.FindStringSubmatch(reason); m != nil {
				reason = m[2]
				if n, err := strconv.Atoi(m[1]); err == nil {
					line = n
				}
			}
			if tabbed(text, line) {
				reason = "it is indented with a tab: use spaces"
			}
			r.add(line, nil, "is not YAML: %s", reason)
			return docs
		}
		n := normaliser{report: r}
		if doc := n.document(&node); doc != nil {
			docs = append(docs, doc)
		}
	}
	if len(docs) == 0 {
		r.add(1, nil, "declares nothing: expected apps, jobs or both")
	}
	return docs
}

// normaliser turns YAML's nodes into values.
type normaliser struct {
	report *report
	count  int
	full   bool // the bound was met, and reported
}

func (n *normaliser) document(node *yaml.Node) *value {
	if node.Kind != yaml.DocumentNode || len(node.Content) != 1 {
		return nil
	}
	top := node.Content[0]
	if top.Kind == yaml.ScalarNode && top.ShortTag() == "!!null" {
		return nil
	}
	return n.value(top, nil, 0)
}

// value turns one node into a value. It never returns nil.
func (n *normaliser) value(node *yaml.Node, path trail, depth int) *value {
	v := &value{line: node.Line, tag: "!!null"}
	if n.exceeds(node, path, depth) {
		v.wrong = true
		return v
	}
	switch node.Kind {
	case yaml.AliasNode:
		v = n.value(node.Alias, path, depth+1)
		v.line = node.Line
	case yaml.MappingNode:
		v.kind = mapping
		n.fields(v, node, path, depth)
	case yaml.SequenceNode:
		v.kind = list
		for i, item := range node.Content {
			v.items = append(v.items, n.value(item, path.at(i), depth+1))
		}
	case yaml.ScalarNode:
		v.tag, v.text = node.ShortTag(), node.Value
		switch v.tag {
		case "!!str", "!!int", "!!float", "!!bool", "!!null":
		case "!!timestamp":
			v.tag = "!!str" // A date is text here.
		default:
			n.report.add(node.Line, path, "has the tag %s: expected none", quote(node.Tag))
			v.wrong = true
		}
	}
	return v
}

// exceeds reports, once, that a file grows past the bounds.
func (n *normaliser) exceeds(node *yaml.Node, path trail, depth int) bool {
	n.count++
	if n.count <= maxValues && depth <= maxDepth {
		return false
	}
	if !n.full {
		n.full = true
		why := fmt.Sprintf("nests deeper than %d", maxDepth)
		if n.count > maxValues {
			why = fmt.Sprintf("has more than %d values with its aliases followed", maxValues)
		}
		n.report.add(node.Line, path[:min(len(path), 4)], "the file %s", why)
	}
	return true
}

// fields reads a mapping. A key that is written wins over a merged one, and of
// several merged ones the first.
func (n *normaliser) fields(v *value, node *yaml.Node, path trail, depth int) {
	lines := make(map[string]int)
	var merged []*yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, val := node.Content[i], node.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			n.report.add(node.Content[i].Line, path, "has a key that is not text")
			continue
		case key.ShortTag() == "!!merge":
			merged = append(merged, val)
			continue
		}
		line := node.Content[i].Line
		if first, ok := lines[key.Value]; ok {
			n.report.add(line, path.with(key.Value), "is there twice: first on line %d, again on line %d", first, line)
			continue
		}
		lines[key.Value] = line
		v.fields = append(v.fields, field{key.Value, line, n.value(val, path.with(key.Value), depth+1)})
	}
	for _, from := range merged {
		n.merge(v, from, lines, path, depth)
	}
}

// merge adds the fields of what << names, but those that have a line already.
func (n *normaliser) merge(v *value, from *yaml.Node, lines map[string]int, path trail, depth int) {
	source := n.value(from, path.with("<<"), depth+1)
	sources := []*value{source}
	if source.kind == list {
		sources = source.items
	}
	for _, s := range sources {
		if s.kind != mapping {
			if !s.wrong {
				n.report.add(from.Line, path.with("<<"), "merges what is not a mapping")
			}
			continue
		}
		for _, f := range s.fields {
			if _, ok := lines[f.key]; !ok {
				lines[f.key] = f.line
				v.fields = append(v.fields, f)
			}
		}
	}
}
