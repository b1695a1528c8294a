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

// sorts are the promised orders.
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

// allPages returns the ids of the products on all pages of q.
func allPages(t *testing.T, x *bleve.Index, q catalog.Query) (all []catalog.ID) {
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

func compareIDs(a, b catalog.ID) int { return slices.Compare(a[:], b[:]) }

// sortedIDs returns the ids of the products that keep accepts, in the promised order.
func sortedIDs(all []catalog.Product, sort catalog.Sort, keep func(catalog.Product) bool) (ids []catalog.ID) {
	for _, p := range slices.SortedFunc(slices.Values(all), sorts[sort]) {
		if keep(p) {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// wantIDs compares the ids of pages and reports the first difference.
func wantIDs(t *testing.T, got, want []catalog.ID) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("product %d of %d is %s; want %s of %d", i, len(got), got[i], want[i], len(want))
			return
		}
	}
	t.Errorf("%d products; want %d", len(got), len(want))
}

// TestCollector_pageOrder covers the ways in which the collector finds the first products: by the
// terms of the sort field, by the ids of products with equal keys, and product by product.
func TestCollector_pageOrder(t *testing.T) {
	const n = 1_500
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, newProduct := range map[string]func(i int) catalog.Product{
		"all keys differ": func(i int) catalog.Product {
			return catalog.Product{CreatedAt: first.Add(time.Duration(i*7%n) * time.Second), ProductData: catalog.ProductData{
				Name: fmt.Sprintf("chair %04d", i*11%n), Price: catalog.Money{Decimal: catalog.Decimal{Units: int64(i * 13 % n)}},
			}}
		},
		"three keys": func(i int) catalog.Product {
			return catalog.Product{CreatedAt: first.Add(time.Duration(i%3) * time.Second), ProductData: catalog.ProductData{
				Name: fmt.Sprint("chair ", i%3), Price: catalog.Money{Decimal: catalog.Decimal{Units: int64(i % 3)}},
			}}
		},
		"one key": func(int) catalog.Product {
			return catalog.Product{CreatedAt: first, ProductData: catalog.ProductData{Name: "chair", Price: catalog.Money{Decimal: catalog.Decimal{Units: 1}}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := open(t, "")
			var all []catalog.Product
			for i := range n {
				p := newProduct(i)
				p.ID, p.Version, p.Price.Currency, p.Category = catalog.DerivedID(fmt.Sprint(i)), 1, "EUR", "most"
				if strings.HasSuffix(p.Name, "chair 1499") || p.Price.Units == n-1 || i == n/2 || p.CreatedAt.Equal(first) && i < 20 {
					p.Category = "few"
				}
				all = append(all, p)
			}
			// A large and a small segment, and a third that replaces products of the first.
			apply(t, x, 1, all[:n-200]...)
			apply(t, x, 2, all[n-200:]...)
			apply(t, x, 3, all[n/3:n/3+50]...)
			for sort := range sorts {
				t.Run(fmt.Sprint(sort, " of all products"), func(t *testing.T) {
					wantIDs(t, allPages(t, x, catalog.Query{Sort: sort, Limit: 90}), sortedIDs(all, sort, func(catalog.Product) bool { return true }))
				})
				t.Run(fmt.Sprint(sort, " of a rare category"), func(t *testing.T) {
					want := sortedIDs(all, sort, func(p catalog.Product) bool { return p.Category == "few" })
					wantIDs(t, allPages(t, x, catalog.Query{Sort: sort, Category: "few", Limit: 2}), want)
				})
			}
			low, high := catalog.Decimal{Units: 1}, catalog.Decimal{Units: 2}
			for _, sort := range []catalog.Sort{catalog.PriceAscending, catalog.PriceDescending} {
				t.Run(fmt.Sprint(sort, " of a price range"), func(t *testing.T) {
					want := sortedIDs(all, sort, func(p catalog.Product) bool { return p.Price.Units == 1 || p.Price.Units == 2 })
					wantIDs(t, allPages(t, x, catalog.Query{Sort: sort, MinPrice: &low, MaxPrice: &high, Currency: "EUR", Limit: 40}), want)
				})
			}
			for _, limit := range []int{20, 100} {
				t.Run(fmt.Sprintf("relevance, %d a page", limit), func(t *testing.T) {
					want := slices.SortedFunc(slices.Values(allPages(t, x, catalog.Query{Limit: 100})), compareIDs)
					got := allPages(t, x, catalog.Query{Text: "chair", Limit: limit})
					if name != "one key" { // the scores differ: only the set of products is compared
						slices.SortFunc(got, compareIDs)
					}
					wantIDs(t, got, want)
				})
			}
		})
	}
}
