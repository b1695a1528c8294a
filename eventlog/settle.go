package eventlog

import (
	"errors"
	"fmt"
	"time"

	"catalog"
)

// Settle decides the commands of b in order, each on what those before it have
// left, and answers one event for each, numbered from b.NextSeq. A command that
// is in the journal already, or a second time in b, gets none: it has its
// outcome.
func Settle(b Batch, k BatchState, now time.Time) []catalog.Event {
	var (
		events   = make([]catalog.Event, 0, len(b.Commands))
		products = map[catalog.ID]catalog.Product{}
		owners   = map[string]catalog.ID{} // of SKUs, where it differs from k.SKUs; the zero ID for nobody
		settled  = map[catalog.ID]bool{}
	)
	for _, c := range b.Commands {
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
			err = claim(owners, k.SKUs, p, e.Product)
		}
		var refusal *catalog.Refusal
		if errors.As(err, &refusal) {
			e = c.Refused(p, refusal, now)
		} else {
			products[c.Product] = e.Product
		}
		e.Position = catalog.Position{Shard: b.Shard, Seq: b.NextSeq + int64(len(events))}
		events = append(events, e)
	}
	return events
}

// claim passes the SKU of p on to whom it belongs after p has become next, or
// refuses when another product has the new one.
func claim(owners, known map[string]catalog.ID, p, next catalog.Product) error {
	if next.SKU != "" && next.SKU != p.SKU {
		owner, ok := owners[next.SKU]
		if !ok {
			owner = known[next.SKU]
		}
		if owner != (catalog.ID{}) && owner != next.ID {
			return &catalog.Refusal{
				Code:   catalog.CodeSKUTaken,
				Reason: fmt.Sprintf("product %s has the SKU %q already", owner, next.SKU),
				Fields: []catalog.FieldError{{Field: "sku", Reason: "belongs to another product; choose another or change that product"}},
			}
		}
		owners[next.SKU] = next.ID
	}
	if p.SKU != "" && p.SKU != next.SKU {
		owners[p.SKU] = catalog.ID{}
	}
	return nil
}

// Latest lists the products as events leave them, once each, in the order of
// their first event: what a store writes.
func LastVersions(events []catalog.Event) []catalog.Product {
	at := map[catalog.ID]int{}
	var products []catalog.Product
	for _, e := range events {
		if !e.Applied() {
			continue
		}
		i, ok := at[e.Product.ID]
		if !ok {
			i = len(products)
			at[e.Product.ID] = i
			products = append(products, catalog.Product{})
		}
		products[i] = e.Product
	}
	return products
}
