package search

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2/index/scorch"
	index "github.com/blevesearch/bleve_index_api"

	"catalog"
)

const (
	maxWords    = 12 // of a text; further ones are not looked for
	maxMisspelt = 4  // words of a text that may be misspelt: the first ones
	maxLetters  = 24 // of a word that may be misspelt
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
	if err := check(q); err != nil {
		return catalog.Page{}, err
	}
	s, after, err := sortOf(q)
	if err != nil {
		return catalog.Page{}, err
	}
	var page catalog.Page
	err = x.read(func(r *scorch.IndexSnapshot) (err error) {
		p, err := newPlan(r, q)
		if err != nil {
			return err
		}
		if page, err = find(ctx, r, q, p, collector{sort: s, after: after, limit: q.Limit}, newCounts(q)); err != nil || !q.Highlight {
			return err
		}
		m := newMatcher(q.Text, p.words...)
		for _, item := range page.Items {
			page.Highlights = append(page.Highlights, m.highlights(item))
		}
		return nil
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
	if len(q.Attributes) > catalog.MaxFilters {
		r.Add("attribute", fmt.Sprintf("may be given %d times", catalog.MaxFilters))
	}
	if len(q.FacetAttributes) > catalog.MaxFilters {
		r.Add("facet", fmt.Sprintf("may be given %d times", catalog.MaxFilters))
	}
	if len(slices.Compact(slices.Sorted(slices.Values(q.FacetAttributes)))) < len(q.FacetAttributes) {
		r.Add("facet", "must not name an attribute twice")
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

// tier is a place, and what it is worth to be found there. What a product is
// worth is the sum. So a word in category and description is worth more than one
// in either, and less than one in the name; the beginning of a word is worth less
// than a whole word, and a misspelt one least, wherever they are.
type tier struct {
	worth int
	place
}

// errorsIn is how many letters of a word may be wrong, missing, too many or
// swapped. Most short words are one letter from another, and so they have to be
// right. A number that is written differently is another number. What is longer
// than words are would take long to compare.
func errorsIn(word string) int {
	length := utf8.RuneCountInString(word)
	switch {
	case length < 4 || length > maxLetters || numeric(word):
		return 0
	case length < 8:
		return 1
	}
	return 2
}

// plan is a query in terms of the index. Terms that the query does not name,
// such as those one letter away, have been looked up in it.
type plan struct {
	filters [][]place // each must be met, in one of its places
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
	var p plan
	for field, value := range map[string]string{fieldIn: q.Category, fieldTag: q.Tag, fieldCurrency: q.Currency} {
		if value != "" {
			p.filters = append(p.filters, []place{{field, []string{value}}})
		}
	}
	for key, value := range q.Attributes {
		p.filters = append(p.filters, []place{{fieldHas, []string{attributeTerm(key, value)}}})
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
	p.whole = []tier{
		{10_000, place{fieldSKU, []string{folded}}},
		{200, place{fieldTitle, []string{folded}}},
		{40, place{fieldHead, []string{headTerm(q.Text)}}},
	}
	if id, err := catalog.ParseID(folded); err == nil {
		p.whole = append(p.whole, tier{10_000, place{fieldID, []string{key(id)}}})
	}
	for _, w := range words(q.Text) {
		known := slices.ContainsFunc(p.words, func(other wanted) bool { return other.word == w })
		if !known && len(p.words) < maxWords {
			p.words = append(p.words, wanted{word: w})
		}
	}
	left := maxTerms
	for i := range p.words {
		errs := errorsIn(p.words[i].word)
		if i >= maxMisspelt {
			errs = 0
		}
		share := left / limit(len(p.words)-i) // what a word leaves of its share is for those behind it
		left -= share
		var err error
		if p.words[i].tiers, err = word(r, p.words[i].word, errs, &share); err != nil {
			return p, err
		}
		left += share
	}
	return p, nil
}

// word lists where a word is looked for: whole, as the beginning of another, and
// with so many errors at most.
func word(r *scorch.IndexSnapshot, w string, errs int, left *limit) ([]tier, error) {
	s := stem(w)
	tiers := []tier{
		{64, place{fieldName, []string{s}}},
		{24, place{fieldPath, []string{s}}},
		{20, place{fieldText, []string{s}}},
		{12, place{fieldHead, []string{s}}}, // in the text too
	}
	begins, err := beginning(r, w, left)
	if err != nil {
		return nil, err
	}
	tiers = append(tiers, begins...)
	_, size := utf8.DecodeRuneInString(s) // people seldom miss the first letter, and the index is searched faster
	for n := 1; n <= errs; n++ {
		for _, field := range []string{fieldName, fieldPath, fieldText} {
			like, err := left.of(r.FieldDictFuzzy(field, s, n, s[:size]))
			if err != nil {
				return nil, err
			}
			tiers = append(tiers, tier{1, place{field, like}})
		}
	}
	return tiers, nil
}

// beginning lists where words are looked for that begin with w.
func beginning(r *scorch.IndexSnapshot, w string, left *limit) (tiers []tier, _ error) {
	length := utf8.RuneCountInString(w)
	fields, term := []string{fieldName, fieldPath, fieldText}, w // what is longer than the last level is looked for among the words
	for _, level := range levels() {
		if length <= level {
			fields, term = []string{fieldNameStarts, fieldStarts}, startTerm(level, w)
			break
		}
	}
	for i, field := range fields {
		all, err := left.of(r.FieldDictPrefix(field, []byte(term)))
		if err != nil {
			return nil, err
		}
		tiers = append(tiers, tier{10 - 4*min(i, 1), place{field, all}})
	}
	return tiers, nil
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
