package postgres

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"catalog"
	"catalog/internal/wire"
)

// uuids returns ids in the type of the driver.
func uuids(ids []catalog.ID) [][16]byte {
	list := make([][16]byte, len(ids))
	for i, id := range ids {
		list[i] = id
	}
	return list
}

const productColumns = "id, version, deleted, data, past_prices, created_at, updated_at"

// scanProduct scans a row with productColumns.
func scanProduct(row pgx.Row) (catalog.Product, error) {
	var (
		p          catalog.Product
		data, past []byte
	)
	err := row.Scan((*[16]byte)(&p.ID), &p.Version, &p.Deleted, &data, &past, &p.CreatedAt, &p.UpdatedAt)
	if err != nil {
		return catalog.Product{}, err
	}
	if p.ProductData, err = wire.DecodeProductData(data); err != nil {
		return catalog.Product{}, fmt.Errorf("product %s: %w", p.ID, err)
	}
	if p.PastPrices, err = wire.DecodePastPrices(past); err != nil {
		return catalog.Product{}, fmt.Errorf("product %s: %w", p.ID, err)
	}
	p.CreatedAt, p.UpdatedAt = p.CreatedAt.UTC(), p.UpdatedAt.UTC()
	return p, nil
}

// partsOf returns parts of a list of events or products for one statement each.
func partsOf[T interface{ Size() int }](list []T) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for first, bytes, i := 0, 0, 0; i < len(list); {
			bytes += list[i].Size()
			if i++; i == len(list) || bytes >= statementBytes {
				if !yield(list[first:i]) {
					return
				}
				first, bytes = i, 0
			}
		}
	}
}

// shardProduct is a product with its shard.
type shardProduct struct {
	catalog.Product
	shard int32
}

// queueProducts queues the statements that insert or replace products.
func queueProducts(batch *pgx.Batch, products []shardProduct) error {
	// Two transactions that compete for several SKUs insert them in the same order, so
	// they cannot wait for each other.
	slices.SortFunc(products, func(a, b shardProduct) int { return cmp.Compare(a.SKU, b.SKU) })
	for part := range partsOf(products) {
		if err := queueProductPart(batch, part); err != nil {
			return err
		}
	}
	return nil
}

func queueProductPart(batch *pgx.Batch, products []shardProduct) error {
	var (
		n        = len(products)
		ids      = make([][16]byte, n)
		shards   = make([]int32, n)
		versions = make([]int64, n)
		deleted  = make([]bool, n)
		skus     = make([]string, n)
		data     = make([]string, n)
		past     = make([][]byte, n)
		created  = make([]time.Time, n)
		updated  = make([]time.Time, n)
	)
	for i, p := range products {
		var err error
		if past[i], err = wire.EncodePastPrices(p.PastPrices); err != nil {
			return fmt.Errorf("past prices of product %s: %w", p.ID, err)
		}
		ids[i], shards[i], versions[i], deleted[i], skus[i], data[i] = p.ID, p.shard, p.Version, p.Deleted, p.SKU, string(wire.EncodeProductData(p.ProductData))
		created[i], updated[i] = p.CreatedAt, p.UpdatedAt
	}
	batch.Queue(`
		INSERT INTO products (id, shard, version, deleted, sku, data, past_prices, created_at, updated_at)
		SELECT id, shard, version, deleted, nullif(sku, ''), data::json, past_prices, created_at, updated_at
		FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::boolean[], $5::text[], $6::text[], $7::bytea[], $8::timestamptz[], $9::timestamptz[])
			AS p (id, shard, version, deleted, sku, data, past_prices, created_at, updated_at)
		ON CONFLICT (id) DO UPDATE SET
			version = excluded.version, deleted = excluded.deleted, sku = excluded.sku, data = excluded.data,
			past_prices = excluded.past_prices, created_at = excluded.created_at, updated_at = excluded.updated_at`,
		ids, shards, versions, deleted, skus, data, past, created, updated)
	return nil
}

const selectSKUs = "SELECT sku, id FROM products WHERE sku = ANY($1)"

// scanSKUs adds the rows of selectSKUs to owners.
func scanSKUs(rows pgx.Rows, owners map[string]catalog.ID) error {
	defer rows.Close()
	for rows.Next() {
		var (
			sku string
			id  [16]byte
		)
		if err := rows.Scan(&sku, &id); err != nil {
			return fmt.Errorf("read SKUs: %w", err)
		}
		owners[sku] = id
	}
	return rows.Err()
}

// validText returns the SKUs that PostgreSQL can represent. No product can have
// the others; they must not stop the batch in which they are refused.
func validText(skus []string) []string {
	list := make([]string, 0, len(skus))
	for _, s := range skus {
		if utf8.ValidString(s) && !strings.Contains(s, "\x00") {
			list = append(list, s)
		}
	}
	return list
}
