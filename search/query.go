package search

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2/index/scorch"
	index "github.com/blevesearch/bleve_index_api"

	"catalog"
)

const (
	maxWords    = 12 // of a text; further ones are not looked for
	minMisspelt = 5  // letters of a word that may be misspelt: most short words are one letter from another
)

// Search answers a page of the products that match, or a *catalog.Refusal.
//
// Text of blanks is no text. Text without a letter or digit finds nothing but
// what has exactly that name or SKU.
func (x *Index) Search(ctx context.Context, q catalog.Query) (catalog.Page, error) {
	q.Text = strings.TrimSpace(q.Text)
	if err := check(q); err != nil {
		return catalog.Page{}, err
	}
	s, after, err := sortOf(q)
	if err != nil {
		return catalog.Page{}, err
	}
	var page catalog.Page
	err = x.read(func(r *scorch.IndexSnapshot) (err error) {
		page, err = find(ctx, r, q, s, after)
		return err
	})
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("search: %w", err)
	}
	return page, err
}

// check keeps the rules of a query that the contract cannot say.
func check(q catalog.Query) error {
	r := &catalog.Refusal{}
	if utf8.RuneCountInString(q.Text) > catalog.MaxText {
		r.Add("q", fmt.Sprintf("must have at most %d characters", catalog.MaxText))
	}
	if q.Limit < 1 || q.Limit > catalog.MaxLimit {
		r.Add("limit", fmt.Sprintf("must be between 1 and %d", catalog.MaxLimit))
	}
	if q.Currency != "" && catalog.CurrencyDigits(q.Currency) < 0 {
		r.Add("currency", "is not a currency of ISO 4217; give a code such as EUR")
	}
	if (q.MinPrice != nil || q.MaxPrice != nil) && q.Currency == "" {
		r.Add("currency", "must be given with minPrice and maxPrice: prices in different currencies do not compare")
	}
	for field, d := range map[string]*catalog.Decimal{"minPrice": q.MinPrice, "maxPrice": q.MaxPrice} {
		if d != nil && (d.Units < 0 || d.Nanos < 0 || len(sortablePrice(*d)) != priceDigits) {
			r.Add(field, "must be at least 0 and less than 1000000000000000")
		}
	}
	if q.MinPrice != nil && q.MaxPrice != nil && q.MinPrice.Cmp(*q.MaxPrice) > 0 {
		r.Add("minPrice", "must not be more than maxPrice")
	}
	return r.Err()
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
	text    bool
	words   [][]tier // each must be found somewhere; the best tier counts, and comes first
	whole   []tier   // what the text as a whole may be; then words need not be found
}

func newPlan(r *scorch.IndexSnapshot, q catalog.Query) (plan, error) {
	var p plan
	for field, value := range map[string]string{fieldIn: q.Category, fieldTag: q.Tag, fieldCurrency: q.Currency} {
		if value != "" {
			p.filters = append(p.filters, []place{{field, []string{value}}})
		}
	}
	if q.MinPrice != nil || q.MaxPrice != nil {
		low, high := strings.Repeat("0", priceDigits), strings.Repeat("9", priceDigits)
		if q.MinPrice != nil {
			low = sortablePrice(*q.MinPrice)
		}
		if q.MaxPrice != nil {
			high = sortablePrice(*q.MaxPrice)
		}
		prices, err := between(r, low, high)
		if err != nil {
			return p, err
		}
		p.filters = append(p.filters, prices)
	}
	if q.Text == "" {
		return p, nil
	}
	p.text = true
	folded := fold(q.Text)
	p.whole = []tier{{1_000, place{fieldSKU, []string{folded}}}, {100, place{fieldTitle, []string{folded}}}}
	if id, err := catalog.ParseID(folded); err == nil {
		p.whole = append(p.whole, tier{1_000, place{fieldID, []string{key(id)}}})
	}
	seen := map[string]bool{}
	for _, w := range words(q.Text) {
		if seen[w] || len(p.words) == maxWords {
			continue
		}
		seen[w] = true
		tiers, err := word(r, w)
		if err != nil {
			return p, err
		}
		p.words = append(p.words, tiers)
	}
	return p, nil
}

// word lists where a word is looked for: whole rather than as the beginning of
// another, in the name rather than in the category rather than elsewhere, and
// misspelt last.
func word(r *scorch.IndexSnapshot, w string) ([]tier, error) {
	s := stem(w)
	tiers := []tier{
		{8, place{fieldName, []string{s}}},
		{6, place{fieldPath, []string{s}}},
		{4, place{fieldText, []string{s}}},
	}
	begins, err := beginning(r, w)
	if err != nil {
		return nil, err
	}
	tiers = append(tiers, begins...)
	if utf8.RuneCountInString(w) >= minMisspelt && !numeric(w) {
		_, size := utf8.DecodeRuneInString(s) // people seldom miss the first letter, and the index is searched faster
		for _, field := range []string{fieldName, fieldPath, fieldText} {
			like, err := expand(r.FieldDictFuzzy(field, s, 1, s[:size]))
			if err != nil {
				return nil, err
			}
			tiers = append(tiers, tier{1, place{field, like}})
		}
	}
	return tiers, nil
}

// beginning lists where words are looked for that begin with w.
func beginning(r *scorch.IndexSnapshot, w string) (tiers []tier, _ error) {
	length := utf8.RuneCountInString(w)
	fields, term := []string{fieldName, fieldPath, fieldText}, w // what is longer than the last level is looked for among the words
	for _, level := range levels() {
		if length <= level {
			fields, term = []string{fieldNameStarts, fieldStarts}, startTerm(level, w)
			break
		}
	}
	for i, field := range fields {
		all, err := expand(r.FieldDictPrefix(field, []byte(term)))
		if err != nil {
			return nil, err
		}
		tiers = append(tiers, tier{max(3-i, 2), place{field, all}})
	}
	return tiers, nil
}

// expand lists the terms of a part of a dictionary.
func expand(d index.FieldDict, err error) (all []string, _ error) {
	if err != nil {
		return nil, err
	}
	for {
		e, err := d.Next()
		if err != nil || e == nil {
			return all, errors.Join(err, d.Close())
		}
		all = append(all, e.Term)
	}
}
