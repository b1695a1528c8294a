package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"catalog"
	"catalog/eventlog"
)

// BindTopics returns the topics to which the store belongs. The first call binds
// the store to the given topics.
func (s *Store) BindTopics(ctx context.Context, topics eventlog.Topics) (bound eventlog.Topics, err error) {
	read := func(name string, id *catalog.ID) error {
		got, err := scanID(s.db.read.QueryRowContext(ctx, "SELECT id FROM topics WHERE name = ?", name))
		if err == nil {
			*id = got
		}
		return err
	}
	if err := errors.Join(read("commands", &bound.Commands), read("events", &bound.Events)); err == nil {
		return bound, nil
	} else if !errors.Is(err, sql.ErrNoRows) {
		return bound, fmt.Errorf("read topics: %w", err)
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO topics (name, id) VALUES ('commands', ?), ('events', ?) ON CONFLICT DO NOTHING", topics.Commands[:], topics.Events[:])
		return err
	})
	if err != nil {
		return bound, fmt.Errorf("write topics: %w", err)
	}
	return s.BindTopics(ctx, topics) // a concurrent call may have been first
}

// ResetShards binds the store to the topics and changes the shards in resets. It
// fences the owners of all shards and lets stopped shards continue.
func (s *Store) ResetShards(ctx context.Context, topics eventlog.Topics, resets map[int32]eventlog.ShardReset) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO topics (name, id) VALUES ('commands', ?), ('events', ?) ON CONFLICT (name) DO UPDATE SET id = excluded.id",
			topics.Commands[:], topics.Events[:])
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE shards SET epoch = epoch + 1, stopped = ''"); err != nil {
			return err
		}
		for shard, r := range resets {
			_, err := tx.ExecContext(ctx, `UPDATE shards SET "offset" = coalesce(?1, "offset"), events_from = coalesce(?2, events_from),
				last_digest = CASE WHEN ?1 IS NULL THEN last_digest ELSE x'' END WHERE shard = ?3`, r.Offset, r.EventsFrom, shard)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reset shards: %w", err)
	}
	return nil
}

// AppendEvents appends events, ordered by shard and seq, to the journal and
// writes the last version of their products, in one transaction. It is for a
// store that was restored from a backup and lacks events that are in the topic.
// It fences the owners of the shards.
func (s *Store) AppendEvents(ctx context.Context, events []catalog.Event) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		products := eventlog.LastVersions(events)
		ids, byShard := make([]catalog.ID, len(products)), map[int32][]catalog.Event{}
		for i, p := range products {
			ids[i] = p.ID
		}
		before := eventlog.GroupState{Products: map[catalog.ID]catalog.Product{}}
		stored, err := query(ctx, tx, scanProduct, "SELECT "+productColumns+" FROM products WHERE id IN (SELECT unhex(value) FROM json_each(?))", idList(ids))
		if err != nil {
			return err
		}
		for _, p := range stored {
			before.Products[p.ID] = p
		}
		noKey := func(catalog.Product) string { return "" }
		for _, e := range events {
			byShard[e.Shard] = append(byShard[e.Shard], e)
		}
		// SKUs that move to other products must be free before their new owners are
		// written.
		if _, err := tx.ExecContext(ctx, freeSKUs, idList(ids)); err != nil {
			return err
		}
		for shard, part := range byShard {
			result, err := tx.ExecContext(ctx, "UPDATE shards SET epoch = epoch + 1, next_seq = ? WHERE shard = ? AND next_seq = ?",
				part[len(part)-1].Seq+1, shard, part[0].Seq)
			if err != nil {
				return err
			}
			if n, err := result.RowsAffected(); err != nil || n != 1 {
				return errors.Join(err, fmt.Errorf("%w: event %s is not the next one of its shard", catalog.ErrFenced, part[0].Position))
			}
			if err := saveEvents(ctx, tx, shard, part, noKey, before.FormerKeys(part)); err != nil {
				return err
			}
		}
		// An earlier version may have made events with SKUs that differ only in case.
		_, err = setKeys(ctx, tx, products)
		return err
	})
	if err != nil {
		return fmt.Errorf("append %d events: %w", len(events), err)
	}
	return nil
}
