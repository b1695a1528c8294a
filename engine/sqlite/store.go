package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"catalog"
	"catalog/eventlog"
)

// Store implements writer.Store: products, the journal of every settled command,
// and one row for each shard.
type Store struct{ db *DB }

// NewStore returns the store in db.
func NewStore(db *DB) *Store { return &Store{db} }

// Ping returns an error when the store cannot be read.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// write runs f in one transaction that is on disk when write returns.
func (s *Store) write(ctx context.Context, f func(*sql.Tx) error) error {
	return s.db.write(ctx, s.db.store, f)
}

// InitShards creates the rows of the shards. When they exist it checks their
// number, which cannot change.
func (s *Store) InitShards(ctx context.Context, shards int) error {
	if shards < 1 {
		return fmt.Errorf("init %d shards: the number must be at least 1", shards)
	}
	err := s.write(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM shards").Scan(&n); err != nil || n == shards {
			return err
		}
		if n != 0 {
			return fmt.Errorf("the store has %d shards, and their number cannot change; use %d, or an empty database", n, n)
		}
		_, err := tx.ExecContext(ctx, `
			WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?)
			INSERT INTO shards (shard) SELECT n FROM numbers`, shards)
		return err
	})
	if err != nil {
		return fmt.Errorf("init %d shards: %w", shards, err)
	}
	return nil
}

const (
	stateColumns = `shard, epoch, "offset", next_seq, next_dead_letter, published, archived, last_offset, last_epoch, last_digest, stopped, events_from`
	selectState  = "SELECT " + stateColumns + " FROM shards WHERE shard = ?"
)

func scanState(row scanner) (st eventlog.ShardState, err error) {
	var last eventlog.RecordID
	var digest []byte
	err = row.Scan(&st.Shard, &st.Epoch, &st.Offset, &st.NextSeq, &st.NextDeadLetter, &st.Published, &st.Archived,
		&last.Offset, &last.Epoch, &digest, &st.Stopped, &st.EventsFrom)
	// An older version of the writer moves the offset and not the identity.
	if copy(last.Digest[:], digest); last.Known() && last.Offset == st.Offset-1 {
		st.Last = last
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = errors.New("the store has no such shard")
	}
	return st, err
}

// Claim makes the caller the owner of the shard, with a new epoch, and returns
// the state of the shard.
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

// StopShard stops the shard for reason until [Store.ResetShards], and raises the
// epoch, so that its owner settles nothing more. When the shard is not at epoch it
// changes nothing and returns ErrFenced.
func (s *Store) StopShard(ctx context.Context, shard int32, epoch int64, reason string) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "UPDATE shards SET epoch = epoch + 1, stopped = ? WHERE shard = ? AND epoch = ?", reason, shard, epoch)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, catalog.ErrFenced)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("stop shard %d: %w", shard, err)
	}
	return nil
}

// State returns the state of the shard.
func (s *Store) State(ctx context.Context, shard int32) (eventlog.ShardState, error) {
	st, err := scanState(s.db.read.QueryRowContext(ctx, selectState, shard))
	if err != nil {
		return eventlog.ShardState{}, fmt.Errorf("state of shard %d: %w", shard, err)
	}
	return st, nil
}

// States returns the states of all shards, in order.
func (s *Store) States(ctx context.Context) ([]eventlog.ShardState, error) {
	states, err := query(ctx, s.db.read, scanState, "SELECT "+stateColumns+" FROM shards ORDER BY shard")
	if err != nil {
		return nil, fmt.Errorf("states of shards: %w", err)
	}
	return states, nil
}

// Journal returns the events of the shard with from ≤ seq ≤ to in order: a page of
// at most limit events and about eventlog.MaxPageBytes.
func (s *Store) Journal(ctx context.Context, shard int32, from, to int64, limit int) ([]catalog.Event, error) {
	events, _, err := queryPage(ctx, s.db.read, scanEvent, 1, limit,
		"SELECT payload FROM journal WHERE shard = ? AND seq BETWEEN ? AND ? ORDER BY seq", shard, from, to)
	if err != nil {
		return nil, fmt.Errorf("journal of shard %d from seq %d: %w", shard, from, err)
	}
	return events, nil
}

// Receipt returns the event of the command, or ErrNotFound.
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

// History returns the events that created versions of the product below before,
// newest first, at most limit of them and about eventlog.MaxPageBytes, but at least
// two if there are two. more reports whether there are older ones. before 0 means
// all versions. Instead of the event of the current version, if it is archived, it
// returns eventlog.CurrentVersion. It returns ErrNotFound when the product never
// existed.
func (s *Store) History(ctx context.Context, product catalog.ID, before int64, limit int) (events []catalog.Event, more bool, err error) {
	events, more, err = queryPage(ctx, s.db.read, scanEvent, 2, limit, `
		SELECT payload FROM journal
		WHERE product = ?1 AND outcome IN ('created', 'changed', 'deleted') AND (?2 = 0 OR version < ?2)
		ORDER BY version DESC`, product[:], before)
	if err == nil && len(events) == 0 {
		var p catalog.Product
		if p, err = s.Product(ctx, product); err == nil && (before == 0 || p.Version < before) {
			events = []catalog.Event{eventlog.CurrentVersion(p)}
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("history of product %s: %w", product, err)
	}
	return events, more, nil
}

// SKUs returns the products that have the SKUs, in this or another case, by SKU. SKUs
// without a product are absent from the map.
func (s *Store) SKUs(ctx context.Context, skus []string) (map[string]catalog.ID, error) {
	var k eventlog.GroupState
	if err := readSKUs(ctx, s.db.read, skus, &k); err != nil {
		return nil, err
	}
	return k.SKUs.Owners(skus), nil
}

// Product returns the product, which may be a tombstone, or ErrNotFound.
func (s *Store) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	products, err := query(ctx, s.db.read, scanProduct, "SELECT "+productColumns+" FROM products WHERE id = ?", id[:])
	if err == nil && len(products) == 0 {
		err = catalog.ErrNotFound
	}
	if err != nil {
		return catalog.Product{}, fmt.Errorf("product %s: %w", id, err)
	}
	return products[0], nil
}
