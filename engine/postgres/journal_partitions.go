package postgres

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
)

// journalPartitionsVersion is the version of the migration that partitions the
// journal.
const journalPartitionsVersion = 2

const (
	// journalPartitions is the number of partitions of the journal. The shards are
	// distributed over them by a hash. ADR 50 has the measurements.
	journalPartitions = 16

	copyBatch = 10_000 // rows of one shard that one transaction of the migration copies

	// maxRowsUnderLock is the number of missing rows below which the journal is
	// locked to copy them, which takes some tens of milliseconds.
	maxRowsUnderLock = 2_000

	maxLocked = 2 * time.Second // a transaction that locks the journal for longer is rolled back and repeated

	maxCatchUps = 100 // attempts to come that close to the writers

	progressInterval = 2 * time.Second
)

var errLockedTooLong = fmt.Errorf("the last rows of the journal could not be copied within %s", maxLocked)

const journalColumns = "shard, seq, product, version, command, fingerprint, outcome, payload, actor, trace, accepted_at, settled_at"

// journalTable returns the statements that create the journal under a name. The
// names of constraints and indexes begin with that name.
//
// The columns are those of migration 1. A unique index of a partitioned table has
// to contain the column by which it is partitioned. That is enough: a product and
// its commands belong to one shard.
func journalTable(name string, partitioned bool) []string {
	shard, partitionBy := "", ""
	if partitioned {
		shard, partitionBy = ", shard", " PARTITION BY HASH (shard)"
	}
	statements := []string{`CREATE TABLE IF NOT EXISTS ` + name + ` (
		shard       integer NOT NULL,
		seq         bigint NOT NULL,
		product     uuid NOT NULL,
		version     bigint NOT NULL,
		command     uuid NOT NULL,
		fingerprint bytea NOT NULL,
		outcome     text NOT NULL,
		payload     bytea NOT NULL,
		actor       text NOT NULL,
		trace       text NOT NULL,
		accepted_at timestamptz NOT NULL,
		settled_at  timestamptz NOT NULL,
		CONSTRAINT ` + name + `_pkey PRIMARY KEY (shard, seq),
		CONSTRAINT ` + name + `_command UNIQUE (command` + shard + `)
	)` + partitionBy}
	if partitioned {
		for i := range journalPartitions {
			statements = append(statements, fmt.Sprintf("CREATE TABLE IF NOT EXISTS journal_p%02d PARTITION OF %s FOR VALUES WITH (MODULUS %d, REMAINDER %d)",
				i, name, journalPartitions, i))
		}
	}
	return append(statements, "CREATE UNIQUE INDEX IF NOT EXISTS "+name+"_version ON "+name+" (product, version"+shard+") WHERE outcome IN ('created', 'changed', 'deleted')")
}

// partitionJournal replaces the journal by a partitioned table with the same rows.
func (m *migrator) partitionJournal(ctx context.Context) error { return m.replaceJournal(ctx, true) }

// unpartitionJournal undoes partitionJournal.
func (m *migrator) unpartitionJournal(ctx context.Context) error { return m.replaceJournal(ctx, false) }

// replaceJournal replaces the table journal by one that is partitioned or not,
// while writers continue. It can be interrupted anywhere and called again.
//
// Rows are only ever appended to the journal, in the order of their seq, so the
// table journal_new needs no trigger: it is filled in small transactions, shard by
// shard. When it lacks only the rows of the last moment, one transaction locks the
// journal, copies these rows, and renames both tables. journal_old is dropped
// after its rows have been counted in the new table.
func (m *migrator) replaceJournal(ctx context.Context, partitioned bool) error {
	done, err := m.isPartitioned(ctx, "journal")
	if err != nil {
		return err
	}
	if done == nil {
		return fmt.Errorf("the table journal is missing")
	}
	if *done != partitioned {
		if err := m.fillNewJournal(ctx, partitioned); err != nil {
			return err
		}
	}
	old, err := m.isPartitioned(ctx, "journal_old")
	if err != nil || old == nil {
		return err
	}
	if err := m.compareJournals(ctx); err != nil {
		return err
	}
	m.report("the new journal has all rows; dropping the old table")
	return m.exec(ctx, "DROP TABLE journal_old", "ANALYZE journal")
}

