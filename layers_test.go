// Package pitwall_test keeps the house in order: which package may import
// which (this file), and what a package may hold as state (state_test.go). It
// reads the source alone, on every platform's files at once, so it needs nothing
// built.
package pitwall_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the path that go.mod names.
const module = "pitwall"

// TestLayers reads every package's imports and holds them against the arrows
// of CONTRIBUTING.md. When it is red the import is wrong, not the test.
func TestLayers(t *testing.T) {
	tree := readTree(t, ".")
	if len(tree) == 0 {
		t.Fatal("no packages found")
	}
	graph := make(imports, len(tree))
	for name, p := range tree {
		graph[name] = p.imports
	}
	for _, problem := range graph.problems() {
		t.Error(problem)
	}
}

// TestLayersSeesWrongArrows feeds lists of imports that break one rule each,
// since a check that cannot fail checks nothing.
func TestLayersSeesWrongArrows(t *testing.T) {
	tests := []struct {
		name  string
		graph imports
		want  string // part of the one problem; empty means none
	}{
		{"healthy", imports{
			"backend":                       {"context", "errors"},
			"backend/hub":                   {"pitwall/backend"},
			"backend/logstore/segment":      {"golang.org/x/sys/unix"},
			"backend/engine/process/keeper": {"pitwall/backend/logstore/segment", "net"},
			"backend/engine/process":        {"pitwall/backend", "pitwall/backend/engine", "pitwall/backend/engine/process/keeper"},
			"backend/local":                 {"pitwall/backend", "pitwall/backend/hub", "pitwall/backend/sqlite"},
			"ui":                            {"pitwall/backend", "pitwall/ui/theme", "pitwall/assets"},
			"ui/present":                    {"pitwall/ui", "pitwall/backend", "pitwall/ui/table"},
			"ui/uitest":                     {"pitwall/ui", "pitwall/backend/backendtest"},
			"views":                         {"pitwall/views/apps", "pitwall/ui"},
			"views/apps":                    {"pitwall/ui", "pitwall/ui/table", "pitwall/backend"},
			"api":                           {"pitwall/api/native", "pitwall/backend"},
			"api/native":                    {"pitwall/api/httpx", "pitwall/backend/wire"},
			"api/tsuru":                     {"pitwall/api/httpx", "pitwall/backend"},
			"cmd/pitwall":                   {"pitwall/views", "pitwall/api", "pitwall/backend/local", "pitwall/cmd/pitwall/demo"},
		}, ""},
		{"root with a dependency", imports{"backend": {"github.com/gorilla/websocket"}}, "only the standard library"},
		{"root with a child", imports{"backend": {"pitwall/backend/hub"}}, "only the standard library"},
		{"backend to a screen", imports{"backend/local": {"pitwall/ui/theme"}}, "backend imports only backend"},
		{"backend to assets", imports{"backend/sqlite": {"pitwall/assets"}}, "backend imports only backend"},
		{"engine to engine", imports{"backend/engine/process": {"pitwall/backend/engine/nomad"}}, "engines never import each other"},
		{"engine to hub", imports{"backend/engine/process": {"pitwall/backend/hub"}}, "an engine imports"},
		{"engine to store", imports{"backend/engine/kubernetes": {"pitwall/backend/logstore"}}, "an engine imports"},
		{"engine to segment", imports{"backend/engine/nomad": {"pitwall/backend/logstore/segment"}}, "an engine imports"},
		{"keeper to root", imports{"backend/engine/process/keeper": {"pitwall/backend"}}, "a keeper stays small"},
		{"keeper by way of segment", imports{
			"backend/engine/process/keeper": {"pitwall/backend/logstore/segment"},
			"backend/logstore/segment":      {"pitwall/backend"},
		}, "a keeper stays small"},
		{"keeper with a dependency", imports{"backend/engine/process/keeper": {"github.com/spf13/cobra"}}, "a keeper stays small"},
		{"widget to backend", imports{"ui/table": {"pitwall/backend"}}, "a widget imports"},
		{"widget to shell", imports{"ui/table": {"pitwall/ui"}}, "a widget imports"},
		{"shell to hub", imports{"ui": {"pitwall/backend/hub"}}, "the shell imports"},
		{"shell to view", imports{"ui": {"pitwall/views/apps"}}, "the shell imports"},
		{"view to view", imports{"views/apps": {"pitwall/views/logs"}}, "no view imports a view"},
		{"view to list of views", imports{"views/apps": {"pitwall/views"}}, "no view imports a view"},
		{"view to local", imports{"views/apps": {"pitwall/backend/local"}}, "a view imports"},
		{"dialect to dialect", imports{"api/tsuru": {"pitwall/api/native"}}, "no dialect imports a dialect"},
		{"dialect to mount", imports{"api/tsuru": {"pitwall/api"}}, "no dialect imports a dialect"},
		{"dialect to local", imports{"api/tsuru": {"pitwall/backend/local"}}, "a dialect imports"},
		{"dialect to wire", imports{"api/tsuru": {"pitwall/backend/wire"}}, "a dialect imports"},
		{"mount to engine", imports{"api": {"pitwall/backend/engine/process"}}, "api is given its backend"},
		{"api to screen", imports{"api/httpx": {"pitwall/ui/theme"}}, "api imports"},
		{"loglevel to backend", imports{"api/loglevel": {"pitwall/backend"}}, "api/loglevel stands alone"},
		{"assets with code", imports{"assets": {"pitwall/backend"}}, "assets imports nothing"},
		{"back up to cmd", imports{"views": {"pitwall/cmd/pitwall/demo"}}, "nothing imports cmd"},
		{"test support in the product", imports{"backend/local": {"pitwall/backend/backendtest"}}, "is for tests"},
		{"new top level", imports{"pkg/helpers": {"fmt"}}, "not a place in the house"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.graph.problems()
			if tt.want == "" {
				if len(got) != 0 {
					t.Errorf("problems() = %q, want none", got)
				}
				return
			}
			if len(got) != 1 || !strings.Contains(got[0], tt.want) {
				t.Errorf("problems() = %q, want one with %q", got, tt.want)
			}
		})
	}
}

