package enginetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"catalog"
	"catalog/reader"
)

func indexPages(t *testing.T, x reader.Index) {
	var all []catalog.Product
	for i := range 250 {
		p := item(fmt.Sprintf("Näme %d", i%40), "c", "", int64(i%30))
		p.ID = product(fmt.Sprint("page ", i))
		p.SKU = ""
		all = append(all, p)
	}
	put(t, x, all...)
	byID := func(a, b catalog.Product) int { return strings.Compare(a.ID.String(), b.ID.String()) }
	for sort, compare := range map[catalog.Sort]func(a, b catalog.Product) int{
		catalog.ByName:          func(a, b catalog.Product) int { return cmp.Or(strings.Compare(a.Name, b.Name), byID(a, b)) },
		catalog.PriceAscending:  func(a, b catalog.Product) int { return cmp.Or(a.Price.Cmp(b.Price.Decimal), byID(a, b)) },
		catalog.PriceDescending: func(a, b catalog.Product) int { return cmp.Or(b.Price.Cmp(a.Price.Decimal), byID(a, b)) },
		catalog.Newest:          func(a, b catalog.Product) int { return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), byID(b, a)) },
		catalog.Relevance:       nil,
	} {
		t.Run(string(sort), func(t *testing.T) {
			q := catalog.Query{Text: "näme", Sort: sort, Limit: 17}
			var got []catalog.Product
			for {
				page := search(t, x, q)
				if page.Total != int64(len(all)) {
					t.Fatalf("Total = %d; want %d", page.Total, len(all))
				}
				got = append(got, page.Items...)
				put(t, x, item("Other", "c", "", 1)) // a write between two pages
				if q.Cursor = page.NextCursor; q.Cursor == "" {
					break
				}
			}
			want := slices.Clone(all)
			if compare == nil { // the scores differ: only the set of products is compared
				compare = byID
				slices.SortFunc(got, byID)
			}
			slices.SortFunc(want, compare)
			if len(got) != len(want) {
				t.Fatalf("%d products on all pages; want %d", len(got), len(want))
			}
			for i := range want {
				if got[i].ID != want[i].ID {
					t.Fatalf("product %d is %s; want %s", i, got[i].ID, want[i].ID)
				}
				sameFields(t, "Search", got[i], want[i])
			}
		})
	}
}

func indexCursors(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	q := catalog.Query{Text: "chair", Limit: 1}
	q.Cursor = search(t, x, q).NextCursor
	if q.Cursor == "" {
		t.Fatal("the first page has no cursor")
	}
	if page := search(t, x, q); len(page.Items) != 1 || page.NextCursor != "" {
		t.Errorf("the second page has %d products and cursor %q; want 1 and none", len(page.Items), page.NextCursor)
	}
	for _, other := range []catalog.Query{{Text: "table"}, {Text: "chair", Sort: catalog.ByName}, {Text: "chair", Tag: "new"}, {}} {
		other.Limit, other.Cursor = 1, q.Cursor
		wantQueryRefused(t, x, other, "cursor")
	}
	for _, damaged := range []string{"x", "!!", "bm9uc2Vuc2U", q.Cursor[1:], q.Cursor + "A"} {
		wantQueryRefused(t, x, catalog.Query{Text: "chair", Limit: 1, Cursor: damaged}, "cursor")
	}
}

func indexPageLimits(t *testing.T, x reader.Index) {
	for _, limit := range []int{-1, 0, catalog.MaxLimit + 1, 1 << 40} {
		wantQueryRefused(t, x, catalog.Query{Limit: limit}, "limit")
	}
	if page := search(t, x, catalog.Query{}); page.Total != 0 || len(page.Items) != 0 || page.NextCursor != "" {
		t.Errorf("Search of an empty index = %d products of %d, cursor %q; want none", len(page.Items), page.Total, page.NextCursor)
	}
}

func indexLargePages(t *testing.T, x reader.Index) {
	const products = 7
	d := longestFields()
	largest := d.Size()
	for i := range products {
		d.Name = fmt.Sprint("Large ", i)
		put(t, x, at(d.Name, 1, d)) // one by one, as events come
	}
	for _, sort := range []catalog.Sort{catalog.Relevance, catalog.ByName, catalog.PriceDescending, catalog.Newest} {
		seen, pages := map[catalog.ID]bool{}, 0
		for q := (catalog.Query{Text: "large", Sort: sort, Limit: catalog.MaxLimit}); ; {
			page := search(t, x, q)
			if pages++; page.Total != products || len(page.Items) == 0 || page.Size() > catalog.MaxPageBytes+largest {
				t.Fatalf("%s: a page has %d of %d products with %d bytes", sort, len(page.Items), page.Total, page.Size())
			}
			for _, p := range page.Items {
				seen[p.ID] = true
			}
			if q.Cursor = page.NextCursor; q.Cursor == "" {
				break
			}
		}
		if len(seen) != products || pages < 2 || pages > products {
			t.Errorf("%s: %d different products on %d pages; want %d on several", sort, len(seen), pages, products)
		}
	}
	s, err := x.Suggest(t.Context(), "larg", catalog.MaxSuggestions)
	if err != nil || len(s.Texts) == 0 || len(s.Products) == 0 || s.Size() > 1<<20+largest {
		t.Errorf("Suggest = %d texts, %d products with %d bytes, %v; want at most 1 MiB and one product", len(s.Texts), len(s.Products), s.Size(), err)
	}
	if all := each(t, x); len(all) != products {
		t.Errorf("Scan = %d products; want %d", len(all), products)
	}
}
