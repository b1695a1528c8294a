package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/semaphore"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/failpoint"
	"catalog/internal/wire"
)

// Store keeps the truth: it implements writer.Store.
type Store struct {
	db        *DB
	snapshots *semaphore.Weighted // those that may still be read
}

// NewStore is the truth in db.
func NewStore(db *DB) *Store { return &Store{db, semaphore.NewWeighted(maxSnapshots)} }

// Ping answers an error when the store cannot be read.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// write does what f does in one transaction on the truth.
func (s *Store) write(ctx context.Context, f func(*sql.Tx) error) error {
	s.db.lock.Lock()
	defer s.db.lock.Unlock()
	tx, err := s.db.truth.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Prepare makes the rows of the shards, or checks that there are as many.
func (s *Store) InitShards(ctx context.Context, shards int) error {
	if shards < 1 {
		return fmt.Errorf("prepare %d shards: there must be at least one", shards)
	}
	err := s.write(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM shards").Scan(&n); err != nil || n == shards {
			return err
		}
		if n != 0 {
			return fmt.Errorf("the store has %d, and their number is fixed for life", n)
		}
		_, err := tx.ExecContext(ctx, `
			WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?)
			INSERT INTO shards (shard) SELECT n FROM numbers`, shards)
		return err
	})
	if err != nil {
		return fmt.Errorf("prepare %d shards: %w", shards, err)
	}
	return nil
}

const (
	stateColumns = `shard, epoch, "offset", next_seq, next_dead, published`
	selectState  = "SELECT " + stateColumns + " FROM shards WHERE shard = ?"
)

func scanState(row scanner) (st eventlog.ShardState, err error) {
	err = row.Scan(&st.Shard, &st.Epoch, &st.Offset, &st.NextSeq, &st.NextDeadLetter, &st.Published)
	if errors.Is(err, sql.ErrNoRows) {
		err = errors.New("there is no such shard")
	}
	return st, err
}

// Claim makes the caller the owner of the shard.
func (s *Store) Claim(ctx context.Context, shard int32) (st eventlog.ShardState, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		st, err = scanState(tx.QueryRowContext(ctx,
			"UPDATE shards SET epoch = epoch + 1 WHERE shard = ? RETURNING "+stateColumns, shard))
		return err
	})
	if err != nil {
		return eventlog.ShardState{}, fmt.Errorf("claim shard %d: %w", shard, err)
	}
	return st, nil
}

// State answers the stored state of the shard.
func (s *Store) State(ctx context.Context, shard int32) (eventlog.ShardState, error) {
	st, err := scanState(s.db.read.QueryRowContext(ctx, selectState, shard))
	if err != nil {
		return eventlog.ShardState{}, fmt.Errorf("state of shard %d: %w", shard, err)
	}
	return st, nil
}

// Settle settles the batch in one transaction.
func (s *Store) Settle(ctx context.Context, b eventlog.Batch, now time.Time) (events []catalog.Event, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		st, err := scanState(tx.QueryRowContext(ctx, selectState, b.Shard))
		if err != nil {
			return err
		}
		if st.Epoch != b.Epoch || st.Offset != b.From || st.NextSeq != b.NextSeq {
			return catalog.ErrFenced
		}
		known, err := known(ctx, tx, b)
		if err != nil {
			return err
		}
		events = eventlog.Settle(b, known, wire.TruncateTime(now))
		failpoint.Here(failpoint.WriterDecided)
		if err := save(ctx, tx, b.Shard, known, events); err != nil {
			return err
		}
		if err := each(ctx, tx, addDead, b.DeadLetters, deadValues); err != nil {
			return fmt.Errorf("write dead letters: %w", err)
		}
		_, err = tx.ExecContext(ctx,
			`UPDATE shards SET "offset" = ?, next_seq = ?, next_dead = ?, published = max(published, ?) WHERE shard = ?`,
			b.To, b.NextSeq+int64(len(events)), b.NextDeadLetter+int64(len(b.DeadLetters)), b.Published, b.Shard)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("settle shard %d from offset %d: %w", b.Shard, b.From, err)
	}
	return events, nil
}

// known reads what must be known to settle b.
func known(ctx context.Context, tx *sql.Tx, b eventlog.Batch) (eventlog.BatchState, error) {
	k := eventlog.BatchState{Products: map[catalog.ID]catalog.Product{}, Settled: map[catalog.ID]bool{}}
	products, err := query(ctx, tx, scanProduct,
		"SELECT "+productColumns+" FROM products WHERE id IN (SELECT unhex(value) FROM json_each(?))", idList(b.Products()))
	if err != nil {
		return k, fmt.Errorf("read products: %w", err)
	}
	for _, p := range products {
		k.Products[p.ID] = p
	}
	settled, err := query(ctx, tx, scanID,
		"SELECT command FROM journal WHERE command IN (SELECT unhex(value) FROM json_each(?))", idList(b.CommandIDs()))
	if err != nil {
		return k, fmt.Errorf("read commands: %w", err)
	}
	for _, id := range settled {
		k.Settled[id] = true
	}
	k.SKUs, err = owners(ctx, tx, b.SKUs())
	return k, err
}

