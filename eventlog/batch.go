package eventlog

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"catalog"
)

// Batch is a range of commands of one shard, in the order of the log. The store
// settles it in one transaction.
type Batch struct {
	Shard          int32
	Epoch          int64 // epoch in which the writer claimed the shard
	From, To       int64 // range of offsets in the commands partition, without To
	NextSeq        int64 // sequence number of the first event of the batch
	NextDeadLetter int64 // number of the first dead letter of the batch
	// Published is a lower bound of the last event that the events topic has. It is
	// stored with the shard, for a takeover after the topic has deleted its records.
	Published   int64
	Commands    []catalog.Command
	Offsets     []int64      // of the Commands
	DeadLetters []DeadLetter // records between the commands, numbered from NextDeadLetter
	Records     []RecordID   // the records of the batch, by offset; empty if unknown
}

// RecordBefore returns the identity of the record of the batch at offset to-1, or the
// zero RecordID if it is unknown. A store that has settled the batch up to offset to
// stores it.
func (b Batch) RecordBefore(to int64) RecordID {
	i, ok := slices.BinarySearchFunc(b.Records, to-1, func(r RecordID, offset int64) int { return cmp.Compare(r.Offset, offset) })
	if !ok {
		return RecordID{}
	}
	return b.Records[i]
}

// UpTo returns the part of b before the offset.
func (b Batch) UpTo(offset int64) Batch {
	if offset >= b.To {
		return b
	}
	b.To = offset
	n, _ := slices.BinarySearch(b.Offsets, offset)
	b.Commands, b.Offsets = b.Commands[:n], b.Offsets[:n]
	n, _ = slices.BinarySearchFunc(b.DeadLetters, offset, func(d DeadLetter, offset int64) int { return cmp.Compare(d.Offset, offset) })
	b.DeadLetters = b.DeadLetters[:n]
	return b
}

// Before returns the part of b before the first command on the product.
func (b Batch) Before(product catalog.ID) Batch {
	if i := slices.IndexFunc(b.Commands, func(c catalog.Command) bool { return c.Product == product }); i >= 0 {
		return b.UpTo(b.Offsets[i])
	}
	return b
}

// ShardState is the stored state of a shard.
type ShardState struct {
	Shard          int32
	Epoch          int64
	Offset         int64 // offset of the next command to settle
	NextSeq        int64 // sequence number of the next event; the first is 1
	NextDeadLetter int64 // number of the next dead letter; the first is 1
	Published      int64 // lower bound of the last event in the events topic
	Archived       int64 // the journal no longer has the events up to this seq

	// Last identifies the record before Offset, the last one settled. It is zero in a
	// new shard, after a repair, and if an older version settled the record.
	Last RecordID

	// Stopped is the reason for which no writer may settle the shard until it is
	// repaired; "" if there is none.
	Stopped string

	// EventsFrom is the offset in the events partition before which records are not
	// compared with the journal. A repair sets it after forged events.
	EventsFrom int64
}

// ShardReset is what a repair changes in a shard. Nil fields change nothing.
type ShardReset struct {
	Offset     *int64 // offset of the next command to settle; forgets the identity of the last one
	EventsFrom *int64
}

// ArchiveUpTo returns the last archived seq after the removal of the next events up
// to seq to, at most limit of them. It returns an error for events that may not be in
// the events topic.
func (s ShardState) ArchiveUpTo(to int64, limit int) (int64, error) {
	archived := max(s.Archived, min(to, s.Archived+int64(limit)))
	if archived > s.Archived && archived > s.Published {
		return 0, fmt.Errorf("event %d may not be published", archived)
	}
	return archived, nil
}

// BatchState is what a store must load before it can settle a batch. A store stops
// to load products when they reach MaxBatchBytes, and settles the part of the batch
// before the first product that it did not load.
type BatchState struct {
	Products map[catalog.ID]catalog.Product // products of the batch that exist or are deleted
	Settled  map[catalog.ID]bool            // commands of the batch that are in the journal
	SKUs     map[string]catalog.ID          // owners of the SKUs of the batch
}

// Products returns the ids of the batch's products, without duplicates and in the
// order of their first commands.
func (b Batch) Products() []catalog.ID {
	return distinct(b.Commands, func(c catalog.Command) catalog.ID { return c.Product })
}

// CommandIDs returns the ids of the batch's commands, without duplicates.
func (b Batch) CommandIDs() []catalog.ID {
	return distinct(b.Commands, func(c catalog.Command) catalog.ID { return c.ID })
}

func distinct(commands []catalog.Command, id func(catalog.Command) catalog.ID) []catalog.ID {
	ids := make([]catalog.ID, 0, len(commands))
	seen := make(map[catalog.ID]bool, len(commands))
	for _, c := range commands {
		if id := id(c); !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// SKUs returns the SKUs that the batch's commands set, without duplicates and
// sorted.
func (b Batch) SKUs() []string {
	skus := map[string]bool{}
	for _, c := range b.Commands {
		if s := c.SKU(); s != "" {
			skus[s] = true
		}
	}
	return slices.Sorted(maps.Keys(skus))
}

// FreedSKUs returns the ids of the products that no longer have the SKU that
// they had before the batch. products are their last versions.
func (s BatchState) FreedSKUs(products []catalog.Product) []catalog.ID {
	var freed []catalog.ID
	for _, p := range products {
		if old := s.Products[p.ID].SKU; old != "" && old != p.SKU {
			freed = append(freed, p.ID)
		}
	}
	return freed
}
