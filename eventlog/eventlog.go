// Package eventlog holds the contract between the log, the store of the writer
// and the views: batches of commands, records of a topic, consumers of its
// shards, checkpoints and dead letters; and [Settle], the rule by which a batch
// becomes events.
package eventlog

import (
	"context"

	"catalog"
)

// Records is a stretch of one partition of a topic: what stood at the offsets
// from From up to To, decoded. It can hold fewer than To-From items: gaps are
// normal in a Kafka log.
type Records[T any] struct {
	Shard       int32
	From, To    int64
	Items       []T
	DeadLetters []DeadLetter // what cannot be decoded, not yet numbered; of commands only
}

// Topics says which topics a log has. One that was made anew has another id.
type Topics struct{ Commands, Events catalog.ID }

// Consumer is what a group of processes does with the shards of a topic. The
// log calls it so that no shard is worked on twice in one process, and in the
// whole group only for the moments in which a process does not yet know that
// it has lost a shard: what Handle does must be safe against that.
type Consumer[T any] interface {
	// Begin is called when a shard is given to this process, and answers the
	// offset to start from.
	Begin(ctx context.Context, shard int32) (offset int64, err error)

	// Handle works on the next records of the shard: where the last call ended,
	// the next begins. Nil means done. ErrFenced makes the log call Begin again
	// if the shard is still this process's. On another error Handle is called
	// again with the same records after a pause. ErrLost, from Begin too, stops
	// the shard until Begin has no such error any more.
	Handle(ctx context.Context, r Records[T]) error

	// End is called after the last Handle of a shard has returned, when the
	// shard is given away, and before Begin is called again after ErrFenced.
	End(shard int32)
}

// Progress says how far a shard of the events topic has been applied.
type Checkpoint struct {
	catalog.Position       // of the last event applied
	Offset           int64 // of the next record of the partition
}

// Generations says which of the generations of a view are there. Each is made
// from nothing, beside the one before it.
type ViewGenerations struct {
	Live            int64 // is read and written
	Standby         int64 // is written too; Live when there is none
	StandbyComplete bool  // Also has all that Live has
	ReadBoth        bool  // both are read, and the newer answers
}
