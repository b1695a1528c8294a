package eventlog

import (
	"errors"
	"fmt"
	"time"

	"catalog"
)

// Settle decides the commands of b in order, each on the state that the commands
// before it leave, and returns one event for each, numbered from b.NextSeq. It
// skips a command that is already in the journal or earlier in b, because the
// command has its event. It stops when the events reach MaxBatchBytes, and returns
// the part of b that it has settled: at least one command.
func Settle(b Batch, k BatchState, now time.Time) (events []catalog.Event, part Batch) {
	var (
		bytes    int
		products = map[catalog.ID]catalog.Product{}
		owners   = map[string]catalog.ID{} // of SKUs whose owner differs from k.SKUs; the zero ID means free
		settled  = map[catalog.ID]bool{}
	)
	for i, c := range b.Commands {
		if bytes >= MaxBatchBytes {
			return events, b.UpTo(b.Offsets[i])
		}
		if k.Settled[c.ID] || settled[c.ID] {
			continue
		}
		settled[c.ID] = true
		p, ok := products[c.Product]
		if !ok {
			p = k.Products[c.Product]
			p.ID = c.Product
		}
		e, err := catalog.Decide(p, c, now)
		if err == nil && e.Applied() {
			err = updateSKUs(owners, k.SKUs, p, e.Product)
		}
		var refusal *catalog.Refusal
		if errors.As(err, &refusal) {
			e = c.Refused(p, refusal, now)
		} else {
			products[c.Product] = e.Product
		}
		e.Position = catalog.Position{Shard: b.Shard, Seq: b.NextSeq + int64(len(events))}
		events = append(events, e)
		bytes += e.Size()
	}
	return events, b
}

// updateSKUs updates the owners of SKUs for the change of product p to next. It
// returns a *Refusal if another product has the new SKU.
func updateSKUs(owners, known map[string]catalog.ID, p, next catalog.Product) error {
	if next.SKU != "" && next.SKU != p.SKU {
		owner, ok := owners[next.SKU]
		if !ok {
			owner = known[next.SKU]
		}
		if owner != (catalog.ID{}) && owner != next.ID {
			return &catalog.Refusal{
				Code:   catalog.CodeSKUTaken,
				Reason: fmt.Sprintf("product %s already has the SKU %q", owner, next.SKU),
				Fields: []catalog.FieldError{{Field: "sku", Reason: "belongs to another product; choose another SKU, or change that product first"}},
			}
		}
		owners[next.SKU] = next.ID
	}
	if p.SKU != "" && p.SKU != next.SKU {
		owners[p.SKU] = catalog.ID{}
	}
	return nil
}

// LastVersions returns the last version of each product that the events change, in
// the order of their first events. A store writes these products.
func LastVersions(events []catalog.Event) []catalog.Product {
	index := map[catalog.ID]int{}
	var products []catalog.Product
	for _, e := range events {
		if !e.Applied() {
			continue
		}
		i, ok := index[e.Product.ID]
		if !ok {
			i = len(products)
			index[e.Product.ID] = i
			products = append(products, catalog.Product{})
		}
		products[i] = e.Product
	}
	return products
}
