package search

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2"
	bsearch "github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/query"

	"catalog"
	"catalog/wire"
)

const (
	maxWords  = 12    // of a text; further ones are not looked for
	maxValues = 50    // of a facet
	maxDeep   = 1_000 // products by relevance; who wants more should say more
)

// Search answers a page of the products that match, or a *catalog.Refusal.
func (x *Index) Search(ctx context.Context, q catalog.Query) (catalog.Page, error) {
	if err := check(q); err != nil {
		return catalog.Page{}, err
	}
	page, generation, ok := x.pages.get(q)
	if ok {
		return page, nil
	}
	page, err := x.search(ctx, q)
	if err == nil {
		x.pages.put(q, generation, page)
	}
	return page, err
}

func (x *Index) search(ctx context.Context, q catalog.Query) (catalog.Page, error) {
	order := order(q)
	from, after, err := decodeCursor(q, len(order))
	if err != nil {
		return catalog.Page{}, err
	}
	r := bleve.NewSearchRequestOptions(x.query(q), q.Limit+1, from, false) // one more tells whether there is a next page
	r.SortBy(order)
	r.Fields = []string{fieldProduct}
	if r.Score = "none"; byWeight(order) {
		r.Score = ""
	}
	if len(after) > 0 {
		r.SetSearchAfter(after)
	}
	if q.Facets {
		for _, f := range []string{fieldCategory, fieldTag, fieldCurrency} {
			r.AddFacet(f, bleve.NewFacetRequest(f, maxValues))
		}
	}
	found, err := x.bleve.SearchInContext(ctx, r)
	if err != nil {
		return catalog.Page{}, fmt.Errorf("search: %w", err)
	}
	page := catalog.Page{Total: int64(found.Total), Facets: facets(q, found)}
	for i, hit := range found.Hits {
		if i == q.Limit {
			if next := from + q.Limit; next < maxDeep {
				page.NextCursor = encodeCursor(q, order, found.Hits[i-1], next)
			}
			break
		}
		whole, _ := hit.Fields[fieldProduct].(string)
		p, err := wire.DecodeProduct([]byte(whole))
		if err != nil {
			return catalog.Page{}, fmt.Errorf("search: product %s: %w", hit.ID, err)
		}
		page.Items = append(page.Items, p)
	}
	return page, nil
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
	if q.MinPrice != nil && q.MaxPrice != nil && q.MinPrice.Cmp(*q.MaxPrice) > 0 {
		r.Add("minPrice", "must not be more than maxPrice")
	}
	return r.Err()
}

// order is what the products are sorted by. The id comes last, so that no two
// are alike.
func order(q catalog.Query) []string {
	sort := q.Sort
	if sort == catalog.Relevance && q.Text == "" || sort == "" {
		sort = catalog.Newest
		if q.Text != "" {
			sort = catalog.Relevance
		}
	}
	switch sort {
	case catalog.Relevance:
		return []string{"-_score", "_id"}
	case catalog.ByName:
		return []string{fieldTitle, "_id"}
	case catalog.Cheapest:
		return []string{fieldPrice, "_id"}
	case catalog.Dearest:
		return []string{"-" + fieldPrice, "_id"}
	}
	return []string{"-" + fieldCreated, "-_id"}
}

func (x *Index) query(q catalog.Query) query.Query {
	var all []query.Query
	term := func(field, value string) {
		if value != "" {
			all = append(all, in(field, 0, bleve.NewTermQuery(value)))
		}
	}
	term(fieldIn, q.Category)
	term(fieldTag, q.Tag)
	term(fieldCurrency, q.Currency)
	if q.MinPrice != nil || q.MaxPrice != nil {
		low, high := strings.Repeat("0", priceDigits), strings.Repeat("9", priceDigits)
		if q.MinPrice != nil {
			low = sortablePrice(*q.MinPrice)
		}
		if q.MaxPrice != nil {
			high = sortablePrice(*q.MaxPrice)
		}
		all = append(all, bleve.NewDisjunctionQuery(between(low, high)...))
	}
	switch {
	case q.Text == "" && len(all) == 0:
		return bleve.NewMatchAllQuery()
	case q.Text == "":
		return bleve.NewConjunctionQuery(all...)
	case len(all) == 0:
		return x.text(q.Text)
	}
	// A filter finds without weighing, which is a union of bitmaps.
	found := bleve.NewBooleanQuery()
	found.AddMust(x.text(q.Text))
	found.AddFilter(bleve.NewConjunctionQuery(all...))
	return found
}

