package textsearch

import (
	"fmt"
	"strings"

	"catalog"
)

// suggestionPool is how many of the best matching products supply the words of the suggestions.
const suggestionPool = catalog.MaxLimit

// maxSuggestedBytes is the size of the products of suggestions, in bytes, at which their list ends. It
// has at least one.
const maxSuggestedBytes = 1 << 20

// Suggest returns completions of a text that is still being typed, or a *catalog.Refusal. find
// returns the products that r matches, best first, and the counts of their categories. It also
// returns a highlighter of the last word of the text, which matches what that word may become. So
// each suggested text finds something.
func Suggest(text string, limit int, find func(r Request, lastWord string) (catalog.Page, *Highlighter, error)) (catalog.Suggestions, error) {
	if limit < 1 || limit > catalog.MaxSuggestions {
		return catalog.Suggestions{}, catalog.Invalid("limit", fmt.Sprintf("must be between 1 and %d", catalog.MaxSuggestions))
	}
	r, err := NewRequest(catalog.Query{Text: text, Limit: suggestionPool})
	if err != nil || r.Query.Text == "" {
		return catalog.Suggestions{}, err
	}
	r.Facets = []Facet{FieldFacet(Category)}
	lastWord := ""
	if typed := Tokenize(text); len(typed) > 0 {
		lastWord = typed[len(typed)-1]
	}
	page, h, err := find(r, lastWord)
	if err != nil {
		return catalog.Suggestions{}, err
	}
	texts, categories := h.completions(strings.TrimSpace(text), page.Items), page.Facets[0].Values
	return catalog.Suggestions{
		Texts:      texts[:min(len(texts), limit)],
		Categories: categories[:min(len(categories), limit)],
		Products:   upTo(maxSuggestedBytes, page.Items[:min(len(page.Items), limit)]),
	}, nil
}

// upTo returns the first products, up to the one at which their size reaches limit.
func upTo(limit int, products []catalog.Product) []catalog.Product {
	size := 0
	for i, p := range products {
		if size += p.Size(); size >= limit {
			return products[:i+1]
		}
	}
	return products
}
