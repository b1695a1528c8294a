package bleve

import (
	"context"
	"slices"
	"strings"

	"catalog/internal/textsearch"
)

// Limits of the correction of a text.
const (
	maxCorrectedText  = 4   // words of a text; in a longer one no single word is the likely error
	maxCorrectedWords = 2   // words that are corrected; further unknown words are left out
	maxCorrections    = 100 // similar terms that are compared, in each field
)

// didYouMean returns a text that is similar to the text of req and matches products, or "" when
// there is none. No product has all words of req. It corrects words that no product has, with more
// edits than a search allows.
func (x *Index) didYouMean(ctx context.Context, r snapshot, req textsearch.Request) (string, error) {
	if len(req.Plan.Words) > maxCorrectedText {
		return "", nil
	}
	p, err := resolve(r, req.Plan)
	if err != nil {
		return "", err
	}
	var text []string
	corrected := 0
	for i, w := range p.words {
		word := req.Plan.Words[i].Word
		var exact []fieldTerms
		for _, c := range w.clauses {
			exact = append(exact, c.fieldTerms)
		}
		n, err := countProducts(r, exact...)
		if err != nil {
			return "", err
		}
		if n == 0 {
			if word, err = closestTerm(r, word); err != nil {
				return "", err
			}
			if corrected++; word == "" || corrected > maxCorrectedWords {
				return "", nil
			}
		}
		if !slices.Contains(text, word) {
			text = append(text, word)
		}
	}
	if corrected == 0 {
		return "", nil
	}
	q := req.Query
	q.Text, q.Limit = strings.Join(text, " "), 1
	page, err := finder{x, r, 1}.Find(ctx, textsearch.Request{Query: q, Plan: x.rules.NewPlan(q), Order: textsearch.ByScore()})
	if err != nil || len(page.Items) == 0 {
		return "", err
	}
	return q.Text, nil
}

// closestTerm returns the term of the index that is most similar to word, or "" when none is
// similar. It prefers fewer edits, then a word of a name to one of a category and to other words,
// then the most frequent one.
func closestTerm(r snapshot, word string) (string, error) {
	maxEdits := textsearch.MaxEditsForSuggestion(word)
	lookup := similarTerms{term: textsearch.Stem(word), maxEdits: maxEdits, limit: int(maxTerms), anyStart: true}
	for edits := 1; edits <= maxEdits; edits++ {
		for _, field := range []string{textsearch.Name, textsearch.BrandWords, textsearch.Labels, textsearch.Text} {
			similar, err := lookup.within(r, field, edits)
			if err != nil {
				return "", err
			}
			best, most := "", uint64(0)
			for _, t := range similar[:min(len(similar), maxCorrections)] {
				n, err := countProducts(r, fieldTerms{field: field, terms: []string{t}})
				if err != nil {
					return "", err
				}
				if n > most {
					best, most = t, n
				}
			}
			if best != "" {
				return best, nil
			}
		}
	}
	return "", nil
}

// countProducts returns how many products have one of the terms.
func countProducts(r snapshot, terms ...fieldTerms) (n uint64, _ error) {
	for _, s := range r.segments {
		matching, err := s.productsWith(terms...)
		if err != nil {
			return 0, err
		}
		n += matching.AndCardinality(s.DocNumbersLive())
	}
	return n, nil
}
