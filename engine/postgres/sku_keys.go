package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"catalog"
)

// skuKeysVersion is the migration that adds products.sku_key.
const skuKeysVersion = 5

const (
	keysPerStatement   = 1_000 // products whose keys one statement sets
	maxKeyPasses       = 3     // passes over all products; a later pass sets keys that the one before it has freed
	maxReportedClashes = 100
)

// setKeys sets the keys of products $1 with the SKUs $2 to $3, unless another product
// owns the key. The keys are distinct.
const setKeys = `
	UPDATE products p SET sku_key = g.key FROM unnest($1::uuid[], $2::text[], $3::text[]) AS g (id, sku, key)
	WHERE p.id = g.id AND p.sku = g.sku AND NOT EXISTS (SELECT FROM products o WHERE o.sku_key = g.key)`

// missingKeys are the arguments of setKeys.
type missingKeys struct{ ids, skus, keys []string }

// missingKeysOf returns the keys of SKUs of products, each key for the first product.
func missingKeysOf(products []catalog.Product) (m missingKeys) {
	seen := map[string]bool{}
	for _, p := range products {
		if key := catalog.SKUKey(p.SKU); key != "" && !seen[key] {
			seen[key] = true
			m.ids, m.skus, m.keys = append(m.ids, p.ID.String()), append(m.skus, p.SKU), append(m.keys, key)
		}
	}
	return m
}

// setSKUKeys sets the keys of the SKUs that earlier versions of the writer have stored,
// while writers continue. It can be interrupted and called again. A product whose key
// belongs to another one stays as it is and is reported.
func (m *migrator) setSKUKeys(ctx context.Context) error {
	without := 0
	for range maxKeyPasses {
		var set int
		var err error
		if set, without, err = m.passSKUKeys(ctx); err != nil {
			return fmt.Errorf("set the keys of SKUs: %w", err)
		}
		if set > 0 {
			m.report(fmt.Sprintf("set the keys of %d SKUs", set))
		}
		if set == 0 || without == 0 {
			break
		}
	}
	if without == 0 {
		return nil
	}
	return m.reportClashes(ctx, without)
}

// passSKUKeys goes through all products, in the order of their ids. It returns how many
// keys it has set, and how many products lack one.
func (m *migrator) passSKUKeys(ctx context.Context) (set, without int, err error) {
	for after := (catalog.ID{}); ; {
		page, err := m.productSKUs(ctx, "SELECT id, coalesce(sku, ''), coalesce(sku_key, '') FROM products WHERE id > $1 ORDER BY id LIMIT $2", after.String(), keysPerStatement)
		if err != nil || len(page) == 0 {
			return set, without, err
		}
		var stale []string
		var lacking []catalog.Product
		for _, p := range page {
			if p.key == catalog.SKUKey(p.SKU) {
				continue
			}
			if p.key != "" {
				stale = append(stale, p.ID.String())
			}
			if p.SKU != "" {
				lacking = append(lacking, p.Product)
			}
		}
		if len(stale) > 0 {
			err := m.retryLocks(ctx, func() error {
				_, err := m.db.ExecContext(ctx, freeKeys, stale)
				return err
			})
			if err != nil {
				return 0, 0, err
			}
		}
		if keys := missingKeysOf(lacking); len(keys.ids) > 0 {
			n, err := m.setKeys(ctx, keys)
			if err != nil {
				return 0, 0, err
			}
			set += n
			without += len(lacking) - n
		}
		after = page[len(page)-1].ID
	}
}

// setKeys runs the statement setKeys, again when a writer has taken one of the keys
// meanwhile. It returns how many keys were set.
func (m *migrator) setKeys(ctx context.Context, keys missingKeys) (n int, err error) {
	err = m.retryLocks(ctx, func() error {
		for attempt := 1; ; attempt++ {
			result, err := m.db.ExecContext(ctx, setKeys, keys.ids, keys.skus, keys.keys)
			var pgErr *pgconn.PgError
			if errors.As(err, &pgErr) && pgErr.Code == uniqueViolation && attempt < maxSettleAttempts {
				continue
			}
			if err != nil {
				return err
			}
			affected, err := result.RowsAffected()
			n = int(affected)
			return err
		}
	})
	return n, err
}

// storedSKU is a product, of which only id and SKU are read, with its key.
type storedSKU struct {
	catalog.Product
	key string
}

func (m *migrator) productSKUs(ctx context.Context, query string, args ...any) (list []storedSKU, err error) {
	rows, err := m.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			p  storedSKU
			id string
		)
		if err := rows.Scan(&id, &p.SKU, &p.key); err != nil {
			return nil, err
		}
		if p.ID, err = catalog.ParseID(id); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

// reportClashes reports the products that lack the key of their SKU.
func (m *migrator) reportClashes(ctx context.Context, n int) error {
	m.report(fmt.Sprintf("%d products have an SKU that differs only in case from that of another product; all stay as they are, and imports find each by its exact SKU; "+
		"give each another SKU, or delete it, and run catalog migrate again:", n))
	list, err := m.productSKUs(ctx, "SELECT id, sku, '' FROM products WHERE sku IS NOT NULL AND sku_key IS NULL ORDER BY id LIMIT $1", maxReportedClashes)
	if err != nil {
		return err
	}
	for _, p := range list {
		owners, err := m.productSKUs(ctx, "SELECT id, coalesce(sku, ''), '' FROM products WHERE sku_key = $1", catalog.SKUKey(p.SKU))
		if err != nil {
			return err
		}
		for _, o := range owners {
			m.report(fmt.Sprintf("product %s has the SKU %q, product %s has %q", p.ID, p.SKU, o.ID, o.SKU))
		}
	}
	if n > len(list) {
		m.report(fmt.Sprintf("and %d others", n-len(list)))
	}
	return nil
}
