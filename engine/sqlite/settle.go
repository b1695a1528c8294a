package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/failpoint"
	"catalog/internal/wire"
)

// productsPerRead is the number of products that a batch reads at once. Eight of the
// largest have 7 MB.
const productsPerRead = 8

// Settle settles the batches of the group in one transaction. It returns what it has
// settled of each.
func (s *Store) Settle(ctx context.Context, g eventlog.Group, now time.Time) (settled []eventlog.Settled, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		state, err := readGroupState(ctx, tx, g)
		if err != nil {
			return err
		}
		settled = eventlog.Settle(g, state, wire.TruncateTime(now))
		failpoint.Here(failpoint.WriterDecided)
		return writeGroup(ctx, tx, g, settled, state)
	})
	if err != nil {
		return nil, fmt.Errorf("settle %s: %w", g, err)
	}
	return settled, nil
}

// readGroupState compares the rows of the shards with the batches and reads what
// eventlog.Settle needs.
func readGroupState(ctx context.Context, tx *sql.Tx, g eventlog.Group) (eventlog.GroupState, error) {
	k := eventlog.GroupState{
		Products: map[catalog.ID]catalog.Product{}, Keyless: map[catalog.ID]bool{}, Settled: map[eventlog.ShardCommand]bool{}, LeftOut: map[int32]error{},
	}
	for _, b := range g {
		st, err := scanState(tx.QueryRowContext(ctx, selectState, b.Shard))
		if err != nil {
			return k, err
		}
		if !st.Accepts(b) {
			k.LeftOut[b.Shard] = catalog.ErrFenced
		}
	}
	bytes := 0
	for ids := range slices.Chunk(g.Products(), productsPerRead) {
		if bytes >= eventlog.MaxBatchBytes {
			k.Unread = ids[0]
			break
		}
		products, err := query(ctx, tx, scanKeyedProduct,
			"SELECT "+productColumns+", coalesce(sku_key, '') FROM products WHERE id IN (SELECT unhex(value) FROM json_each(?))", idList(ids))
		if err != nil {
			return k, fmt.Errorf("read products: %w", err)
		}
		for _, p := range products {
			k.AddProduct(p.Product, p.key)
			bytes += p.Size()
		}
	}
	commands := g.Commands()
	ids := make([]catalog.ID, len(commands))
	for i, c := range commands {
		ids[i] = c.Command
	}
	found, err := query(ctx, tx, scanID, "SELECT command FROM journal WHERE command IN (SELECT unhex(value) FROM json_each(?))", idList(ids))
	if err != nil {
		return k, fmt.Errorf("read commands: %w", err)
	}
	for _, c := range commands {
		if slices.Contains(found, c.Command) { // few commands are repeated
			k.Settled[c] = true
		}
	}
	return k, readSKUs(ctx, tx, g.SKUs(), &k)
}

// selectSKUs selects the products that have an SKU of ?1 or a key of ?2, and the past
// prices of those that had one when they were deleted.
const selectSKUs = `
	SELECT id, coalesce(sku, ''), sku_key, NULL FROM products WHERE sku_key IN (SELECT value FROM json_each(?2))
	UNION ALL SELECT id, sku, '', NULL FROM products WHERE sku IN (SELECT value FROM json_each(?1)) AND sku_key IS NULL
	UNION ALL SELECT id, '', former_key, past_prices FROM products WHERE former_key IN (SELECT value FROM json_each(?2)) AND deleted`

// readSKUs reads the owners of the SKUs and the past prices of their former owners.
func readSKUs(ctx context.Context, q querier, skus []string, k *eventlog.GroupState) error {
	if len(skus) == 0 {
		return nil
	}
	list, err := json.Marshal(skus)
	if err != nil {
		return fmt.Errorf("read SKUs: %w", err)
	}
	keyList, err := json.Marshal(eventlog.SKUKeys(skus))
	if err != nil {
		return fmt.Errorf("read SKUs: %w", err)
	}
	type found struct {
		id       catalog.ID
		sku, key string
		past     []catalog.PastPrice
	}
	rows, err := query(ctx, q, func(row scanner) (f found, err error) {
		var id, past []byte
		if err := row.Scan(&id, &f.sku, &f.key, &past); err != nil {
			return f, err
		}
		copy(f.id[:], id)
		f.past, err = wire.DecodePastPrices(past)
		return f, err
	}, selectSKUs, string(list), string(keyList))
	if err != nil {
		return fmt.Errorf("read SKUs: %w", err)
	}
	for _, f := range rows {
		k.SKUs.Add(f.id, f.sku, f.key)
		if f.past != nil {
			k.AddFormerOwner(f.key, f.id, f.past)
		}
	}
	return nil
}

const (
	freeSKUs       = "UPDATE products SET sku = NULL, sku_key = NULL WHERE id IN (SELECT unhex(value) FROM json_each(?))"
	freeFormerKeys = "UPDATE products SET former_key = NULL WHERE former_key = ?"
)

// writeGroup writes what is settled of the group, and the rows of the shards.
func writeGroup(ctx context.Context, tx *sql.Tx, g eventlog.Group, settled []eventlog.Settled, state eventlog.GroupState) error {
	// An SKU that moves to another product must be free before its new owner is
	// written.
	var freed []catalog.ID
	for _, s := range settled {
		freed = append(freed, state.FreedSKUs(eventlog.LastVersions(s.Events))...)
	}
	if len(freed) > 0 {
		if _, err := tx.ExecContext(ctx, freeSKUs, idList(freed)); err != nil {
			return fmt.Errorf("free SKUs: %w", err)
		}
	}
	for i, s := range settled {
		if s.Err != nil {
			continue
		}
		b := g[i].UpTo(s.To)
		if err := saveEvents(ctx, tx, b.Shard, s.Events, state.SKUKey, state.FormerKeys(s.Events)); err != nil {
			return err
		}
		if err := execEach(ctx, tx, insertDeadLetter, b.DeadLetters, deadLetterArgs); err != nil {
			return fmt.Errorf("write dead letters: %w", err)
		}
		last := b.RecordBefore(b.To)
		_, err := tx.ExecContext(ctx,
			`UPDATE shards SET "offset" = ?, next_seq = ?, next_dead_letter = ?, published = max(published, ?), last_offset = ?, last_epoch = ?, last_digest = ? WHERE shard = ?`,
			b.To, b.NextSeq+int64(len(s.Events)), b.NextDeadLetter+int64(len(b.DeadLetters)), b.Published, b.To-1, last.Epoch, last.Digest[:], b.Shard)
		if err != nil {
			return err
		}
	}
	return nil
}

// saveEvents writes events of the shard and the last version of their products,
// whose SKUs are free. key returns the key of the SKU of a product, and former has the
// keys of the SKUs that products had when they were deleted.
func saveEvents(ctx context.Context, tx *sql.Tx, shard int32, events []catalog.Event, key func(catalog.Product) string, former map[catalog.ID]string) error {
	products := eventlog.LastVersions(events)
	keys := slices.Collect(maps.Values(former))
	if err := execEach(ctx, tx, freeFormerKeys, keys, func(key string) ([]any, error) { return []any{key}, nil }); err != nil {
		return fmt.Errorf("write products: %w", err)
	}
	err := execEach(ctx, tx, upsertProduct, products, func(p catalog.Product) ([]any, error) {
		return productArgs(shard, p, key(p), former[p.ID])
	})
	if err != nil {
		return fmt.Errorf("write products: %w", err)
	}
	if err := execEach(ctx, tx, insertEvent, events, eventArgs); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}
