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
	k := eventlog.GroupState{Products: map[catalog.ID]catalog.Product{}, Settled: map[eventlog.ShardCommand]bool{}, LeftOut: map[int32]error{}}
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
		products, err := query(ctx, tx, scanProduct,
			"SELECT "+productColumns+" FROM products WHERE id IN (SELECT unhex(value) FROM json_each(?))", idList(ids))
		if err != nil {
			return k, fmt.Errorf("read products: %w", err)
		}
		for _, p := range products {
			k.Products[p.ID] = p
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
	k.SKUs, err = skuOwners(ctx, tx, g.SKUs())
	return k, err
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
		if err := saveEvents(ctx, tx, b.Shard, s.Events); err != nil {
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
// whose SKUs are free.
func saveEvents(ctx context.Context, tx *sql.Tx, shard int32, events []catalog.Event) error {
	products := eventlog.LastVersions(events)
	if err := execEach(ctx, tx, upsertProduct, products, func(p catalog.Product) ([]any, error) { return productArgs(shard, p) }); err != nil {
		return fmt.Errorf("write products: %w", err)
	}
	if err := execEach(ctx, tx, insertEvent, events, eventArgs); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}
