package textsearch_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catalog"
	"catalog/internal/textsearch"
)

// hasTerm reports whether p has a term that q matches. It ignores edits.
func hasTerm(p catalog.Product, q textsearch.TermQuery) bool {
	return slices.ContainsFunc(textsearch.FieldsOf(p), func(f textsearch.Field) bool {
		return f.Name == q.Field && slices.ContainsFunc(f.Terms, func(t string) bool {
			return t == q.Term || q.Prefix && strings.HasPrefix(t, q.Term)
		})
	})
}

func TestPrefixes(t *testing.T) {
	// matches reports whether a prefix clause of text matches a product with the word in its name or
	// in its description.
	matches := func(text string, p catalog.Product) bool {
		return slices.ContainsFunc(textsearch.DefaultRules().NewPlan(catalog.Query{Text: text}).Words[0].Clauses, func(c textsearch.Clause) bool {
			return c.Prefix && hasTerm(p, c.TermQuery)
		})
	}
	inName := func(word string) catalog.Product {
		return catalog.Product{ProductData: catalog.ProductData{Name: word}}
	}
	t.Run("every word matches all its prefixes and itself", func(t *testing.T) {
		const letters = "wörterbuchverlegerin"
		for i := range letters {
			for j := range letters[:i] {
				if word, prefix := letters[:i], letters[:j]; prefix != "" && !matches(prefix, inName(word)) {
					t.Errorf("%q does not match %q", prefix, word)
				}
			}
			if word := letters[:i]; word != "" && !matches(word, inName(word)) {
				t.Errorf("%q does not match itself", word)
			}
		}
	})
	t.Run("a prefix matches exactly the words that begin with it", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			letters := rapid.StringMatching(`[ab]{1,16}`)
			prefix, word := letters.Draw(t, "prefix"), letters.Draw(t, "word")
			if got, want := matches(prefix, inName(word)), strings.HasPrefix(word, prefix); got != want {
				t.Fatalf("%q matches %q: %v; want %v", prefix, word, got, want)
			}
		})
	})
	t.Run("words of all other texts match too", func(t *testing.T) {
		for _, d := range []catalog.ProductData{{Category: "Furniture"}, {Brand: "Furniture Co"}, {Description: "Some furniture"}, {SKU: "furniture-1"}} {
			if p := (catalog.Product{ProductData: d}); !matches("furn", p) {
				t.Errorf("furn does not match %+v", d)
			}
		}
	})
	t.Run("a prefix looks up one term of each word", func(t *testing.T) {
		for _, c := range textsearch.DefaultRules().NewPlan(catalog.Query{Text: "wo"}).Words[0].Clauses {
			for _, f := range textsearch.FieldsOf(inName("woodworking")) {
				n := 0
				for _, term := range f.Terms {
					if c.Prefix && c.Field == f.Name && strings.HasPrefix(term, c.Term) {
						n++
					}
				}
				if n > 1 {
					t.Errorf("%d terms of %s begin with %q; want at most one", n, f.Name, c.Term)
				}
			}
		}
	})
	t.Run("a word has few prefix terms", func(t *testing.T) {
		for _, f := range textsearch.FieldsOf(inName(strings.Repeat("x", 100))) {
			if f.Name == textsearch.NamePrefixes && len(f.Terms) != 3 {
				t.Errorf("%d prefix terms; want 3", len(f.Terms))
			}
		}
	})
}