// isPartitioned reports whether a table is partitioned. It returns nil for a table
// that does not exist.
func (m *migrator) isPartitioned(ctx context.Context, table string) (*bool, error) {
	var partitioned *bool
	err := m.db.QueryRowContext(ctx, "SELECT (SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass($1))", table).Scan(&partitioned)
	return partitioned, err
}

func (m *migrator) exec(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := m.db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// fillNewJournal creates and fills journal_new, and makes it the journal.
func (m *migrator) fillNewJournal(ctx context.Context, partitioned bool) error {
	switch leftover, err := m.isPartitioned(ctx, "journal_new"); {
	case err != nil:
		return err
	case leftover != nil && *leftover != partitioned: // leftover of an interrupted migration in the other direction
		if err := m.exec(ctx, "DROP TABLE journal_new"); err != nil {
			return err
		}
	}
	if err := m.exec(ctx, journalTable("journal_new", partitioned)...); err != nil {
		return err
	}
	return m.retryLocks(ctx, func() error {
		if err := m.catchUp(ctx); err != nil {
			return err
		}
		return m.switchJournals(ctx)
	})
}

// catchUp copies rows until journal_new lacks only a few.
func (m *migrator) catchUp(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		if err := m.copyJournal(ctx); err != nil {
			return err
		}
		behind, err := m.rowsBehind(ctx)
		switch {
		case err != nil, behind <= maxRowsUnderLock:
			return err
		case attempt == maxCatchUps:
			return fmt.Errorf("writers append rows faster than they can be copied (%d are missing); run catalog migrate again when there is less load: it continues", behind)
		}
	}
}

// copyJournal copies the rows that journal_new lacks, in transactions of at most
// copyBatch rows. It locks no row and no table against writers.
func (m *migrator) copyJournal(ctx context.Context) error {
	total, err := m.rowsBehind(ctx)
	if err != nil {
		return err
	}
	shards, err := m.shards(ctx)
	if err != nil {
		return err
	}
	var copied int64
	start := time.Now()
	next := start.Add(progressInterval)
	for _, shard := range shards {
		for {
			n, err := m.copyRows(ctx, shard)
			if err != nil {
				return fmt.Errorf("copy shard %d of the journal: %w", shard, err)
			}
			copied += n
			if time.Now().After(next) {
				next = time.Now().Add(progressInterval)
				m.report(fmt.Sprintf("journal: %d of %d rows copied, %.0f/s", copied, max(total, copied), float64(copied)/time.Since(start).Seconds()))
			}
			if n < copyBatch {
				break
			}
		}
	}
	return nil
}

// copyRows copies the next rows of a shard and returns their number.
func (m *migrator) copyRows(ctx context.Context, shard int32) (int64, error) {
	tx, err := m.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	// The commit of the transaction that renames the tables is on disk after those
	// of the copies.
	if _, err := tx.ExecContext(ctx, "SET LOCAL synchronous_commit = off"); err != nil {
		return 0, err
	}
	result, err := tx.ExecContext(ctx, copyNextRows, shard, copyBatch)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, err
	}
	return n, tx.Commit()
}

// copyNextRows copies rows of one shard. It names the shard, so that its plan
// does not depend on the statistics of the new table.
const copyNextRows = `
	INSERT INTO journal_new (` + journalColumns + `) SELECT ` + journalColumns + ` FROM journal
	WHERE shard = $1 AND seq > coalesce((SELECT seq FROM journal_new WHERE shard = $1 ORDER BY seq DESC LIMIT 1), 0)
	ORDER BY seq LIMIT $2`

// rowsBehind returns how many rows journal_new lacks. It is too high when the
// first rows of the journal were removed, and nothing has been copied.
func (m *migrator) rowsBehind(ctx context.Context) (n int64, err error) {
	err = m.db.QueryRowContext(ctx, `
		SELECT coalesce(sum(next_seq - 1 - coalesce((SELECT seq FROM journal_new n WHERE n.shard = s.shard ORDER BY seq DESC LIMIT 1), 0)), 0)::bigint
		FROM shards s`).Scan(&n)
	return n, err
}

