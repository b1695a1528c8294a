// Command module gives the module another import path, so that a fork or an organisation
// can publish it and other modules can import its client:
//
//	make module PATH=example.org/you/catalog
//
// It changes the go.mod files, the imports and package paths in Go files, the option
// go_package of the protobuf files, and the prefix of local imports in .golangci.yaml.
// The make target then regenerates the protobuf code and builds.
package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: make module PATH=example.org/you/catalog"))
	}
	n, err := rewrite("..", strings.TrimSpace(os.Args[1])) // go run -C tools
	if err != nil {
		fail(err)
	}
	fmt.Printf("changed %d files\n", n)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "module:", err)
	os.Exit(1)
}

// validPath matches import paths that other modules can import: the go command needs a
// dot in the first element, to tell them from the standard library.
var validPath = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+(/[A-Za-z0-9._~-]+)+$`)

var moduleLine = regexp.MustCompile(`(?m)^module (\S+)$`)

// rewrite changes the import path of the module in dir to path, and returns the number of
// files changed. It changes no file if one of them cannot be read or parsed.
func rewrite(dir, path string) (int, error) {
	if !validPath.MatchString(path) {
		return 0, fmt.Errorf("%q is not an import path such as example.org/you/catalog", path)
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return 0, err
	}
	m := moduleLine.FindSubmatch(mod)
	if m == nil {
		return 0, fmt.Errorf("go.mod has no module line")
	}
	r := rewriter{old: string(m[1]), path: path, folders: map[string]bool{}}
	if r.old == path {
		return 0, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		r.folders[e.Name()] = e.IsDir()
	}
	changed := map[string][]byte{}
	err = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if hidden := strings.HasPrefix(e.Name(), ".") && e.Name() != ".."; hidden || name == filepath.Join(dir, "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !e.Type().IsRegular() {
			return nil // a symbolic link to a folder of this repository
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		after, err := r.file(name, content)
		if err == nil && !bytes.Equal(content, after) {
			changed[name] = after
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	for name, content := range changed {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return 0, err
		}
	}
	return len(changed), nil
}

type rewriter struct {
	old, path string
	folders   map[string]bool // names in the module's root that are folders
}

// file returns the content of a file with the new path.
func (r *rewriter) file(name string, content []byte) ([]byte, error) {
	switch base := filepath.Base(name); {
	case base == "go.mod":
		return moduleLine.ReplaceAllFunc(content, func(line []byte) []byte {
			return []byte("module " + r.replace(strings.TrimPrefix(string(line), "module "), true))
		}), nil
	case base == ".golangci.yaml":
		return bytes.ReplaceAll(content, []byte("local-prefixes: ["+r.old+"]"), []byte("local-prefixes: ["+r.path+"]")), nil
	case filepath.Ext(base) == ".proto":
		return bytes.ReplaceAll(content, []byte(`go_package = "`+r.old+`/`), []byte(`go_package = "`+r.path+`/`)), nil
	case filepath.Ext(base) == ".go":
		return r.goFile(name, content)
	}
	return content, nil
}

// goFile replaces the path in imports, and in string literals that begin with the path
// of a package, as in exec.Command("go", "build", "catalog/cmd/catalog").
func (r *rewriter) goFile(name string, content []byte) ([]byte, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, content, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var literals []*ast.BasicLit
	imports := map[*ast.BasicLit]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			imports[n.Path] = true
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				literals = append(literals, n)
			}
		}
		return true
	})
	for _, l := range slices.Backward(literals) { // from the end, so that offsets stay valid
		value, err := strconv.Unquote(l.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", fset.Position(l.Pos()), err)
		}
		if after := r.replace(value, imports[l]); after != value {
			start := fset.Position(l.Pos()).Offset
			content = slices.Concat(content[:start], []byte(strconv.Quote(after)), content[start+len(l.Value):])
		}
	}
	return content, nil
}

// replace returns s with the new path if s is the path of a package: a path below the
// module that begins with one of its folders or, if root is true, the module itself.
func (r *rewriter) replace(s string, root bool) string {
	if root && s == r.old {
		return r.path
	}
	rest, ok := strings.CutPrefix(s, r.old+"/")
	folder, _, _ := strings.Cut(rest, "/")
	if !ok || !r.folders[folder] {
		return s
	}
	return r.path + "/" + rest
}
