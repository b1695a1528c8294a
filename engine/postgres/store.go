package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/failpoint"
	"catalog/internal/wire"
)

// Codes of errors of PostgreSQL.
const (
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	undefinedTable       = "42P01"
)

// Prepare makes the rows of the shards, or checks that there are as many.
func (s *Store) InitShards(ctx context.Context, shards int) error {
	if shards < 1 {
		return fmt.Errorf("prepare %d shards: there must be at least one", shards)
	}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// One at a time, without a lock that writers at work would notice.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock("+lockKey+")"); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM shards").Scan(&n); err != nil || n == shards {
			return err
		}
		if n != 0 {
			return fmt.Errorf("the store has %d, and their number is fixed for life", n)
		}
		_, err := tx.Exec(ctx, "INSERT INTO shards (shard) SELECT generate_series(0, $1 - 1)", shards)
		return err
	})
	if err != nil {
		return fmt.Errorf("prepare %d shards: %w", shards, reach(err))
	}
	return nil
}

const stateColumns = `shard, epoch, "offset", next_seq, next_dead, published`

func scanState(row pgx.Row) (st eventlog.ShardState, err error) {
	err = row.Scan(&st.Shard, &st.Epoch, &st.Offset, &st.NextSeq, &st.NextDeadLetter, &st.Published)
	if errors.Is(err, pgx.ErrNoRows) {
		err = errors.New("there is no such shard")
	}
	return st, err
}

// Claim makes the caller the owner of the shard. A batch that another owner is
// settling at the moment is settled first.
func (s *Store) Claim(ctx context.Context, shard int32) (eventlog.ShardState, error) {
	st, err := scanState(s.pool.QueryRow(ctx,
		"UPDATE shards SET epoch = epoch + 1 WHERE shard = $1 RETURNING "+stateColumns, shard))
	if err != nil {
		return eventlog.ShardState{}, fmt.Errorf("claim shard %d: %w", shard, reach(err))
	}
	return st, nil
}

// State answers the stored state of the shard.
func (s *Store) State(ctx context.Context, shard int32) (eventlog.ShardState, error) {
	st, err := scanState(s.pool.QueryRow(ctx, "SELECT "+stateColumns+" FROM shards WHERE shard = $1", shard))
	if err != nil {
		return eventlog.ShardState{}, fmt.Errorf("state of shard %d: %w", shard, reach(err))
	}
	return st, nil
}

// Settle settles the batch in one transaction.
//
// The row of the shard is locked first, so nothing that belongs to the shard
// can change in between. SKUs belong to no shard: when another one takes an SKU
// after it was read here as free, the unique index refuses this transaction,
// which changes nothing and is done again. It then reads who has the SKU, and
// the command that wants it is refused. Each repetition means that another
// transaction was committed, so a few are enough.
func (s *Store) Settle(ctx context.Context, b eventlog.Batch, now time.Time) ([]catalog.Event, error) {
	const tries = 10
	for try := 1; ; try++ {
		events, err := s.settle(ctx, b, now)
		if err != nil && lostRace(err) && try < tries {
			s.repeats.Inc()
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("settle shard %d from offset %d: %w", b.Shard, b.From, reach(err))
		}
		return events, nil
	}
}

// lostRace says whether err comes from a transaction that met another one and
// was rolled back.
func lostRace(err error) bool {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.Code {
	case uniqueViolation:
		return refused.ConstraintName == "products_sku" || refused.ConstraintName == "journal_command"
	case deadlockDetected, serializationFailure:
		return true
	}
	return false
}

// settle does the transaction in two round trips: one to begin and read, one to
// write and commit.
func (s *Store) settle(ctx context.Context, b eventlog.Batch, now time.Time) ([]catalog.Event, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer release(ctx, conn)

	known, err := read(ctx, conn, b)
	if err != nil {
		return nil, err
	}
	events := eventlog.Settle(b, known, wire.TruncateTime(now))
	failpoint.Here(failpoint.WriterDecided)
	return events, write(ctx, conn, b, known, events)
}

// release gives the connection back. A transaction that is still open is rolled
// back, at the latest by closing the connection.
func release(ctx context.Context, conn *pgxpool.Conn) {
	if status := conn.Conn().PgConn().TxStatus(); status != 'I' && !conn.Conn().IsClosed() {
		_, _ = conn.Exec(ctx, "rollback") // when this fails, Release closes the connection
	}
	conn.Release()
}

