package textsearch

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"catalog"
)

// Request is a valid query, prepared for an engine.
type Request struct {
	Query  catalog.Query // its text has no spaces around it
	Plan   Plan
	Order  SortOrder
	After  *CursorKey // where the previous page ended; nil for the first page
	Facets []Facet
}

// NewRequest validates q and prepares it for an engine, or returns a *catalog.Refusal. Text of spaces
// is no text.
func (r *Rules) NewRequest(q catalog.Query) (Request, error) {
	q.Text = strings.TrimSpace(q.Text)
	if err := validateQuery(q); err != nil {
		return Request{}, err
	}
	order, err := parseSort(q)
	if err != nil {
		return Request{}, err
	}
	after, err := decodeCursor(q)
	if err != nil {
		return Request{}, err
	}
	return Request{Query: q, Plan: r.NewPlan(q), Order: order, After: after, Facets: FacetsOf(q)}, nil
}

// validateQuery checks the rules of a query that every engine keeps, whatever the API has checked.
func validateQuery(q catalog.Query) error {
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
	if slices.ContainsFunc(q.Facets, func(f string) bool { return !slices.Contains(catalog.FacetFields(), f) }) {
		r.Add("facets", "must be some of "+strings.Join(catalog.FacetFields(), ", "))
	}
	if hasDuplicates(q.Facets) {
		r.Add("facets", "must not name a field twice")
	}
	if len(q.FacetAttributes) > catalog.MaxFilters {
		r.Add("facet", fmt.Sprintf("may be given %d times", catalog.MaxFilters))
	}
	if hasDuplicates(q.FacetAttributes) {
		r.Add("facet", "must not name an attribute twice")
	}
	if q.Currency != "" && catalog.CurrencyDigits(q.Currency) < 0 {
		r.Add("currency", "is not a currency of ISO 4217; give a code such as EUR")
	}
	if q.GTIN != "" {
		if reason := catalog.FieldByName("gtin").Check(q.GTIN); reason != "" {
			r.Add("gtin", reason)
		}
	}
	if (q.MinPrice != nil || q.MaxPrice != nil) && q.Currency == "" {
		r.Add("currency", "must be given with minPrice and maxPrice: prices in different currencies do not compare")
	}
	for field, d := range map[string]*catalog.Decimal{"minPrice": q.MinPrice, "maxPrice": q.MaxPrice} {
		if d != nil && (d.Units < 0 || d.Nanos < 0 || len(PriceKey(*d)) != PriceDigits) {
			r.Add(field, "must be at least 0 and less than 1000000000000000")
		}
	}
	if q.MinPrice != nil && q.MaxPrice != nil && q.MinPrice.Cmp(*q.MaxPrice) > 0 {
		r.Add("minPrice", "must not be more than maxPrice")
	}
	return r.Err()
}

func hasDuplicates(list []string) bool {
	return len(slices.Compact(slices.Sorted(slices.Values(list)))) < len(list)
}