// switchJournals locks the journal, copies the last rows and renames the tables.
// It gives up with a temporary error when the journal would be locked for longer
// than maxLocked.
func (m *migrator) switchJournals(ctx context.Context) error {
	shards, err := m.shards(ctx)
	if err != nil {
		return err
	}
	tx, err := m.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "LOCK TABLE journal IN ACCESS EXCLUSIVE MODE"); err != nil {
		return err
	}
	start := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, maxLocked, errLockedTooLong)
	defer cancel()
	for _, shard := range shards {
		result, err := tx.ExecContext(ctx, copyNextRows, shard, copyBatch)
		if err != nil {
			return cmp.Or(context.Cause(ctx), err)
		}
		if n, err := result.RowsAffected(); err != nil || n >= copyBatch { // there can be more rows
			return cmp.Or(err, errLockedTooLong)
		}
	}
	for _, rename := range [][2]string{{"journal", "journal_old"}, {"journal_new", "journal"}} {
		from, to := rename[0], rename[1]
		statements := []string{"ALTER TABLE " + from + " RENAME TO " + to}
		for _, index := range []string{"_pkey", "_command", "_version"} {
			statements = append(statements, "ALTER INDEX "+from+index+" RENAME TO "+to+index)
		}
		for _, s := range statements {
			if _, err := tx.ExecContext(ctx, s); err != nil {
				return cmp.Or(context.Cause(ctx), err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	m.report(fmt.Sprintf("the tables are switched; the journal was locked for %s", time.Since(start).Round(time.Millisecond)))
	return nil
}

// compareJournals returns an error unless the journal has all rows of journal_old.
func (m *migrator) compareJournals(ctx context.Context) error {
	shards, err := m.shards(ctx)
	if err != nil {
		return err
	}
	for _, shard := range shards {
		var before, after int64
		err := m.db.QueryRowContext(ctx, `
			SELECT (SELECT count(*) FROM journal_old WHERE shard = $1),
				(SELECT count(*) FROM journal WHERE shard = $1 AND seq <= (SELECT max(seq) FROM journal_old WHERE shard = $1))`, shard).Scan(&before, &after)
		if err != nil {
			return err
		}
		if before != after {
			return fmt.Errorf("shard %d has %d rows in journal_old and %d in journal; both tables are kept, and nothing is lost: compare them", shard, before, after)
		}
	}
	return nil
}

// shards returns the numbers of the shards.
func (m *migrator) shards(ctx context.Context) (shards []int32, err error) {
	rows, err := m.db.QueryContext(ctx, "SELECT shard FROM shards ORDER BY shard")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var shard int32
		if err := rows.Scan(&shard); err != nil {
			return nil, err
		}
		shards = append(shards, shard)
	}
	return shards, rows.Err()
}

// planJournalPartitions describes the migration.
func (m *migrator) planJournalPartitions(ctx context.Context) (string, error) {
	var rows int64
	var size string
	err := m.db.QueryRowContext(ctx, `
		SELECT coalesce((SELECT sum(next_seq - 1) FROM shards), 0)::bigint, pg_size_pretty(pg_total_relation_size('journal'))`).Scan(&rows, &size)
	if err != nil {
		return "", err
	}
	return strings.Join([]string{
		fmt.Sprintf("copy the journal (up to %d rows, %s) to a table of %d partitions, in transactions of %d rows", rows, size, journalPartitions, copyBatch),
		"writers and readers continue during the copy",
		fmt.Sprintf("then lock the journal, usually for less than 0.1 s, to copy its last rows and to rename both tables, at most %s; the wait for this lock is limited to %s an attempt; writers wait meanwhile", maxLocked, migrationLockTimeout),
		fmt.Sprintf("needs %s of free disk until the old table is dropped at the end", size),
	}, "; "), nil
}
