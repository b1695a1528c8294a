package opensearch

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"catalog"
	"catalog/internal/wire"
)

// largeCatalogue responds to searches with products of 800 kB, in the order of their names.
func largeCatalogue(t *testing.T, products int) http.HandlerFunc {
	var sources []map[string]any
	for i := range products {
		name := fmt.Sprintf("p%03d", i)
		encoded, err := wire.EncodeProduct(catalog.Product{ID: catalog.DerivedID(name), Version: 1, ProductData: catalog.ProductData{Name: name, Description: strings.Repeat("x", 800_000)}})
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, map[string]any{fieldProduct: encoded})
	}
	return func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Size  int      `json:"size"`
			After []string `json:"search_after"`
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		first := 0
		if len(q.After) > 0 {
			if _, err := fmt.Sscanf(q.After[0], "p%d", &first); err != nil {
				t.Error(err)
			}
			first++
		}
		var hits []map[string]any
		for i := first; i < min(first+q.Size, products); i++ {
			name := fmt.Sprintf("p%03d", i)
			hits = append(hits, map[string]any{"_source": sources[i], "sort": []string{name, catalog.DerivedID(name).String()}})
		}
		body := map[string]any{"hits": map[string]any{"total": map[string]any{"value": products}, "hits": hits}}
		if err := json.NewEncoder(w).Encode(body); err != nil && r.Context().Err() == nil {
			t.Log(err) // the client has read enough
		}
	}
}

func TestSearch_largeProducts(t *testing.T) {
	t.Run("pages end at a size, and all products are on one of them", func(t *testing.T) {
		const products = 14
		x := openFake(t, largeCatalogue(t, products))
		q := catalog.Query{Sort: catalog.ByName, Limit: catalog.MaxLimit}
		next := 0
		for {
			page, err := x.Search(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if page.Size() > catalog.MaxPageBytes+1_000_000 || len(page.Items) == 0 {
				t.Fatalf("a page has %d products with %d bytes", len(page.Items), page.Size())
			}
			for _, p := range page.Items {
				if want := fmt.Sprintf("p%03d", next); p.Name != want {
					t.Fatalf("product %s comes; want %s", p.Name, want)
				}
				next++
			}
			if q.Cursor = page.NextCursor; q.Cursor == "" {
				break
			}
		}
		if next != products {
			t.Errorf("%d products on all pages; want %d", next, products)
		}
	})
}
