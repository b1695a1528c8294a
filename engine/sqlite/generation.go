package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"catalog"
	"catalog/eventlog"
)

// Generation is the view of that generation, in the same file.
func (v *View) Generation(n int64) *View {
	g := &View{db: v.db, products: "view_products", progress: "view_progress"}
	if n > 0 {
		g.products, g.progress = fmt.Sprintf("view_products_%d", n), fmt.Sprintf("view_progress_%d", n)
	}
	return g
}

// Generations answers which generations there are.
func (v *View) Generations(ctx context.Context) (g eventlog.ViewGenerations, err error) {
	err = v.db.read.QueryRowContext(ctx, "SELECT live, also, whole, both FROM view_generations").Scan(&g.Live, &g.Standby, &g.StandbyComplete, &g.ReadBoth)
	if err != nil {
		return g, fmt.Errorf("generations of the view: %w", err)
	}
	return g, nil
}

// Turn saves which generations there are, if they are still what they were.
func (v *View) CompareAndSwap(ctx context.Context, was, to eventlog.ViewGenerations) error {
	err := v.write(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `
			UPDATE view_generations SET live = ?, also = ?, whole = ?, both = ?
			WHERE live = ? AND also = ? AND whole = ? AND both = ?`,
			to.Live, to.Standby, to.StandbyComplete, to.ReadBoth, was.Live, was.Standby, was.StandbyComplete, was.ReadBoth)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return catalog.ErrFenced
	})
	if err != nil {
		return fmt.Errorf("turn the view from generation %d to %d: %w", was.Live, to.Live, err)
	}
	return nil
}

// Clear empties the generation, and makes it where it is not there.
func (v *View) Create(ctx context.Context, n int64) error {
	g := v.Generation(n)
	return g.tables(ctx, "DROP TABLE IF EXISTS "+g.products, "DROP TABLE IF EXISTS "+g.progress,
		"CREATE TABLE "+g.products+" (id BLOB PRIMARY KEY, version INTEGER NOT NULL, data BLOB NOT NULL) STRICT, WITHOUT ROWID",
		"CREATE TABLE "+g.progress+` (shard INTEGER PRIMARY KEY, seq INTEGER NOT NULL, "offset" INTEGER NOT NULL) STRICT`)
}

// Drop removes the generation.
func (v *View) Drop(ctx context.Context, n int64) error {
	g := v.Generation(n)
	return g.tables(ctx, "DROP TABLE IF EXISTS "+g.products, "DROP TABLE IF EXISTS "+g.progress)
}

func (v *View) tables(ctx context.Context, statements ...string) error {
	err := v.write(ctx, func(tx *sql.Tx) error {
		for _, s := range statements {
			if _, err := tx.ExecContext(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("tables %s and %s: %w", v.products, v.progress, err)
	}
	return nil
}

// Shared says that the file is that of one process.
func (v *View) Shared() bool { return false }
