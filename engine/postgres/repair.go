package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"catalog"
	"catalog/eventlog"
)

// Topics answers which topics the store belongs to: at first those given.
func (s *Store) BindTopics(ctx context.Context, now eventlog.Topics) (was eventlog.Topics, err error) {
	was = now
	rows, err := s.pool.Query(ctx, "SELECT name, id FROM topics")
	if err != nil {
		return was, fmt.Errorf("read topics: %w", reach(err))
	}
	n, name, id := 0, "", [16]byte{}
	_, err = pgx.ForEachRow(rows, []any{&name, &id}, func() error {
		n++
		switch name {
		case "commands":
			was.Commands = id
		case "events":
			was.Events = id
		}
		return nil
	})
	if err != nil {
		return was, fmt.Errorf("read topics: %w", reach(err))
	}
	if n == 2 {
		return was, nil
	}
	_, err = s.pool.Exec(ctx, "INSERT INTO topics (name, id) VALUES ('commands', $1), ('events', $2) ON CONFLICT DO NOTHING",
		[16]byte(now.Commands), [16]byte(now.Events))
	if err != nil {
		return was, fmt.Errorf("write topics: %w", reach(err))
	}
	return s.BindTopics(ctx, now) // another may have been first
}

// States answers the stored states of all shards, in order.
func (s *Store) States(ctx context.Context) ([]eventlog.ShardState, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+stateColumns+" FROM shards ORDER BY shard")
	if err != nil {
		return nil, fmt.Errorf("states of shards: %w", reach(err))
	}
	states, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (eventlog.ShardState, error) { return scanState(row) })
	if err != nil {
		return nil, fmt.Errorf("states of shards: %w", reach(err))
	}
	return states, nil
}

// Reset makes the store belong to the topics and moves shards to offsets of the
// commands topic. Whoever owns a shard owns it no more.
func (s *Store) ResetShards(ctx context.Context, topics eventlog.Topics, offsets map[int32]int64) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO topics (name, id) VALUES ('commands', $1), ('events', $2) ON CONFLICT (name) DO UPDATE SET id = excluded.id",
			[16]byte(topics.Commands), [16]byte(topics.Events))
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE shards SET epoch = epoch + 1"); err != nil {
			return err
		}
		for shard, offset := range offsets {
			if _, err := tx.Exec(ctx, `UPDATE shards SET "offset" = $2 WHERE shard = $1`, shard, offset); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reset offsets: %w", reach(err))
	}
	return nil
}

// Restore puts events, in the order of shard and seq, behind those that the
// journal has, and products as they leave them: all or nothing. It is for a store
// that was set back. Whoever owns one of the shards owns it no more.
func (s *Store) AppendEvents(ctx context.Context, events []catalog.Event) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var batch pgx.Batch
		products := eventlog.LastVersions(events)
		ids, shards := make([]catalog.ID, len(products)), make(map[catalog.ID]int32, len(products))
		for i, p := range products {
			ids[i] = p.ID
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
				return fmt.Errorf("%w: event %s does not come next", catalog.ErrFenced, part[0].Position)
			}
			if err := queueEvents(&batch, part); err != nil {
				return err
			}
			from = to
		}
		// SKUs that change hands must be free before their next owners are written.
		batch.Queue("UPDATE products SET sku = NULL WHERE id = ANY($1)", uuids(ids))
		byShard := map[int32][]catalog.Product{}
		for _, p := range products {
			byShard[shards[p.ID]] = append(byShard[shards[p.ID]], p)
		}
		for shard, products := range byShard {
			if err := queueProducts(&batch, tx.Conn().TypeMap(), shard, products); err != nil {
				return err
			}
		}
		return tx.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		return fmt.Errorf("restore %d events: %w", len(events), reach(err))
	}
	return nil
}
