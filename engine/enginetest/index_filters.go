package enginetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catalog"
	"catalog/reader"
)

// filterCase is a query and the names of the products that it matches, sorted.
type filterCase struct {
	q    catalog.Query
	want string
}

func wantFiltered(t *testing.T, x reader.Index, cases []filterCase) {
	t.Helper()
	for _, c := range cases {
		c.q.Sort = catalog.ByName
		if page := search(t, x, c.q); foundNames(page) != c.want || page.Total != int64(len(page.Items)) {
			t.Errorf("Search(%+v) = %q of %d; want %q", c.q, foundNames(page), page.Total, c.want)
		}
	}
}

func indexFilters(t *testing.T, x reader.Index) {
	long := strings.Repeat("long ", 300) + "end"
	put(t, x, furniture()...)
	put(t, x, branded()...)
	put(t, x,
		at("lacquer", 1, catalog.ProductData{Name: "Lacquer", Price: price(1, 0, "USD"), Attributes: map[string]string{"colour": "black", "finish": "a:b", "care": long}}),
		at("yen", 1, catalog.ProductData{Name: "Yen", Price: price(300, 0, "JPY")}),
	)
	for name, cases := range map[string][]filterCase{
		"a category has the products of its subcategories": {
			{catalog.Query{Category: "Furniture/Tables"}, "Coffee table, Oak table"},
			{catalog.Query{Category: "Furniture/Tab"}, ""},
			{catalog.Query{Category: "Furniture/Tables/Low"}, "Coffee table"},
		},
		"tag": {{catalog.Query{Tag: "new"}, "Café chair, Oak table"}},
		"brand": {
			{catalog.Query{Brand: "Carl Hansen & Søn"}, "Copied chair, Shell chair, Wishbone chair"},
			{catalog.Query{Brand: "Carl Hansen & Søn", Text: "walnut"}, "Shell chair"},
			{catalog.Query{Brand: "Carl Hansen"}, ""},
		},
		"filter and text": {{catalog.Query{Tag: "new", Text: "oak"}, "Oak table"}},
		"currency":        {{catalog.Query{Currency: "JPY"}, "Yen"}},
		"attributes match key and whole value": {
			{catalog.Query{Attributes: map[string]string{"colour": "black"}}, "Lacquer"},
			{catalog.Query{Attributes: map[string]string{"colour": "black", "finish": "a:b", "care": long}}, "Lacquer"},
			{catalog.Query{Attributes: map[string]string{"colour": "black", "finish": "a"}}, ""},
			{catalog.Query{Attributes: map[string]string{"colour": "blac"}}, ""},
			{catalog.Query{Attributes: map[string]string{"finish": "black"}}, ""},
			{catalog.Query{Attributes: map[string]string{"care": long + "s"}}, ""},
		},
	} {
		t.Run(name, func(t *testing.T) { wantFiltered(t, x, cases) })
	}
}

func indexGTIN(t *testing.T, x reader.Index) {
	put(t, x, branded()...)
	wantFiltered(t, x, []filterCase{
		{catalog.Query{GTIN: "614141000036"}, "Wishbone chair"},
		{catalog.Query{GTIN: "0614141000036"}, "Wishbone chair"},
		{catalog.Query{GTIN: "00614141000036"}, "Wishbone chair"},
		{catalog.Query{GTIN: "4006381333931", Brand: "Carl Hansen & Søn"}, "Shell chair"},
		{catalog.Query{GTIN: "4006381333931", Category: "Lighting"}, ""},
		{catalog.Query{GTIN: "96385074"}, ""},
	})
}

func indexPriceRange(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	put(t, x, at("yen", 1, catalog.ProductData{Name: "Yen", Price: price(300, 0, "JPY")}))
	units := func(n int64) *catalog.Decimal { return &catalog.Decimal{Units: n} }
	wantFiltered(t, x, []filterCase{
		{catalog.Query{Currency: "EUR", MinPrice: units(40), MaxPrice: units(175)}, "Café chair, Folding chair, RÅSKOG"},
		{catalog.Query{Currency: "EUR", MinPrice: &catalog.Decimal{Units: 40, Nanos: 1}, MaxPrice: &catalog.Decimal{Units: 174, Nanos: 999_999_999}}, "Café chair"},
		{catalog.Query{Currency: "EUR", MinPrice: units(300)}, "Coffee table, Oak table"},
		{catalog.Query{Currency: "EUR", MaxPrice: units(25)}, "Desk lamp"},
	})
}

