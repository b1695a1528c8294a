package sqlite

import (
	"context"
	"fmt"

	"catalog/eventlog"
)

// Sizes returns the numbers of products and events. SQLite cannot tell the space of
// one table without reading the whole file.
func (s *Store) Sizes(ctx context.Context) (z eventlog.Sizes, err error) {
	err = s.db.read.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM products), (SELECT count(*) FROM journal)`).
		Scan(&z.Products, &z.JournalEvents)
	if err != nil {
		err = fmt.Errorf("sizes of tables: %w", err)
	}
	return z, err
}
