package postgres

import (
	"context"
	"fmt"
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

// Settle settles the batch, or a part of it, in one transaction. It returns the
// events and the offset that the shard has come to.
//
// The transaction locks the row of the shard first, so nothing that belongs to
// the shard changes meanwhile. SKUs do not belong to a shard: when another shard
// takes an SKU after this transaction read it as free, the unique index rejects
// the transaction, and Settle repeats it. The next attempt reads the owner of the
// SKU and refuses the command.
func (s *Store) Settle(ctx context.Context, b eventlog.Batch, now time.Time) (events []catalog.Event, to int64, err error) {
	for attempt := 1; ; attempt++ {
		events, to, err := s.settle(ctx, b, now)
		if err != nil && retriable(err) && attempt < maxSettleAttempts {
			s.retries.Inc()
			continue
		}
		if err != nil {
			s.full.note(err, time.Now())
			return nil, 0, fmt.Errorf("settle shard %d from offset %d: %w", b.Shard, b.From, markUnavailable(err))
		}
		return events, to, nil
	}
}

// settle runs the transaction in two round trips: begin and read, then write and
// commit.
func (s *Store) settle(ctx context.Context, b eventlog.Batch, now time.Time) (events []catalog.Event, to int64, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer release(ctx, conn)

	state, b, err := readBatchState(ctx, conn, b)
	if err != nil {
		return nil, 0, err
	}
	events, b = eventlog.Settle(b, state, wire.TruncateTime(now))
	failpoint.Here(failpoint.WriterDecided)
	products := eventlog.LastVersions(events)

	// The encoders and the driver copy the texts several times.
	bytes := size(events) + size(products)
	if err := s.encoding.Acquire(ctx, bytes); err != nil {
		return nil, 0, err
	}
	defer s.encoding.Release(bytes)
	return events, b.To, writeBatch(ctx, conn, b, state, events, products)
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

// readBatchState begins a transaction, locks the row of the shard, compares it
// with b and reads what eventlog.Settle needs. It returns the part of b whose
// products it has read. It returns ErrFenced when the shard is in another state than
// b expects.
func readBatchState(ctx context.Context, conn *pgxpool.Conn, b eventlog.Batch) (eventlog.BatchState, eventlog.Batch, error) {
	part := b
	k := eventlog.BatchState{Products: map[catalog.ID]catalog.Product{}, Settled: map[catalog.ID]bool{}, SKUs: map[string]catalog.ID{}}
	var st eventlog.ShardState

	var batch pgx.Batch
	batch.Queue("begin")
	batch.Queue("SELECT "+stateColumns+" FROM shards WHERE shard = $1 FOR NO KEY UPDATE", b.Shard).QueryRow(func(row pgx.Row) (err error) {
		st, err = scanState(row)
		return err
	})
	batch.Queue("SELECT "+productColumns+" FROM unnest($1::uuid[]) WITH ORDINALITY AS b (id, place) JOIN products USING (id) ORDER BY place", uuids(b.Products())).Query(func(rows pgx.Rows) error {
		for bytes := 0; rows.Next(); {
			p, err := scanProduct(rows)
			if err != nil {
				return fmt.Errorf("read products: %w", err)
			}
			if bytes >= eventlog.MaxBatchBytes {
				part = b.Before(p.ID)
				return nil
			}
			bytes += p.Size()
			k.Products[p.ID] = p
		}
		return rows.Err()
	})
	batch.Queue("SELECT command FROM journal WHERE shard = $1 AND command = ANY($2)", b.Shard, uuids(b.CommandIDs())).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var id [16]byte
			if err := rows.Scan(&id); err != nil {
				return fmt.Errorf("read commands: %w", err)
			}
			k.Settled[id] = true
		}
		return rows.Err()
	})
	if skus := validText(b.SKUs()); len(skus) > 0 {
		batch.Queue(selectSKUs, skus).Query(func(rows pgx.Rows) error { return scanSKUs(rows, k.SKUs) })
	}
	if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
		return k, b, err
	}
	if st.Epoch != b.Epoch || st.Offset != b.From || st.NextSeq != b.NextSeq || st.Stopped != "" {
		return k, b, catalog.ErrFenced
	}
	return k, part, nil
}

// writeBatch writes the events, the products, the dead letters and the row of the
// shard, and commits. state is the result of readBatchState.
func writeBatch(ctx context.Context, conn *pgxpool.Conn, b eventlog.Batch, state eventlog.BatchState, events []catalog.Event, products []catalog.Product) error {
	var batch pgx.Batch

	// An SKU that moves to another product must be free before its new owner is
	// written.
	if freed := state.FreedSKUs(products); len(freed) > 0 {
		batch.Queue(freeSKUs, uuids(freed))
	}
	if err := queueProducts(&batch, b.Shard, products); err != nil {
		return err
	}
	if err := queueEvents(&batch, events); err != nil {
		return err
	}
	if err := queueDeadLetters(&batch, b.DeadLetters); err != nil {
		return err
	}
	last := b.RecordBefore(b.To)
	batch.Queue(`UPDATE shards SET "offset" = $2::bigint, next_seq = $3, next_dead_letter = $4, published = greatest(published, $5),
		last_offset = $2::bigint - 1, last_epoch = $6, last_digest = $7 WHERE shard = $1`,
		b.Shard, b.To, b.NextSeq+int64(len(events)), b.NextDeadLetter+int64(len(b.DeadLetters)), b.Published, last.Epoch, last.Digest[:])
	batch.Queue("commit")
	return conn.SendBatch(ctx, &batch).Close()
}

const freeSKUs = "UPDATE products SET sku = NULL WHERE id = ANY($1)"
