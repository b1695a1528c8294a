package bleve

import (
	"context"
	"fmt"

	"catalog"
)

// maxSuggestCandidates is how many products of a segment Suggest ranks. Half of a catalogue may have
// words that begin with one letter, and none of them is likelier than the others.
const maxSuggestCandidates = 2_000

// Suggest returns completions of text, or a *catalog.Refusal.
func (x *Index) Suggest(ctx context.Context, text string, limit int) (s catalog.Suggestions, err error) {
	err = x.withSlot(ctx, suggestSlot, func(r snapshot) error {
		s, err = x.rules.Suggest(ctx, text, limit, finder{x, r, maxSuggestCandidates})
		return err
	})
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("suggest: %w", err)
	}
	return s, err
}
