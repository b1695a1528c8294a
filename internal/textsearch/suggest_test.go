package textsearch_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"catalog"
	"catalog/internal/textsearch"
)

// found is an engine that finds the same products for every request, or an error.
type found struct {
	names []string
	err   error
}

func (f found) Find(_ context.Context, r textsearch.Request) (catalog.Page, error) {
	page := catalog.Page{Total: 100, Facets: []catalog.Facet{{Field: r.Facets[0].Field, Values: []catalog.FacetValue{{Value: "A", Count: 2}, {Value: "B", Count: 1}}}}}
	for _, name := range f.names {
		page.Items = append(page.Items, catalog.Product{ProductData: catalog.ProductData{Name: name}})
	}
	return page, f.err
}

func (f found) Count(_ context.Context, r textsearch.Request) ([]int64, error) {
	return make([]int64, len(r.Plan.Words)), f.err
}

// suggest calls Suggest with an engine that finds products with these names.
func suggest(text string, limit int, names ...string) (catalog.Suggestions, error) {
	return textsearch.DefaultRules().Suggest(context.Background(), text, limit, found{names: names})
}

func TestSuggest(t *testing.T) {
	t.Run("completions replace the last word and keep the rest", func(t *testing.T) {
		s, err := suggest(" Big  oa", 5, "Oak table")
		if err != nil || !slices.Equal(s.Texts, []string{"big  oak"}) {
			t.Errorf("texts %q, %v; want big  oak", s.Texts, err)
		}
	})
	t.Run("words of many and of the best products come first", func(t *testing.T) {
		s, err := suggest("c", 5, "Coffee", "Cup", "Chair", "Cup")
		if err != nil || !slices.Equal(s.Texts, []string{"coffee", "cup", "chair"}) { // weights 4, 3+1 and 2
			t.Errorf("texts %q, %v; want coffee, cup, chair", s.Texts, err)
		}
	})
	t.Run("a word of the text is not suggested", func(t *testing.T) {
		s, err := suggest("oak table", 5, "Oak table", "Oak tables")
		if err != nil || !slices.Equal(s.Texts, []string{"oak tables"}) {
			t.Errorf("texts %q, %v; want oak tables", s.Texts, err)
		}
	})
	t.Run("each list has at most limit entries", func(t *testing.T) {
		s, err := suggest("c", 1, "Coffee", "Cup")
		if err != nil || len(s.Texts) != 1 || len(s.Products) != 1 || len(s.Categories) != 1 || s.Categories[0].Value != "A" {
			t.Errorf("%d texts, %d products, categories %v, %v; want one of each", len(s.Texts), len(s.Products), s.Categories, err)
		}
	})
	t.Run("no text has no suggestions", func(t *testing.T) {
		s, err := suggest("  ", 5, "Coffee")
		if err != nil || s.Texts != nil || s.Products != nil || s.Categories != nil {
			t.Errorf("%d texts, %d products, %v; want none", len(s.Texts), len(s.Products), err)
		}
	})
	t.Run("an invalid limit or text is refused", func(t *testing.T) {
		for _, limit := range []int{-1, 0, catalog.MaxSuggestions + 1} {
			_, err := suggest("oak", limit)
			wantRefused(t, err, "limit")
		}
		_, err := suggest(strings.Repeat("x", catalog.MaxText+1), 5)
		wantRefused(t, err, "q")
	})
	t.Run("the error of the engine is returned", func(t *testing.T) {
		failure := errors.New("failure")
		if _, err := textsearch.DefaultRules().Suggest(t.Context(), "oak", 5, found{err: failure}); !errors.Is(err, failure) {
			t.Errorf("Suggest = %v; want the error of the engine", err)
		}
	})
}
