package enginetest

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"

	"catalog"
)

func skuOneBatch(t *testing.T, s Store) {
	o := claim(t, s, 0)
	events := o.settle(t, []catalog.Outcome{catalog.Created, catalog.Refused, catalog.Created},
		command("1", "p", catalog.CreateProduct{Data: data("A")}),
		command("2", "q", catalog.CreateProduct{Data: data("A")}),
		command("3", "r", catalog.CreateProduct{Data: data("a")}), // SKUs are case-sensitive
	)
	if !errors.Is(events[1].Refusal, catalog.ErrSKUTaken) {
		t.Errorf("refusal = %v; want ErrSKUTaken", events[1].Refusal)
	}
}

func skuTwoBatches(t *testing.T, s Store) {
	o, other := claim(t, s, 0), claim(t, s, 1)
	o.settle(t, []catalog.Outcome{catalog.Created}, command("1", "p", catalog.CreateProduct{Data: data("A")}))
	for i, o := range []*owner{o, other} {
		q := fmt.Sprint("q", i)
		events := o.settle(t, []catalog.Outcome{catalog.Refused, catalog.Created, catalog.Refused},
			command(q+"1", q, catalog.CreateProduct{Data: data("A")}),
			command(q+"2", q, catalog.CreateProduct{Data: data("")}),
			command(q+"3", q, giveSKU("A")))
		if !errors.Is(events[0].Refusal, catalog.ErrSKUTaken) || !errors.Is(events[2].Refusal, catalog.ErrSKUTaken) {
			t.Errorf("refusals = %v and %v; want ErrSKUTaken", events[0].Refusal, events[2].Refusal)
		}
	}
}

func skuConcurrent(t *testing.T, s Store) {
	var owners [4]*owner
	for shard := range owners {
		owners[shard] = claim(t, s, int32(shard))
	}
	for round := range 25 {
		var (
			wg    sync.WaitGroup
			won   [len(owners)]bool
			sku   = fmt.Sprint("S", round)
			start = make(chan struct{})
		)
		for i, o := range owners {
			wg.Go(func() {
				name := fmt.Sprint(round, ".", i)
				<-start
				events, err := o.try(t.Context(),
					command(name, name, catalog.CreateProduct{Data: data(sku)}),
					command(name+" other", name+" other", catalog.CreateProduct{Data: data("")}))
				switch {
				case err != nil:
					t.Error(err)
				case len(events) != 2 || events[1].Outcome != catalog.Created:
					t.Errorf("outcomes = %v; want two events, the second created", outcomes(events))
				case events[0].Outcome == catalog.Created:
					won[i] = true
				case !errors.Is(events[0].Refusal, catalog.ErrSKUTaken):
					t.Errorf("refusal = %v; want ErrSKUTaken", events[0].Refusal)
				}
			})
		}
		close(start)
		wg.Wait()
		got, err := s.SKUs(t.Context(), []string{sku})
		if err != nil {
			t.Fatal(err)
		}
		for i := range owners {
			if owns := got[sku] == product(fmt.Sprint(round, ".", i)); owns != won[i] {
				t.Errorf("round %d: shard %d got the SKU according to Settle: %v, according to SKUs: %v", round, i, won[i], owns)
			}
		}
		if len(got) != 1 {
			t.Errorf("round %d: SKUs = %v; want one owner", round, got)
		}
	}
}

func skuOppositeOrder(t *testing.T, s Store) {
	owners := [...]*owner{claim(t, s, 0), claim(t, s, 1)}
	for round := range 5 {
		var wg sync.WaitGroup
		skus := []string{fmt.Sprint("A", round), fmt.Sprint("B", round)}
		for i, o := range owners {
			wg.Go(func() {
				first, second := fmt.Sprint(round, " first ", i), fmt.Sprint(round, " second ", i)
				events, err := o.try(t.Context(),
					command(first, first, catalog.CreateProduct{Data: data(skus[i])}),
					command(second, second, catalog.CreateProduct{Data: data(skus[1-i])}))
				if err != nil || len(events) != 2 {
					t.Errorf("Settle = %d events, %v; want 2", len(events), err)
				}
			})
		}
		wg.Wait()
		if got, err := s.SKUs(t.Context(), skus); err != nil || len(got) != 2 {
			t.Errorf("SKUs = %v, %v; want an owner of both", got, err)
		}
	}
}

func skuMoved(t *testing.T, s Store) {
	o := claim(t, s, 0)
	o.settle(t, []catalog.Outcome{catalog.Created, catalog.Created},
		command("1", "p", catalog.CreateProduct{Data: data("A")}),
		command("2", "q", catalog.CreateProduct{Data: data("B")}))
	o.settle(t, []catalog.Outcome{catalog.Changed, catalog.Changed, catalog.Refused},
		command("3", "p", giveSKU("C")),
		command("4", "q", giveSKU("A")),
		command("5", "p", giveSKU("A")))
	o.settle(t, []catalog.Outcome{catalog.Changed, catalog.Created},
		command("6", "q", giveSKU("")),
		command("7", "r", catalog.PutProduct{Data: data("A")}))
	owners, err := s.SKUs(t.Context(), []string{"A", "B", "C", ""})
	if want := map[string]catalog.ID{"A": product("r"), "C": product("p")}; err != nil || !maps.Equal(owners, want) {
		t.Errorf("SKUs = %v, %v; want %v", owners, err, want)
	}
}

func skuSwapped(t *testing.T, s Store) {
	o := claim(t, s, 0)
	o.settle(t, []catalog.Outcome{catalog.Created, catalog.Created},
		command("1", "p", catalog.CreateProduct{Data: data("A")}),
		command("2", "q", catalog.CreateProduct{Data: data("B")}))
	o.settle(t, []catalog.Outcome{catalog.Changed, catalog.Changed, catalog.Changed},
		command("3", "p", giveSKU("T")),
		command("4", "q", giveSKU("A")),
		command("5", "p", giveSKU("B")))
	owners, err := s.SKUs(t.Context(), []string{"A", "B", "T"})
	if want := map[string]catalog.ID{"A": product("q"), "B": product("p")}; err != nil || !maps.Equal(owners, want) {
		t.Errorf("SKUs = %v, %v; want %v", owners, err, want)
	}
}

func skuFreed(t *testing.T, s Store) {
	o, other := claim(t, s, 0), claim(t, s, 1)
	o.settle(t, []catalog.Outcome{catalog.Created}, command("1", "p", catalog.CreateProduct{Data: data("A")}))
	o.settle(t, []catalog.Outcome{catalog.Deleted}, command("2", "p", catalog.DeleteProduct{}))
	other.settle(t, []catalog.Outcome{catalog.Created}, command("3", "q", catalog.CreateProduct{Data: data("A")}))
	o.settle(t, []catalog.Outcome{catalog.Refused, catalog.Created},
		command("4", "p", catalog.PutProduct{Data: data("A")}),
		command("5", "p", catalog.PutProduct{Data: data("B")}))
}
