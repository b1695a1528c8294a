// Command samplecomments draws comments at random from the Go files of the
// repository and prints each with its place, so that people can rate their
// language: plain, odd but clear, needs a second reading. The same seed draws
// the same comments from the same files.
//
//	go run -C tools ./samplecomments [-n 100] [-seed 1] [-dir ..] [-under reader]
//
// A comment is a whole group of comment lines. Generated files, test data
// and directives such as //go:embed are left out.
package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	n := flag.Int("n", 100, "how many `comments` to draw")
	seed := flag.Uint64("seed", 1, "seed of the `draw`")
	dir := flag.String("dir", "..", "`folder` of the repository")
	under := flag.String("under", "", "draw only from files below this `folder` of the repository")
	flag.Parse()
	comments, err := collect(*dir, *under)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	r := rand.New(rand.NewPCG(*seed, 0))
	r.Shuffle(len(comments), func(i, j int) { comments[i], comments[j] = comments[j], comments[i] })
	fmt.Printf("%d of %d comments, seed %d\n", min(*n, len(comments)), len(comments), *seed)
	for i, c := range comments[:min(*n, len(comments))] {
		fmt.Printf("\n%d. %s\n%s\n", i+1, c.place, c.text)
	}
}

// comment is the text of a comment group, indented, with its file and line.
type comment struct{ place, text string }

// collect returns the comments of all Go files below dir/under, in the order
// of their files.
func collect(dir, under string) ([]comment, error) {
	var comments []comment
	err := filepath.WalkDir(filepath.Join(dir, under), func(name string, d fs.DirEntry, err error) error {
		switch base := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && (base == "testdata" || base == "bin" || strings.HasPrefix(base, ".") && base != "." && base != ".."):
			return fs.SkipDir
		case d.IsDir(), filepath.Ext(name) != ".go":
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil || ast.IsGenerated(file) {
			return err
		}
		for _, group := range file.Comments {
			text := strings.TrimSpace(group.Text()) // without directives
			if text == "" {
				continue
			}
			at := files.Position(group.Pos())
			place, err := filepath.Rel(dir, at.Filename)
			if err != nil {
				return err
			}
			comments = append(comments, comment{
				place: fmt.Sprintf("%s:%d", filepath.ToSlash(place), at.Line),
				text:  "    " + strings.ReplaceAll(text, "\n", "\n    "),
			})
		}
		return nil
	})
	return comments, err
}