// imports maps a package, by its folder, to the import paths it names.
type imports map[string][]string

// problems returns one sentence for each arrow that points the wrong way.
func (g imports) problems() []string {
	var out []string
	for _, from := range slices.Sorted(maps.Keys(g)) {
		if !inHouse(from) {
			out = append(out, fmt.Sprintf("%s: is not a place in the house", from))
			continue
		}
		for _, to := range g[from] {
			if why := wrongArrow(from, to); why != "" {
				out = append(out, fmt.Sprintf("%s imports %s: %s", from, to, why))
			}
		}
	}
	return append(out, g.keeperProblems()...)
}

// keeperProblems follows every import that a keeper reaches, since each one is
// paid for in the memory of every running instance.
func (g imports) keeperProblems() []string {
	const (
		keeper  = "backend/engine/process/keeper"
		segment = "backend/logstore/segment"
	)
	var out []string
	for _, from := range []string{keeper, segment} {
		for _, to := range g[from] {
			inside, ok := inModule(to)
			switch {
			case ok && (inside == segment || within(inside, from)):
			case !ok && (standard(to) || strings.HasPrefix(to, "golang.org/x/sys/")):
			default:
				out = append(out, fmt.Sprintf("%s imports %s: a keeper stays small (standard library, golang.org/x/sys, segment)", from, to))
			}
		}
	}
	return out
}

// wrongArrow says why from may not import the path to, or "".
func wrongArrow(from, to string) string {
	inside, ok := inModule(to)
	if from == "backend" && !standard(to) {
		return "the root of backend imports only the standard library"
	}
	if !ok {
		return ""
	}
	switch {
	case within(inside, "cmd") && !within(from, "cmd"):
		return "nothing imports cmd"
	case testSupport(from):
		return ""
	case testSupport(inside):
		return "a package named …test is for tests"
	}
	switch top, _, _ := strings.Cut(from, "/"); top {
	case "backend":
		return wrongFromBackend(from, inside)
	case "api":
		return wrongFromAPI(from, inside)
	case "ui":
		return wrongFromUI(from, inside)
	case "views":
		return wrongFromViews(from, inside)
	case "assets":
		return "assets imports nothing"
	}
	return ""
}

func wrongFromBackend(from, to string) string {
	if !within(to, "backend") {
		return "backend imports only backend"
	}
	engine, isEngine := strings.CutPrefix(from, "backend/engine/")
	if !isEngine || from == "backend/engine/process/keeper" {
		return "" // A keeper has its own, stricter rule.
	}
	own, _, _ := strings.Cut(engine, "/")
	own = "backend/engine/" + own
	switch {
	case to == "backend", to == "backend/engine", within(to, own):
		return ""
	case own == "backend/engine/process" && to == "backend/logstore/segment":
		return ""
	case within(to, "backend/engine"):
		return "engines never import each other"
	}
	return "an engine imports backend and backend/engine alone"
}

