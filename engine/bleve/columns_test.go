package bleve_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/internal/memory"
)

// TestColumns_manyValues counts facets that have as many long values as there are products.
func TestColumns_manyValues(t *testing.T) {
	const products = 3_000
	x := open(t, "")
	share := x.SetColumns(memory.NewBudget(1<<20, prometheus.NewRegistry()).Share("index.columns", 1<<20))
	for i := 0; i < products; i += 1_000 {
		var batch []catalog.Product
		for j := i; j < i+1_000; j++ {
			unique := fmt.Sprintf("%04d %s", j, strings.Repeat("x", 50))
			batch = append(batch, catalog.Product{ID: catalog.DerivedID(unique), Version: 1, ProductData: catalog.ProductData{
				Name: []string{"Chair", "Table"}[j%2], Brand: unique, Category: unique, Tags: []string{"all", unique}, Price: catalog.Money{Currency: "EUR"},
			}})
		}
		apply(t, x, int64(i+1), batch...)
	}
	ask := func() []catalog.Facet {
		t.Helper()
		page, err := x.Search(t.Context(), catalog.Query{Text: "chair", Limit: 1, Facets: catalog.FacetFields()})
		if err != nil {
			t.Fatal(err)
		}
		return page.Facets
	}
	want := ask()
	if tags := want[2].Values; tags[0] != (catalog.FacetValue{Value: "all", Count: products / 2}) || len(tags) != 50 || tags[1].Count != 1 {
		t.Fatalf("the values of tags begin with %v; want the one of all chairs", tags[:2])
	}
	for name, limit := range map[string]int64{"too large for a column": 1_000, "in columns": 1 << 20} {
		t.Run("values that are "+name+" are counted the same", func(t *testing.T) {
			x.SetMaxColumnBytes(limit)
			before := share.Held()
			if got := ask(); !reflect.DeepEqual(got, want) {
				t.Errorf("facets %v\nwant %v", got, want)
			}
			if held := share.Held() - before; (held < 100<<10) != (limit == 1_000) {
				t.Errorf("the columns hold %d bytes with columns of up to %d bytes", held, limit)
			}
		})
	}
	t.Run("columns beyond the memory give way to others", func(t *testing.T) {
		const bytes = 200 << 10 // a column of 1,000 products has 60 KB
		x.SetMaxColumnBytes(1 << 20)
		share := x.SetColumns(memory.NewBudget(bytes, prometheus.NewRegistry()).Share("index.columns", bytes))
		for range 3 {
			if got := ask(); !reflect.DeepEqual(got, want) {
				t.Errorf("facets %v\nwant %v", got, want)
			}
			if held := share.Held(); held == 0 || held > bytes {
				t.Errorf("the columns hold %d bytes; want at most %d", held, bytes)
			}
		}
	})
}
