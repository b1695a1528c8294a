package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/wire"
)

// scanner is *sql.Row or *sql.Rows.
type scanner interface{ Scan(...any) error }

// querier is *sql.DB or *sql.Tx.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// query returns all rows of a statement.
func query[T any](ctx context.Context, q querier, scan func(scanner) (T, error), statement string, args ...any) ([]T, error) {
	var all []T
	err := queryEach(ctx, q, scan, func(v T) bool {
		all = append(all, v)
		return true
	}, statement, args...)
	if err != nil {
		return nil, err
	}
	return all, nil
}

// queryEach calls handle with the rows of a statement, in order, until handle
// returns false.
func queryEach[T any](ctx context.Context, q querier, scan func(scanner) (T, error), handle func(T) bool, statement string, args ...any) error {
	rows, err := q.QueryContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return err
		}
		if !handle(v) {
			return nil
		}
	}
	return rows.Err()
}

// queryPage returns the first rows of a statement: at least atLeast of them, at most
// limit, and about eventlog.MaxPageBytes. more reports whether the statement has
// others.
func queryPage[T interface{ Size() int }](ctx context.Context, q querier, scan func(scanner) (T, error), atLeast, limit int, statement string, args ...any) (page []T, more bool, err error) {
	bytes := 0
	err = queryEach(ctx, q, scan, func(v T) bool {
		if more = len(page) >= limit || len(page) >= atLeast && bytes >= eventlog.MaxPageBytes; more {
			return false
		}
		bytes += v.Size()
		page = append(page, v)
		return true
	}, statement, args...)
	return page, more, err
}

// execEach executes the statement once per value. The engine runs in this
// process, so there are no round trips to save.
func execEach[T any](ctx context.Context, tx *sql.Tx, statement string, values []T, args func(T) ([]any, error)) error {
	if len(values) == 0 {
		return nil
	}
	st, err := tx.PrepareContext(ctx, statement)
	if err != nil {
		return err
	}
	defer st.Close()
	each := context.WithoutCancel(ctx) // with a context that can end, the driver starts a goroutine for each statement
	for _, v := range values {
		if err := ctx.Err(); err != nil {
			return err
		}
		a, err := args(v)
		if err != nil {
			return err
		}
		if _, err := st.ExecContext(each, a...); err != nil {
			return err
		}
	}
	return nil
}

// idList returns ids as a JSON list of hexadecimal strings. Statements read it
// with json_each and unhex: SQLite has no list parameters.
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

const productColumns = "id, version, deleted, data, past_prices, created_at, updated_at"

const upsertProduct = `
	INSERT INTO products (id, shard, version, deleted, sku, sku_key, former_key, data, past_prices, created_at, updated_at)
	VALUES (?, ?, ?, ?, nullif(?, ''), nullif(?, ''), nullif(?, ''), ?, ?, ?, ?)
	ON CONFLICT (id) DO UPDATE SET
		version = excluded.version, deleted = excluded.deleted, sku = excluded.sku, sku_key = excluded.sku_key,
		former_key = excluded.former_key, data = excluded.data,
		past_prices = excluded.past_prices, created_at = excluded.created_at, updated_at = excluded.updated_at`

// productArgs returns the arguments of upsertProduct for a product of the shard: key is
// that of its SKU, and former that of the SKU that it had when it was deleted.
func productArgs(shard int32, p catalog.Product, key, former string) ([]any, error) {
	past, err := wire.EncodePastPrices(p.PastPrices)
	if err != nil {
		return nil, fmt.Errorf("product %s: %w", p.ID, err)
	}
	return []any{p.ID[:], shard, p.Version, p.Deleted, p.SKU, key, former, string(wire.EncodeProductData(p.ProductData)), past,
		p.CreatedAt.UnixMicro(), p.UpdatedAt.UnixMicro()}, nil
}

// keyedProduct is a product with the stored key of its SKU.
type keyedProduct struct {
	catalog.Product
	key string
}

// scanKeyedProduct scans a row with productColumns and sku_key.
func scanKeyedProduct(row scanner) (p keyedProduct, err error) {
	p.Product, err = scanProductAnd(row, &p.key)
	return p, err
}

// scanProduct scans a row with productColumns.
func scanProduct(row scanner) (catalog.Product, error) { return scanProductAnd(row) }

// scanProductAnd scans a row with productColumns, and further columns into more.
func scanProductAnd(row scanner, more ...any) (catalog.Product, error) {
	var (
		p                catalog.Product
		id, past         []byte
		data             sql.RawBytes
		created, updated int64
	)
	err := row.Scan(append([]any{&id, &p.Version, &p.Deleted, &data, &past, &created, &updated}, more...)...)
	if err != nil {
		return catalog.Product{}, err
	}
	if p.ID, err = wire.IDFromProto(id); err != nil {
		return catalog.Product{}, err
	}
	if p.ProductData, err = wire.DecodeProductData(data); err != nil {
		return catalog.Product{}, fmt.Errorf("product %s: %w", p.ID, err)
	}
	if p.PastPrices, err = wire.DecodePastPrices(past); err != nil {
		return catalog.Product{}, fmt.Errorf("product %s: %w", p.ID, err)
	}
	p.CreatedAt, p.UpdatedAt = time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	return p, nil
}

const insertEvent = `
	INSERT INTO journal (shard, seq, product, version, command, fingerprint, outcome, payload, actor, trace, accepted_at, settled_at)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// eventArgs returns the arguments of insertEvent.
func eventArgs(e catalog.Event) ([]any, error) {
	payload, err := wire.EncodeEvent(e)
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", e.Position, err)
	}
	return []any{e.Shard, e.Seq, e.Product.ID[:], e.Product.Version, e.Command[:], e.Fingerprint[:], string(e.Outcome), payload,
		e.Actor, e.Trace, e.AcceptedAt.UnixMicro(), e.SettledAt.UnixMicro()}, nil
}

// scanEvent scans a row with the payload of an event.
func scanEvent(row scanner) (catalog.Event, error) {
	var payload []byte
	if err := row.Scan(&payload); err != nil {
		return catalog.Event{}, err
	}
	return wire.DecodeEvent(payload)
}

// scanID scans a row with one id.
func scanID(row scanner) (catalog.ID, error) {
	var id []byte
	if err := row.Scan(&id); err != nil {
		return catalog.ID{}, err
	}
	return wire.IDFromProto(id)
}
