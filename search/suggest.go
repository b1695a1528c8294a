package search

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/blevesearch/bleve/v2/index/scorch"

	"catalog"
	"catalog/term"
)

// fromBest is how many of the products that match best are looked at for words
// to suggest.
const fromBest = catalog.MaxLimit

// maxLooked is how many products of a segment are looked at to find them. Half of
// a catalogue may have words that begin with one letter, and nobody can tell
// which of them are meant.
const maxLooked = 2_000

// Suggest answers what the text may become, or a *catalog.Refusal. It looks at
// what the text finds as it is, so whatever it suggests finds something.
func (x *Index) Suggest(ctx context.Context, text string, limit int) (catalog.Suggestions, error) {
	if limit < 1 || limit > catalog.MaxSuggestions {
		return catalog.Suggestions{}, catalog.Invalid("limit", fmt.Sprintf("must be between 1 and %d", catalog.MaxSuggestions))
	}
	q := catalog.Query{Text: strings.TrimSpace(text), Limit: fromBest}
	if err := term.Check(q); err != nil || q.Text == "" {
		return catalog.Suggestions{}, err
	}
	var page catalog.Page
	var last []wanted
	err := x.inTurn(ctx, func(r *scorch.IndexSnapshot) error {
		p, err := newPlan(r, q)
		if err != nil {
			return err
		}
		if typed := term.Words(q.Text); len(typed) > 0 {
			if i := slices.IndexFunc(p.words, func(w wanted) bool { return w.word == typed[len(typed)-1] }); i >= 0 {
				last = p.words[i : i+1]
			}
		}
		page, err = x.find(ctx, r, q, p, collector{Order: term.Order{Descending: true}, limit: q.Limit, most: maxLooked}, counts{newCount(term.Category)})
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("suggest: %w", err)
		}
		return catalog.Suggestions{}, err
	}
	texts, categories := newMatcher(q.Text, last...).Completions(q.Text, page.Items), page.Facets[0].Values
	return catalog.Suggestions{
		Texts:      texts[:min(len(texts), limit)],
		Categories: categories[:min(len(categories), limit)],
		Products:   page.Items[:min(len(page.Items), limit)],
	}, nil
}
