package textsearch_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"catalog"
	"catalog/internal/textsearch"
)

func loadRules(t *testing.T, text string) (*textsearch.Rules, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "search.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return textsearch.LoadRules(file)
}

func TestLoadRules(t *testing.T) {
	// finds reports whether a product with the name matches all words of text.
	finds := func(r *textsearch.Rules, text, name string) bool {
		p := catalog.Product{ProductData: catalog.ProductData{Name: name}}
		return !slices.ContainsFunc(r.NewPlan(catalog.Query{Text: text}).Words, func(w textsearch.Word) bool {
			return !w.Optional && !slices.ContainsFunc(w.Clauses, func(c textsearch.Clause) bool { return hasTerm(p, c.TermQuery) })
		})
	}
	for name, c := range map[string]struct {
		rules, text, product string
		byDefault, want      bool
	}{
		"a synonym works both ways":             {"synonyms: [\"beanbag, pouf\"]", "pouf", "Beanbag", false, true},
		"an arrow is one way":                   {"synonyms: [\"pouf => beanbag\"]", "pouf", "Beanbag", false, true},
		"and not the other":                     {"synonyms: [\"pouf => beanbag\"]", "beanbag", "Pouf", false, false},
		"a synonym of several words":            {"synonyms: [\"pouf, bean bag chair\"]", "pouf", "Bean bag chair", false, true},
		"a text of several words is a synonym":  {"synonyms: [\"pouf, bean bag chair\"]", "red bean bag chair", "Red pouf", false, true},
		"the built-in synonyms can be left out": {"defaultSynonyms: false", "sofa", "Couch", true, false},
		"a stop word never blocks":              {"stopWords: [GmbH]", "oak gmbh", "Oak", false, true},
		"languages choose the stop words":       {"languages: [de]", "the oak", "Oak", true, false},
		"compounds of their languages":          {"languages: [de]", "lampe", "Stehlampe", false, true},
		"whole words of a weight of 0 are off":  {"weights: {name: 0, joined: 0, firstPhrase: 0}", "oak1", "Oak1", true, false},
		"an empty file changes nothing":         {"", "sofa", "Couch", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := loadRules(t, c.rules)
			if err != nil {
				t.Fatal(err)
			}
			if got := finds(textsearch.DefaultRules(), c.text, c.product); got != c.byDefault {
				t.Errorf("by default %q finds %q: %v; want %v", c.text, c.product, got, c.byDefault)
			}
			if got := finds(r, c.text, c.product); got != c.want {
				t.Errorf("%q finds %q: %v; want %v", c.text, c.product, got, c.want)
			}
		})
	}
	for text, want := range map[string]string{
		"weights: {nme: 1}": "attributes, brand", "weights: {name: 101}": "between 0", "languages: [xx]": "known are", "synonym: []": "synonym", "[": "search.yaml",
	} {
		t.Run("refused: "+text, func(t *testing.T) {
			if _, err := loadRules(t, text); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("LoadRules = %v; want an error with %q", err, want)
			}
		})
	}
	t.Run("a file that does not exist is refused", func(t *testing.T) {
		if _, err := textsearch.LoadRules(filepath.Join(t.TempDir(), "none")); err == nil {
			t.Error("LoadRules of no file succeeds")
		}
	})
}
