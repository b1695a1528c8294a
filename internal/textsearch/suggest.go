package textsearch

import (
	"fmt"
	"strings"

	"catalog"
)

// fromBest is how many of the products that match best are looked at for words
// to suggest.
const fromBest = catalog.MaxLimit

// Suggest answers what a text may become that a person is still typing, or a
// *catalog.Refusal. find answers the products that the query finds, best first,
// with counts of their categories, and a matcher that has looked for the last
// word of the text. So whatever is suggested finds something.
func Suggest(text string, limit int, find func(q catalog.Query, last string) (catalog.Page, *Highlighter, error)) (catalog.Suggestions, error) {
	if limit < 1 || limit > catalog.MaxSuggestions {
		return catalog.Suggestions{}, catalog.Invalid("limit", fmt.Sprintf("must be between 1 and %d", catalog.MaxSuggestions))
	}
	q := catalog.Query{Text: strings.TrimSpace(text), Limit: fromBest}
	if err := ValidateQuery(q); err != nil || q.Text == "" {
		return catalog.Suggestions{}, err
	}
	last := ""
	if typed := Tokenize(q.Text); len(typed) > 0 {
		last = typed[len(typed)-1]
	}
	page, m, err := find(q, last)
	if err != nil {
		return catalog.Suggestions{}, err
	}
	texts, categories := m.Completions(q.Text, page.Items), page.Facets[0].Values
	return catalog.Suggestions{
		Texts:      texts[:min(len(texts), limit)],
		Categories: categories[:min(len(categories), limit)],
		Products:   page.Items[:min(len(page.Items), limit)],
	}, nil
}