// text is the query for what a person typed: the product whose SKU or id it is,
// and those in which each word is found. Text without a word finds nothing.
func (x *Index) text(text string) query.Query {
	folded := strings.ToLower(strings.TrimSpace(text))
	either := []query.Query{in(fieldSKU, 1_000, bleve.NewTermQuery(folded))}
	if id, err := catalog.ParseID(folded); err == nil {
		byID := bleve.NewDocIDQuery([]string{id.String()})
		byID.SetBoost(1_000)
		either = append(either, byID)
	}
	var words []query.Query
	seen := map[string]bool{}
	for _, w := range x.terms(text) {
		if !seen[w] && len(words) < maxWords {
			seen[w] = true
			words = append(words, word(w))
		}
	}
	if len(words) > 0 {
		either = append(either, bleve.NewConjunctionQuery(words...))
	}
	return bleve.NewDisjunctionQuery(either...)
}

// word is the query for one word: found whole rather than as the beginning of
// another, in the name rather than in the category rather than elsewhere, and
// with a typing error only where nothing else fits as well.
func word(w string) query.Query {
	either := []query.Query{
		in(fieldName, 8, bleve.NewTermQuery(w)),
		in(fieldPath, 3, bleve.NewTermQuery(w)),
		in(fieldText, 2, bleve.NewTermQuery(w)),
	}
	if utf8.RuneCountInString(w) <= maxStart {
		return bleve.NewDisjunctionQuery(append(either, in(fieldStart, 0.5, bleve.NewTermQuery(w)))...)
	}
	fuzzy := bleve.NewFuzzyQuery(w)
	fuzzy.SetFuzziness(1)
	fuzzy.SetPrefix(1) // people seldom miss the first letter, and the index is searched faster
	return bleve.NewDisjunctionQuery(append(either,
		in(fieldName, 2, bleve.NewPrefixQuery(w)),
		in(fieldText, 0.5, bleve.NewPrefixQuery(w)),
		in(fieldText, 0.1, fuzzy))...)
}

// in has q look in the field, and weighs what it finds.
func in(field string, boost float64, q interface {
	query.FieldableQuery
	query.BoostableQuery
}) query.Query {
	q.SetField(field)
	if boost != 0 {
		q.SetBoost(boost)
	}
	return q
}

func facets(q catalog.Query, found *bleve.SearchResult) []catalog.Facet {
	if !q.Facets {
		return nil
	}
	var all []catalog.Facet
	for _, f := range []string{fieldCategory, fieldTag, fieldCurrency} {
		facet := catalog.Facet{Field: f}
		if r := found.Facets[f]; r != nil && r.Terms != nil {
			for _, t := range r.Terms.Terms() {
				facet.Values = append(facet.Values, catalog.FacetValue{Value: t.Term, Count: int64(t.Count)})
			}
		}
		all = append(all, facet)
	}
	return all
}

// cursor says where a page ended and of which query: behind a product, or, by
// relevance, after a number of them. Weights change with every product that is
// written, so that a place among them is soon nowhere.
type cursor struct {
	Query string   `json:"q"`
	After []string `json:"a,omitempty"`
	Skip  int      `json:"s,omitempty"`
}

func encodeCursor(q catalog.Query, order []string, last *bsearch.DocumentMatch, next int) string {
	c := cursor{Query: digest(q)}
	if byWeight(order) {
		c.Skip = next
	} else {
		c.After = slices.Clone(last.Sort)
		c.After[len(order)-1] = last.ID
	}
	b, _ := json.Marshal(c) // strings and a number cannot fail
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodeCursor(q catalog.Query, fields int) (from int, after []string, err error) {
	if q.Cursor == "" {
		return 0, nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	var c cursor
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	switch {
	case err != nil:
		return 0, nil, catalog.Invalid("cursor", "is broken; take nextCursor of the page before as it is, or begin without one")
	case c.Query != digest(q) || (c.Skip == 0) != (len(c.After) == fields) || c.Skip < 0 || c.Skip > maxDeep:
		return 0, nil, catalog.Invalid("cursor", "belongs to another query; repeat the query of the page before, or begin without one")
	}
	return c.Skip, c.After, nil
}

func byWeight(order []string) bool { return order[0] == "-_score" }

// digest tells queries apart, but for the page they ask for.
func digest(q catalog.Query) string {
	q.Cursor, q.Limit, q.Facets = "", 0, false
	b, _ := json.Marshal(q) // strings and numbers cannot fail
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}