// owners reads which products have the SKUs.
func owners(ctx context.Context, q querier, skus []string) (map[string]catalog.ID, error) {
	owners := make(map[string]catalog.ID, len(skus))
	if len(skus) == 0 {
		return owners, nil
	}
	list, err := json.Marshal(skus)
	if err != nil {
		return nil, fmt.Errorf("read SKUs: %w", err)
	}
	type owner struct {
		sku string
		id  catalog.ID
	}
	found, err := query(ctx, q, func(row scanner) (o owner, err error) {
		var id []byte
		err = row.Scan(&o.sku, &id)
		copy(o.id[:], id)
		return o, err
	}, "SELECT sku, id FROM products WHERE sku IN (SELECT value FROM json_each(?))", string(list))
	if err != nil {
		return nil, fmt.Errorf("read SKUs: %w", err)
	}
	for _, o := range found {
		owners[o.sku] = o.id
	}
	return owners, nil
}

// save writes the events of the shard and the products as they leave them.
func save(ctx context.Context, tx *sql.Tx, shard int32, known eventlog.BatchState, events []catalog.Event) error {
	products := eventlog.LastVersions(events)

	// An SKU that changes hands must be free before its next owner is written.
	var freed []catalog.ID
	for _, p := range products {
		if was := known.Products[p.ID].SKU; was != "" && was != p.SKU {
			freed = append(freed, p.ID)
		}
	}
	if len(freed) > 0 {
		if _, err := tx.ExecContext(ctx,
			"UPDATE products SET sku = NULL WHERE id IN (SELECT unhex(value) FROM json_each(?))", idList(freed)); err != nil {
			return fmt.Errorf("free SKUs: %w", err)
		}
	}
	if err := each(ctx, tx, putProduct, products, func(p catalog.Product) ([]any, error) { return productValues(shard, p) }); err != nil {
		return fmt.Errorf("write products: %w", err)
	}
	if err := each(ctx, tx, addEvent, events, eventValues); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// Journal answers a range of the shard's events.
func (s *Store) Journal(ctx context.Context, shard int32, from, to int64, limit int) ([]catalog.Event, error) {
	events, err := query(ctx, s.db.read, scanEvent,
		"SELECT payload FROM journal WHERE shard = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT ?", shard, from, to, limit)
	if err != nil {
		return nil, fmt.Errorf("journal of shard %d from %d: %w", shard, from, err)
	}
	return events, nil
}

const (
	snapshotPage = 1_000 // products of a snapshot that are read at once
	maxSnapshots = 2     // at a time: each holds a connection, and others read meanwhile
)

// Snapshot reads products of the shard and its next seq in one transaction.
func (s *Store) Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (next int64, err error) {
	if next, err = s.snapshot(ctx, shard, only, handle); err != nil {
		return 0, fmt.Errorf("snapshot of shard %d: %w", shard, err)
	}
	return next, nil
}

func (s *Store) snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (next int64, err error) {
	if err := s.snapshots.Acquire(ctx, 1); err != nil {
		return 0, err
	}
	defer s.snapshots.Release(1)
	tx, err := s.db.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	st, err := scanState(tx.QueryRowContext(ctx, selectState, shard))
	if err != nil {
		return 0, err
	}
	which := "shard = ?1 AND id > ?2"
	args := []any{shard, nil, snapshotPage}
	if only != nil {
		which += " AND id IN (SELECT unhex(value) FROM json_each(?4))"
		args = append(args, idList(only))
	}
	for after := (catalog.ID{}); ; {
		args[1] = after[:]
		page, err := query(ctx, tx, scanProduct, "SELECT "+productColumns+" FROM products WHERE "+which+" ORDER BY id LIMIT ?3", args...)
		if err != nil || len(page) == 0 {
			return st.NextSeq, err
		}
		if err := handle(page); err != nil {
			return 0, err
		}
		after = page[len(page)-1].ID
	}
}

// Receipt answers the event of the command.
func (s *Store) Receipt(ctx context.Context, command catalog.ID) (catalog.Event, error) {
	events, err := query(ctx, s.db.read, scanEvent, "SELECT payload FROM journal WHERE command = ?", command[:])
	if err == nil && len(events) == 0 {
		err = catalog.ErrNotFound
	}
	if err != nil {
		return catalog.Event{}, fmt.Errorf("receipt of command %s: %w", command, err)
	}
	return events[0], nil
}

// History answers the events that made the product's versions, newest first.
func (s *Store) History(ctx context.Context, product catalog.ID, before int64, limit int) ([]catalog.Event, error) {
	events, err := query(ctx, s.db.read, scanEvent, `
		SELECT payload FROM journal
		WHERE product = ?1 AND kind IN ('created', 'changed', 'deleted') AND (?2 = 0 OR version < ?2)
		ORDER BY version DESC LIMIT ?3`, product[:], before, limit)
	if err == nil && len(events) == 0 {
		_, err = s.Product(ctx, product)
	}
	if err != nil {
		return nil, fmt.Errorf("history of product %s: %w", product, err)
	}
	return events, nil
}

// SKUs answers which products have the SKUs.
func (s *Store) SKUs(ctx context.Context, skus []string) (map[string]catalog.ID, error) {
	return owners(ctx, s.db.read, skus)
}

// Product answers the product as the truth has it, which may be a tombstone,
// or ErrNotFound.
func (s *Store) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	p, err := scanProduct(s.db.read.QueryRowContext(ctx, "SELECT "+productColumns+" FROM products WHERE id = ?", id[:]))
	if errors.Is(err, sql.ErrNoRows) {
		err = catalog.ErrNotFound
	}
	if err != nil {
		return catalog.Product{}, fmt.Errorf("product %s: %w", id, err)
	}
	return p, nil
}
