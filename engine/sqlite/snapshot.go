package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"catalog"
)

const (
	snapshotPage = 1_000 // products per query, which limits the memory of a snapshot
	maxSnapshots = 2     // concurrent snapshots: each holds one of readConns connections
)

// Snapshot calls handle with pages of the products of the shard, tombstones
// included, in the order of their ids, and returns the seq of the next event. All
// of it is read at one moment. only limits the snapshot to some products; nil
// means all.
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
	where := "shard = ?1 AND id > ?2"
	args := []any{shard, nil, snapshotPage}
	if only != nil {
		where += " AND id IN (SELECT unhex(value) FROM json_each(?4))"
		args = append(args, idList(only))
	}
	for last := (catalog.ID{}); ; {
		args[1] = last[:]
		page, err := query(ctx, tx, scanProduct, "SELECT "+productColumns+" FROM products WHERE "+where+" ORDER BY id LIMIT ?3", args...)
		if err != nil || len(page) == 0 {
			return st.NextSeq, err
		}
		if err := handle(page); err != nil {
			return 0, err
		}
		last = page[len(page)-1].ID
	}
}
