package textsearch_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"catalog"
	"catalog/internal/textsearch"
)

// wantRefused fails the test unless err is a refusal that names the field first.
func wantRefused(t *testing.T, err error, field string) {
	t.Helper()
	var r *catalog.Refusal
	if !errors.As(err, &r) || len(r.Fields) == 0 || r.Fields[0].Field != field || r.Fields[0].Reason == "" {
		t.Errorf("%v; want a refusal of %s", err, field)
	}
}

func TestNewRequest_validation(t *testing.T) {
	amount := func(units int64, nanos int32) *catalog.Decimal {
		return &catalog.Decimal{Units: units, Nanos: nanos}
	}
	many := map[string]string{}
	for i := range catalog.MaxFilters + 1 {
		many[fmt.Sprint(i)] = ""
	}
	for name, c := range map[string]struct {
		q     catalog.Query
		field string
	}{
		"limit 0":                            {catalog.Query{}, "limit"},
		"limit below 0":                      {catalog.Query{Limit: -1}, "limit"},
		"limit above the highest":            {catalog.Query{Limit: catalog.MaxLimit + 1}, "limit"},
		"long text":                          {catalog.Query{Limit: 1, Text: strings.Repeat("ä", catalog.MaxText+1)}, "q"},
		"many attributes":                    {catalog.Query{Limit: 1, Attributes: many}, "attribute"},
		"facets of no field":                 {catalog.Query{Limit: 1, Facets: []string{"name"}}, "facets"},
		"facets of a field twice":            {catalog.Query{Limit: 1, Facets: []string{"tag", "tag"}}, "facets"},
		"many facets":                        {catalog.Query{Limit: 1, FacetAttributes: make([]string, catalog.MaxFilters+1)}, "facet"},
		"a facet twice":                      {catalog.Query{Limit: 1, FacetAttributes: []string{"a", "b", "a"}}, "facet"},
		"an unknown currency":                {catalog.Query{Limit: 1, Currency: "EUX"}, "currency"},
		"a GTIN with a wrong check digit":    {catalog.Query{Limit: 1, GTIN: "4006381333932"}, "gtin"},
		"a lowest price without a currency":  {catalog.Query{Limit: 1, MinPrice: amount(1, 0)}, "currency"},
		"a highest price without a currency": {catalog.Query{Limit: 1, MaxPrice: amount(1, 0)}, "currency"},
		"a negative price":                   {catalog.Query{Limit: 1, Currency: "EUR", MinPrice: amount(-1, 0)}, "minPrice"},
		"a price between 0 and -1":           {catalog.Query{Limit: 1, Currency: "EUR", MaxPrice: amount(0, -1)}, "maxPrice"},
		"a price of 16 digits":               {catalog.Query{Limit: 1, Currency: "EUR", MaxPrice: amount(1_000_000_000_000_000, 0)}, "maxPrice"},
		"a lowest price above the highest":   {catalog.Query{Limit: 1, Currency: "EUR", MinPrice: amount(1, 1), MaxPrice: amount(1, 0)}, "minPrice"},
		"an unknown sort":                    {catalog.Query{Limit: 1, Sort: "size"}, "sort"},
		"a damaged cursor":                   {catalog.Query{Limit: 1, Cursor: "x"}, "cursor"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := textsearch.DefaultRules().NewRequest(c.q)
			wantRefused(t, err, c.field)
		})
	}
	t.Run("the limits themselves are valid", func(t *testing.T) {
		delete(many, "0")
		if _, err := textsearch.DefaultRules().NewRequest(catalog.Query{
			Limit: catalog.MaxLimit, Text: strings.Repeat("ä", catalog.MaxText), Attributes: many, Currency: "EUR", GTIN: "4006381333931",
			MinPrice: amount(0, 0), MaxPrice: amount(999_999_999_999_999, 999_999_999),
		}); err != nil {
			t.Error(err)
		}
	})
}

func TestNewRequest_text(t *testing.T) {
	r, err := textsearch.DefaultRules().NewRequest(catalog.Query{Limit: 1, Text: " \t\n"})
	if err != nil || r.Query.Text != "" || r.Plan.HasText || r.Order.Field != textsearch.Created {
		t.Errorf("text %q, order %+v, %v; want no text and newest", r.Query.Text, r.Order, err)
	}
	r, err = textsearch.DefaultRules().NewRequest(catalog.Query{Limit: 1, Text: " oak "})
	if err != nil || r.Query.Text != "oak" || !r.Plan.HasText {
		t.Errorf("text %q, %v; want oak", r.Query.Text, err)
	}
}
