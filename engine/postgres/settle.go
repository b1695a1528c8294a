package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/failpoint"
	"catalog/internal/wire"
)

// maxSettleAttempts limits the attempts of one Settle. Every failed attempt means
// that another transaction committed, so a few attempts are enough.
const maxSettleAttempts = 10

// Settle settles the batches of the group in one transaction. It returns what it has
// settled of each.
//
// The transaction locks the rows of the shards first, so nothing that belongs to
// the shards changes meanwhile. SKUs do not belong to a shard: when another
// transaction takes an SKU after this one read it as free, the unique index rejects
// this transaction, and Settle repeats it. The next attempt reads the owner of the
// SKU and refuses the command.
func (s *Store) Settle(ctx context.Context, g eventlog.Group, now time.Time) ([]eventlog.Settled, error) {
	for attempt := 1; ; attempt++ {
		settled, err := s.settle(ctx, g, now)
		if err != nil && retriable(err) && attempt < maxSettleAttempts {
			s.retries.Inc()
			continue
		}
		if err != nil {
			s.full.note(err, time.Now())
			return nil, fmt.Errorf("settle %s: %w", g, markUnavailable(err))
		}
		return settled, nil
	}
}

// settle runs the transaction in two round trips: begin and read, then write and
// commit.
func (s *Store) settle(ctx context.Context, g eventlog.Group, now time.Time) ([]eventlog.Settled, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer release(ctx, conn)

	state, err := readGroupState(ctx, conn, g)
	if err != nil {
		return nil, err
	}
	settled := eventlog.Settle(g, state.GroupState, wire.TruncateTime(now))
	failpoint.Here(failpoint.WriterDecided)
	w := newWrites(g, settled, state)

	// The encoders and the driver copy the texts several times.
	bytes := size(w.events) + size(w.products)
	if err := s.encoding.Acquire(ctx, bytes); err != nil {
		return nil, err
	}
	defer s.encoding.Release(bytes)
	return settled, w.commit(ctx, conn)
}

// size returns the bytes of events or products.
func size[T interface{ Size() int }](list []T) (n int64) {
	for _, v := range list {
		n += int64(v.Size())
	}
	return n
}

// release returns the connection to the pool. It rolls back an open transaction,
// or closes the connection, which has the same effect.
func release(ctx context.Context, conn *pgxpool.Conn) {
	if status := conn.Conn().PgConn().TxStatus(); status != 'I' && !conn.Conn().IsClosed() {
		_, _ = conn.Exec(ctx, "rollback") // after an error Release closes the connection
	}
	conn.Release()
}

const (
	// A group leaves out a shard that another transaction has locked. A batch that is
	// alone waits for it.
	lockShard  = "SELECT " + stateColumns + " FROM shards WHERE shard = ANY($1) FOR NO KEY UPDATE"
	lockShards = "SELECT " + stateColumns + " FROM shards WHERE shard = ANY($1) ORDER BY shard FOR NO KEY UPDATE SKIP LOCKED"

	selectProducts = "SELECT " + productColumns + ", coalesce(sku_key, '') FROM unnest($1::uuid[]) WITH ORDINALITY AS g (id, place) JOIN products USING (id) ORDER BY place"
	selectCommands = "SELECT shard, command FROM unnest($1::integer[], $2::uuid[]) AS g (shard, command) JOIN journal USING (shard, command)"
	freeSKUs       = "UPDATE products SET sku = NULL, sku_key = NULL WHERE id = ANY($1)"
	freeKeys       = "UPDATE products SET sku_key = NULL WHERE id = ANY($1)"
	freeFormerKeys = "UPDATE products SET former_key = NULL WHERE former_key = ANY($1)"
)

// groupState is what eventlog.Settle needs, and what the store has to correct.
type groupState struct {
	eventlog.GroupState
	// staleKeys are products with the key of a former SKU, which an earlier version of
	// the writer has changed: it does not know keys.
	staleKeys []catalog.ID
}