// read begins a transaction, locks the row of the shard, compares it with b and
// reads what must be known to settle b.
func read(ctx context.Context, conn *pgxpool.Conn, b eventlog.Batch) (eventlog.BatchState, error) {
	k := eventlog.BatchState{Products: map[catalog.ID]catalog.Product{}, Settled: map[catalog.ID]bool{}, SKUs: map[string]catalog.ID{}}
	var st eventlog.ShardState

	var batch pgx.Batch
	batch.Queue("begin")
	batch.Queue("SELECT "+stateColumns+" FROM shards WHERE shard = $1 FOR NO KEY UPDATE", b.Shard).QueryRow(func(row pgx.Row) (err error) {
		st, err = scanState(row)
		return err
	})
	batch.Queue("SELECT "+productColumns+" FROM products WHERE id = ANY($1)", uuids(b.Products())).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			p, err := scanProduct(rows)
			if err != nil {
				return fmt.Errorf("read products: %w", err)
			}
			k.Products[p.ID] = p
		}
		return rows.Err()
	})
	batch.Queue("SELECT command FROM journal WHERE command = ANY($1)", uuids(b.CommandIDs())).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var id [16]byte
			if err := rows.Scan(&id); err != nil {
				return fmt.Errorf("read commands: %w", err)
			}
			k.Settled[id] = true
		}
		return rows.Err()
	})
	if skus := storable(b.SKUs()); len(skus) > 0 {
		batch.Queue(selectSKUs, skus).Query(func(rows pgx.Rows) error { return scanSKUs(rows, k.SKUs) })
	}
	if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
		return k, err
	}
	if st.Epoch != b.Epoch || st.Offset != b.From || st.NextSeq != b.NextSeq {
		return k, catalog.ErrFenced
	}
	return k, nil
}

// write writes the events, the products as they leave them and the row of the
// shard, and commits.
func write(ctx context.Context, conn *pgxpool.Conn, b eventlog.Batch, known eventlog.BatchState, events []catalog.Event) error {
	var batch pgx.Batch
	products := eventlog.LastVersions(events)

	// An SKU that changes hands must be free before its next owner is written.
	var freed []catalog.ID
	for _, p := range products {
		if was := known.Products[p.ID].SKU; was != "" && was != p.SKU {
			freed = append(freed, p.ID)
		}
	}
	if len(freed) > 0 {
		batch.Queue("UPDATE products SET sku = NULL WHERE id = ANY($1)", uuids(freed))
	}
	if len(products) > 0 {
		if err := queueProducts(&batch, conn.Conn().TypeMap(), b.Shard, products); err != nil {
			return err
		}
	}
	if len(events) > 0 {
		if err := queueEvents(&batch, events); err != nil {
			return err
		}
	}
	if err := queueDead(&batch, b.DeadLetters); err != nil {
		return err
	}
	batch.Queue(`UPDATE shards SET "offset" = $2, next_seq = $3, next_dead = $4, published = greatest(published, $5) WHERE shard = $1`,
		b.Shard, b.To, b.NextSeq+int64(len(events)), b.NextDeadLetter+int64(len(b.DeadLetters)), b.Published)
	batch.Queue("commit")
	return conn.SendBatch(ctx, &batch).Close()
}

// Journal answers a range of the shard's events.
func (s *Store) Journal(ctx context.Context, shard int32, from, to int64, limit int) ([]catalog.Event, error) {
	events, err := s.events(ctx,
		"SELECT payload FROM journal WHERE shard = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq LIMIT $4", shard, from, to, limit)
	if err != nil {
		return nil, fmt.Errorf("journal of shard %d from %d: %w", shard, from, reach(err))
	}
	return events, nil
}

const (
	snapshotPage = 1_000 // products of a snapshot that are read at once
	maxSnapshots = 2     // at a time: each holds a connection, and others write meanwhile
)

// Snapshot reads products of the shard and its next seq in one transaction,
// which keeps nobody from writing.
func (s *Store) Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (next int64, err error) {
	if next, err = s.snapshot(ctx, shard, only, handle); err != nil {
		return 0, fmt.Errorf("snapshot of shard %d: %w", shard, reach(err))
	}
	return next, nil
}

