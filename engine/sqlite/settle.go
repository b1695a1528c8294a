package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
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

// Settle settles the batch, or a part of it, in one transaction. It returns the
// events and the offset that the shard has come to. It returns ErrFenced when the
// shard is in another state than b expects.
func (s *Store) Settle(ctx context.Context, b eventlog.Batch, now time.Time) (events []catalog.Event, to int64, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		st, err := scanState(tx.QueryRowContext(ctx, selectState, b.Shard))
		if err != nil {
			return err
		}
		if st.Epoch != b.Epoch || st.Offset != b.From || st.NextSeq != b.NextSeq || st.Stopped != "" {
			return catalog.ErrFenced
		}
		state, b, err := readBatchState(ctx, tx, b)
		if err != nil {
			return err
		}
		events, b = eventlog.Settle(b, state, wire.TruncateTime(now))
		failpoint.Here(failpoint.WriterDecided)
		if err := saveEvents(ctx, tx, b.Shard, state, events); err != nil {
			return err
		}
		if err := execEach(ctx, tx, insertDeadLetter, b.DeadLetters, deadLetterArgs); err != nil {
			return fmt.Errorf("write dead letters: %w", err)
		}
		last := b.RecordBefore(b.To)
		_, err = tx.ExecContext(ctx,
			`UPDATE shards SET "offset" = ?, next_seq = ?, next_dead_letter = ?, published = max(published, ?), last_offset = ?, last_epoch = ?, last_digest = ? WHERE shard = ?`,
			b.To, b.NextSeq+int64(len(events)), b.NextDeadLetter+int64(len(b.DeadLetters)), b.Published, b.To-1, last.Epoch, last.Digest[:], b.Shard)
		to = b.To
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("settle shard %d from offset %d: %w", b.Shard, b.From, err)
	}
	return events, to, nil
}

// readBatchState reads what eventlog.Settle needs. It returns the part of b whose
// products it has read.
func readBatchState(ctx context.Context, tx *sql.Tx, b eventlog.Batch) (eventlog.BatchState, eventlog.Batch, error) {
	k := eventlog.BatchState{Products: map[catalog.ID]catalog.Product{}, Settled: map[catalog.ID]bool{}}
	part, bytes := b, 0
	for ids := range slices.Chunk(b.Products(), productsPerRead) {
		if bytes >= eventlog.MaxBatchBytes {
			part = b.Before(ids[0])
			break
		}
		products, err := query(ctx, tx, scanProduct,
			"SELECT "+productColumns+" FROM products WHERE id IN (SELECT unhex(value) FROM json_each(?))", idList(ids))
		if err != nil {
			return k, b, fmt.Errorf("read products: %w", err)
		}
		for _, p := range products {
			k.Products[p.ID] = p
			bytes += p.Size()
		}
	}
	settled, err := query(ctx, tx, scanID,
		"SELECT command FROM journal WHERE command IN (SELECT unhex(value) FROM json_each(?))", idList(b.CommandIDs()))
	if err != nil {
		return k, b, fmt.Errorf("read commands: %w", err)
	}
	for _, id := range settled {
		k.Settled[id] = true
	}
	k.SKUs, err = skuOwners(ctx, tx, b.SKUs())
	return k, part, err
}

// skuOwners returns the products that have the SKUs, by SKU.
func skuOwners(ctx context.Context, q querier, skus []string) (map[string]catalog.ID, error) {
	owners := make(map[string]catalog.ID, len(skus))
	if len(skus) == 0 {
		return owners, nil
	}
	list, err := json.Marshal(skus)
	if err != nil {
		return nil, fmt.Errorf("read SKUs: %w", err)
	}
	type owner struct {
		sku string
		id  catalog.ID
	}
	rows, err := query(ctx, q, func(row scanner) (o owner, err error) {
		var id []byte
		err = row.Scan(&o.sku, &id)
		copy(o.id[:], id)
		return o, err
	}, "SELECT sku, id FROM products WHERE sku IN (SELECT value FROM json_each(?))", string(list))
	if err != nil {
		return nil, fmt.Errorf("read SKUs: %w", err)
	}
	for _, o := range rows {
		owners[o.sku] = o.id
	}
	return owners, nil
}

const freeSKUs = "UPDATE products SET sku = NULL WHERE id IN (SELECT unhex(value) FROM json_each(?))"

// saveEvents writes the events of the shard and the last version of their
// products. state has the products before the events.
func saveEvents(ctx context.Context, tx *sql.Tx, shard int32, state eventlog.BatchState, events []catalog.Event) error {
	products := eventlog.LastVersions(events)

	// An SKU that moves to another product must be free before its new owner is
	// written.
	if freed := state.FreedSKUs(products); len(freed) > 0 {
		if _, err := tx.ExecContext(ctx, freeSKUs, idList(freed)); err != nil {
			return fmt.Errorf("free SKUs: %w", err)
		}
	}
	if err := execEach(ctx, tx, upsertProduct, products, func(p catalog.Product) ([]any, error) { return productArgs(shard, p) }); err != nil {
		return fmt.Errorf("write products: %w", err)
	}
	if err := execEach(ctx, tx, insertEvent, events, eventArgs); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}
