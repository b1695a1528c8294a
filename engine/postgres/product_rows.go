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

// scanProduct scans a row with productColumns, and further columns into more.
func scanProduct(row pgx.Row, more ...any) (catalog.Product, error) {
	var (
		p          catalog.Product
		data, past []byte
	)
	err := row.Scan(append([]any{(*[16]byte)(&p.ID), &p.Version, &p.Deleted, &data, &past, &p.CreatedAt, &p.UpdatedAt}, more...)...)
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

// shardProduct is a product as it is stored.
type shardProduct struct {
	catalog.Product
	shard     int32
	key       string // key of its SKU; "" for none
	formerKey string // key of the SKU that it had when it was deleted; "" for none
}

// queueProducts queues the statements that insert or replace products.
func queueProducts(batch *pgx.Batch, products []shardProduct) error {
	// Two transactions that compete for several SKUs insert them in the same order, so
	// they cannot wait for each other.
	slices.SortFunc(products, func(a, b shardProduct) int { return cmp.Compare(a.key, b.key) })
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
		keys     = make([]string, n)
		former   = make([]string, n)
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
		keys[i], former[i], created[i], updated[i] = p.key, p.formerKey, p.CreatedAt, p.UpdatedAt
	}
	batch.Queue(`
		INSERT INTO products (id, shard, version, deleted, sku, sku_key, former_key, data, past_prices, created_at, updated_at)
		SELECT id, shard, version, deleted, nullif(sku, ''), nullif(sku_key, ''), nullif(former_key, ''), data::json, past_prices, created_at, updated_at
		FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::boolean[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bytea[], $10::timestamptz[], $11::timestamptz[])
			AS p (id, shard, version, deleted, sku, sku_key, former_key, data, past_prices, created_at, updated_at)
		ON CONFLICT (id) DO UPDATE SET
			version = excluded.version, deleted = excluded.deleted, sku = excluded.sku, sku_key = excluded.sku_key,
			former_key = excluded.former_key, data = excluded.data,
			past_prices = excluded.past_prices, created_at = excluded.created_at, updated_at = excluded.updated_at`,
		ids, shards, versions, deleted, skus, keys, former, data, past, created, updated)
	return nil
}

// selectSKUs selects the products that have an SKU of $1 or a key of $2, and the past
// prices of those that had one when they were deleted. Products that have both are not
// selected twice, unless letters outside of ASCII differ in case.
const selectSKUs = `
	SELECT id, coalesce(sku, ''), sku_key, NULL::bytea FROM products WHERE sku_key = ANY($2)
	UNION ALL SELECT id, sku, coalesce(sku_key, ''), NULL::bytea FROM products WHERE sku = ANY($1) AND (sku_key IS NULL OR lower(sku) <> sku_key)
	UNION ALL SELECT id, '', former_key, past_prices FROM products WHERE former_key = ANY($2) AND deleted`

// scanSKUs adds the rows of selectSKUs.
func (k *groupState) scanSKUs(rows pgx.Rows) error {
	var (
		id       catalog.ID
		sku, key string
		past     []byte
	)
	_, err := pgx.ForEachRow(rows, []any{(*[16]byte)(&id), &sku, &key, &past}, func() error {
		switch {
		case past != nil:
			prices, err := wire.DecodePastPrices(past)
			if err != nil {
				return fmt.Errorf("product %s: %w", id, err)
			}
			k.AddFormerOwner(key, id, prices)
		case !k.SKUs.Add(id, sku, key) && key != "":
			k.staleKeys = append(k.staleKeys, id)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read SKUs: %w", err)
	}
	return nil
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