// readGroupState begins a transaction, locks the rows of the shards, compares them
// with the batches and reads what eventlog.Settle needs.
func readGroupState(ctx context.Context, conn *pgxpool.Conn, g eventlog.Group) (groupState, error) {
	k := groupState{GroupState: eventlog.GroupState{
		Products: map[catalog.ID]catalog.Product{}, Keyless: map[catalog.ID]bool{}, Settled: map[eventlog.ShardCommand]bool{},
		LeftOut: map[int32]error{},
	}}
	shards, lock := make([]int32, len(g)), lockShards
	for i, b := range g {
		shards[i] = b.Shard
	}
	if len(g) == 1 {
		lock = lockShard
	}
	states := map[int32]eventlog.ShardState{}

	var batch pgx.Batch
	batch.Queue("begin")
	batch.Queue(lock, shards).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			st, err := scanState(rows)
			if err != nil {
				return fmt.Errorf("read shards: %w", err)
			}
			states[st.Shard] = st
		}
		return rows.Err()
	})
	batch.Queue(selectProducts, uuids(g.Products())).Query(func(rows pgx.Rows) error {
		for bytes := 0; rows.Next(); {
			var key string
			p, err := scanProduct(rows, &key)
			if err != nil {
				return fmt.Errorf("read products: %w", err)
			}
			if bytes >= eventlog.MaxBatchBytes {
				k.Unread = p.ID
				return nil
			}
			bytes += p.Size()
			k.AddProduct(p, key)
		}
		return rows.Err()
	})
	commands := g.Commands()
	shardOf, ids := make([]int32, len(commands)), make([][16]byte, len(commands))
	for i, c := range commands {
		shardOf[i], ids[i] = c.Shard, c.Command
	}
	batch.Queue(selectCommands, shardOf, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var c eventlog.ShardCommand
			if err := rows.Scan(&c.Shard, (*[16]byte)(&c.Command)); err != nil {
				return fmt.Errorf("read commands: %w", err)
			}
			k.Settled[c] = true
		}
		return rows.Err()
	})
	if skus := validText(g.SKUs()); len(skus) > 0 {
		batch.Queue(selectSKUs, skus, eventlog.SKUKeys(skus)).Query(k.scanSKUs)
	}
	if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
		return k, err
	}
	for _, b := range g {
		switch st, ok := states[b.Shard]; {
		case !ok && len(g) == 1:
			return k, errNoShard
		case !ok:
			k.LeftOut[b.Shard] = eventlog.ErrLeftOut
		case !st.Accepts(b):
			k.LeftOut[b.Shard] = catalog.ErrFenced
		}
	}
	return k, nil
}

// writes is what a transaction writes for a group.
type writes struct {
	batches     eventlog.Group // parts of the batches that are settled
	nextSeqs    []int64        // next seqs of their shards
	events      []catalog.Event
	products    []shardProduct
	freed       []catalog.ID // products that no longer have their SKU
	staleKeys   []catalog.ID
	formerKeys  []string // keys of the SKUs of deleted products
	deadLetters []eventlog.DeadLetter
}

// newWrites returns what the transaction writes for what is settled of the group.
func newWrites(g eventlog.Group, settled []eventlog.Settled, state groupState) writes {
	w := writes{staleKeys: state.staleKeys}
	for i, s := range settled {
		if s.Err != nil {
			continue
		}
		b, products := g[i].UpTo(s.To), eventlog.LastVersions(s.Events)
		w.batches, w.nextSeqs = append(w.batches, b), append(w.nextSeqs, b.NextSeq+int64(len(s.Events)))
		w.events, w.deadLetters = append(w.events, s.Events...), append(w.deadLetters, b.DeadLetters...)
		w.freed = append(w.freed, state.FreedSKUs(products)...)
		for _, p := range products {
			w.products = append(w.products, shardProduct{Product: p, shard: b.Shard, key: state.SKUKey(p)})
		}
	}
	former := state.FormerKeys(w.events)
	w.formerKeys = slices.Collect(maps.Values(former))
	for i := range w.products {
		w.products[i].formerKey = former[w.products[i].ID]
	}
	return w
}

// commit writes the events, the products, the dead letters and the rows of the
// shards, and commits.
func (w writes) commit(ctx context.Context, conn *pgxpool.Conn) error {
	if len(w.batches) == 0 {
		return nil // release rolls back
	}
	var batch pgx.Batch

	// An SKU that moves to another product must be free before its new owner is
	// written.
	if len(w.freed) > 0 {
		batch.Queue(freeSKUs, uuids(w.freed))
	}
	if len(w.staleKeys) > 0 {
		batch.Queue(freeKeys, uuids(w.staleKeys))
	}
	if len(w.formerKeys) > 0 {
		batch.Queue(freeFormerKeys, w.formerKeys)
	}
	if err := queueProducts(&batch, w.products); err != nil {
		return err
	}
	if err := queueEvents(&batch, w.events); err != nil {
		return err
	}
	if err := queueDeadLetters(&batch, w.deadLetters); err != nil {
		return err
	}
	w.queueShards(&batch)
	batch.Queue("commit")
	return conn.SendBatch(ctx, &batch).Close()
}

// queueShards queues the statement that moves the shards.
func (w writes) queueShards(batch *pgx.Batch) {
	var (
		n         = len(w.batches)
		shards    = make([]int32, n)
		offsets   = make([]int64, n)
		letters   = make([]int64, n)
		published = make([]int64, n)
		epochs    = make([]int32, n)
		digests   = make([][]byte, n)
	)
	for i, b := range w.batches {
		last := b.RecordBefore(b.To)
		shards[i], offsets[i], letters[i], published[i] = b.Shard, b.To, b.NextDeadLetter+int64(len(b.DeadLetters)), b.Published
		epochs[i], digests[i] = last.Epoch, last.Digest[:]
	}
	batch.Queue(`
		UPDATE shards AS s SET "offset" = g."offset", next_seq = g.next_seq, next_dead_letter = g.next_dead_letter,
			published = greatest(s.published, g.published), last_offset = g."offset" - 1, last_epoch = g.last_epoch, last_digest = g.last_digest
		FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::integer[], $7::bytea[])
			AS g (shard, "offset", next_seq, next_dead_letter, published, last_epoch, last_digest)
		WHERE s.shard = g.shard`,
		shards, offsets, w.nextSeqs, letters, published, epochs, digests)
}
