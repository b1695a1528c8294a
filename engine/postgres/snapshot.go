package postgres

import (
	"context"
	"fmt"

	"catalog"
	"catalog/eventlog"
)

// Limits of a page of a snapshot. A page also ends at eventlog.MaxPageBytes. The
// next page then asks for as many rows as fitted, and otherwise for twice as many,
// so that the server does not send many rows that are thrown away.
const firstSnapshotPage, maxSnapshotPage = 16, 1_000

// Snapshot calls handle with pages of the products of the shard, tombstones
// included, in the order of their ids. No transaction and no connection is held
// while handle runs. It returns the seq that the next event had before the first
// page: every product is at least as new as the events before it. only limits the
// snapshot to some products; nil means all.
func (s *Store) Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (next int64, err error) {
	st, err := s.State(ctx, shard)
	if err != nil {
		return 0, err
	}
	var after catalog.ID
	for limit := firstSnapshotPage; ; {
		page, complete, err := s.snapshotPage(ctx, shard, only, after, limit)
		if err != nil {
			return 0, fmt.Errorf("snapshot of shard %d: %w", shard, markUnavailable(err))
		}
		if len(page) == 0 {
			return st.NextSeq, nil
		}
		if err := handle(page); err != nil {
			return 0, err
		}
		after = page[len(page)-1].ID
		limit = min(2*limit, maxSnapshotPage)
		if !complete {
			limit = len(page)
		}
	}
}

// snapshotPage returns the products after an id, at most limit of them and about
// eventlog.MaxPageBytes. complete is false when it left out products for their size.
func (s *Store) snapshotPage(ctx context.Context, shard int32, only []catalog.ID, after catalog.ID, limit int) (page []catalog.Product, complete bool, err error) {
	where := "shard = $1 AND id > $2"
	args := []any{shard, [16]byte(after), limit}
	if only != nil {
		where += " AND id = ANY($4)"
		args = append(args, uuids(only))
	}
	rows, err := s.pool.Query(ctx, "SELECT "+productColumns+" FROM products WHERE "+where+" ORDER BY id LIMIT $3", args...)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	for bytes := 0; rows.Next(); {
		if bytes >= eventlog.MaxPageBytes {
			return page, false, nil
		}
		p, err := scanProduct(rows)
		if err != nil {
			return nil, false, err
		}
		bytes += p.Size()
		page = append(page, p)
	}
	return page, true, rows.Err()
}
