package enginetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catalog"
	"catalog/eventlog"
	"catalog/writer"
)

// Store is a writer.Store with the additional methods that the suite needs.
type Store interface {
	writer.Store

	// Product returns the stored product, which may be a tombstone, or
	// ErrNotFound.
	Product(ctx context.Context, id catalog.ID) (catalog.Product, error)

	// ResetShards and AppendEvents are for `catalog repair`.
	ResetShards(ctx context.Context, topics eventlog.Topics, resets map[int32]eventlog.ShardReset) error
	AppendEvents(ctx context.Context, events []catalog.Event) error

	// Archivable and RemoveEvents are for `catalog journal archive`.
	Archivable(ctx context.Context, shard int32, before time.Time) (int64, error)
	RemoveEvents(ctx context.Context, shard int32, to int64, limit int) (int64, error)
}

// TestStore is the suite of writer.Store. Each call of open returns a new store
// without shards; open registers its closing with t.Cleanup.
func TestStore(t *testing.T, open func(t *testing.T) Store) {
	runSubjects(t, open, []subject[Store]{
		{"shards", []engineTest[Store]{
			{"the first InitShards fixes the number of shards", storeInitShards},
			{"InitShards may run concurrently", storeInitShardsConcurrent},
			{"an unknown shard is an error", storeUnknownShard},
			{"Claim raises the epoch and keeps all else", storeClaim},
			{"a stopped shard is settled by no owner until it is repaired", storeStopShard},
		}},
		{"settle", []engineTest[Store]{
			{"events, products and offset change in one transaction", settleTransaction},
			{"an empty batch moves the offset", settleEmptyBatch},
			{"published never decreases", settlePublished},
			{"the identity of the last record is stored with the offset", settleLastRecord},
			{"a batch settled twice counts once", settleTwice},
			{"a batch with an old epoch, offset or seq is fenced", settleFenced},
			{"one of several concurrent calls settles a batch", settleConcurrent},
			{"after Claim the former owner changes nothing", settleDuringClaim},
			{"a canceled call changes nothing", settleCanceled},
			{"commands see the effect of earlier commands of their batch", settleSeesEarlierCommands},
			{"a repeated command gets no second event", settleRepeatedCommands},
			{"a refused command is in the journal", settleRefusedCommands},
			{"a deleted product is created again at the next version", settleTombstones},
			{"every field comes back exactly", settleFields},
			{"invalid text in a command does not stop its shard", settleInvalidText},
			{"a thousand commands fit into one batch", settleThousand},
			{"a batch ends when its events reach some MB", settleLargeEvents},
			{"a batch ends when its products reach some MB", settleLargeProducts},
			{"store and domain rules agree on random batches", settleRandom},
		}},
		{"groups", []engineTest[Store]{
			{"batches of several shards are settled in one transaction", groupTransaction},
			{"a fenced batch is left out, and the others are settled", groupFenced},
			{"an SKU changes hands between shards in their order", groupSKUs},
			{"batches for which a transaction has no bytes are left out", groupLarge},
			{"of several concurrent groups one settles a batch", groupConcurrent},
		}},
		{"skus", []engineTest[Store]{
			{"an SKU has one owner within a batch", skuOneBatch},
			{"an SKU has one owner across batches and shards", skuTwoBatches},
			{"one of several concurrent commands gets an SKU", skuConcurrent},
			{"two shards that take two SKUs in opposite order both settle", skuOppositeOrder},
			{"an SKU moves to another product in one batch", skuMoved},
			{"two products swap their SKUs in one batch", skuSwapped},
			{"an SKU is free after its product is deleted", skuFreed},
			{"SKUs that differ only in case are one, kept as written", skuCase},
			{"products of an earlier version with such SKUs stay as they are", skuClash},
			{"past prices go to the next product with the SKU of a deleted one", skuFormerPrices},
		}},
		{"journal", []engineTest[Store]{
			{"ranges are returned in order", journalRanges},
			{"a command without an event has no receipt", receipts},
			{"history is paged from the newest version", historyPages},
		}},
		{"pages", []engineTest[Store]{
			{"end when their events or products reach about a MB", largePages},
		}},
		{"sizes", []engineTest[Store]{
			{"grow with products and events", storeSizes},
		}},
		{"dead letters", []engineTest[Store]{
			{"are stored unchanged in the transaction of their batch", deadLetterSettle},
			{"are listed from the newest, page by page", deadLetterPages},
		}},
		{"repair", []engineTest[Store]{
			{"ResetShards binds the store to other topics", repairReset},
			{"AppendEvents brings a restored store up to date", repairAppendEvents},
		}},
		{"archive", []engineTest[Store]{
			{"Archivable ends before the first event that is recent or may not be published", archivable},
			{"RemoveEvents removes the oldest events of its shard", removeEvents},
			{"history has the versions that are not archived, and always the current one", archivedHistory},
		}},
		{"snapshot", []engineTest[Store]{
			{"has every product of its shard and no other", snapshotShard},
			{"may be newer than its seq, and never older", snapshotDuringWrites},
		}},
	})
}

