package bleve

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2/index/scorch"
	index "github.com/blevesearch/bleve_index_api"

	"catalog"
	"catalog/internal/textsearch"
)

// maxTerms is how many terms of the index the words of a text may stand for in
// all. What people ask takes some hundred, and no text much more than these,
// however many words there are that begin as its words do or are like them.
const maxTerms limit = 4_000

// Search answers a page of the products that match, or a *catalog.Refusal.
//
// Text of blanks is no text. Text without a letter or digit finds nothing but
// what has exactly that name or SKU.
func (x *Index) Search(ctx context.Context, q catalog.Query) (catalog.Page, error) {
	q.Text = strings.TrimSpace(q.Text)
	if err := textsearch.ValidateQuery(q); err != nil {
		return catalog.Page{}, err
	}
	order, last, err := textsearch.ParseSort(q)
	if err != nil {
		return catalog.Page{}, err
	}
	var after *hit
	if last != nil {
		after = &hit{id: key(last.ID), key: last.Key}
	}
	var page catalog.Page
	err = x.inTurn(ctx, func(r *scorch.IndexSnapshot) (err error) {
		p, err := newPlan(r, q)
		if err != nil {
			return err
		}
		if page, err = x.find(ctx, r, q, p, collector{SortOrder: order, after: after, limit: q.Limit, low: p.low, high: p.high}, newCounts(q)); err != nil {
			return err
		}
		if page.Total == 0 && p.text {
			page.DidYouMean, err = x.instead(ctx, r, q, p)
			return err
		}
		if !q.Highlight {
			return nil
		}
		m := newMatcher(q.Text, p.words...)
		for _, item := range page.Items {
			page.Highlights = append(page.Highlights, m.Highlights(item))
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("search: %w", err)
	}
	return page, err
}

// place is where to look: the products that have one of the terms in the field.
type place struct {
	field string
	terms []string
}

// tier is a place, and what it is worth to be found there.
type tier struct {
	worth int
	place
}

// plan is a query in terms of the index. Terms that the query does not name,
// such as those one letter away, have been looked up in it.
type plan struct {
	filters [][]place // each must be met, in one of its places
	low     string    // the price is at least this; "" where it may be any
	high    string    // the price is at most this
	text    bool
	words   []wanted // each must be found somewhere
	whole   []tier   // what the text as a whole may be; then words need not be found
}

// wanted is a word of a text, and where it is looked for.
type wanted struct {
	word  string
	tiers []tier
}

func newPlan(r *scorch.IndexSnapshot, q catalog.Query) (plan, error) {
	asked := textsearch.NewPlan(q)
	p := plan{text: asked.Text, low: asked.Low, high: asked.High}
	for _, f := range asked.Filters {
		p.filters = append(p.filters, []place{{f.Field, []string{f.Term}}})
	}
	if asked.Low != "" {
		prices, err := between(r, asked.Low, asked.High)
		if err != nil {
			return p, err
		}
		p.filters = append(p.filters, prices)
	}
	for _, t := range asked.ExactMatches {
		if t.Field == textsearch.ID {
			id, err := catalog.ParseID(t.Term)
			if err != nil {
				return p, err
			}
			t.Term = key(id)
		}
		p.whole = append(p.whole, tier{t.Boost, place{t.Field, []string{t.Term}}})
	}
	left := maxTerms
	for i, w := range asked.Words {
		share := left / limit(len(asked.Words)-i) // what a word leaves of its share is for those behind it
		left -= share
		tiers, err := resolve(r, w, &share)
		if err != nil {
			return p, err
		}
		p.words = append(p.words, wanted{w.Word, tiers})
		left += share
	}
	return p, nil
}

// resolve looks up the terms that a word may stand for.
func resolve(r *scorch.IndexSnapshot, w textsearch.Word, left *limit) (tiers []tier, _ error) {
	for _, t := range w.Clauses {
		all, err := []string{t.Term}, error(nil)
		switch {
		case t.Prefix:
			all, err = left.of(r.FieldDictPrefix(t.Field, []byte(t.Term)))
		case t.MaxEdits > 0: // people seldom miss the first letter, and the index is searched faster
			_, size := utf8.DecodeRuneInString(t.Term)
			all, err = left.of(r.FieldDictFuzzy(t.Field, t.Term, t.MaxEdits, t.Term[:size]))
		}
		if err != nil {
			return nil, err
		}
		tiers = append(tiers, tier{t.Boost, place{t.Field, all}})
	}
	return tiers, nil
}

// newMatcher makes a matcher of words that have been looked up.
func newMatcher(text string, looked ...wanted) *textsearch.Highlighter {
	m := textsearch.NewHighlighter(text)
	for _, w := range looked {
		var stems []string
		for _, t := range w.tiers {
			switch t.field {
			case textsearch.Name, textsearch.Path, textsearch.Text:
				stems = append(stems, t.terms...)
			}
		}
		m.AddMatched(w.word, stems...)
	}
	return m
}

// limit is how many terms may still be taken.
type limit int

// of lists the terms of a part of a dictionary, as many as may be: the first in
// its order.
func (l *limit) of(d index.FieldDict, err error) (all []string, _ error) {
	if err != nil {
		return nil, err
	}
	for ; *l > 0; *l-- {
		e, err := d.Next()
		if err != nil || e == nil {
			return all, errors.Join(err, d.Close())
		}
		all = append(all, e.Term)
	}
	return all, d.Close()
}
