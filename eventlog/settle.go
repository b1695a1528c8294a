package eventlog

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"catalog"
)

// ErrLeftOut means that a batch was left out of the transaction of its group,
// because another transaction has locked its shard, or because the transaction had no
// bytes left. The batch can be settled alone.
var ErrLeftOut = errors.New("batch left out of the transaction of its group")

// Settled is the settled part of a batch.
type Settled struct {
	Events []catalog.Event
	To     int64 // offset that the shard has reached
	Err    error // ErrFenced or ErrLeftOut if nothing of the batch was settled
}

// Settle decides the commands of the group in order, each on the state that the
// commands before it leave. For each batch it returns one event for each command,
// numbered from NextSeq. It skips a command that is already in the journal or earlier
// in its batch, because the command has its event.
//
// It stops, after at least one command, when the events of the group reach
// MaxBatchBytes or when the product of a command was not loaded. The batch of that
// command is settled in part. Batches with nothing to settle before it are left out
// with ErrLeftOut.
func Settle(g Group, k GroupState, now time.Time) []Settled {
	k.SKUs = SKUOwners{ByKey: maps.Clone(k.SKUs.ByKey), Without: maps.Clone(k.SKUs.Without)}
	k.FormerOwners = maps.Clone(k.FormerOwners)
	d := decider{GroupState: k, now: now}
	all := make([]Settled, len(g))
	for i, b := range g {
		if err := k.LeftOut[b.Shard]; err != nil {
			all[i] = Settled{To: b.From, Err: err}
			continue
		}
		all[i] = d.settle(b)
	}
	return all
}

// decider is the state of Settle between two batches.
type decider struct {
	GroupState // the state, with SKUs and FormerOwners after the commands decided so far
	now        time.Time
	bytes      int // size of the events
	stopped    bool
}

// settle decides the commands of one batch.
func (d *decider) settle(b Batch) Settled {
	var (
		events   []catalog.Event
		products = map[catalog.ID]catalog.Product{}
		settled  = map[catalog.ID]bool{}
	)
	for i, c := range b.Commands {
		d.stopped = d.stopped || d.bytes >= MaxBatchBytes || d.Unread != (catalog.ID{}) && c.Product == d.Unread
		if d.stopped {
			if b.Offsets[i] == b.From {
				return Settled{To: b.From, Err: ErrLeftOut}
			}
			return Settled{Events: events, To: b.Offsets[i]}
		}
		if d.Settled[ShardCommand{b.Shard, c.ID}] || settled[c.ID] {
			continue
		}
		settled[c.ID] = true
		p, ok := products[c.Product]
		if !ok {
			p = d.Products[c.Product]
			p.ID = c.Product
		}
		if len(d.FormerOwners) > 0 { // without former owners, no key is needed
			if key := catalog.SKUKey(c.SKU()); !p.Exists() || key != catalog.SKUKey(p.SKU) {
				p = p.WithFormerPrices(d.FormerOwners[key].PastPrices, d.now)
			}
		}
		e, err := catalog.Decide(p, c, d.now)
		if err == nil && e.Applied() {
			err = d.updateSKUs(p, e.Product)
		}
		var refusal *catalog.Refusal
		if errors.As(err, &refusal) {
			e = c.Refused(p, refusal, d.now)
		} else {
			products[c.Product] = e.Product
		}
		switch {
		case e.Outcome == catalog.Deleted && p.SKU != "":
			set(&d.FormerOwners, catalog.SKUKey(p.SKU), FormerOwner{p.ID, e.Product.PastPrices})
		case e.Outcome == catalog.Created:
			maps.DeleteFunc(d.FormerOwners, func(_ string, f FormerOwner) bool { return f.Product == p.ID })
		}
		e.Position = catalog.Position{Shard: b.Shard, Seq: b.NextSeq + int64(len(events))}
		events = append(events, e)
		d.bytes += e.Size()
	}
	return Settled{Events: events, To: b.To}
}

// updateSKUs updates the owners of SKUs for the change of product p to next. It
// returns a *Refusal if another product has the new SKU.
func (d *decider) updateSKUs(p, next catalog.Product) error {
	if next.SKU == p.SKU {
		return nil
	}
	if owner := d.SKUs.Owner(next.SKU); next.SKU != "" && owner != (catalog.ID{}) && owner != next.ID {
		return &catalog.Refusal{
			Code:   catalog.CodeSKUTaken,
			Reason: fmt.Sprintf("product %s already has the SKU %q, in this or another case", owner, next.SKU),
			Fields: []catalog.FieldError{{Field: "sku", Reason: "belongs to another product; choose another SKU, or change that product first"}},
		}
	}
	d.SKUs.move(next.ID, p.SKU, next.SKU)
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