// owner settles batches of one shard, of which it has the newest epoch.
type owner struct {
	s  Store
	st eventlog.ShardState
}

// claim initializes four shards and claims one of them.
func claim(t testing.TB, s Store, shard int32) *owner {
	t.Helper()
	if err := s.InitShards(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	st, err := s.Claim(t.Context(), shard)
	if err != nil {
		t.Fatal(err)
	}
	return &owner{s, st}
}

// batch returns the next batch of the shard.
func (o *owner) batch(commands ...catalog.Command) eventlog.Batch {
	b := eventlog.Batch{
		Shard: o.st.Shard, Epoch: o.st.Epoch, From: o.st.Offset, To: o.st.Offset + int64(len(commands)),
		NextSeq: o.st.NextSeq, NextDeadLetter: o.st.NextDeadLetter, Published: o.st.Published, Commands: commands,
	}
	for i := range commands {
		b.Offsets = append(b.Offsets, o.st.Offset+int64(i))
	}
	return b
}

// settle settles the batch alone.
func settle(ctx context.Context, s Store, b eventlog.Batch, now time.Time) (events []catalog.Event, to int64, err error) {
	settled, err := s.Settle(ctx, eventlog.Group{b}, now)
	if err != nil {
		return nil, 0, err
	}
	return settled[0].Events, settled[0].To, settled[0].Err
}

// try settles the commands as the next batch, and again what the store left over.
func (o *owner) try(ctx context.Context, commands ...catalog.Command) (all []catalog.Event, err error) {
	for {
		b := o.batch(commands...)
		events, to, err := settle(ctx, o.s, b, moment)
		if err != nil {
			return nil, err
		}
		all = append(all, events...)
		o.st.Offset, o.st.NextSeq = to, o.st.NextSeq+int64(len(events))
		if commands = commands[to-b.From:]; len(commands) == 0 {
			return all, nil
		}
	}
}

// settle settles the commands as the next batch. It fails the test on an error
// and when the outcomes are not want.
func (o *owner) settle(t testing.TB, want []catalog.Outcome, commands ...catalog.Command) []catalog.Event {
	t.Helper()
	events, err := o.try(t.Context(), commands...)
	if err != nil {
		t.Fatal(err)
	}
	if got := outcomes(events); !slices.Equal(got, want) {
		if len(got) > 20 {
			t.Fatalf("Settle returned %d events; want %d with the expected outcomes", len(got), len(want))
		}
		t.Fatalf("outcomes = %v; want %v", got, want)
	}
	return events
}

func outcomes(events []catalog.Event) []catalog.Outcome {
	list := make([]catalog.Outcome, len(events))
	for i, e := range events {
		list[i] = e.Outcome
	}
	return list
}

// sameProduct fails the test unless the store returns want.
func sameProduct(ctx context.Context, t rapid.TB, s Store, want catalog.Product) {
	t.Helper()
	got, err := s.Product(ctx, want.ID)
	if err != nil {
		t.Fatal(err)
	}
	sameFields(t, "Product", got, want)
}

// sameState fails the test unless the stored state of the shard is want.
func sameState(t testing.TB, s Store, want eventlog.ShardState) {
	t.Helper()
	got, err := s.State(t.Context(), want.Shard)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("State = %+v; want %+v", got, want)
	}
}

// journal returns all events in the journal of the shard.
func journal(ctx context.Context, t rapid.TB, s Store, shard int32) (all []catalog.Event) {
	t.Helper()
	for from := int64(1); ; from = all[len(all)-1].Seq + 1 {
		events, err := s.Journal(ctx, shard, from, 1<<40, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			return all
		}
		all = append(all, events...)
	}
}
