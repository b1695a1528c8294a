package postgres

import (
	"context"
	"fmt"

	"catalog/eventlog"
)

// selectSizes reads the statistics of PostgreSQL, over all partitions of a table. It
// counts no rows: live rows are those that PostgreSQL's own counters know, or the
// estimate of the last ANALYZE after those counters were lost in a crash.
const selectSizes = `
SELECT coalesce(sum(CASE WHEN live > 0 THEN live ELSE greatest(estimate, 0) END), 0)::bigint, coalesce(sum(bytes), 0)::bigint
FROM (
	SELECT pg_stat_get_live_tuples(c.oid) AS live, c.reltuples AS estimate, pg_total_relation_size(c.oid) AS bytes
	FROM (SELECT $1::text::regclass::oid AS oid UNION SELECT relid FROM pg_partition_tree($1::text::regclass)) t
	JOIN pg_class c ON c.oid = t.oid
	WHERE c.relkind = 'r' -- the table or its partitions
) leaves`

// Sizes returns estimates of the numbers of products and events, and their space on
// disk with all indexes.
func (s *Store) Sizes(ctx context.Context) (eventlog.Sizes, error) {
	var z eventlog.Sizes
	for _, table := range []struct {
		name        string
		rows, bytes *int64
	}{{"products", &z.Products, &z.ProductsBytes}, {"journal", &z.JournalEvents, &z.JournalBytes}} {
		if err := s.pool.QueryRow(ctx, selectSizes, table.name).Scan(table.rows, table.bytes); err != nil {
			return eventlog.Sizes{}, fmt.Errorf("size of table %s: %w", table.name, markUnavailable(err))
		}
	}
	return z, nil
}
