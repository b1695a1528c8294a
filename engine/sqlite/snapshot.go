package sqlite

import (
	"context"
	"fmt"

	"catalog"
)

// maxSnapshotPage is the largest number of products of a page. A page also ends at
// eventlog.MaxPageBytes.
const maxSnapshotPage = 1_000

// Snapshot calls handle with pages of the products of the shard, tombstones
// included, in the order of their ids. No transaction is held while handle runs. It
// returns the seq that the next event had before the first page: every product is at
// least as new as the events before it. only limits the snapshot to some products;
// nil means all.
func (s *Store) Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (next int64, err error) {
	st, err := s.State(ctx, shard)
	if err != nil {
		return 0, err
	}
	where := "shard = ?1 AND id > ?2"
	args := []any{shard, nil}
	if only != nil {
		where += " AND id IN (SELECT unhex(value) FROM json_each(?3))"
		args = append(args, idList(only))
	}
	for after, more := (catalog.ID{}), true; more; {
		args[1] = after[:]
		var page []catalog.Product
		page, more, err = queryPage(ctx, s.db.read, scanProduct, 1, maxSnapshotPage, "SELECT "+productColumns+" FROM products WHERE "+where+" ORDER BY id", args...)
		if err != nil {
			return 0, fmt.Errorf("snapshot of shard %d: %w", shard, err)
		}
		if len(page) == 0 {
			break
		}
		if err := handle(page); err != nil {
			return 0, fmt.Errorf("snapshot of shard %d: %w", shard, err)
		}
		after = page[len(page)-1].ID
	}
	return st.NextSeq, nil
}
