package enginetest

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"

	"catalog"
	"catalog/eventlog"
)

func skuOneBatch(t *testing.T, s Store) {
	o := claim(t, s, 0)
	events := o.settle(t, []catalog.Outcome{catalog.Created, catalog.Refused},
		command("1", "p", catalog.CreateProduct{Data: data("A")}),
		command("2", "q", catalog.CreateProduct{Data: data("A")}),
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

func skuCase(t *testing.T, s Store) {
	o, other := claim(t, s, 0), claim(t, s, 1)
	o.settle(t, []catalog.Outcome{catalog.Created, catalog.Refused},
		command("1", "p", catalog.CreateProduct{Data: data("AÄ-1")}),
		command("2", "q", catalog.CreateProduct{Data: data("aä-1")}))
	other.settle(t, []catalog.Outcome{catalog.Refused}, command("3", "q", catalog.CreateProduct{Data: data("Aä-1")}))
	owners := func(want map[string]catalog.ID) {
		t.Helper()
		if got, err := s.SKUs(t.Context(), []string{"AÄ-1", "aä-1", "B"}); err != nil || !maps.Equal(got, want) {
			t.Errorf("SKUs = %v, %v; want %v", got, err, want)
		}
	}
	p := product("p")
	owners(map[string]catalog.ID{"AÄ-1": p, "aä-1": p})
	events := o.settle(t, []catalog.Outcome{catalog.Changed, catalog.Changed}, command("4", "p", giveSKU("aÄ-1")), command("5", "p", rename("Stool")))
	if sku := events[1].Product.SKU; sku != "aÄ-1" {
		t.Errorf("SKU = %q; want it as written, aÄ-1", sku)
	}
	owners(map[string]catalog.ID{"AÄ-1": p, "aä-1": p})
	o.settle(t, []catalog.Outcome{catalog.Changed}, command("6", "p", giveSKU("B")))
	other.settle(t, []catalog.Outcome{catalog.Created}, command("7", "q", catalog.CreateProduct{Data: data("aä-1")}))
	owners(map[string]catalog.ID{"AÄ-1": product("q"), "aä-1": product("q"), "B": p})
}

// skuClash stores products whose SKUs differ only in case, as an earlier version did.
func skuClash(t *testing.T, s Store) {
	o := claim(t, s, 0)
	created := func(name, sku string) []catalog.Event {
		c := command("create "+name, name, catalog.CreateProduct{Data: data(sku)})
		return eventlog.Settle(eventlog.Group{o.batch(c)}, eventlog.GroupState{}, moment)[0].Events
	}
	events := append(created("p", "AB"), created("q", "ab")...)
	events[1].Seq++
	if err := s.AppendEvents(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	owners := func(want map[string]catalog.ID) {
		t.Helper()
		if got, err := s.SKUs(t.Context(), []string{"AB", "ab", "Ab", "C"}); err != nil || !maps.Equal(got, want) {
			t.Errorf("SKUs = %v, %v; want %v", got, err, want)
		}
	}
	p, q := product("p"), product("q")
	owners(map[string]catalog.ID{"AB": p, "ab": q, "Ab": p})

	o = claim(t, s, 0)
	other := claim(t, s, 1)
	o.settle(t, []catalog.Outcome{catalog.Changed, catalog.Changed, catalog.Changed, catalog.Refused},
		command("1", "p", rename("Stool")), command("2", "q", rename("Stool")), command("3", "q", rename("Bench")), command("4", "q", giveSKU("Ab")))
	other.settle(t, []catalog.Outcome{catalog.Refused, catalog.Refused},
		command("5", "r", catalog.CreateProduct{Data: data("Ab")}), command("6", "r", catalog.CreateProduct{Data: data("ab")}))
	owners(map[string]catalog.ID{"AB": p, "ab": q, "Ab": p})

	o.settle(t, []catalog.Outcome{catalog.Changed}, command("7", "q", giveSKU("C")))
	other.settle(t, []catalog.Outcome{catalog.Refused}, command("8", "r", catalog.CreateProduct{Data: data("c")}))
	owners(map[string]catalog.ID{"AB": p, "ab": p, "Ab": p, "C": q})
}

// skuFormerPrices deletes products and creates others with their SKUs.
func skuFormerPrices(t *testing.T, s Store) {
	o, other := claim(t, s, 0), claim(t, s, 1)
	withPrice := func(sku string, units int64) catalog.ProductData {
		d := data(sku)
		d.Price = price(units, 0, "EUR")
		return d
	}
	prior := func(events []catalog.Event) string {
		t.Helper()
		lowest, ok := events[len(events)-1].Product.LowestPrior(catalog.BeforeLastReduction)
		if !ok {
			return "none"
		}
		return lowest.String()
	}
	o.settle(t, []catalog.Outcome{catalog.Created, catalog.Changed},
		command("1", "p", catalog.CreateProduct{Data: withPrice("A", 100)}), command("2", "p", catalog.PutProduct{Data: data("A")}))
	o.settle(t, []catalog.Outcome{catalog.Deleted}, command("3", "p", catalog.DeleteProduct{}))
	if got := prior(other.settle(t, []catalog.Outcome{catalog.Created}, command("4", "q", catalog.CreateProduct{Data: data("a")}))); got != "100" {
		t.Errorf("lowest prior price of a new product with the SKU of a deleted one = %s; want 100", got)
	}
	if got := prior(other.settle(t, []catalog.Outcome{catalog.Created}, command("5", "r", catalog.CreateProduct{Data: data("B")}))); got != "none" {
		t.Errorf("lowest prior price of a product with a new SKU = %s; want none", got)
	}
	// The next owner has the prices of both; all happens in one batch.
	if got := prior(other.settle(t, []catalog.Outcome{catalog.Changed, catalog.Deleted, catalog.Created},
		command("6", "q", giveSKU("C")), command("7", "q", catalog.DeleteProduct{}),
		command("8", "t", catalog.PutProduct{Data: data("c")}))); got != "100" {
		t.Errorf("lowest prior price of the third product = %s; want 100", got)
	}
	// A product that exists and gets the SKU of a deleted one has its prices, too.
	o.settle(t, []catalog.Outcome{catalog.Created, catalog.Changed, catalog.Deleted},
		command("20", "w", catalog.CreateProduct{Data: withPrice("D", 90)}), command("21", "w", catalog.PutProduct{Data: withPrice("D", 130)}),
		command("22", "w", catalog.DeleteProduct{}))
	other.settle(t, []catalog.Outcome{catalog.Created}, command("23", "x", catalog.CreateProduct{Data: withPrice("E", 140)}))
	if got := prior(other.settle(t, []catalog.Outcome{catalog.Changed, catalog.Changed}, command("24", "x", giveSKU("d")), command("25", "x", rename("Stool")))); got != "90" {
		t.Errorf("lowest prior price of a product that gets the SKU of a deleted one = %s; want 90", got)
	}
	if got := prior(other.settle(t, []catalog.Outcome{catalog.Changed}, command("26", "x", catalog.PutProduct{Data: withPrice("d", 120)}))); got != "90" {
		t.Errorf("lowest prior price after its next change = %s; want 90", got)
	}
	// A store that was restored has the former prices of deletions in the topic.
	other.settle(t, []catalog.Outcome{catalog.Deleted}, command("9", "t", catalog.DeleteProduct{}))
	c := command("10", "r", catalog.DeleteProduct{})
	r, err := s.Product(t.Context(), product("r"))
	if err != nil {
		t.Fatal(err)
	}
	events := eventlog.Settle(eventlog.Group{other.batch(c)}, eventlog.GroupState{Products: map[catalog.ID]catalog.Product{r.ID: r}}, moment)[0].Events
	if err := s.AppendEvents(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	if got := prior(o.settle(t, []catalog.Outcome{catalog.Created}, command("11", "u", catalog.CreateProduct{Data: data("b")}))); got != "149.9" {
		t.Errorf("lowest prior price after a repair = %s; want 149.9", got)
	}
	if got := prior(o.settle(t, []catalog.Outcome{catalog.Created}, command("12", "v", catalog.CreateProduct{Data: data("C")}))); got != "100" {
		t.Errorf("lowest prior price of the fourth product = %s; want 100", got)
	}
}
