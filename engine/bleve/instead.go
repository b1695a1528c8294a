package bleve

import (
	"context"
	"slices"
	"strings"

	"github.com/blevesearch/bleve/v2/index/scorch"

	"catalog"
	"catalog/internal/textsearch"
)

const (
	maxLost       = 4   // words of a text: of more, nobody can tell which one is wrong
	maxNear       = 2   // words that are put right
	maxLike limit = 100 // words like one of these that are compared, in each field
)

// instead answers a text that finds something in the place of that of q, which
// finds nothing, or "" when none is near. Words that no product has are put
// right, more boldly than a search does, or left out, but no more than half of
// them.
func (x *Index) instead(ctx context.Context, r *scorch.IndexSnapshot, q catalog.Query, p plan) (string, error) {
	if len(p.words) > maxLost {
		return "", nil
	}
	var text []string
	strange := 0
	for _, w := range p.words {
		var exact []place
		for _, t := range w.tiers {
			if t.worth != textsearch.MisspeltBoost {
				exact = append(exact, t.place)
			}
		}
		many, err := having(r, exact...)
		if err != nil {
			return "", err
		}
		if many == 0 {
			if strange++; strange > maxNear {
				continue
			}
			if w.word, err = nearest(r, w.word); err != nil {
				return "", err
			}
		}
		if w.word != "" && !slices.Contains(text, w.word) {
			text = append(text, w.word)
		}
	}
	if strange == 0 || len(text) == 0 || 2*len(text) < len(p.words) { // what is left of a text by less than half is not what was meant
		return "", nil
	}
	q.Text = strings.Join(text, " ")
	p, err := newPlan(r, q)
	if err != nil {
		return "", err
	}
	page, err := x.find(ctx, r, q, p, collector{SortOrder: textsearch.SortOrder{Descending: true}, limit: 1, most: 1}, nil)
	if err != nil || len(page.Items) == 0 {
		return "", err
	}
	return q.Text, nil
}

// nearest is the word that products have and that is most like w: of those with
// the fewest errors one of a name, else of a category, else of another text, and
// of these the most frequent; "" when there is none.
func nearest(r *scorch.IndexSnapshot, w string) (string, error) {
	for errs := 1; errs <= textsearch.MaxEditsForSuggestion(w); errs++ {
		for _, field := range []string{textsearch.Name, textsearch.Path, textsearch.Text} {
			left := maxLike
			like, err := left.of(r.FieldDictFuzzy(field, textsearch.Stem(w), errs, ""))
			if err != nil {
				return "", err
			}
			best, most := "", uint64(0)
			for _, t := range like {
				many, err := having(r, place{field, []string{t}})
				if err != nil {
					return "", err
				}
				if many > most {
					best, most = t, many
				}
			}
			if best != "" {
				return best, nil
			}
		}
	}
	return "", nil
}

// having counts the products that are in one of the places.
func having(r *scorch.IndexSnapshot, places ...place) (many uint64, _ error) {
	for _, seg := range r.Segments() {
		s := part{seg}
		either, err := s.having(places...)
		if err != nil {
			return 0, err
		}
		many += either.AndCardinality(s.DocNumbersLive())
	}
	return many, nil
}
