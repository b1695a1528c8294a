// Package writer turns commands into events: it takes batches of one shard
// from the log, settles them in the store, one transaction a batch, and
// publishes what became of them in the order of the journal.
//
// It knows no engine. What it promises: every command is settled exactly once,
// in the order of its shard, whoever dies when; and every event of the journal
// reaches the events topic, in order, at least once.
package writer

import (
	"context"
	"time"

	"catalog"
	"catalog/eventlog"
)

// Store keeps the truth: products, the journal of every settled command, and
// one row for each shard. Packages postgres and sqlite implement it;
// catalogtest.TestStore says what an implementation must do.
type Store interface {
	// Prepare makes the rows of shards 0 to shards-1 when there are none. When
	// there is another number of them it changes nothing and answers an error
	// that names both numbers.
	InitShards(ctx context.Context, shards int) error

	// Claim makes the caller the owner of the shard, by a new epoch, and answers
	// the state it takes over.
	Claim(ctx context.Context, shard int32) (eventlog.ShardState, error)

	// Topics answers which topics the store belongs to: those of the first call.
	BindTopics(ctx context.Context, now eventlog.Topics) (eventlog.Topics, error)

	// States answers the stored states of all shards, in order.
	States(ctx context.Context) ([]eventlog.ShardState, error)

	// State answers the stored state of the shard.
	State(ctx context.Context, shard int32) (eventlog.ShardState, error)

	// Settle does one transaction: it moves the shard from b.From to b.To and
	// from b.NextSeq on by the number of events, and stores the events and the
	// products as eventlog.Settle and eventlog.Latest make them of what it reads,
	// and the dead letters. It answers the events. When the shard is not at b.Epoch, b.From and
	// b.NextSeq it changes nothing and answers ErrFenced. After any other error
	// the transaction may or may not have been committed: State tells.
	Settle(ctx context.Context, b eventlog.Batch, now time.Time) ([]catalog.Event, error)

	// Journal answers the events of the shard with from ≤ seq ≤ to, in order, at
	// most limit of them.
	Journal(ctx context.Context, shard int32, from, to int64, limit int) ([]catalog.Event, error)

	// Snapshot calls handle with the products of the shard, tombstones too, by
	// id; with only those that are named, unless only is nil. It answers the seq
	// that the next event will have. All of that is what one moment was.
	Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (nextSeq int64, err error)

	// Dead answers the dead letters of the shard with from ≤ number, in order, at
	// most limit of them.
	DeadLetters(ctx context.Context, shard int32, from int64, limit int) ([]eventlog.DeadLetter, error)

	// ListDead answers the dead letters of the shard, or with nil of all, newest
	// first and without key, value and headers: those after the one named (the
	// zero Position for all), at most limit of them.
	ListDeadLetters(ctx context.Context, shard *int32, after catalog.Position, limit int) ([]eventlog.DeadLetter, error)

	// Receipt answers the event of the command, or ErrNotFound.
	Receipt(ctx context.Context, command catalog.ID) (catalog.Event, error)

	// History answers the events that made the versions of the product below
	// before (0 for all), newest first, at most limit of them; or ErrNotFound
	// when it has none at all.
	History(ctx context.Context, product catalog.ID, before int64, limit int) ([]catalog.Event, error)

	// SKUs answers which products have the SKUs. Those that nobody has are left
	// out.
	SKUs(ctx context.Context, skus []string) (map[string]catalog.ID, error)
}

// Log is where commands come from, and where events and dead letters go to.
// Package kafka implements it.
type Log interface {
	// Commands joins the group of writers and works on the shards it is given
	// until ctx ends.
	ConsumeCommands(ctx context.Context, w eventlog.Consumer[catalog.Command]) error

	// Topics answers which topics it is that this process works with.
	Topics() eventlog.Topics

	// LastSeq answers the seq of the last event in the shard's partition of the
	// events topic, or 0 when the partition holds no record.
	LastSeq(ctx context.Context, shard int32) (int64, error)

	// Publish sends the events of one shard, in order. It waits only while its
	// buffer is full. When all are stored it calls done with nil; when one can
	// no longer be sent it calls done with the error, and those behind it may be
	// missing.
	PublishEvents(ctx context.Context, events []catalog.Event, done func(error))

	// LastDead and Bury are for dead letters what LastSeq and Publish are for
	// events.
	LastDeadLetter(ctx context.Context, shard int32) (int64, error)
	PublishDeadLetters(ctx context.Context, letters []eventlog.DeadLetter, done func(error))

	// Send appends commands, each to the partition of its product, and waits
	// until they are stored.
	SendCommands(ctx context.Context, commands ...catalog.Command) error
}
