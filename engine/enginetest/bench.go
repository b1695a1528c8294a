package enginetest

import (
	"fmt"
	"strings"
	"testing"

	"catalog"
)

// BenchmarkSettle measures Settle with batches of 500 commands that create
// products and batches of 500 commands that change them. s must be new.
func BenchmarkSettle(b *testing.B, s Store) {
	const size = 500
	o := claim(b, s, 0)
	id := 0
	settle := func(b *testing.B, op func(i int) catalog.Operation, on func(i int) string) {
		commands := make([]catalog.Command, size)
		for i := range commands {
			id++
			commands[i] = command(fmt.Sprint("c", id), on(i), op(i))
		}
		if _, err := o.try(b.Context(), commands...); err != nil {
			b.Fatal(err)
		}
	}
	d := data("")
	d.Description, d.Category = strings.Repeat("Oak, oiled, with a seat of woven paper cord. ", 12), "Furniture/Chairs"
	d.Tags = []string{"new", "oak"}
	d.Attributes = map[string]string{"width": "45", "height": "80", "colour": "oak", "material": "solid wood", "care": "oil once a year"}
	create := func(int) catalog.Operation {
		d := d
		d.SKU = fmt.Sprint("SKU-", id)
		return catalog.CreateProduct{Data: d}
	}
	n := 0
	b.Run("create", func(b *testing.B) {
		for b.Loop() {
			n++
			settle(b, create, func(i int) string { return fmt.Sprint("p", n, ".", i) })
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*size), "µs/command")
	})
	b.Run("change", func(b *testing.B) {
		for b.Loop() {
			settle(b, func(int) catalog.Operation { return rename(fmt.Sprint("Chair ", id)) }, func(i int) string { return fmt.Sprint("p1.", i) })
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*size), "µs/command")
	})
}
