package pitwall_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNoHiddenState reads every package's declarations: no init, and no
// package variable that could change after the program starts.
func TestNoHiddenState(t *testing.T) {
	for _, p := range readTree(t, ".") {
		for _, problem := range p.hiddenState() {
			t.Error(problem)
		}
	}
}

// TestHiddenStateIsSeen feeds one declaration each.
func TestHiddenStateIsSeen(t *testing.T) {
	tests := []struct {
		src  string
		want string // part of the one problem; empty means none
	}{
		{`import "errors"; var ErrLagged = errors.New("lagged")`, ""},
		{`import "regexp"; var word = regexp.MustCompile("a+")`, ""},
		{`import "embed"; ` + "\n//go:embed *.go\nvar files embed.FS", ""},
		{"var names = []string{`a`, `b`}", ""},
		{"var names = map[string][]int{`a`: {1}}\nfunc f() { names := map[string][]int{}; names[`b`] = nil }", ""},
		{"var names = [...]string{1: `a`}", ""},
		{"type s struct{}; type i interface{}; var _ i = (*s)(nil)", ""},
		{"import `hash/crc32`; var sums = crc32.MakeTable(crc32.Castagnoli)", ""},
		{"type ports struct{ first, last int }; var usual = ports{1, 2}", ""},
		{"type ports struct{ first, last int }; var usual = ports{1, 2}\nfunc f() { usual.first++ }", "written"},
		{"type count struct{ n int }; var all = count{}", "can change"},
		{"import `sync`; var mu = sync.Mutex{}", "can change"},
		{"func init() {}", "init"},
		{"var count int", "can change"},
		{"var count = 1", "can change"},
		{"import `sync`; var mu sync.Mutex", "can change"},
		{"var hooks = []func(){func() {}}", "can change"},
		{"var names = make(map[string]int)", "can change"},
		{"type s struct{}; var one = &s{}", "can change"},
		{"var names = []string{`a`}\nfunc f() { names[0] = `b` }", "written"},
		{"var names = []string{`a`}\nfunc f() { names = append(names, `b`) }", "written"},
		{"var names = map[string]int{`a`: 1}\nfunc f() { delete(names, `a`) }", "written"},
		{"var names = map[string]int{`a`: 1}\nfunc f() { names[`a`]++ }", "written"},
	}
	for _, tt := range tests {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, "x.go", "package x\n"+tt.src, parser.ParseComments)
		if err != nil {
			t.Fatalf("parse %q: %v", tt.src, err)
		}
		p := source{dir: "x", fset: fset, files: []*ast.File{f}}
		got := p.hiddenState()
		if tt.want == "" && len(got) != 0 {
			t.Errorf("hiddenState(%q) = %q, want none", tt.src, got)
		}
		if tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
			t.Errorf("hiddenState(%q) = %q, want one with %q", tt.src, got, tt.want)
		}
	}
}

// hiddenState returns one sentence for each init and each package variable
// that may change. Packages for tests may keep what they like.
func (p source) hiddenState() []string {
	if testSupport(p.dir) {
		return nil
	}
	tables := make(map[string]token.Pos)
	var out []string
	for _, f := range p.files {
		for _, decl := range f.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil && decl.Name.Name == "init" {
					out = append(out, p.at(decl.Pos(), "init runs in every process: build it in cmd"))
				}
			case *ast.GenDecl:
				if decl.Tok == token.VAR {
					out = append(out, p.variables(decl, tables)...)
				}
			}
		}
	}
	return append(out, p.writes(tables)...)
}

// variables judges one var declaration and adds the tables it finds.
func (p source) variables(decl *ast.GenDecl, tables map[string]token.Pos) []string {
	var out []string
	for _, spec := range decl.Specs {
		spec := spec.(*ast.ValueSpec)
		if embedded(decl.Doc) || embedded(spec.Doc) {
			continue
		}
		for i, name := range spec.Names {
			switch {
			case name.Name == "_":
			case i < len(spec.Values) && constantCall(spec.Values[i]):
			case i < len(spec.Values) && isTable(spec.Values[i]):
				tables[name.Name] = name.Pos()
			default:
				out = append(out, p.at(name.Pos(), "package variable "+name.Name+" can change: make it a field, a parameter or a constant"))
			}
		}
	}
	return out
}

// writes finds the places where a table is changed after all.
func (p source) writes(tables map[string]token.Pos) []string {
	if len(tables) == 0 {
		return nil
	}
	info := types.Info{Uses: make(map[*ast.Ident]types.Object)}
	config := types.Config{Error: func(error) {}, Importer: noImports{}}
	// The errors are those of imports that nobody resolved; the names of this
	// package are resolved all the same.
	pkg, _ := config.Check(p.dir, p.fset, p.files, &info)
	table := func(e ast.Expr) *ast.Ident {
		id := rootIdent(e)
		if id == nil || info.Uses[id] == nil || info.Uses[id].Parent() != pkg.Scope() {
			return nil
		}
		if _, ok := tables[id.Name]; !ok {
			return nil
		}
		return id
	}
	var out []string
	report := func(e ast.Expr) {
		if id := table(e); id != nil {
			out = append(out, p.at(id.Pos(), "table "+id.Name+" is written"))
		}
	}
	for _, f := range p.files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, lhs := range n.Lhs {
					report(lhs)
				}
			case *ast.IncDecStmt:
				report(n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					report(n.X)
				}
			case *ast.CallExpr:
				if fn, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && (fn.Name == "delete" || fn.Name == "clear") {
					report(n.Args[0])
				}
			}
			return true
		})
	}
	return out
}

func (p source) at(pos token.Pos, text string) string {
	where := p.fset.Position(pos)
	return fmt.Sprintf("%s:%d: %s", filepath.ToSlash(where.Filename), where.Line, text)
}

// embedded reports whether a declaration is filled by the compiler.
func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool {
		return strings.HasPrefix(c.Text, "//go:embed ")
	})
}

// constantCall reports whether an expression makes a value that nothing
// changes: a sentinel, a compiled pattern, a replacer, a table of sums.
func constantCall(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	fn, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := fn.X.(*ast.Ident)
	return ok && slices.Contains([]string{"errors.New", "regexp.MustCompile", "strings.NewReplacer", "crc32.MakeTable"}, pkg.Name+"."+fn.Sel.Name)
}

// isTable reports whether an expression is an array, slice or map literal of
// plain data, or a struct of this package's with its fields filled in.
func isTable(e ast.Expr) bool {
	lit, ok := e.(*ast.CompositeLit)
	if !ok {
		return false
	}
	switch lit.Type.(type) {
	case *ast.ArrayType, *ast.MapType:
	case *ast.Ident:
		if len(lit.Elts) == 0 {
			return false
		}
	default:
		return false
	}
	plain := true
	for _, elt := range lit.Elts {
		ast.Inspect(elt, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				plain = false
			case *ast.CallExpr:
				plain = plain && constantCall(n)
			}
			return plain
		})
	}
	return plain
}

// rootIdent is the name that an expression such as x.y[z] begins with.
func rootIdent(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// noImports resolves nothing: what other packages hold is not asked.
type noImports struct{}

func (noImports) Import(p string) (*types.Package, error) {
	return nil, fmt.Errorf("import %s: not resolved", p)
}
