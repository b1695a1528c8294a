package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/wire"
)

// View keeps the products as the events left them: it implements projection.View.
type View struct {
	db                 *DB
	products, progress string // tables of the generation
}

// NewView is the view in db, of generation 0.
func NewView(db *DB) *View { return (&View{db: db}).Generation(0) }

// write does what f does in one transaction that does not wait for the disk.
func (v *View) write(ctx context.Context, f func(*sql.Tx) error) error {
	v.db.lock.Lock()
	defer v.db.lock.Unlock()
	tx, err := v.db.view.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Apply stores the products that are newer than what is stored.
func (v *View) Apply(ctx context.Context, products []catalog.Product) error {
	err := v.write(ctx, func(tx *sql.Tx) error {
		upsert, err := tx.PrepareContext(ctx, `
			INSERT INTO `+v.products+` (id, version, data) VALUES (?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET version = excluded.version, data = excluded.data
			WHERE excluded.version > version`)
		if err != nil {
			return err
		}
		defer upsert.Close()
		for _, p := range products {
			data, err := wire.EncodeProduct(p)
			if err != nil {
				return err
			}
			if _, err := upsert.ExecContext(ctx, p.ID[:], p.Version, data); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("apply %d products to the view: %w", len(products), err)
	}
	return nil
}

// Product answers the product, which may be a tombstone.
func (v *View) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	var data []byte
	err := v.db.read.QueryRowContext(ctx, "SELECT data FROM "+v.products+" WHERE id = ?", id[:]).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		err = catalog.ErrNotFound
	}
	if err != nil {
		return catalog.Product{}, fmt.Errorf("product %s: %w", id, err)
	}
	return wire.DecodeProduct(data)
}

// Each shows all products by id, a page at a time.
func (v *View) Scan(ctx context.Context, handle func([]catalog.Product) error) error {
	type row struct {
		id []byte
		catalog.Product
	}
	for after := []byte{}; ; {
		page, err := query(ctx, v.db.read, func(s scanner) (r row, err error) {
			var data []byte
			if err = s.Scan(&r.id, &data); err == nil {
				r.Product, err = wire.DecodeProduct(data)
			}
			return r, err
		}, "SELECT id, data FROM "+v.products+" WHERE id > ? ORDER BY id LIMIT 1000", after)
		if err != nil {
			return fmt.Errorf("all products of the view: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		products := make([]catalog.Product, len(page))
		for i, r := range page {
			products[i], after = r.Product, r.id
		}
		if err := handle(products); err != nil {
			return err
		}
	}
}

// Correct replaces what is stored at the version was.
func (v *View) Overwrite(ctx context.Context, was int64, p catalog.Product) error {
	data, err := wire.EncodeProduct(p)
	if err != nil {
		return err
	}
	statement, args := "UPDATE "+v.products+" SET version = ?1, data = ?2 WHERE id = ?3 AND version = ?4", []any{p.Version, data, p.ID[:], was}
	switch {
	case p.Version == 0:
		statement, args = "DELETE FROM "+v.products+" WHERE id = ?1 AND version = ?2", []any{p.ID[:], was}
	case was == 0:
		statement, args = "INSERT INTO "+v.products+" (version, data, id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING", args[:3]
	}
	if err := v.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	}); err != nil {
		return fmt.Errorf("correct product %s: %w", p.ID, err)
	}
	return nil
}

// Progress answers the progress saved for the shard.
func (v *View) Checkpoint(ctx context.Context, shard int32) (eventlog.Checkpoint, error) {
	p := eventlog.Checkpoint{Position: catalog.Position{Shard: shard}}
	err := v.db.read.QueryRowContext(ctx, `SELECT seq, "offset" FROM `+v.progress+` WHERE shard = ?`, shard).Scan(&p.Seq, &p.Offset)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return p, fmt.Errorf("progress of shard %d: %w", shard, err)
	}
	return p, nil
}

// Save stores the progress of a shard, unless a higher seq is stored.
func (v *View) SaveCheckpoint(ctx context.Context, p eventlog.Checkpoint) error {
	err := v.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO `+v.progress+` (shard, seq, "offset") VALUES (?, ?, ?)
			ON CONFLICT (shard) DO UPDATE SET seq = excluded.seq, "offset" = excluded."offset"
			WHERE excluded.seq >= seq`, p.Shard, p.Seq, p.Offset)
		return err
	})
	if err != nil {
		return fmt.Errorf("save progress %s: %w", p.Position, err)
	}
	return nil
}
