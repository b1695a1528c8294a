package eventlog_test

import (
	"math/rand/v2"
	"testing"

	"catalog"
	"catalog/eventlog"
)

func TestContents(t *testing.T) {
	t.Run("contents derived from events equal those of the products that exist after them", func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		products := map[catalog.ID]catalog.Product{}
		ids := make([]catalog.ID, 20)
		for i := range ids {
			ids[i] = catalog.DerivedID(string(rune('a' + i)))
		}
		var got eventlog.Contents
		for range 2_000 {
			var events []catalog.Event
			for range random.IntN(4) {
				id := ids[random.IntN(len(ids))]
				p := products[id]
				p.ID = id
				e := catalog.Event{Outcome: catalog.Unchanged, Product: p}
				switch roll := random.IntN(4); {
				case roll == 0:
					e.Outcome = catalog.Refused
				case roll == 1 && p.Exists():
					e.Outcome, e.Product = catalog.Deleted, catalog.Product{ID: p.ID, Version: p.Version + 1, Deleted: true}
				case p.Exists():
					e.Outcome, e.Product.Version = catalog.Changed, p.Version+1
				default:
					e.Outcome, e.Product = catalog.Created, catalog.Product{ID: p.ID, Version: p.Version + 1}
				}
				products[id] = e.Product
				events = append(events, e)
			}
			got = got.After(events)
			var want eventlog.Contents
			for id, p := range products {
				if p.Exists() {
					want.Add(id, p.Version)
				}
			}
			if got != want {
				t.Fatalf("After = %+v; want %+v", got, want)
			}
		}
	})
	t.Run("a product that is missing, doubled or of another version shows", func(t *testing.T) {
		a, b := catalog.DerivedID("a"), catalog.DerivedID("b")
		var whole eventlog.Contents
		whole.Add(a, 1)
		whole.Add(b, 2)
		for name, versions := range map[string]map[catalog.ID]int64{
			"missing": {a: 1}, "another version": {a: 1, b: 3}, "versions exchanged": {a: 2, b: 1}, "another product": {a: 1, catalog.DerivedID("c"): 2},
		} {
			var other eventlog.Contents
			for id, v := range versions {
				other.Add(id, v)
			}
			if other == whole {
				t.Errorf("%s: contents are equal", name)
			}
		}
	})
}