func indexInvalidQueries(t *testing.T, x reader.Index) {
	wantQueryRefused(t, x, catalog.Query{Limit: 1, MinPrice: &catalog.Decimal{}}, "currency")
	wantQueryRefused(t, x, catalog.Query{Limit: 1, Currency: "EUR", MinPrice: &catalog.Decimal{Units: 2}, MaxPrice: &catalog.Decimal{Units: 1}}, "minPrice")
	wantQueryRefused(t, x, catalog.Query{Limit: 1, Currency: "EUX"}, "currency")
	wantQueryRefused(t, x, catalog.Query{Limit: 1, GTIN: "400638133393"}, "gtin")
	wantQueryRefused(t, x, catalog.Query{Limit: 1, Text: strings.Repeat("x", catalog.MaxText+1)}, "q")
	wantQueryRefused(t, x, catalog.Query{Limit: 1, Sort: "size"}, "sort")
	wantQueryRefused(t, x, catalog.Query{Limit: 1, FacetAttributes: make([]string, catalog.MaxFilters+1)}, "facet")
	wantQueryRefused(t, x, catalog.Query{Limit: 1, FacetAttributes: []string{"colour", "size", "colour"}}, "facet")
}

// indexRandom compares the totals of random filters with a count over a list of
// the products.
func indexRandom(t *testing.T, x reader.Index) {
	var all []catalog.Product
	for i := range 300 {
		p := item(fmt.Sprint("p", i), fmt.Sprintf("C%d/D%d", i%3, i%7), "", 0, fmt.Sprint("t", i%5))
		p.Brand = fmt.Sprint("b", i%6)
		p.Price = catalog.Money{Decimal: catalog.Decimal{Units: int64(i) * int64(i) * 37 % 250_000, Nanos: int32(i%100) * 10_000_000}, Currency: []string{"EUR", "USD"}[i%2]}
		all = append(all, p)
	}
	put(t, x, all...)
	check(t, func(t *rapid.T) {
		q := catalog.Query{
			Category: rapid.SampledFrom([]string{"", "C0", "C1", "C2/D3", "C9"}).Draw(t, "category"),
			Tag:      rapid.SampledFrom([]string{"", "t0", "t4"}).Draw(t, "tag"),
			Brand:    rapid.SampledFrom([]string{"", "b0", "b5"}).Draw(t, "brand"),
			Currency: rapid.SampledFrom([]string{"EUR", "USD"}).Draw(t, "currency"),
		}
		amounts := []catalog.Decimal{all[rapid.IntRange(0, 299).Draw(t, "a")].Price.Decimal, {Units: rapid.Int64Range(0, 300_000).Draw(t, "b")}}
		slices.SortFunc(amounts, catalog.Decimal.Cmp)
		if rapid.Bool().Draw(t, "min") {
			q.MinPrice = &amounts[0]
		}
		if rapid.Bool().Draw(t, "max") {
			q.MaxPrice = &amounts[1]
		}
		want := 0
		for _, p := range all {
			if p.Price.Currency == q.Currency && (q.Category == "" || p.Category == q.Category || strings.HasPrefix(p.Category, q.Category+"/")) &&
				(q.Brand == "" || p.Brand == q.Brand) && (q.Tag == "" || slices.Contains(p.Tags, q.Tag)) &&
				(q.MinPrice == nil || p.Price.Cmp(*q.MinPrice) >= 0) && (q.MaxPrice == nil || p.Price.Cmp(*q.MaxPrice) <= 0) {
				want++
			}
		}
		if page := search(t, x, q); page.Total != int64(want) {
			t.Fatalf("Search(%+v).Total = %d; want %d", q, page.Total, want)
		}
	})
}
