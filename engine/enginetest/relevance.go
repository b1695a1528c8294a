package enginetest

import (
	"bufio"
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"testing"

	"catalog"
	"catalog/reader"
)

// Files of products and of questions about them, one JSON object a line.
const (
	productsFile  = "search-products.ndjson"
	questionsFile = "search-questions.ndjson"
)

//go:embed testdata/search-products.ndjson testdata/search-questions.ndjson
var searchFiles embed.FS

// question is a search within the products of a category, and what must be true of the names of the
// products that it finds:
//
//   - has: all of the names are among them;
//   - set: they are exactly these;
//   - first: this one comes first;
//   - before: both are found, the first one before the second one;
//   - not: none of the names is among them;
//   - partial: the search is a partial match, and this name comes first;
//   - none: nothing is found.
type question struct {
	Category string   `json:"category"`
	Text     string   `json:"q"`
	Expect   []string `json:"expect"`
	Mode     string   `json:"mode"`
}

// questionLimit is the number of results that a question compares.
const questionLimit = 50

// putAtOnce is how many products are put at once: a busy OpenSearch has a time limit too.
const putAtOnce = 200

// minExternalShare is the share of the questions of other files that must have the right result.
const minExternalShare = 0.95

// TestRelevance sends an index the queries of shoppers, by kind: spellings, units, model numbers,
// plurals, languages, synonyms and texts with a word too many. All questions of the repository must
// have the right result. CATALOG_TEST_SEARCH_CASES names a folder with other files of the same
// shape, of which 95 % must have it.
func TestRelevance(t *testing.T, open func(t *testing.T) reader.Index) {
	t.Run("questions of the repository", func(t *testing.T) {
		files, err := fs.Sub(searchFiles, "testdata")
		if err != nil {
			t.Fatal(err)
		}
		right, all := ask(t, open(t), files)
		if right < all {
			t.Errorf("%d of %d questions are right; want all", right, all)
		}
	})
	if dir := os.Getenv("CATALOG_TEST_SEARCH_CASES"); dir != "" {
		t.Run("other questions", func(t *testing.T) {
			right, all := ask(t, open(t), os.DirFS(dir))
			t.Logf("%d of %d questions are right", right, all)
			if float64(right) < minExternalShare*float64(all) {
				t.Errorf("%d of %d questions are right; want %.0f %%", right, all, 100*minExternalShare)
			}
		})
	}
}

// ask puts the products of the files into x and logs each question with a wrong result.
func ask(t *testing.T, x reader.Index, files fs.FS) (right, all int) {
	t.Helper()
	var products []catalog.Product
	for i, line := range readLines(t, files, productsFile) {
		products = append(products, productOf(t, line, i))
	}
	for some := range slices.Chunk(products, putAtOnce) {
		put(t, x, some...)
	}
	for _, line := range readLines(t, files, questionsFile) {
		var q question
		if err := json.Unmarshal(line, &q); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		page := search(t, x, catalog.Query{Text: q.Text, Category: q.Category, Limit: questionLimit})
		var names []string
		for _, p := range page.Items {
			names = append(names, p.Name)
		}
		all++
		if q.matches(names, page.Match) {
			right++
			continue
		}
		t.Logf("%s: Search(%q) = %q; want %s %q", q.Category, q.Text, names, q.Mode, q.Expect)
	}
	return right, all
}

// matches reports whether the names of the found products are what q expects.
func (q question) matches(names []string, match catalog.Match) bool {
	found := func(name string) bool { return slices.Contains(names, name) }
	switch q.Mode {
	case "none":
		return len(names) == 0
	case "not":
		return !slices.ContainsFunc(q.Expect, found)
	}
	for _, name := range q.Expect {
		if !found(name) {
			return false
		}
	}
	switch q.Mode {
	case "set":
		return len(names) == len(q.Expect)
	case "first":
		return names[0] == q.Expect[0]
	case "before":
		return slices.Index(names, q.Expect[0]) < slices.Index(names, q.Expect[1])
	case "partial":
		return names[0] == q.Expect[0] && match == catalog.MatchPartial
	}
	return true
}

func readLines(t *testing.T, files fs.FS, name string) (lines [][]byte) {
	t.Helper()
	b, err := fs.ReadFile(files, name)
	if err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		lines = append(lines, bytes.Clone(s.Bytes()))
	}
	return lines
}

// productOf returns the product that a line describes as the API does.
func productOf(t *testing.T, line []byte, n int) catalog.Product {
	t.Helper()
	var d struct {
		SKU, GTIN, Name, Brand, Description, Category string
		Tags                                          []string
		Attributes                                    map[string]string
	}
	if err := json.Unmarshal(line, &d); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return at(fmt.Sprint("searched ", n), 1, catalog.ProductData{
		SKU: d.SKU, GTIN: d.GTIN, Name: d.Name, Brand: d.Brand, Description: d.Description, Price: price(10, 0, "EUR"),
		Category: d.Category, Tags: d.Tags, Attributes: d.Attributes,
	})
}
