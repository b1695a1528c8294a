package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"catalog"
)

const keysPerTransaction = 1_000 // products whose keys one transaction sets

// setKeys sets the keys of the SKUs of products that have none, each key for the first
// product. It returns the products whose key belongs to another one.
func setKeys(ctx context.Context, tx *sql.Tx, products []catalog.Product) (without []catalog.Product, err error) {
	st, err := tx.PrepareContext(ctx, "UPDATE products SET sku_key = ?1 WHERE id = ?2 AND sku = ?3 AND NOT EXISTS (SELECT 1 FROM products WHERE sku_key = ?1 AND id <> ?2)")
	if err != nil {
		return nil, fmt.Errorf("set the keys of SKUs: %w", err)
	}
	defer st.Close()
	for _, p := range products {
		if p.SKU == "" {
			continue // a product without an SKU has no key
		}
		result, err := st.ExecContext(ctx, catalog.SKUKey(p.SKU), p.ID[:], p.SKU)
		if err != nil {
			return nil, fmt.Errorf("set the keys of SKUs: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil {
			return nil, fmt.Errorf("set the keys of SKUs: %w", err)
		} else if n == 0 {
			without = append(without, p)
		}
	}
	return without, nil
}

// setSKUKeys sets the keys of products that an earlier version has stored. A product whose
// key belongs to another one stays as it is; setSKUKeys returns these products. It takes the
// write lock only if there are such products: a file opens while another process writes to
// it all the time.
func setSKUKeys(ctx context.Context, db *DB) (clashes []catalog.ID, err error) {
	after := catalog.ID{}
	for {
		page, err := query(ctx, db.store, func(row scanner) (p catalog.Product, err error) {
			var id []byte
			err = row.Scan(&id, &p.SKU)
			copy(p.ID[:], id)
			return p, err
		}, "SELECT id, sku FROM products WHERE id > ? AND sku IS NOT NULL AND sku_key IS NULL ORDER BY id LIMIT ?", after[:], keysPerTransaction)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			return clashes, nil
		}
		if err := db.write(ctx, db.store, func(tx *sql.Tx) error {
			without, err := setKeys(ctx, tx, page)
			for _, p := range without {
				clashes = append(clashes, p.ID)
			}
			return err
		}); err != nil {
			return nil, err
		}
		after = page[len(page)-1].ID
	}
}
