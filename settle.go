package catalog

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Batch is some commands of one shard, in the order of the log, to be settled
// in one transaction.
type Batch struct {
	Shard    int32
	Epoch    int64 // of the owner, as it was when the shard was claimed
	From, To int64 // offsets in the commands partition: the batch is [From, To)
	NextSeq  int64 // number of the batch's first event
	NextDead int64 // number of the shard's next dead letter, without those in Dead
	// Published is the last seq that is known to be in the events topic. It is
	// stored with the shard as a lower bound, for a takeover after the topic
	// has forgotten its records.
	Published int64
	Commands  []Command
	Dead      []DeadLetter // what stood between the commands, numbered from NextDead
}

// ShardState is what is stored of a shard.
type ShardState struct {
	Shard     int32
	Epoch     int64
	Offset    int64 // of the next command to settle
	NextSeq   int64 // of the next event; the first is 1
	NextDead  int64 // of the next dead letter; the first is 1
	Published int64
}

// Known is what a store must read before a batch can be settled.
type Known struct {
	Products map[ID]Product // those in b.Products() that there have ever been
	Settled  map[ID]bool    // those in b.CommandIDs() that are in the journal
	SKUs     map[string]ID  // who has those in b.SKUs()
}

// Products lists the products that the batch is about, once each and sorted,
// which keeps two stores from locking rows in different orders.
func (b Batch) Products() []ID {
	return distinct(b.Commands, func(c Command) ID { return c.Product })
}

// CommandIDs lists the ids of the batch's commands, once each and sorted.
func (b Batch) CommandIDs() []ID {
	return distinct(b.Commands, func(c Command) ID { return c.ID })
}

func distinct(commands []Command, id func(Command) ID) []ID {
	ids := make([]ID, len(commands))
	for i, c := range commands {
		ids[i] = id(c)
	}
	slices.SortFunc(ids, func(a, b ID) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(ids)
}

// SKUs lists the SKUs that the batch wishes, once each and sorted.
func (b Batch) SKUs() []string {
	skus := map[string]bool{}
	for _, c := range b.Commands {
		if s := c.sku(); s != "" {
			skus[s] = true
		}
	}
	return slices.Sorted(maps.Keys(skus))
}

func (c Command) sku() string {
	switch op := c.Op.(type) {
	case CreateProduct:
		return op.Draft.SKU
	case PutProduct:
		return op.Draft.SKU
	case PatchProduct:
		if op.Patch.SKU != nil {
			return *op.Patch.SKU
		}
	}
	return ""
}

// Settle decides the commands of b in order, each on what those before it have
// left, and answers one event for each, numbered from b.NextSeq. A command that
// is in the journal already, or a second time in b, gets none: it has its
// outcome.
func Settle(b Batch, k Known, now time.Time) []Event {
	var (
		events   = make([]Event, 0, len(b.Commands))
		products = map[ID]Product{}
		owners   = map[string]ID{} // of SKUs, where it differs from k.SKUs; the zero ID for nobody
		settled  = map[ID]bool{}
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
		e, err := Decide(p, c, now)
		if err == nil && e.Applied() {
			err = claim(owners, k.SKUs, p, e.Product)
		}
		var refusal *Refusal
		if errors.As(err, &refusal) {
			e = c.event(Refused, Product{ID: p.ID, Version: p.Version}, now)
			e.Refusal = refusal
		} else {
			products[c.Product] = e.Product
		}
		e.Position = Position{Shard: b.Shard, Seq: b.NextSeq + int64(len(events))}
		events = append(events, e)
	}
	return events
}

// claim passes the SKU of p on to whom it belongs after p has become next, or
// refuses when another product has the new one.
func claim(owners, known map[string]ID, p, next Product) error {
	if next.SKU != "" && next.SKU != p.SKU {
		owner, ok := owners[next.SKU]
		if !ok {
			owner = known[next.SKU]
		}
		if owner != (ID{}) && owner != next.ID {
			return &Refusal{
				Code:   CodeSKUTaken,
				Reason: fmt.Sprintf("product %s has the SKU %q already", owner, next.SKU),
				Fields: []FieldError{{"sku", "belongs to another product; choose another or change that product"}},
			}
		}
		owners[next.SKU] = next.ID
	}
	if p.SKU != "" && p.SKU != next.SKU {
		owners[p.SKU] = ID{}
	}
	return nil
}

// Latest lists the products as events leave them, once each, in the order of
// their first event: what a store writes.
func Latest(events []Event) []Product {
	at := map[ID]int{}
	var products []Product
	for _, e := range events {
		if !e.Applied() {
			continue
		}
		i, ok := at[e.Product.ID]
		if !ok {
			i = len(products)
			at[e.Product.ID] = i
			products = append(products, Product{})
		}
		products[i] = e.Product
	}
	return products
}
