package local

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"pitwall/backend"
)

// diff lists the differences of two declarations, by path. Lists of things
// with a name are compared by name.
func diff(old, now any) []backend.FieldChange {
	a, b := flatten(old), flatten(now)
	paths := make([]string, 0, len(a)+len(b))
	for p := range a {
		paths = append(paths, p)
	}
	for p := range b {
		if _, both := a[p]; !both {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	var out []backend.FieldChange
	for _, p := range paths {
		if a[p] != b[p] {
			out = append(out, backend.FieldChange{Path: p, Old: a[p], New: b[p]})
		}
	}
	return out
}

func flatten(v any) map[string]string {
	out := make(map[string]string)
	raw, err := json.Marshal(v)
	if err != nil {
		return out
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return out
	}
	walk(out, "", tree)
	return out
}

func walk(out map[string]string, path string, v any) {
	join := func(key string) string {
		if path == "" {
			return key
		}
		return path + "." + key
	}
	switch v := v.(type) {
	case map[string]any:
		for key, w := range v {
			walk(out, join(key), w)
		}
	case []any:
		for i, w := range v {
			key := fmt.Sprint(i)
			if m, ok := w.(map[string]any); ok {
				if name, ok := m["name"].(string); ok {
					key = name
				}
				walk(out, join(key), w)
				continue
			}
			if _, nested := w.([]any); nested {
				walk(out, join(key), w)
				continue
			}
			out[path] = strings.TrimSpace(out[path] + " " + word(w))
		}
	case nil:
	case float64:
		out[path] = fmt.Sprintf("%v", json.Number(fmt.Sprintf("%.0f", v)))
	default:
		out[path] = fmt.Sprint(v)
	}
}

// word quotes what would not read as one word of a command line.
func word(v any) string {
	s := fmt.Sprint(v)
	if s == "" || strings.ContainsAny(s, " \t\n\"'") {
		return fmt.Sprintf("%q", s)
	}
	return s
}

// withoutCounts is what a release keeps of a declaration.
func withoutCounts(s backend.AppSpec) backend.AppSpec {
	s.Processes = slices.Clone(s.Processes)
	for i := range s.Processes {
		s.Processes[i].Instances = 0
	}
	return s
}

// sameSpec reports whether two declarations are of one release.
func sameSpec(a, b backend.AppSpec) bool {
	return reflect.DeepEqual(flatten(withoutCounts(a)), flatten(withoutCounts(b)))
}

// sameProgram reports whether instances of one run as well by the other: only
// what lies around the program differs.
func sameProgram(a, b backend.AppSpec) bool {
	around := func(s backend.AppSpec) backend.AppSpec {
		s.Routes, s.Description, s.Labels = nil, "", nil
		s.Logs.MaxBytes, s.Logs.MaxAge = 0, 0
		return s
	}
	return sameSpec(around(a), around(b))
}
