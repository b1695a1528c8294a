package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Archivable returns the seq up to which the events of the shard were settled
// before the time, are in the events topic, and are not archived yet. It returns
// the last archived seq when there is no such event.
func (s *Store) Archivable(ctx context.Context, shard int32, before time.Time) (int64, error) {
	st, err := s.State(ctx, shard)
	if err != nil {
		return 0, err
	}
	// Later events were settled later, but for differences between the clocks of
	// writers, so the limit is found by bisection.
	low, high := st.Archived, st.Published
	for low < high {
		middle := low + (high-low+1)/2
		var settled time.Time
		err := s.pool.QueryRow(ctx, "SELECT settled_at FROM journal WHERE shard = $1 AND seq = $2", shard, middle).Scan(&settled)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return 0, fmt.Errorf("archivable events of shard %d: event %d is missing in the journal", shard, middle)
		case err != nil:
			return 0, fmt.Errorf("archivable events of shard %d: %w", shard, markUnavailable(err))
		case settled.Before(before):
			low = middle
		default:
			high = middle - 1
		}
	}
	return low, nil
}

// RemoveEvents removes the next events of the shard up to seq to, at most limit of
// them, in one transaction, and returns the last archived seq. It returns an error
// for events that may not be in the events topic.
func (s *Store) RemoveEvents(ctx context.Context, shard int32, to int64, limit int) (archived int64, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		st, err := scanState(tx.QueryRow(ctx, "SELECT "+stateColumns+" FROM shards WHERE shard = $1", shard))
		if err != nil {
			return err
		}
		if archived, err = st.ArchiveUpTo(to, limit); err != nil || archived == st.Archived {
			return err
		}
		// The writer's row is locked last, for the time of a commit.
		if _, err := tx.Exec(ctx, "DELETE FROM journal WHERE shard = $1 AND seq > $2 AND seq <= $3", shard, st.Archived, archived); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE shards SET archived = greatest(archived, $2) WHERE shard = $1", shard, archived)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("remove events of shard %d: %w", shard, markUnavailable(err))
	}
	return archived, nil
}
