package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"catalog"
	"catalog/eventlog"
)

// BindTopics returns the topics to which the store belongs. The first call binds
// the store to the given topics.
func (s *Store) BindTopics(ctx context.Context, topics eventlog.Topics) (bound eventlog.Topics, err error) {
	bound = topics
	rows, err := s.pool.Query(ctx, "SELECT name, id FROM topics")
	if err != nil {
		return bound, fmt.Errorf("read topics: %w", markUnavailable(err))
	}
	n, name, id := 0, "", [16]byte{}
	_, err = pgx.ForEachRow(rows, []any{&name, &id}, func() error {
		n++
		switch name {
		case "commands":
			bound.Commands = id
		case "events":
			bound.Events = id
		}
		return nil
	})
	if err != nil {
		return bound, fmt.Errorf("read topics: %w", markUnavailable(err))
	}
	if n == 2 {
		return bound, nil
	}
	_, err = s.pool.Exec(ctx, "INSERT INTO topics (name, id) VALUES ('commands', $1), ('events', $2) ON CONFLICT DO NOTHING",
		[16]byte(topics.Commands), [16]byte(topics.Events))
	if err != nil {
		return bound, fmt.Errorf("write topics: %w", markUnavailable(err))
	}
	return s.BindTopics(ctx, topics) // a concurrent call may have been first
}

// ResetShards binds the store to the topics and changes the shards in resets. It
// fences the owners of all shards and lets stopped shards continue.
func (s *Store) ResetShards(ctx context.Context, topics eventlog.Topics, resets map[int32]eventlog.ShardReset) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO topics (name, id) VALUES ('commands', $1), ('events', $2) ON CONFLICT (name) DO UPDATE SET id = excluded.id",
			[16]byte(topics.Commands), [16]byte(topics.Events))
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE shards SET epoch = epoch + 1, stopped = ''"); err != nil {
			return err
		}
		for shard, r := range resets {
			_, err := tx.Exec(ctx, `UPDATE shards SET "offset" = coalesce($2::bigint, "offset"), events_from = coalesce($3::bigint, events_from),
				last_digest = CASE WHEN $2::bigint IS NULL THEN last_digest ELSE '' END WHERE shard = $1`, shard, r.Offset, r.EventsFrom)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reset shards: %w", markUnavailable(err))
	}
	return nil
}

// AppendEvents appends events, ordered by shard and seq, to the journal and
// writes the last version of their products, in one transaction. It is for a
// store that was restored from a backup and lacks events that are in the topic.
// It fences the owners of the shards.
func (s *Store) AppendEvents(ctx context.Context, events []catalog.Event) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var batch pgx.Batch
		products := eventlog.LastVersions(events)
		ids, shards := make([]catalog.ID, len(products)), make(map[catalog.ID]int32, len(products))
		for i, p := range products {
			ids[i] = p.ID
		}
		before, err := readProducts(ctx, tx, ids)
		if err != nil {
			return err
		}
		for from := 0; from < len(events); {
			shard, to := events[from].Shard, from
			for to < len(events) && events[to].Shard == shard {
				shards[events[to].Product.ID] = shard
				to++
			}
			part := events[from:to]
			tag, err := tx.Exec(ctx, "UPDATE shards SET epoch = epoch + 1, next_seq = $3 WHERE shard = $1 AND next_seq = $2",
				shard, part[0].Seq, part[len(part)-1].Seq+1)
			if err != nil {
				return err
			}
			if tag.RowsAffected() != 1 {
				return fmt.Errorf("%w: event %s is not the next one of its shard", catalog.ErrFenced, part[0].Position)
			}
			if err := queueEvents(&batch, part); err != nil {
				return err
			}
			from = to
		}
		// SKUs that move to other products must be free before their new owners are
		// written.
		batch.Queue(freeSKUs, uuids(ids))
		rows, former := make([]shardProduct, len(products)), before.FormerKeys(events)
		for i, p := range products {
			rows[i] = shardProduct{Product: p, shard: shards[p.ID], formerKey: former[p.ID]}
		}
		if err := queueProducts(&batch, rows); err != nil {
			return err
		}
		// An earlier version may have made events with SKUs that differ only in case.
		keys := missingKeysOf(products)
		batch.Queue(setKeys, keys.ids, keys.skus, keys.keys)
		return tx.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		return fmt.Errorf("append %d events: %w", len(events), markUnavailable(err))
	}
	return nil
}

// readProducts returns the stored products with the ids.
func readProducts(ctx context.Context, tx pgx.Tx, ids []catalog.ID) (eventlog.GroupState, error) {
	k := eventlog.GroupState{Products: map[catalog.ID]catalog.Product{}}
	rows, err := tx.Query(ctx, "SELECT "+productColumns+" FROM products WHERE id = ANY($1)", uuids(ids))
	if err != nil {
		return k, err
	}
	defer rows.Close()
	for rows.Next() {
		p, err := scanProduct(rows)
		if err != nil {
			return k, err
		}
		k.Products[p.ID] = p
	}
	return k, rows.Err()
}
