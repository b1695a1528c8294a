package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/wire"
)

// scanPage is the largest number of products of a page of Scan, which also ends at
// eventlog.MaxPageBytes.
const scanPage = 1000

// View implements projection.View: the products as the events left them.
type View struct {
	db                    *DB
	products, checkpoints string // names of the tables of this generation
}

// NewView returns the view in db, generation 0.
func NewView(db *DB) *View { return (&View{db: db}).Generation(0) }

// write runs f in one transaction that does not wait for the disk.
func (v *View) write(ctx context.Context, f func(*sql.Tx) error) error {
	return v.db.write(ctx, v.db.view, f)
}

// Apply stores the products that are newer than the stored ones.
func (v *View) Apply(ctx context.Context, created, changed []catalog.Product) error {
	products := slices.Concat(created, changed)
	err := v.write(ctx, func(tx *sql.Tx) error {
		return execEach(ctx, tx, `
			INSERT INTO `+v.products+` (id, version, data) VALUES (?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET version = excluded.version, data = excluded.data
			WHERE excluded.version > version`, products, func(p catalog.Product) ([]any, error) {
			data, err := wire.EncodeProduct(p)
			return []any{p.ID[:], p.Version, data}, err
		})
	})
	if err != nil {
		return fmt.Errorf("apply %d products to the view: %w", len(products), err)
	}
	return nil
}

// Product returns the product, which may be a tombstone, or ErrNotFound.
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

// Scan calls handle with pages of all products, tombstones included, in the order
// of their ids. It stops at the first error of handle and returns it.
func (v *View) Scan(ctx context.Context, handle func([]catalog.Product) error) error {
	decode := func(row scanner) (p catalog.Product, err error) {
		var data []byte
		if err = row.Scan(&data); err == nil {
			p, err = wire.DecodeProduct(data)
		}
		return p, err
	}
	for after, more := (catalog.ID{}), true; more; {
		var page []catalog.Product
		var err error
		page, more, err = queryPage(ctx, v.db.read, decode, 1, scanPage, "SELECT data FROM "+v.products+" WHERE id > ? ORDER BY id", after[:])
		if err != nil {
			return fmt.Errorf("scan the view: %w", err)
		}
		if len(page) == 0 {
			break
		}
		if err := handle(page); err != nil {
			return err
		}
		after = page[len(page)-1].ID
	}
	return nil
}

// Overwrite replaces the stored product if its version is old. old 0 means that no
// product may be stored; p.Version 0 deletes the stored one.
func (v *View) Overwrite(ctx context.Context, old int64, p catalog.Product) error {
	data, err := wire.EncodeProduct(p)
	if err != nil {
		return err
	}
	statement, args := "UPDATE "+v.products+" SET version = ?1, data = ?2 WHERE id = ?3 AND version = ?4", []any{p.Version, data, p.ID[:], old}
	switch {
	case p.Version == 0:
		statement, args = "DELETE FROM "+v.products+" WHERE id = ?1 AND version = ?2", []any{p.ID[:], old}
	case old == 0:
		statement, args = "INSERT INTO "+v.products+" (version, data, id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING", args[:3]
	}
	if err := v.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	}); err != nil {
		return fmt.Errorf("overwrite product %s in the view: %w", p.ID, err)
	}
	return nil
}

// Checkpoints returns the saved checkpoint of each shard that has one.
func (v *View) Checkpoints(ctx context.Context) ([]eventlog.Checkpoint, error) {
	checkpoint := func(row scanner) (p eventlog.Checkpoint, err error) {
		return p, row.Scan(&p.Shard, &p.Seq, &p.Offset)
	}
	all, err := query(ctx, v.db.read, checkpoint, `SELECT shard, seq, "offset" FROM `+v.checkpoints)
	if err != nil {
		return nil, fmt.Errorf("checkpoints of the view: %w", err)
	}
	return all, nil
}

// SaveCheckpoints stores the checkpoints of shards, except where a higher seq is
// stored.
func (v *View) SaveCheckpoints(ctx context.Context, all []eventlog.Checkpoint) error {
	err := v.write(ctx, func(tx *sql.Tx) error {
		return execEach(ctx, tx, `
			INSERT INTO `+v.checkpoints+` (shard, seq, "offset") VALUES (?, ?, ?)
			ON CONFLICT (shard) DO UPDATE SET seq = excluded.seq, "offset" = excluded."offset"
			WHERE excluded.seq >= seq`, all, func(p eventlog.Checkpoint) ([]any, error) {
			return []any{p.Shard, p.Seq, p.Offset}, nil
		})
	})
	if err != nil {
		return fmt.Errorf("save checkpoints of %d shards, the first %s: %w", len(all), all[0].Position, err)
	}
	return nil
}
