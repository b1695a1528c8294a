package bleve

import (
	"context"
	"fmt"
	"slices"

	"github.com/blevesearch/bleve/v2/index/scorch"

	"catalog"
	"catalog/internal/textsearch"
)

// maxSuggestCandidates is how many products of a segment Suggest ranks. Half of a catalogue may have
// words that begin with one letter, and none of them is likelier than the others.
const maxSuggestCandidates = 2_000

// Suggest returns completions of text, or a *catalog.Refusal.
func (x *Index) Suggest(ctx context.Context, text string, limit int) (catalog.Suggestions, error) {
	return textsearch.Suggest(text, limit, func(req textsearch.Request, lastWord string) (page catalog.Page, h *textsearch.Highlighter, err error) {
		var last []queryWord
		err = x.withSlot(ctx, suggestSlot, func(r *scorch.IndexSnapshot) error {
			p, err := resolve(r, req.Plan)
			if err != nil {
				return err
			}
			if i := slices.IndexFunc(p.words, func(w queryWord) bool { return w.word == lastWord }); i >= 0 {
				last = p.words[i : i+1]
			}
			page, err = x.find(ctx, r, req, p, maxSuggestCandidates)
			return err
		})
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("suggest: %w", err)
		}
		return page, newHighlighter(req.Query.Text, last), err
	})
}
