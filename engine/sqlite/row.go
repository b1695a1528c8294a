package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"catalog"
	"catalog/internal/wire"
)

// scanner is *sql.Row or *sql.Rows.
type scanner interface{ Scan(...any) error }

// querier is *sql.DB or *sql.Tx.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// query answers all rows of a statement.
func query[T any](ctx context.Context, q querier, scan func(scanner) (T, error), statement string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// each executes the statement for each of the values. The engine is in this
// process, so that costs no round trips.
func each[T any](ctx context.Context, tx *sql.Tx, statement string, values []T, args func(T) ([]any, error)) error {
	if len(values) == 0 {
		return nil
	}
	st, err := tx.PrepareContext(ctx, statement)
	if err != nil {
		return err
	}
	defer st.Close()
	for _, v := range values {
		a, err := args(v)
		if err != nil {
			return err
		}
		if _, err := st.ExecContext(ctx, a...); err != nil {
			return err
		}
	}
	return nil
}

// idList is the JSON list of ids in hexadecimal, for json_each and unhex: a way
// to give SQLite a list as one argument.
func idList(ids []catalog.ID) string {
	if len(ids) == 0 {
		return "[]"
	}
	b := make([]byte, 0, 1+35*len(ids))
	for _, id := range ids {
		b = append(b, `,"`...)
		b = hex.AppendEncode(b, id[:])
		b = append(b, '"')
	}
	b[0] = '['
	return string(append(b, ']'))
}

const productColumns = `id, version, deleted, coalesce(sku, ''), name, description,
	price_units, price_nanos, currency, category, tags, attributes, created_at, updated_at, past_prices`

const putProduct = `
	INSERT INTO products (id, version, deleted, sku, name, description,
		price_units, price_nanos, currency, category, tags, attributes, created_at, updated_at, past_prices, shard)
	VALUES (?, ?, ?, nullif(?, ''), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (id) DO UPDATE SET
		version = excluded.version, deleted = excluded.deleted, sku = excluded.sku, name = excluded.name,
		description = excluded.description, price_units = excluded.price_units, price_nanos = excluded.price_nanos,
		currency = excluded.currency, category = excluded.category, tags = excluded.tags,
		attributes = excluded.attributes, created_at = excluded.created_at, updated_at = excluded.updated_at,
		past_prices = excluded.past_prices`

// productValues are the values of putProduct for a product of the shard.
func productValues(shard int32, p catalog.Product) ([]any, error) {
	tags, err := json.Marshal(append([]string{}, p.Tags...)) // [] for nil
	if err != nil {
		return nil, fmt.Errorf("product %s: %w", p.ID, err)
	}
	attributes := []byte("{}")
	if len(p.Attributes) > 0 {
		if attributes, err = json.Marshal(p.Attributes); err != nil {
			return nil, fmt.Errorf("product %s: %w", p.ID, err)
		}
	}
	past, err := wire.EncodePastPrices(p.PastPrices)
	if err != nil {
		return nil, fmt.Errorf("product %s: %w", p.ID, err)
	}
	return []any{p.ID[:], p.Version, p.Deleted, p.SKU, p.Name, p.Description,
		p.Price.Units, p.Price.Nanos, p.Price.Currency, p.Category, string(tags), string(attributes),
		p.CreatedAt.UnixMicro(), p.UpdatedAt.UnixMicro(), past, shard}, nil
}

// scanProduct reads a row of productColumns.
func scanProduct(row scanner) (catalog.Product, error) {
	var (
		p                catalog.Product
		id, past         []byte
		tags, attributes string
		created, updated int64
	)
	err := row.Scan(&id, &p.Version, &p.Deleted, &p.SKU, &p.Name, &p.Description,
		&p.Price.Units, &p.Price.Nanos, &p.Price.Currency, &p.Category, &tags, &attributes, &created, &updated, &past)
	if err != nil {
		return catalog.Product{}, err
	}
	if p.ID, err = wire.IDFromProto(id); err != nil {
		return catalog.Product{}, err
	}
	if p.PastPrices, err = wire.DecodePastPrices(past); err != nil {
		return catalog.Product{}, fmt.Errorf("product %s: %w", p.ID, err)
	}
	p.CreatedAt, p.UpdatedAt = time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	if tags != "[]" {
		if err := json.Unmarshal([]byte(tags), &p.Tags); err != nil {
			return catalog.Product{}, fmt.Errorf("tags of product %s: %w", p.ID, err)
		}
	}
	if attributes != "{}" {
		if err := json.Unmarshal([]byte(attributes), &p.Attributes); err != nil {
			return catalog.Product{}, fmt.Errorf("attributes of product %s: %w", p.ID, err)
		}
	}
	return p, nil
}

const addEvent = `
	INSERT INTO journal (shard, seq, product, version, command, fingerprint, kind, payload, actor, trace, accepted_at, settled_at)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// eventValues are the values of addEvent.
func eventValues(e catalog.Event) ([]any, error) {
	payload, err := wire.EncodeEvent(e)
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", e.Position, err)
	}
	return []any{e.Shard, e.Seq, e.Product.ID[:], e.Product.Version, e.Command[:], e.Fingerprint[:], string(e.Outcome), payload,
		e.Actor, e.Trace, e.AcceptedAt.UnixMicro(), e.SettledAt.UnixMicro()}, nil
}

// scanEvent reads the payload of a row of the journal.
func scanEvent(row scanner) (catalog.Event, error) {
	var payload []byte
	if err := row.Scan(&payload); err != nil {
		return catalog.Event{}, err
	}
	return wire.DecodeEvent(payload)
}

// scanID reads a row of one id.
func scanID(row scanner) (catalog.ID, error) {
	var id []byte
	if err := row.Scan(&id); err != nil {
		return catalog.ID{}, err
	}
	return wire.IDFromProto(id)
}
