package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Archivable returns the seq up to which the events of the shard were settled
// before the time, are in the events topic, and are not archived yet. It returns
// the last archived seq when there is no such event.
func (s *Store) Archivable(ctx context.Context, shard int32, before time.Time) (int64, error) {
	st, err := s.State(ctx, shard)
	if err != nil {
		return 0, err
	}
	var to int64
	err = s.db.read.QueryRowContext(ctx, `
		SELECT coalesce((SELECT seq - 1 FROM journal WHERE shard = ?1 AND seq BETWEEN ?2 AND ?3 AND settled_at >= ?4 ORDER BY seq LIMIT 1), ?3)`,
		shard, st.Archived+1, st.Published, before.UnixMicro()).Scan(&to)
	if err != nil {
		return 0, fmt.Errorf("archivable events of shard %d: %w", shard, err)
	}
	return max(to, st.Archived), nil
}

// RemoveEvents removes the next events of the shard up to seq to, at most limit of
// them, in one transaction, and returns the last archived seq. It returns an error
// for events that may not be in the events topic.
func (s *Store) RemoveEvents(ctx context.Context, shard int32, to int64, limit int) (archived int64, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		st, err := scanState(tx.QueryRowContext(ctx, selectState, shard))
		if err != nil {
			return err
		}
		if archived, err = st.ArchiveUpTo(to, limit); err != nil || archived == st.Archived {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM journal WHERE shard = ? AND seq <= ?", shard, archived); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE shards SET archived = ? WHERE shard = ?", archived, shard)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("remove events of shard %d: %w", shard, err)
	}
	return archived, nil
}