func (s *Store) snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (next int64, err error) {
	if err := s.snapshots.Acquire(ctx, 1); err != nil {
		return 0, err
	}
	defer s.snapshots.Release(1)
	// Products of a writer that does not know of the column. Where there are none
	// this is a look at an index.
	if _, err := s.pool.Exec(ctx, `
		UPDATE products p SET shard = $1 FROM journal j
		WHERE p.shard = -1 AND j.product = p.id AND j.version = 1 AND j.kind = 'created' AND j.shard = $1`, shard); err != nil {
		return 0, err
	}
	which := "shard = $1 AND id > $2"
	args := []any{shard, nil, snapshotPage}
	if only != nil {
		which += " AND id = ANY($4)"
		args = append(args, uuids(only))
	}
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		st, err := scanState(tx.QueryRow(ctx, "SELECT "+stateColumns+" FROM shards WHERE shard = $1", shard))
		if err != nil {
			return err
		}
		next = st.NextSeq
		for after := (catalog.ID{}); ; {
			args[1] = [16]byte(after)
			rows, err := tx.Query(ctx, "SELECT "+productColumns+" FROM products WHERE "+which+" ORDER BY id LIMIT $3", args...)
			if err != nil {
				return err
			}
			page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (catalog.Product, error) { return scanProduct(row) })
			if err != nil || len(page) == 0 {
				return err
			}
			if err := handle(page); err != nil {
				return err
			}
			after = page[len(page)-1].ID
		}
	})
	return next, err
}

// Receipt answers the event of the command.
func (s *Store) Receipt(ctx context.Context, command catalog.ID) (catalog.Event, error) {
	events, err := s.events(ctx, "SELECT payload FROM journal WHERE command = $1", [16]byte(command))
	if err == nil && len(events) == 0 {
		err = catalog.ErrNotFound
	}
	if err != nil {
		return catalog.Event{}, fmt.Errorf("receipt of command %s: %w", command, reach(err))
	}
	return events[0], nil
}

// History answers the events that made the product's versions, newest first.
func (s *Store) History(ctx context.Context, product catalog.ID, before int64, limit int) ([]catalog.Event, error) {
	events, err := s.events(ctx, `
		SELECT payload FROM journal
		WHERE product = $1 AND kind IN ('created', 'changed', 'deleted') AND ($2 = 0 OR version < $2)
		ORDER BY version DESC LIMIT $3`, [16]byte(product), before, limit)
	if err == nil && len(events) == 0 {
		_, err = s.Product(ctx, product)
	}
	if err != nil {
		return nil, fmt.Errorf("history of product %s: %w", product, reach(err))
	}
	return events, nil
}

// SKUs answers which products have the SKUs.
func (s *Store) SKUs(ctx context.Context, skus []string) (map[string]catalog.ID, error) {
	owners := make(map[string]catalog.ID, len(skus))
	rows, err := s.pool.Query(ctx, selectSKUs, storable(skus))
	if err == nil {
		err = scanSKUs(rows, owners)
	}
	if err != nil {
		return nil, fmt.Errorf("owners of %d SKUs: %w", len(skus), reach(err))
	}
	return owners, nil
}

// Product answers the product as the truth has it, which may be a tombstone,
// or ErrNotFound.
func (s *Store) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	p, err := scanProduct(s.pool.QueryRow(ctx, "SELECT "+productColumns+" FROM products WHERE id = $1", [16]byte(id)))
	if errors.Is(err, pgx.ErrNoRows) {
		err = catalog.ErrNotFound
	}
	if err != nil {
		return catalog.Product{}, fmt.Errorf("product %s: %w", id, reach(err))
	}
	return p, nil
}

// reach adds ErrUnavailable to an error that says that the engine cannot be
// reached, or not for now.
func reach(err error) error {
	var (
		refused   *pgconn.PgError
		unopened  *pgconn.ConnectError
		network   net.Error
		available = true
	)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
	case errors.As(err, &refused):
		// Connection exceptions, no resources, stopping or starting.
		available = !strings.HasPrefix(refused.Code, "08") && !strings.HasPrefix(refused.Code, "53") && !strings.HasPrefix(refused.Code, "57P")
	case errors.As(err, &unopened), errors.As(err, &network),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, pgconn.ErrConnClosed):
		available = false
	}
	if !available {
		return fmt.Errorf("PostgreSQL: %w: %w", catalog.ErrUnavailable, err)
	}
	return err
}

// storable leaves out the SKUs that no product can have because PostgreSQL has
// no such text: they must not stop the batch in which they are refused.
func storable(skus []string) []string {
	list := make([]string, 0, len(skus))
	for _, s := range skus {
		if utf8.ValidString(s) && !strings.Contains(s, "\x00") {
			list = append(list, s)
		}
	}
	return list
}
