package main

import (
	"os"
	"strings"
	"testing"
)

func TestModel(t *testing.T) {
	t.Run("docs/scale.md has the table of the model", func(t *testing.T) {
		page, err := os.ReadFile("../../docs/scale.md")
		if err != nil {
			t.Fatal(err)
		}
		var table strings.Builder
		printModel(&table, measured)
		if !strings.Contains(string(page), table.String()) {
			t.Errorf("docs/scale.md does not have this table; go run ./test/scale prints it:\n%s", table.String())
		}
	})
	t.Run("more products or commands never need fewer machines", func(t *testing.T) {
		all := workloads()
		for i, w := range all {
			for _, other := range all[i:] {
				if other.products < w.products || other.commands < w.commands {
					continue
				}
				larger := measured.demands(other)
				for j, d := range measured.demands(w) {
					if larger[j].machines < d.machines {
						t.Errorf("%s: %v machines for %+v, %v for %+v", d.part, d.machines, w, larger[j].machines, other)
					}
				}
			}
		}
	})
	t.Run("the first limit is the part that needs most machines", func(t *testing.T) {
		m := measuredFigures{productRow: 1, indexProduct: 1}
		first := firstLimit(m.demands(workload{products: 1e12}))
		if first.part != "index of a reader" || first.why != "memory" {
			t.Errorf("first limit = %s: %s; want the memory of the index", first.part, first.why)
		}
	})
}
