package eventlog

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"catalog"
)

// Group is a list of batches that a store settles in one transaction. Their shards
// differ and ascend.
type Group []Batch

// String names the shards and offsets at which the group begins, for errors.
func (g Group) String() string {
	if len(g) == 0 {
		return "no batches"
	}
	text := fmt.Sprintf("shard %d from offset %d", g[0].Shard, g[0].From)
	if len(g) > 1 {
		text += fmt.Sprintf(" and %d other shards", len(g)-1)
	}
	return text
}

// commands returns the commands of the group with their shards.
func (g Group) commands() iter.Seq2[int32, catalog.Command] {
	return func(yield func(int32, catalog.Command) bool) {
		for _, b := range g {
			for _, c := range b.Commands {
				if !yield(b.Shard, c) {
					return
				}
			}
		}
	}
}

// Products returns the ids of the group's products, without duplicates and in the
// order of their first commands.
func (g Group) Products() []catalog.ID {
	var ids []catalog.ID
	seen := map[catalog.ID]bool{}
	for _, c := range g.commands() {
		if !seen[c.Product] {
			seen[c.Product] = true
			ids = append(ids, c.Product)
		}
	}
	return ids
}

// Commands returns the group's commands, without duplicates.
func (g Group) Commands() []ShardCommand {
	var list []ShardCommand
	seen := map[ShardCommand]bool{}
	for shard, c := range g.commands() {
		if k := (ShardCommand{shard, c.ID}); !seen[k] {
			seen[k] = true
			list = append(list, k)
		}
	}
	return list
}

// SKUs returns the SKUs that the group's commands set, without duplicates and
// sorted.
func (g Group) SKUs() []string {
	skus := map[string]bool{}
	for _, c := range g.commands() {
		if s := c.SKU(); s != "" {
			skus[s] = true
		}
	}
	return slices.Sorted(maps.Keys(skus))
}

// GroupState is what a store must load before it can settle a group. A store stops to
// load products when they reach MaxBatchBytes.
type GroupState struct {
	Products     map[catalog.ID]catalog.Product // products of the group that exist or are deleted
	Unread       catalog.ID                     // the first of Group.Products that was not loaded; zero if all were
	Settled      map[ShardCommand]bool          // commands of the group that are in the journal
	SKUs         SKUOwners                      // owners of the SKUs of the group
	Keyless      map[catalog.ID]bool            // products of Products that do not own the key of their SKU
	FormerOwners map[string]FormerOwner         // former owners of the SKUs of the group, by key
	LeftOut      map[int32]error                // shards that are not settled, and why: ErrFenced or ErrLeftOut
}

// ShardCommand identifies a command of a shard. Nothing keeps clients from sending
// one id in commands of two shards.
type ShardCommand struct {
	Shard   int32
	Command catalog.ID
}

// AddProduct adds a product with the key of its SKU as it is stored, "" for none.
func (s *GroupState) AddProduct(p catalog.Product, key string) {
	s.Products[p.ID] = p
	if key != catalog.SKUKey(p.SKU) {
		s.Keyless[p.ID] = true
	}
}

// AddFormerOwner adds the past prices of a deleted product to those of the key of its SKU.
func (s *GroupState) AddFormerOwner(key string, product catalog.ID, past []catalog.PastPrice) {
	set(&s.FormerOwners, key, FormerOwner{product, catalog.MergePastPrices(s.FormerOwners[key].PastPrices, past)})
}

// SKUKey returns the key to store for the last version of a product: that of its SKU, or
// "" if it has none. A product without a key gets one when its SKU changes by more than
// case, since another product may own that key.
func (s GroupState) SKUKey(p catalog.Product) string {
	key := catalog.SKUKey(p.SKU)
	if s.Keyless[p.ID] && key == catalog.SKUKey(s.Products[p.ID].SKU) {
		return ""
	}
	return key
}

// FormerKeys returns the keys of the SKUs that products had when the events deleted them,
// by product. Of several products that had the same SKU it has only the last one.
func (s GroupState) FormerKeys(events []catalog.Event) map[catalog.ID]string {
	if !slices.ContainsFunc(events, func(e catalog.Event) bool { return e.Outcome == catalog.Deleted }) {
		return nil
	}
	former, last := map[catalog.ID]string{}, map[string]catalog.ID{} // last has the last product of each key
	skus := map[catalog.ID]string{}
	for _, e := range events {
		id := e.Product.ID
		switch e.Outcome {
		case catalog.Created, catalog.Changed:
			skus[id] = e.Product.SKU
			delete(former, id)
		case catalog.Deleted:
			sku, ok := skus[id]
			if !ok {
				sku = s.Products[id].SKU
			}
			if sku != "" {
				key := catalog.SKUKey(sku)
				delete(former, last[key])
				former[id], last[key] = key, id
			}
		}
	}
	return former
}

// FreedSKUs returns the ids of the products that no longer have the SKU that
// they had before the group. products are their last versions.
func (s GroupState) FreedSKUs(products []catalog.Product) []catalog.ID {
	var freed []catalog.ID
	for _, p := range products {
		if old := s.Products[p.ID].SKU; old != "" && old != p.SKU {
			freed = append(freed, p.ID)
		}
	}
	return freed
}
