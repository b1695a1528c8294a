package bleve_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"catalog"
	"catalog/engine/bleve"
)

// sorts are orders of products as they are promised.
var sorts = map[catalog.Sort]func(a, b catalog.Product) int{
	catalog.PriceAscending: func(a, b catalog.Product) int {
		return cmp.Or(a.Price.Cmp(b.Price.Decimal), slices.Compare(a.ID[:], b.ID[:]))
	},
	catalog.PriceDescending: func(a, b catalog.Product) int {
		return cmp.Or(b.Price.Cmp(a.Price.Decimal), slices.Compare(a.ID[:], b.ID[:]))
	},
	catalog.ByName: func(a, b catalog.Product) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), slices.Compare(a.ID[:], b.ID[:]))
	},
	catalog.Newest: func(a, b catalog.Product) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), slices.Compare(b.ID[:], a.ID[:]))
	},
}

// pages answers the ids of all pages of a query, and of what there should be.
func pages(t *testing.T, x *bleve.Index, q catalog.Query) (all []catalog.ID) {
	t.Helper()
	for {
		page, err := x.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Items {
			all = append(all, p.ID)
		}
		if q.Cursor = page.NextCursor; q.Cursor == "" {
			return all
		}
	}
}

// Where many products have the same key, or those that match are far behind in
// the order, the index goes other ways to find the first of them.
func TestPagesAreInOrderHoweverTheProductsLie(t *testing.T) {
	const n = 1_500
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, of := range map[string]func(i int) catalog.Product{
		"all are different": func(i int) catalog.Product {
			return catalog.Product{CreatedAt: first.Add(time.Duration(i*7%n) * time.Second), ProductData: catalog.ProductData{
				Name: fmt.Sprintf("chair %04d", i*11%n), Price: catalog.Money{Decimal: catalog.Decimal{Units: int64(i * 13 % n)}},
			}}
		},
		"many are alike": func(i int) catalog.Product {
			return catalog.Product{CreatedAt: first.Add(time.Duration(i%3) * time.Second), ProductData: catalog.ProductData{
				Name: fmt.Sprint("chair ", i%3), Price: catalog.Money{Decimal: catalog.Decimal{Units: int64(i % 3)}},
			}}
		},
		"all are alike": func(int) catalog.Product {
			return catalog.Product{CreatedAt: first, ProductData: catalog.ProductData{Name: "chair", Price: catalog.Money{Decimal: catalog.Decimal{Units: 1}}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := open(t, "")
			var all []catalog.Product
			for i := range n {
				p := of(i)
				p.ID, p.Version, p.Price.Currency, p.Category = catalog.DerivedID(fmt.Sprint(i)), 1, "EUR", "most"
				if strings.HasSuffix(p.Name, "chair 1499") || p.Price.Units == n-1 || i == n/2 || p.CreatedAt.Equal(first) && i < 20 {
					p.Category = "few"
				}
				all = append(all, p)
			}
			// A large segment and a small one, of which some products are then replaced.
			apply(t, x, 1, all[:n-200]...)
			apply(t, x, 2, all[n-200:]...)
			apply(t, x, 3, all[n/3:n/3+50]...)
			for sort, compare := range sorts {
				for _, category := range []string{"", "few"} {
					q := catalog.Query{Sort: sort, Category: category, Limit: 90}
					if category != "" {
						q.Limit = 2
					}
					var want []catalog.ID
					for _, p := range slices.SortedFunc(slices.Values(all), compare) {
						if category == "" || p.Category == category {
							want = append(want, p.ID)
						}
					}
					if got := pages(t, x, q); !slices.Equal(got, want) {
						t.Errorf("%d products of category %q by %s are not in their order, which has %d", len(got), category, sort, len(want))
					}
				}
			}
			low, high := catalog.Decimal{Units: 1}, catalog.Decimal{Units: 2}
			for _, sort := range []catalog.Sort{catalog.PriceAscending, catalog.PriceDescending} {
				var want []catalog.ID
				for _, p := range slices.SortedFunc(slices.Values(all), sorts[sort]) {
					if p.Price.Units == 1 || p.Price.Units == 2 {
						want = append(want, p.ID)
					}
				}
				if got := pages(t, x, catalog.Query{Sort: sort, MinPrice: &low, MaxPrice: &high, Currency: "EUR", Limit: 40}); !slices.Equal(got, want) {
					t.Errorf("%d products of a price by %s are not in their order, which has %d", len(got), sort, len(want))
				}
			}
			// Found by the same words, they come in the order of their ids.
			for _, limit := range []int{20, 100} {
				want := slices.SortedFunc(slices.Values(pages(t, x, catalog.Query{Limit: 100})), func(a, b catalog.ID) int { return slices.Compare(a[:], b[:]) })
				if got := pages(t, x, catalog.Query{Text: "chair", Limit: limit}); name == "all are alike" && !slices.Equal(got, want) {
					t.Errorf("%d products of the same worth are not in their order", len(got))
				} else if slices.SortFunc(got, func(a, b catalog.ID) int { return slices.Compare(a[:], b[:]) }); !slices.Equal(got, want) {
					t.Errorf("of %d products, %d are found", len(want), len(got))
				}
			}
		})
	}
}