func wrongFromAPI(from, to string) string {
	if from == "api/loglevel" {
		return "api/loglevel stands alone, so that any program can use it"
	}
	if !within(to, "api") && !within(to, "backend") {
		return "api imports api and backend alone"
	}
	implementations := []string{
		"backend/local", "backend/remote", "backend/engine", "backend/sqlite",
		"backend/logstore", "backend/proxy", "backend/hub",
	}
	if from == "api" || from == "api/httpx" {
		if slices.ContainsFunc(implementations, func(dir string) bool { return within(to, dir) }) {
			return "api is given its backend and builds none"
		}
		if from == "api/httpx" && within(to, "api") {
			return "api/httpx is below the dialects"
		}
		return ""
	}
	dialect := strings.Join(strings.SplitN(from, "/", 3)[:2], "/")
	switch {
	case to == "backend", to == "api/httpx", within(to, dialect):
		return ""
	case to == "backend/wire" && dialect == "api/native":
		return ""
	case within(to, "api"):
		return "no dialect imports a dialect"
	}
	return "a dialect imports backend and api/httpx alone"
}

func wrongFromUI(from, to string) string {
	// Beside the shell ui/present alone knows the domain: it puts it into the
	// words and signs of the screen, for all views.
	if from == "ui" || from == "ui/present" {
		if to == "backend" || to == "assets" || within(to, "ui") {
			return ""
		}
		return "the shell imports ui/…, backend's root and assets alone"
	}
	if to == "assets" || strings.HasPrefix(to, "ui/") {
		return ""
	}
	return "a widget imports widgets and assets alone"
}

func wrongFromViews(from, to string) string {
	if within(to, "views") {
		own := strings.Join(strings.SplitN(from, "/", 3)[:min(2, strings.Count(from, "/")+1)], "/")
		if from == "views" || (to != "views" && within(to, own)) {
			return ""
		}
		return "no view imports a view"
	}
	if to == "backend" || within(to, "ui") {
		return ""
	}
	return "a view imports ui and backend's root alone"
}

// inHouse reports whether a folder is under one of the fixed top levels.
func inHouse(dir string) bool {
	top, _, _ := strings.Cut(dir, "/")
	return dir == "." || slices.Contains([]string{"api", "assets", "backend", "cmd", "ui", "views"}, top)
}

// inModule returns the folder of an import path of this module.
func inModule(p string) (string, bool) {
	dir, ok := strings.CutPrefix(p, module+"/")
	return dir, ok
}

// within reports whether dir is the folder root or below it.
func within(dir, root string) bool {
	return dir == root || strings.HasPrefix(dir, root+"/")
}

// standard reports whether an import path is of the standard library, whose
// first element has no dot.
func standard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return first != module && !strings.Contains(first, ".")
}

// testSupport reports whether a package exists for tests, as backendtest does.
func testSupport(dir string) bool {
	return strings.HasSuffix(path.Base(dir), "test")
}

// source is the parsed files of one folder, those for tests left out.
type source struct {
	dir     string
	fset    *token.FileSet
	files   []*ast.File
	imports []string
}

// readTree parses every Go file below root.
func readTree(t *testing.T, root string) map[string]source {
	t.Helper()
	tree := make(map[string]source)
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() {
			hidden := base != "." && strings.HasPrefix(base, ".")
			if hidden || base == "testdata" || base == "bin" || base == "dist" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") {
			return nil
		}
		dir := filepath.ToSlash(filepath.Dir(name))
		p := tree[dir]
		if p.fset == nil {
			p.dir, p.fset = dir, token.NewFileSet()
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		f, err := parser.ParseFile(p.fset, name, src, parser.ParseComments)
		if err != nil {
			return fmt.Errorf("parse %s: %w", name, err)
		}
		p.files = append(p.files, f)
		for _, spec := range f.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return fmt.Errorf("import in %s: %w", name, err)
			}
			if !slices.Contains(p.imports, to) {
				p.imports = append(p.imports, to)
			}
		}
		tree[dir] = p
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}
