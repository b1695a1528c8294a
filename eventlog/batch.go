package eventlog

import (
	"maps"
	"slices"

	"catalog"
)

// Batch is some commands of one shard, in the order of the log, to be settled
// in one transaction.
type Batch struct {
	Shard          int32
	Epoch          int64 // of the owner, as it was when the shard was claimed
	From, To       int64 // offsets in the commands partition: the batch is [From, To)
	NextSeq        int64 // number of the batch's first event
	NextDeadLetter int64 // number of the shard's next dead letter, without those in Dead
	// Published is the last seq that is known to be in the events topic. It is
	// stored with the shard as a lower bound, for a takeover after the topic
	// has forgotten its records.
	Published   int64
	Commands    []catalog.Command
	DeadLetters []DeadLetter // what stood between the commands, numbered from NextDead
}

// ShardState is what is stored of a shard.
type ShardState struct {
	Shard          int32
	Epoch          int64
	Offset         int64 // of the next command to settle
	NextSeq        int64 // of the next event; the first is 1
	NextDeadLetter int64 // of the next dead letter; the first is 1
	Published      int64
}

// Known is what a store must read before a batch can be settled.
type BatchState struct {
	Products map[catalog.ID]catalog.Product // those in b.Products() that there have ever been
	Settled  map[catalog.ID]bool            // those in b.CommandIDs() that are in the journal
	SKUs     map[string]catalog.ID          // who has those in b.SKUs()
}

// Products lists the products that the batch is about, once each and sorted,
// which keeps two stores from locking rows in different orders.
func (b Batch) Products() []catalog.ID {
	return distinct(b.Commands, func(c catalog.Command) catalog.ID { return c.Product })
}

// CommandIDs lists the ids of the batch's commands, once each and sorted.
func (b Batch) CommandIDs() []catalog.ID {
	return distinct(b.Commands, func(c catalog.Command) catalog.ID { return c.ID })
}

func distinct(commands []catalog.Command, id func(catalog.Command) catalog.ID) []catalog.ID {
	ids := make([]catalog.ID, len(commands))
	for i, c := range commands {
		ids[i] = id(c)
	}
	slices.SortFunc(ids, func(a, b catalog.ID) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(ids)
}

// SKUs lists the SKUs that the batch wishes, once each and sorted.
func (b Batch) SKUs() []string {
	skus := map[string]bool{}
	for _, c := range b.Commands {
		if s := c.SKU(); s != "" {
			skus[s] = true
		}
	}
	return slices.Sorted(maps.Keys(skus))
}
