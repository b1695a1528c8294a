package bleve

import (
	"context"
	"slices"
	"strings"

	"github.com/blevesearch/bleve/v2/index/scorch"

	"catalog/internal/textsearch"
)

// Limits of the correction of a text.
const (
	maxCorrectedText  = 4   // words of a text; in a longer one no single word is the likely error
	maxCorrectedWords = 2   // words that are corrected; further unknown words are left out
	maxCorrections    = 100 // similar terms that are compared, in each field
)

// didYouMean returns a text that finds something, similar to the text of req, which finds nothing,
// or "" when there is none. It corrects words that no product has, with more edits than a search
// allows, or leaves them out. At least half of the words remain.
func (x *Index) didYouMean(ctx context.Context, r *scorch.IndexSnapshot, req textsearch.Request, p queryPlan) (string, error) {
	if len(p.words) > maxCorrectedText {
		return "", nil
	}
	var text []string
	unknown := 0
	for _, w := range p.words {
		n, err := countProducts(r, w.exactTerms()...)
		if err != nil {
			return "", err
		}
		if n == 0 {
			if unknown++; unknown > maxCorrectedWords {
				continue
			}
			if w.word, err = closestTerm(r, w.word); err != nil {
				return "", err
			}
		}
		if w.word != "" && !slices.Contains(text, w.word) {
			text = append(text, w.word)
		}
	}
	if unknown == 0 || len(text) == 0 || 2*len(text) < len(p.words) {
		return "", nil
	}
	q := req.Query
	q.Text, q.Limit = strings.Join(text, " "), 1
	p, err := resolve(r, textsearch.NewPlan(q))
	if err != nil {
		return "", err
	}
	page, err := x.find(ctx, r, textsearch.Request{Query: q, Order: textsearch.ByScore()}, p, 1)
	if err != nil || len(page.Items) == 0 {
		return "", err
	}
	return q.Text, nil
}

// exactTerms returns the terms of a word without those that match with edits.
func (w queryWord) exactTerms() (all []fieldTerms) {
	for _, c := range w.clauses {
		if c.boost != textsearch.MisspeltBoost {
			all = append(all, c.fieldTerms)
		}
	}
	return all
}

// closestTerm returns the term of the index that is most similar to word, or "" when none is
// similar. It prefers fewer edits, then a word of a name to one of a category and to other words,
// then the most frequent one.
func closestTerm(r *scorch.IndexSnapshot, word string) (string, error) {
	maxEdits := textsearch.MaxEditsForSuggestion(word)
	lookup := similarTerms{term: textsearch.Stem(word), maxEdits: maxEdits, limit: int(maxTerms), anyStart: true}
	for edits := 1; edits <= maxEdits; edits++ {
		for _, field := range []string{textsearch.Name, textsearch.Labels, textsearch.Text} {
			similar, err := lookup.within(r, field, edits)
			if err != nil {
				return "", err
			}
			best, most := "", uint64(0)
			for _, t := range similar[:min(len(similar), maxCorrections)] {
				n, err := countProducts(r, fieldTerms{field, []string{t}})
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
func countProducts(r *scorch.IndexSnapshot, terms ...fieldTerms) (n uint64, _ error) {
	for _, seg := range r.Segments() {
		s := segmentSnapshot{seg}
		matching, err := s.productsWith(terms...)
		if err != nil {
			return 0, err
		}
		n += matching.AndCardinality(s.DocNumbersLive())
	}
	return n, nil
}
