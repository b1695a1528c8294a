package bleve

import (
	"context"
	"fmt"
	"slices"

	"github.com/blevesearch/bleve/v2/index/scorch"

	"catalog"
	"catalog/internal/textsearch"
)

// maxLooked is how many products of a segment are looked at to find them. Half of
// a catalogue may have words that begin with one letter, and nobody can tell
// which of them are meant.
const maxLooked = 2_000

// Suggest answers what the text may become, or a *catalog.Refusal.
func (x *Index) Suggest(ctx context.Context, text string, limit int) (catalog.Suggestions, error) {
	return textsearch.Suggest(text, limit, func(q catalog.Query, last string) (page catalog.Page, m *textsearch.Highlighter, err error) {
		var looked []wanted
		err = x.inTurn(ctx, func(r *scorch.IndexSnapshot) error {
			p, err := newPlan(r, q)
			if err != nil {
				return err
			}
			if i := slices.IndexFunc(p.words, func(w wanted) bool { return w.word == last }); i >= 0 {
				looked = p.words[i : i+1]
			}
			page, err = x.find(ctx, r, q, p, collector{SortOrder: textsearch.SortOrder{Descending: true}, limit: q.Limit, most: maxLooked}, counts{newCount(textsearch.Category)})
			return err
		})
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("suggest: %w", err)
		}
		return page, newMatcher(q.Text, looked...), err
	})
}
