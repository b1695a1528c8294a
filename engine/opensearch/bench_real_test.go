//go:build real

package opensearch_test

import (
	"fmt"
	"testing"

	"catalog"
)

// BenchmarkApply measures Apply, which makes the products visible before it returns.
func BenchmarkApply(b *testing.B) {
	for _, size := range []int{1, 100, 1_000} {
		b.Run(fmt.Sprint(size, " products"), func(b *testing.B) {
			x := open(b, newConfig(b))
			n := 0
			for b.Loop() {
				products := make([]catalog.Product, size)
				for i := range products {
					n++
					products[i] = named(fmt.Sprint("Folding chair ", n), 1)
					products[i].Description = "Beech, with a seat of paper cord. Stacks, and goes with every table of the series."
				}
				if err := x.Apply(b.Context(), products, checkpoint(int64(n))); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "products/s")
		})
	}
}

// BenchmarkSearch measures one search among 10,000 products.
func BenchmarkSearch(b *testing.B) {
	x := open(b, newConfig(b))
	for i := range 10 {
		var products []catalog.Product
		for j := range 1_000 {
			products = append(products, named(fmt.Sprintf("Chair of kind %d and shape %d", i, j), 1))
		}
		if err := x.Apply(b.Context(), products, nil); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := x.Search(b.Context(), catalog.Query{Text: "chiar shape 77", Limit: 20, Facets: catalog.FacetFields()}); err != nil {
			b.Fatal(err)
		}
	}
}
