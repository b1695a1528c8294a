package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/wire"
)

// queueDeadLetters queues one statement for each dead letter. They are rare, and
// all statements share the round trip of the batch.
func queueDeadLetters(batch *pgx.Batch, letters []eventlog.DeadLetter) error {
	for _, d := range letters {
		payload, err := wire.EncodeDeadLetter(d)
		if err != nil {
			return fmt.Errorf("dead letter %s: %w", d.Position, err)
		}
		batch.Queue(`INSERT INTO dead_letters (shard, number, "offset", cause, at, size, payload) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			d.Shard, d.Seq, d.Offset, d.Cause, d.At, d.Size, payload)
	}
	return nil
}

// DeadLetters returns the dead letters of the shard from a number on in order, at
// most limit of them.
func (s *Store) DeadLetters(ctx context.Context, shard int32, from int64, limit int) ([]eventlog.DeadLetter, error) {
	letters, err := s.queryDeadLetters(ctx, func(row pgx.CollectableRow) (eventlog.DeadLetter, error) {
		var payload []byte
		if err := row.Scan(&payload); err != nil {
			return eventlog.DeadLetter{}, err
		}
		return wire.DecodeDeadLetter(payload)
	}, "SELECT payload FROM dead_letters WHERE shard = $1 AND number >= $2 ORDER BY number LIMIT $3", shard, from, limit)
	if err != nil {
		return nil, fmt.Errorf("dead letters of shard %d from number %d: %w", shard, from, markUnavailable(err))
	}
	return letters, nil
}

// ListDeadLetters returns dead letters without key, value and headers, newest
// first, at most limit of them. shard nil means all shards. after is the last
// position of the previous page; the zero position means the first page.
func (s *Store) ListDeadLetters(ctx context.Context, shard *int32, after catalog.Position, limit int) ([]eventlog.DeadLetter, error) {
	letters, err := s.queryDeadLetters(ctx, func(row pgx.CollectableRow) (d eventlog.DeadLetter, err error) {
		var at time.Time
		err = row.Scan(&d.Shard, &d.Seq, &d.Offset, &d.Cause, &at, &d.Size)
		d.At = wire.TruncateTime(at)
		return d, err
	}, `
		SELECT shard, number, "offset", cause, at, size FROM dead_letters
		WHERE ($1::integer IS NULL OR shard = $1)
			AND ($3 = 0 OR (at, shard, number) < (SELECT at, shard, number FROM dead_letters WHERE shard = $2 AND number = $3))
		ORDER BY at DESC, shard DESC, number DESC LIMIT $4`, shard, after.Shard, after.Seq, limit)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", markUnavailable(err))
	}
	return letters, nil
}

func (s *Store) queryDeadLetters(ctx context.Context, scan pgx.RowToFunc[eventlog.DeadLetter], statement string, args ...any) ([]eventlog.DeadLetter, error) {
	rows, err := s.pool.Query(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}
