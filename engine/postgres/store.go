package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"catalog"
	"catalog/eventlog"
)

// InitShards creates the rows of the shards. When they exist it checks their
// number, which cannot change.
func (s *Store) InitShards(ctx context.Context, shards int) error {
	if shards < 1 {
		return fmt.Errorf("init %d shards: the number must be at least 1", shards)
	}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// Serializes concurrent calls without a lock that running writers need.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock("+lockKey+")"); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM shards").Scan(&n); err != nil || n == shards {
			return err
		}
		if n != 0 {
			return fmt.Errorf("the store has %d shards, and their number cannot change; use %d, or an empty database", n, n)
		}
		_, err := tx.Exec(ctx, "INSERT INTO shards (shard) SELECT generate_series(0, $1 - 1)", shards)
		return err
	})
	if err != nil {
		return fmt.Errorf("init %d shards: %w", shards, markUnavailable(err))
	}
	return nil
}

const stateColumns = `shard, epoch, "offset", next_seq, next_dead_letter, published, archived, last_offset, last_epoch, last_digest, stopped, events_from`

var errNoShard = errors.New("the store has no such shard")

func scanState(row pgx.Row) (st eventlog.ShardState, err error) {
	var last eventlog.RecordID
	var digest []byte
	err = row.Scan(&st.Shard, &st.Epoch, &st.Offset, &st.NextSeq, &st.NextDeadLetter, &st.Published, &st.Archived,
		&last.Offset, &last.Epoch, &digest, &st.Stopped, &st.EventsFrom)
	// An older version of the writer moves the offset and not the identity.
	if copy(last.Digest[:], digest); last.Known() && last.Offset == st.Offset-1 {
		st.Last = last
	}
	if errors.Is(err, pgx.ErrNoRows) {
		err = errNoShard
	}
	return st, err
}

// Claim makes the caller the owner of the shard, with a new epoch, and returns
// the state of the shard. It waits for a batch that another owner is settling.
func (s *Store) Claim(ctx context.Context, shard int32) (eventlog.ShardState, error) {
	st, err := scanState(s.pool.QueryRow(ctx,
		"UPDATE shards SET epoch = epoch + 1 WHERE shard = $1 RETURNING "+stateColumns, shard))
	if err != nil {
		return eventlog.ShardState{}, fmt.Errorf("claim shard %d: %w", shard, markUnavailable(err))
	}
	return st, nil
}

// StopShard stops the shard for reason until [Store.ResetShards], and raises the
// epoch, so that its owner settles nothing more. When the shard is not at epoch it
// changes nothing and returns ErrFenced.
func (s *Store) StopShard(ctx context.Context, shard int32, epoch int64, reason string) error {
	tag, err := s.pool.Exec(ctx, "UPDATE shards SET epoch = epoch + 1, stopped = $3 WHERE shard = $1 AND epoch = $2", shard, epoch, reason)
	if err == nil && tag.RowsAffected() == 0 {
		err = catalog.ErrFenced
	}
	if err != nil {
		return fmt.Errorf("stop shard %d: %w", shard, markUnavailable(err))
	}
	return nil
}

// State returns the state of the shard.
func (s *Store) State(ctx context.Context, shard int32) (eventlog.ShardState, error) {
	st, err := scanState(s.pool.QueryRow(ctx, "SELECT "+stateColumns+" FROM shards WHERE shard = $1", shard))
	if err != nil {
		return eventlog.ShardState{}, fmt.Errorf("state of shard %d: %w", shard, markUnavailable(err))
	}
	return st, nil
}

// States returns the states of all shards, in order.
func (s *Store) States(ctx context.Context) ([]eventlog.ShardState, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+stateColumns+" FROM shards ORDER BY shard")
	if err != nil {
		return nil, fmt.Errorf("states of shards: %w", markUnavailable(err))
	}
	states, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (eventlog.ShardState, error) { return scanState(row) })
	if err != nil {
		return nil, fmt.Errorf("states of shards: %w", markUnavailable(err))
	}
	return states, nil
}

// Journal returns the events of the shard with from ≤ seq ≤ to in order: a page of
// at most limit events and about eventlog.MaxPageBytes.
func (s *Store) Journal(ctx context.Context, shard int32, from, to int64, limit int) ([]catalog.Event, error) {
	events, _, err := s.queryPage(ctx, "SELECT seq AS place, payload FROM journal WHERE shard = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq LIMIT $4", 1,
		shard, from, to, limit)
	if err != nil {
		return nil, fmt.Errorf("journal of shard %d from seq %d: %w", shard, from, markUnavailable(err))
	}
	return events, nil
}

// Receipt returns the event of the command, or ErrNotFound.
func (s *Store) Receipt(ctx context.Context, command catalog.ID) (catalog.Event, error) {
	events, err := s.queryEvents(ctx, "SELECT payload FROM journal WHERE command = $1", [16]byte(command))
	if err == nil && len(events) == 0 {
		err = catalog.ErrNotFound
	}
	if err != nil {
		return catalog.Event{}, fmt.Errorf("receipt of command %s: %w", command, markUnavailable(err))
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
	events, more, err = s.queryPage(ctx, `
		SELECT -version AS place, payload FROM journal
		WHERE product = $1 AND shard = (SELECT shard FROM products WHERE id = $1) AND outcome IN ('created', 'changed', 'deleted') AND ($2 = 0 OR version < $2)
		ORDER BY version DESC LIMIT $3 + 1`, 2, [16]byte(product), before, limit)
	if err == nil && len(events) == 0 {
		var p catalog.Product
		if p, err = s.Product(ctx, product); err == nil && (before == 0 || p.Version < before) {
			events = []catalog.Event{eventlog.CurrentVersion(p)}
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("history of product %s: %w", product, markUnavailable(err))
	}
	return events, more, nil
}

// SKUs returns the products that have the SKUs, in this or another case, by SKU. SKUs
// without a product are absent from the map.
func (s *Store) SKUs(ctx context.Context, skus []string) (map[string]catalog.ID, error) {
	var found groupState
	valid := validText(skus)
	rows, err := s.pool.Query(ctx, selectSKUs, valid, eventlog.SKUKeys(valid))
	if err == nil {
		err = found.scanSKUs(rows)
	}
	if err != nil {
		return nil, fmt.Errorf("owners of %d SKUs: %w", len(skus), markUnavailable(err))
	}
	return found.SKUs.Owners(valid), nil
}

// Product returns the product, which may be a tombstone, or ErrNotFound.
func (s *Store) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	p, err := scanProduct(s.pool.QueryRow(ctx, "SELECT "+productColumns+" FROM products WHERE id = $1", [16]byte(id)))
	if errors.Is(err, pgx.ErrNoRows) {
		err = catalog.ErrNotFound
	}
	if err != nil {
		return catalog.Product{}, fmt.Errorf("product %s: %w", id, markUnavailable(err))
	}
	return p, nil
}
