package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"catalog"
	"catalog/eventlog"
)

// Generation returns the view of generation n, which is in the same file.
func (v *View) Generation(n int64) *View {
	g := &View{db: v.db, products: "view_products", checkpoints: "view_checkpoints"}
	if n > 0 {
		g.products, g.checkpoints = fmt.Sprintf("view_products_%d", n), fmt.Sprintf("view_checkpoints_%d", n)
	}
	return g
}

// Generations returns the generations of the view.
func (v *View) Generations(ctx context.Context) (g eventlog.ViewGenerations, err error) {
	err = v.db.read.QueryRowContext(ctx, "SELECT live, standby, standby_complete, read_both FROM view_generations").
		Scan(&g.Live, &g.Standby, &g.StandbyComplete, &g.ReadBoth)
	if err != nil {
		return g, fmt.Errorf("generations of the view: %w", err)
	}
	return g, nil
}

// CompareAndSwap replaces the generations of the view. It returns ErrFenced when
// they are not old any more.
func (v *View) CompareAndSwap(ctx context.Context, old, to eventlog.ViewGenerations) error {
	err := v.write(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `
			UPDATE view_generations SET live = ?, standby = ?, standby_complete = ?, read_both = ?
			WHERE live = ? AND standby = ? AND standby_complete = ? AND read_both = ?`,
			to.Live, to.Standby, to.StandbyComplete, to.ReadBoth, old.Live, old.Standby, old.StandbyComplete, old.ReadBoth)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return catalog.ErrFenced
	})
	if err != nil {
		return fmt.Errorf("switch the view from generation %d to %d: %w", old.Live, to.Live, err)
	}
	return nil
}

// Create creates generation n, empty. It replaces an existing one.
func (v *View) Create(ctx context.Context, n int64) error {
	g := v.Generation(n)
	return g.execAll(ctx, "DROP TABLE IF EXISTS "+g.products, "DROP TABLE IF EXISTS "+g.checkpoints,
		"CREATE TABLE "+g.products+" (id BLOB PRIMARY KEY, version INTEGER NOT NULL, data BLOB NOT NULL) STRICT, WITHOUT ROWID",
		"CREATE TABLE "+g.checkpoints+` (shard INTEGER PRIMARY KEY, seq INTEGER NOT NULL, "offset" INTEGER NOT NULL) STRICT`)
}

// Drop deletes generation n.
func (v *View) Drop(ctx context.Context, n int64) error {
	g := v.Generation(n)
	return g.execAll(ctx, "DROP TABLE IF EXISTS "+g.products, "DROP TABLE IF EXISTS "+g.checkpoints)
}

// execAll executes the statements in one transaction.
func (v *View) execAll(ctx context.Context, statements ...string) error {
	err := v.write(ctx, func(tx *sql.Tx) error {
		for _, s := range statements {
			if _, err := tx.ExecContext(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("tables %s and %s: %w", v.products, v.checkpoints, err)
	}
	return nil
}

// Shared returns false: only one process opens the file.
func (v *View) Shared() bool { return false }
