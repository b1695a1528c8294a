package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"catalog"
	"catalog/eventlog"
)

// Topics answers which topics the store belongs to: at first those given.
func (s *Store) BindTopics(ctx context.Context, now eventlog.Topics) (was eventlog.Topics, err error) {
	read := func(name string, id *catalog.ID) error {
		got, err := scanID(s.db.read.QueryRowContext(ctx, "SELECT id FROM topics WHERE name = ?", name))
		if err == nil {
			*id = got
		}
		return err
	}
	if err := errors.Join(read("commands", &was.Commands), read("events", &was.Events)); err == nil {
		return was, nil
	} else if !errors.Is(err, sql.ErrNoRows) {
		return was, fmt.Errorf("read topics: %w", err)
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO topics (name, id) VALUES ('commands', ?), ('events', ?) ON CONFLICT DO NOTHING", now.Commands[:], now.Events[:])
		return err
	})
	if err != nil {
		return was, fmt.Errorf("write topics: %w", err)
	}
	return s.BindTopics(ctx, now) // another may have been first
}

// States answers the stored states of all shards, in order.
func (s *Store) States(ctx context.Context) ([]eventlog.ShardState, error) {
	states, err := query(ctx, s.db.read, scanState, "SELECT "+stateColumns+" FROM shards ORDER BY shard")
	if err != nil {
		return nil, fmt.Errorf("states of shards: %w", err)
	}
	return states, nil
}

// Reset makes the store belong to the topics and moves shards to offsets of the
// commands topic. Whoever owns a shard owns it no more.
func (s *Store) ResetShards(ctx context.Context, topics eventlog.Topics, offsets map[int32]int64) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO topics (name, id) VALUES ('commands', ?), ('events', ?) ON CONFLICT (name) DO UPDATE SET id = excluded.id",
			topics.Commands[:], topics.Events[:])
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE shards SET epoch = epoch + 1"); err != nil {
			return err
		}
		for shard, offset := range offsets {
			if _, err := tx.ExecContext(ctx, `UPDATE shards SET "offset" = ? WHERE shard = ?`, offset, shard); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reset offsets: %w", err)
	}
	return nil
}

// Restore puts events, in the order of shard and seq, behind those that the
// journal has, and products as they leave them: all or nothing. It is for a store
// that was set back. Whoever owns one of the shards owns it no more.
func (s *Store) AppendEvents(ctx context.Context, events []catalog.Event) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		products := eventlog.LastVersions(events)
		ids, byShard := make([]catalog.ID, len(products)), map[int32][]catalog.Event{}
		for i, p := range products {
			ids[i] = p.ID
		}
		for _, e := range events {
			byShard[e.Shard] = append(byShard[e.Shard], e)
		}
		// SKUs that change hands must be free before their next owners are written.
		if _, err := tx.ExecContext(ctx, "UPDATE products SET sku = NULL WHERE id IN (SELECT unhex(value) FROM json_each(?))", idList(ids)); err != nil {
			return err
		}
		for shard, part := range byShard {
			result, err := tx.ExecContext(ctx, "UPDATE shards SET epoch = epoch + 1, next_seq = ? WHERE shard = ? AND next_seq = ?",
				part[len(part)-1].Seq+1, shard, part[0].Seq)
			if err != nil {
				return err
			}
			if n, err := result.RowsAffected(); err != nil || n != 1 {
				return errors.Join(err, fmt.Errorf("%w: event %s does not come next", catalog.ErrFenced, part[0].Position))
			}
			if err := save(ctx, tx, shard, eventlog.BatchState{}, part); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("restore %d events: %w", len(events), err)
	}
	return nil
}
