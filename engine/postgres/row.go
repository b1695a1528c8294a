package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"catalog"
	"catalog/internal/wire"
)

// uuids is ids in the driver's type.
func uuids(ids []catalog.ID) [][16]byte {
	list := make([][16]byte, len(ids))
	for i, id := range ids {
		list[i] = id
	}
	return list
}

const productColumns = `id, version, deleted, coalesce(sku, ''), name, description,
	coalesce(price, 0)::text, currency, category, tags, attributes, created_at, updated_at, past_prices`

// scanProduct reads a row of productColumns.
func scanProduct(row pgx.Row) (catalog.Product, error) {
	var (
		p     catalog.Product
		price string
		past  []byte
	)
	err := row.Scan((*[16]byte)(&p.ID), &p.Version, &p.Deleted, &p.SKU, &p.Name, &p.Description,
		&price, &p.Price.Currency, &p.Category, &p.Tags, &p.Attributes, &p.CreatedAt, &p.UpdatedAt, &past)
	if err != nil {
		return catalog.Product{}, err
	}
	if p.Price.Decimal, err = catalog.ParseDecimal(price); err != nil {
		return catalog.Product{}, fmt.Errorf("price of product %s: %w", p.ID, err)
	}
	if p.PastPrices, err = wire.DecodePastPrices(past); err != nil {
		return catalog.Product{}, fmt.Errorf("product %s: %w", p.ID, err)
	}
	p.CreatedAt, p.UpdatedAt = p.CreatedAt.UTC(), p.UpdatedAt.UTC()
	return p, nil
}

// queueProducts adds the statement that writes all products of a shard.
func queueProducts(batch *pgx.Batch, types *pgtype.Map, shard int32, products []catalog.Product) error {
	// Two shards that race for several SKUs meet at the first of them, and
	// neither waits for the other while it holds what the other waits for.
	slices.SortFunc(products, func(a, b catalog.Product) int { return cmp.Compare(a.SKU, b.SKU) })

	var (
		n           = len(products)
		ids         = make([][16]byte, n)
		versions    = make([]int64, n)
		deleted     = make([]bool, n)
		skus        = make([]string, n)
		names       = make([]string, n)
		description = make([]string, n)
		prices      = make([]string, n)
		currencies  = make([]string, n)
		categories  = make([]string, n)
		tags        = make([]string, n)
		attributes  = make([]string, n)
		created     = make([]time.Time, n)
		updated     = make([]time.Time, n)
		past        = make([][]byte, n)
	)
	for i, p := range products {
		ids[i], versions[i], deleted[i], skus[i] = p.ID, p.Version, p.Deleted, p.SKU
		names[i], description[i], categories[i] = p.Name, p.Description, p.Category
		currencies[i], created[i], updated[i] = p.Price.Currency, p.CreatedAt, p.UpdatedAt
		if !p.Deleted {
			prices[i] = p.Price.Amount()
		}
		var err error
		if past[i], err = wire.EncodePastPrices(p.PastPrices); err != nil {
			return fmt.Errorf("past prices of product %s: %w", p.ID, err)
		}
		// unnest takes arrays of arrays apart, so lists go as texts.
		list, err := types.Encode(pgtype.TextArrayOID, pgx.TextFormatCode, append([]string{}, p.Tags...), nil)
		if err != nil {
			return fmt.Errorf("tags of product %s: %w", p.ID, err)
		}
		tags[i], attributes[i] = string(list), "{}"
		if len(p.Attributes) > 0 {
			object, err := json.Marshal(p.Attributes)
			if err != nil {
				return fmt.Errorf("attributes of product %s: %w", p.ID, err)
			}
			attributes[i] = string(object)
		}
	}
	batch.Queue(`
		INSERT INTO products (id, version, deleted, sku, name, description,
			price, currency, category, tags, attributes, created_at, updated_at, past_prices, shard)
		SELECT id, version, deleted, nullif(sku, ''), name, description,
			nullif(price, '')::numeric, currency, category, tags::text[], attributes::jsonb, created_at, updated_at, past_prices, $15
		FROM unnest($1::uuid[], $2::bigint[], $3::boolean[], $4::text[], $5::text[], $6::text[],
			$7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::timestamptz[], $14::bytea[])
			AS p (id, version, deleted, sku, name, description,
				price, currency, category, tags, attributes, created_at, updated_at, past_prices)
		ON CONFLICT (id) DO UPDATE SET
			version = excluded.version, deleted = excluded.deleted, sku = excluded.sku, name = excluded.name,
			description = excluded.description, price = excluded.price, currency = excluded.currency,
			category = excluded.category, tags = excluded.tags, attributes = excluded.attributes,
			created_at = excluded.created_at, updated_at = excluded.updated_at,
			past_prices = excluded.past_prices, shard = excluded.shard`,
		ids, versions, deleted, skus, names, description, prices, currencies, categories, tags, attributes, created, updated, past, shard)
	return nil
}

// queueEvents adds the statement that writes the rows of the journal.
func queueEvents(batch *pgx.Batch, events []catalog.Event) error {
	var (
		n            = len(events)
		seqs         = make([]int64, n)
		products     = make([][16]byte, n)
		versions     = make([]int64, n)
		commands     = make([][16]byte, n)
		fingerprints = make([][]byte, n)
		kinds        = make([]string, n)
		payloads     = make([][]byte, n)
		actors       = make([]string, n)
		traces       = make([]string, n)
		accepted     = make([]time.Time, n)
		settled      = make([]time.Time, n)
	)
	// The payload has the exact texts; PostgreSQL's have no NUL.
	plain := strings.NewReplacer("\x00", "\uFFFD")
	for i, e := range events {
		payload, err := wire.EncodeEvent(e)
		if err != nil {
			return fmt.Errorf("event %s: %w", e.Position, err)
		}
		seqs[i], products[i], versions[i], commands[i] = e.Seq, e.Product.ID, e.Product.Version, e.Command
		fingerprints[i], kinds[i], payloads[i] = e.Fingerprint[:], string(e.Outcome), payload
		actors[i], traces[i] = plain.Replace(e.Actor), plain.Replace(e.Trace)
		accepted[i], settled[i] = e.AcceptedAt, e.SettledAt
	}
	batch.Queue(`
		INSERT INTO journal (shard, seq, product, version, command, fingerprint, kind, payload, actor, trace, accepted_at, settled_at)
		SELECT $1, * FROM unnest($2::bigint[], $3::uuid[], $4::bigint[], $5::uuid[], $6::bytea[], $7::text[], $8::bytea[],
			$9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[])`,
		events[0].Shard, seqs, products, versions, commands, fingerprints, kinds, payloads, actors, traces, accepted, settled)
	return nil
}

// events answers the events in the payloads that a statement selects.
func (s *Store) events(ctx context.Context, statement string, args ...any) ([]catalog.Event, error) {
	rows, err := s.pool.Query(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (catalog.Event, error) {
		var payload []byte
		if err := row.Scan(&payload); err != nil {
			return catalog.Event{}, err
		}
		return wire.DecodeEvent(payload)
	})
}

const selectSKUs = "SELECT sku, id FROM products WHERE sku = ANY($1)"

// scanSKUs puts the rows of selectSKUs into owners.
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
