package textsearch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"catalog"
)

// suggestionPool is how many of the best matching products supply the words of the suggestions.
const suggestionPool = catalog.MaxLimit

// maxSuggestedBytes is the size of the products of suggestions, in bytes, at which their list ends. It
// has at least one.
const maxSuggestedBytes = 1 << 20

// Suggest returns completions of a text that is still being typed, or a *catalog.Refusal. Each
// suggested text finds something. e may rank only a part of the products that match.
func (r *Rules) Suggest(ctx context.Context, text string, limit int, e Engine) (catalog.Suggestions, error) {
	if limit < 1 || limit > catalog.MaxSuggestions {
		return catalog.Suggestions{}, catalog.Invalid("limit", fmt.Sprintf("must be between 1 and %d", catalog.MaxSuggestions))
	}
	req, err := r.NewRequest(catalog.Query{Text: text, Limit: suggestionPool})
	if err != nil || req.Query.Text == "" {
		return catalog.Suggestions{}, err
	}
	req.Facets = []Facet{FieldFacet(Category)}
	page, req, err := Search(ctx, req, e)
	if err != nil || page.Match == catalog.MatchPartial || len(page.Items) == 0 {
		return catalog.Suggestions{}, err
	}
	h := NewHighlighter(text, req.Plan.lastWord(text))
	texts, categories := h.completions(strings.TrimSpace(text), page.Items), page.Facets[0].Values
	return catalog.Suggestions{
		Texts:      texts[:min(len(texts), limit)],
		Categories: categories[:min(len(categories), limit)],
		Products:   upTo(maxSuggestedBytes, page.Items[:min(len(page.Items), limit)]),
	}, nil
}

// lastWord returns the word of p that is the last one of its text, if the text has words.
func (p Plan) lastWord(text string) []Word {
	typed := Tokenize(text)
	if len(typed) == 0 {
		return nil
	}
	i := slices.IndexFunc(p.Words, func(w Word) bool { return strings.HasSuffix(w.Word, typed[len(typed)-1]) })
	if i < 0 {
		return nil
	}
	return p.Words[i : i+1]
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
