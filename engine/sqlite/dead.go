package sqlite

import (
	"context"
	"fmt"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/wire"
)

const addDead = `INSERT INTO dead (shard, number, "offset", cause, at, size, payload) VALUES (?, ?, ?, ?, ?, ?, ?)`

// deadValues are the values of addDead.
func deadValues(d eventlog.DeadLetter) ([]any, error) {
	payload, err := wire.EncodeDeadLetter(d)
	if err != nil {
		return nil, fmt.Errorf("dead letter %s: %w", d.Position, err)
	}
	return []any{d.Shard, d.Seq, d.Offset, d.Cause, d.At.UnixMicro(), d.Size, payload}, nil
}

// Dead answers a range of the shard's dead letters.
func (s *Store) DeadLetters(ctx context.Context, shard int32, from int64, limit int) ([]eventlog.DeadLetter, error) {
	letters, err := query(ctx, s.db.read, func(row scanner) (eventlog.DeadLetter, error) {
		var payload []byte
		if err := row.Scan(&payload); err != nil {
			return eventlog.DeadLetter{}, err
		}
		return wire.DecodeDeadLetter(payload)
	}, "SELECT payload FROM dead WHERE shard = ? AND number >= ? ORDER BY number LIMIT ?", shard, from, limit)
	if err != nil {
		return nil, fmt.Errorf("dead letters of shard %d from %d: %w", shard, from, err)
	}
	return letters, nil
}

// ListDead answers dead letters, newest first.
func (s *Store) ListDeadLetters(ctx context.Context, shard *int32, after catalog.Position, limit int) ([]eventlog.DeadLetter, error) {
	letters, err := query(ctx, s.db.read, func(row scanner) (d eventlog.DeadLetter, err error) {
		var at int64
		err = row.Scan(&d.Shard, &d.Seq, &d.Offset, &d.Cause, &at, &d.Size)
		d.At = wire.TruncateTime(time.UnixMicro(at))
		return d, err
	}, `
		SELECT shard, number, "offset", cause, at, size FROM dead
		WHERE (?1 IS NULL OR shard = ?1)
			AND (?3 = 0 OR (at, shard, number) < (SELECT at, shard, number FROM dead WHERE shard = ?2 AND number = ?3))
		ORDER BY at DESC, shard DESC, number DESC LIMIT ?4`, shard, after.Shard, after.Seq, limit)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return letters, nil
}
