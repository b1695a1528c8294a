package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"catalog"
)

const (
	snapshotPage = 1_000 // products per query, which limits the memory of a snapshot
	maxSnapshots = 2     // concurrent snapshots: each holds a connection that writers need
)

// Snapshot calls handle with pages of the products of the shard, tombstones
// included, in the order of their ids, and returns the seq of the next event. All
// of it is read at one moment, in a transaction that blocks no writer. only
// limits the snapshot to some products; nil means all.
func (s *Store) Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (next int64, err error) {
	if next, err = s.snapshot(ctx, shard, only, handle); err != nil {
		return 0, fmt.Errorf("snapshot of shard %d: %w", shard, markUnavailable(err))
	}
	return next, nil
}

func (s *Store) snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (next int64, err error) {
	if err := s.snapshots.Acquire(ctx, 1); err != nil {
		return 0, err
	}
	defer s.snapshots.Release(1)
	where := "shard = $1 AND id > $2"
	args := []any{shard, nil, snapshotPage}
	if only != nil {
		where += " AND id = ANY($4)"
		args = append(args, uuids(only))
	}
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		st, err := scanState(tx.QueryRow(ctx, "SELECT "+stateColumns+" FROM shards WHERE shard = $1", shard))
		if err != nil {
			return err
		}
		next = st.NextSeq
		for last := (catalog.ID{}); ; {
			args[1] = [16]byte(last)
			rows, err := tx.Query(ctx, "SELECT "+productColumns+" FROM products WHERE "+where+" ORDER BY id LIMIT $3", args...)
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
			last = page[len(page)-1].ID
		}
	})
	return next, err
}
