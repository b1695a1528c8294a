package eventlog

import (
	"cmp"
	"fmt"
	"slices"

	"catalog"
)

// Batch is a range of commands of one shard, in the order of the log. The store
// settles it in one transaction, alone or with batches of other shards.
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
	Offsets     []int64      // offsets of the Commands
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

// Accepts reports whether the shard is in the state that the batch expects, and not
// stopped. Otherwise another writer has claimed the shard, or the batch is settled.
func (s ShardState) Accepts(b Batch) bool {
	return s.Epoch == b.Epoch && s.Offset == b.From && s.NextSeq == b.NextSeq && s.Stopped == ""
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
