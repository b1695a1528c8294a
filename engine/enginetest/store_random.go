package enginetest

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catalog"
	"catalog/eventlog"
)

// settleRandom settles random commands on few products with few SKUs, so that
// they conflict, in groups of one or two shards, and compares the store with eventlog.Settle on maps.
func settleRandom(t *testing.T, s Store) {
	ctx := t.Context()
	claim(t, s, 0)
	run := 0
	check(t, func(r *rapid.T) {
		run++
		name := func(kind string, n int) string { return fmt.Sprint(run, " ", kind, " ", n) }
		const shards = 2
		var (
			products = map[catalog.ID]catalog.Product{}
			settled  = map[eventlog.ShardCommand]bool{}
			former   = map[string]eventlog.FormerOwner{}
			journals [shards][]catalog.Event
			owners   [shards]*owner
			now      = moment
		)
		for shard := range owners {
			st, err := s.Claim(ctx, int32(shard))
			if err != nil {
				r.Fatal(err)
			}
			owners[shard] = &owner{s, st}
		}
		start := [shards]int64{owners[0].st.NextSeq, owners[1].st.NextSeq}
		skus := []string{"", name("sku", 1), name("SKU", 1), name("sku", 2)} // two differ only in case
		sku := rapid.SampledFrom(skus)
		names := rapid.SampledFrom([]string{"Chair", "Stool", ""}) // the empty name is refused
		ops := rapid.Custom(func(r *rapid.T) catalog.Operation {
			d := catalog.ProductData{SKU: sku.Draw(r, "sku"), Name: names.Draw(r, "name"), Price: price(1, 0, "EUR")}
			switch rapid.IntRange(0, 5).Draw(r, "operation") {
			case 0:
				return catalog.CreateProduct{Data: d}
			case 1:
				return catalog.PutProduct{Data: d}
			case 2:
				return giveSKU(d.SKU)
			case 3:
				currency := "EUR"
				return catalog.PatchProduct{Create: true, Patch: catalog.Patch{SKU: &d.SKU, Name: &d.Name, Currency: &currency}}
			case 4:
				return rename(d.Name)
			}
			return catalog.DeleteProduct{}
		})
		for range rapid.IntRange(1, 6).Draw(r, "groups") {
			var g eventlog.Group
			members := rapid.SampledFrom([][]int{{0}, {1}, {0, 1}}).Draw(r, "shards")
			for _, shard := range members {
				o := owners[shard]
				var commands []catalog.Command
				for range rapid.IntRange(0, 8).Draw(r, "commands") {
					n := rapid.IntRange(0, 30).Draw(r, "command")*shards + shard
					p := rapid.IntRange(0, 2).Draw(r, "product")*shards + shard
					c := command(name("command", n), name("product", p), ops.Draw(r, "op"))
					c.If.Version = int64(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(r, "version"))
					commands = append(commands, c)
				}
				g = append(g, o.batch(commands...))
			}
			now = now.Add(time.Duration(rapid.IntRange(-10, 1000).Draw(r, "pause")) * time.Millisecond)
			all := eventlog.Settle(g, eventlog.GroupState{Products: products, Settled: settled, SKUs: ownersOf(products), FormerOwners: former}, now)
			got, err := s.Settle(ctx, g, now)
			if err != nil {
				r.Fatal(err)
			}
			for i, b := range g {
				want, o := all[i].Events, owners[b.Shard]
				sameEvents(r, "Settle", got[i].Events, want)
				o.st.Offset, o.st.NextSeq = got[i].To, o.st.NextSeq+int64(len(want))
				journals[b.Shard] = append(journals[b.Shard], want...)
				for _, e := range want {
					settled[eventlog.ShardCommand{Shard: e.Shard, Command: e.Command}] = true
				}
				for _, e := range want {
					if !e.Applied() {
						continue
					}
					if sku := products[e.Product.ID].SKU; e.Product.Deleted && sku != "" {
						former[catalog.SKUKey(sku)] = eventlog.FormerOwner{Product: e.Product.ID, PastPrices: e.Product.PastPrices}
					}
					if e.Outcome == catalog.Created {
						maps.DeleteFunc(former, func(_ string, f eventlog.FormerOwner) bool { return f.Product == e.Product.ID })
					}
					products[e.Product.ID] = e.Product
				}
			}
		}
		for shard, o := range owners {
			got, err := s.Journal(ctx, int32(shard), start[shard], 1<<40, 1000)
			if err != nil {
				r.Fatal(err)
			}
			sameEvents(r, "Journal", got, journals[shard])
			st, err := s.State(ctx, int32(shard))
			if err != nil || st != o.st {
				r.Fatalf("State = %+v, %v; want %+v", st, err, o.st)
			}
		}
		for _, p := range products {
			sameProduct(ctx, r, s, p)
		}
		got, err := s.SKUs(ctx, skus)
		if want := ownersOf(products).Owners(skus); err != nil || !maps.Equal(got, want) {
			r.Fatalf("SKUs = %v, %v; want %v", got, err, want)
		}
	})
}

// ownersOf returns the owners of the SKUs of products.
func ownersOf(products map[catalog.ID]catalog.Product) (owners eventlog.SKUOwners) {
	for _, p := range products {
		owners.Add(p.ID, p.SKU, catalog.SKUKey(p.SKU))
	}
	return owners
}
