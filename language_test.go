package catalog_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// wordList holds the words that must not be used, and what to write instead.
const wordList = "docs/words.txt"

// allowedWords lists the places where a word of the list is right. A line is
// allowed when it contains the fragment.
var allowedWords = []struct{ file, fragment, reason string }{}

// TestLanguage holds the texts of the repository against docs/words.txt:
// comments, string literals and names of tests in Go, and whole files of
// protobuf, OpenAPI, SQL, HTML, CSS, JavaScript, scripts, settings and
// Markdown. Generated code, test data and licences are left out.
func TestLanguage(t *testing.T) {
	t.Parallel()
	words := loadWords(t)
	used := make([]bool, len(allowedWords))
	for _, name := range textFiles(t) {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts, err := textsOf(name, string(content))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			for _, word := range words {
				for _, hit := range word.find(text) {
					if !allowWord(used, name, hit.line) {
						t.Errorf("%s:%d: %q in %q; write: %s", name, hit.number, hit.word, shorten(hit.line, 80), word.instead)
					}
				}
			}
		}
	}
	for i, a := range allowedWords {
		if !used[i] {
			t.Errorf("allowedWords has %s: %q, which is not needed any more", a.file, a.fragment)
		}
	}
}

// bannedWord is a line of the word list.
type bannedWord struct {
	pattern *regexp.Regexp
	instead string
}

// wordHit is a place where a text has a banned word.
type wordHit struct {
	word   string
	line   string
	number int // number of the line in its file
}

func (w bannedWord) find(text text) (hits []wordHit) {
	for _, at := range w.pattern.FindAllStringIndex(text.s, -1) {
		hits = append(hits, wordHit{
			word: text.s[at[0]:at[1]], line: lineAt(text.s, at[0]), number: text.line + strings.Count(text.s[:at[0]], "\n"),
		})
	}
	return hits
}

func loadWords(t *testing.T) []bannedWord {
	t.Helper()
	list, err := os.ReadFile(wordList)
	if err != nil {
		t.Fatal(err)
	}
	var words []bannedWord
	for line := range strings.Lines(string(list)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		pattern, instead, ok := strings.Cut(strings.TrimSpace(line), " -> ")
		if !ok {
			t.Fatalf("%s has the line %q without \" -> \"", wordList, line)
		}
		// Between two words of a phrase a line may break, within a comment too.
		pattern = strings.ReplaceAll(pattern, " ", `[\s/*#>-]+`)
		words = append(words, bannedWord{regexp.MustCompile(`(?i)\b(` + pattern + `)\b`), instead})
	}
	return words
}

// textFiles returns the hand-written files with text for readers, sorted.
func textFiles(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		name = filepath.ToSlash(name)
		switch base := path.Base(name); {
		case err != nil:
			return err
		case d.IsDir() && (slices.Contains([]string{"bin", "third_party", "catalog-data"}, base) ||
			strings.HasPrefix(base, ".") && base != "." && base != ".ci"):
			return fs.SkipDir
		case d.IsDir(), name == wordList, strings.HasSuffix(name, ".pb.go"), strings.HasSuffix(name, ".gen.go"):
			return nil
		case strings.Contains(name, "testdata/") && path.Ext(name) != ".txtar":
			return nil
		case slices.Contains([]string{".go", ".md", ".proto", ".yaml", ".yml", ".sql", ".html", ".css", ".js", ".svg", ".sh", ".txtar"}, path.Ext(name)),
			base == "Makefile", path.Ext(name) == "" && isScript(name):
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func isScript(name string) bool {
	content, err := os.ReadFile(name)
	return err == nil && strings.HasPrefix(string(content), "#!")
}

// text is a piece of a file, and the line that it begins at.
type text struct {
	s    string
	line int
}

// textsOf returns the texts of a file that people read: for Go its comments,
// string literals and names of tests, for other files everything.
func textsOf(name, content string) ([]text, error) {
	if path.Ext(name) != ".go" {
		return []text{{content, 1}}, nil
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var texts []text
	line := func(n ast.Node) int { return files.Position(n.Pos()).Line }
	for _, group := range file.Comments {
		texts = append(texts, text{content[files.Position(group.Pos()).Offset:files.Position(group.End()).Offset], line(group)})
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if s, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil {
				texts = append(texts, text{s, line(n)})
			}
		case *ast.FuncDecl:
			if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(n.Name.Name, "Test") {
				texts = append(texts, text{splitWords(n.Name.Name), line(n)})
			}
		}
		return true
	})
	return texts, nil
}

// splitWords separates the words of an identifier by spaces.
func splitWords(identifier string) string {
	var b strings.Builder
	for i, r := range identifier {
		switch {
		case r == '_':
			r = ' '
		case i > 0 && unicode.IsUpper(r):
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func allowWord(used []bool, name, line string) bool {
	for i, a := range allowedWords {
		if a.file == name && strings.Contains(line, a.fragment) {
			used[i] = true
			return true
		}
	}
	return false
}

// lineAt returns the line of s that holds offset.
func lineAt(s string, offset int) string {
	begin := strings.LastIndexByte(s[:offset], '\n') + 1
	rest, _, _ := strings.Cut(s[begin:], "\n")
	return strings.TrimSpace(rest)
}

func shorten(s string, limit int) string {
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}
