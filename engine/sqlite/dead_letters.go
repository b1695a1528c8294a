package sqlite

import (
	"context"
	"fmt"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/wire"
)

const insertDeadLetter = `INSERT INTO dead_letters (shard, number, "offset", cause, at, size, payload) VALUES (?, ?, ?, ?, ?, ?, ?)`

// deadLetterArgs returns the arguments of insertDeadLetter.
func deadLetterArgs(d eventlog.DeadLetter) ([]any, error) {
	payload, err := wire.EncodeDeadLetter(d)
	if err != nil {
		return nil, fmt.Errorf("dead letter %s: %w", d.Position, err)
	}
	return []any{d.Shard, d.Seq, d.Offset, d.Cause, d.At.UnixMicro(), d.Size, payload}, nil
}

// DeadLetters returns the dead letters of the shard from a number on in order, at
// most limit of them.
func (s *Store) DeadLetters(ctx context.Context, shard int32, from int64, limit int) ([]eventlog.DeadLetter, error) {
	letters, err := query(ctx, s.db.read, func(row scanner) (eventlog.DeadLetter, error) {
		var payload []byte
		if err := row.Scan(&payload); err != nil {
			return eventlog.DeadLetter{}, err
		}
		return wire.DecodeDeadLetter(payload)
	}, "SELECT payload FROM dead_letters WHERE shard = ? AND number >= ? ORDER BY number LIMIT ?", shard, from, limit)
	if err != nil {
		return nil, fmt.Errorf("dead letters of shard %d from number %d: %w", shard, from, err)
	}
	return letters, nil
}

// ListDeadLetters returns dead letters without key, value and headers, newest
// first, at most limit of them. shard nil means all shards. after is the last
// position of the previous page; the zero position means the first page.
func (s *Store) ListDeadLetters(ctx context.Context, shard *int32, after catalog.Position, limit int) ([]eventlog.DeadLetter, error) {
	letters, err := query(ctx, s.db.read, func(row scanner) (d eventlog.DeadLetter, err error) {
		var at int64
		err = row.Scan(&d.Shard, &d.Seq, &d.Offset, &d.Cause, &at, &d.Size)
		d.At = wire.TruncateTime(time.UnixMicro(at))
		return d, err
	}, `
		SELECT shard, number, "offset", cause, at, size FROM dead_letters
		WHERE (?1 IS NULL OR shard = ?1)
			AND (?3 = 0 OR (at, shard, number) < (SELECT at, shard, number FROM dead_letters WHERE shard = ?2 AND number = ?3))
		ORDER BY at DESC, shard DESC, number DESC LIMIT ?4`, shard, after.Shard, after.Seq, limit)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return letters, nil
}
