package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	archivedVersion  = 3 // the migration that adds shards.archived
	positionsVersion = 4 // the migration that adds shards.stopped
)

// migrationsTable is the table in which goose records the migrations that ran.
const migrationsTable = "migrations"

const (
	// migrationLockTimeout limits each wait of a migration for a lock on a table
	// that writers use. While a migration waits, writers wait behind it.
	migrationLockTimeout = time.Second

	// maxLockAttempts limits the attempts to get such a lock. Between two attempts
	// writers continue.
	maxLockAttempts = 60

	minLockPause, maxLockPause = 100 * time.Millisecond, 10 * time.Second // pauses between two attempts

	// migrationStatementTimeout limits one statement of a migration, such as
	// counting the rows of a shard.
	migrationStatementTimeout = 10 * time.Minute
)

// Migrate brings the tables of the database up to date, the view product_fields, and the
// keys of SKUs that an earlier version of the writer has stored. It may run while services run, and concurrently: one call
// migrates, the others wait. An interrupted call is continued by the next one.
// report, which may be nil, is called with lines on the progress.
func Migrate(ctx context.Context, url string, report func(string)) error {
	return withMigrator(ctx, url, report, func(m *migrator) error {
		if err := m.retryLocks(ctx, func() error { _, err := m.provider.Up(ctx); return err }); err != nil {
			return err
		}
		if err := m.retryLocks(ctx, func() error { return createFieldsView(ctx, m.db) }); err != nil {
			return err
		}
		return m.setSKUKeys(ctx)
	})
}

// MigrateDown undoes the last migration and returns the version that the tables
// have then. It never undoes the first migration, which would drop all tables.
// Unless loseData is set, it refuses a step that would lose data.
func MigrateDown(ctx context.Context, url string, loseData bool, report func(string)) (version int64, err error) {
	err = withMigrator(ctx, url, report, func(m *migrator) error {
		current, err := m.provider.GetDBVersion(ctx)
		if err != nil {
			return err
		}
		if current <= 1 {
			return fmt.Errorf("the tables are at version %d, and there is no older one; to remove all data, drop the database", current)
		}
		if current > m.latest() {
			return fmt.Errorf("the tables are at version %d, which this program does not know; undo it with the program that made it", current)
		}
		if lost, err := m.lostByDown(ctx, current); err != nil {
			return err
		} else if lost != "" && !loseData {
			return fmt.Errorf("undoing version %d loses data: %s", current, lost)
		}
		if err := m.retryLocks(ctx, func() error { _, err := m.provider.Down(ctx); return err }); err != nil {
			return err
		}
		version, err = m.provider.GetDBVersion(ctx)
		return err
	})
	return version, err
}

// MigrationStep is a migration that has not run.
type MigrationStep struct {
	Version int64
	Plan    string // work of the step, and the locks that it takes and for how long
}

// PendingMigrations returns the version of the tables, 0 if there are none, and
// the migrations that Migrate would run. It changes nothing.
func PendingMigrations(ctx context.Context, url string) (version int64, steps []MigrationStep, err error) {
	err = withMigrator(ctx, url, nil, func(m *migrator) error {
		var exists bool
		if err := m.db.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", migrationsTable).Scan(&exists); err != nil {
			return err
		}
		if exists { // goose would create the table
			if err := m.db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM "+migrationsTable+" WHERE is_applied").Scan(&version); err != nil {
				return err
			}
		}
		for _, source := range m.provider.ListSources() {
			if source.Version <= version {
				continue
			}
			plan, err := m.plan(ctx, source.Version, version == 0)
			if err != nil {
				return err
			}
			steps = append(steps, MigrationStep{source.Version, plan})
		}
		return nil
	})
	return version, steps, err
}

// migrator migrates one database.
type migrator struct {
	db       *sql.DB
	provider *goose.Provider
	report   func(string)
}

// withMigrator connects to the database and calls do. An error is one line that
// names the database.
func withMigrator(ctx context.Context, url string, report func(string), do func(*migrator) error) error {
	conf, err := parseURL(url)
	if err != nil {
		return err
	}
	for name, value := range map[string]time.Duration{"lock_timeout": migrationLockTimeout, "statement_timeout": migrationStatementTimeout} {
		conf.ConnConfig.RuntimeParams[name] = fmt.Sprint(value.Milliseconds())
	}
	if report == nil {
		report = func(string) {}
	}
	db := stdlib.OpenDB(*conf.ConnConfig)
	defer db.Close()
	if err := db.PingContext(ctx); err != nil {
		return oneLine(cannotConnect(address(conf.ConnConfig), err))
	}
	m := &migrator{db: db, report: report}
	if m.provider, err = m.newProvider(); err == nil {
		err = do(m)
	}
	if err != nil {
		return oneLine(fmt.Errorf("migrate %s: %w", address(conf.ConnConfig), markUnavailable(err)))
	}
	return nil
}

func (m *migrator) newProvider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, m.db, files, goose.WithTableName(migrationsTable), goose.WithSessionLocker(schemaLock{m.report}),
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)),
		goose.WithGoMigrations(goose.NewGoMigration(journalPartitionsVersion,
			&goose.GoFunc{RunDB: func(ctx context.Context, _ *sql.DB) error { return m.partitionJournal(ctx) }},
			&goose.GoFunc{RunDB: func(ctx context.Context, _ *sql.DB) error { return m.unpartitionJournal(ctx) }})))
}

// latest returns the version of the tables after Migrate.
func (m *migrator) latest() int64 {
	sources := m.provider.ListSources()
	return sources[len(sources)-1].Version
}

// plan describes what a migration will do. empty means that there are no tables.
func (m *migrator) plan(ctx context.Context, version int64, empty bool) (string, error) {
	switch {
	case version == 1:
		return "create the tables", nil
	case empty:
		return "change the empty tables", nil
	case version == journalPartitionsVersion:
		return m.planJournalPartitions(ctx)
	case version == skuKeysVersion:
		return "add two columns to the products and build their indexes while writers continue; " +
			"then set the key of each SKU in statements of 1,000 products, which writes each product once more; " +
			"products whose SKUs differ only in case stay as they are and are listed", nil
	}
	return "change the definition of a table, without reading its rows; locks the table for some milliseconds", nil
}

// lostByDown describes the data that are lost when the migration is undone, or
// returns "".
func (m *migrator) lostByDown(ctx context.Context, version int64) (lost string, err error) {
	var query string
	switch version {
	case archivedVersion:
		query = "SELECT CASE WHEN max(archived) > 0 THEN 'which events of the journal are archived; programs would take them for missing' ELSE '' END FROM shards"
	case positionsVersion:
		query = "SELECT CASE WHEN max(stopped) > '' THEN 'which shards are stopped; programs would skip commands that were accepted' ELSE '' END FROM shards"
	case skuKeysVersion:
		query = "SELECT CASE WHEN count(former_key) > 0 THEN 'the SKUs of deleted products; a product that is created with one of them would not get its past prices' ELSE '' END FROM products"
	default:
		return "", nil
	}
	err = m.db.QueryRowContext(ctx, query).Scan(&lost)
	return lost, err
}

// retryLocks calls do, and again after a pause while it fails because a lock is
// not available.
func (m *migrator) retryLocks(ctx context.Context, do func() error) error {
	pause := minLockPause
	for attempt := 1; ; attempt++ {
		err := do()
		var pgErr *pgconn.PgError
		temporary := errors.Is(err, errLockedTooLong) || errors.As(err, &pgErr) && (pgErr.Code == lockNotAvailable || pgErr.Code == deadlockDetected)
		if !temporary {
			return err
		}
		holders := m.lockHolders(ctx)
		if attempt == maxLockAttempts {
			return fmt.Errorf("no lock after %d attempts; end the transactions that hold it (%s) and run catalog migrate again, which continues: %w", attempt, holders, err)
		}
		m.report(fmt.Sprintf("%v; %s; writers continue, next attempt in %s", err, holders, pause))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(2*pause, maxLockPause)
	}
}

// lockHolders names the oldest transactions that hold locks on tables of the
// schema, for people.
func (m *migrator) lockHolders(ctx context.Context) string {
	var holders string
	err := m.db.QueryRowContext(ctx, `
		SELECT coalesce(string_agg(format('process %s of %s, in a transaction for %s s', pid, application_name, extract(epoch FROM age)::integer), '; '), 'none is left')
		FROM (SELECT pid, application_name, now() - xact_start AS age FROM pg_stat_activity a
			WHERE pid <> pg_backend_pid() AND xact_start IS NOT NULL AND EXISTS (SELECT FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
				WHERE l.pid = a.pid AND l.granted AND c.relnamespace = current_schema()::regnamespace)
			ORDER BY xact_start LIMIT 3) AS oldest`).Scan(&holders)
	if err != nil {
		return "its holders cannot be listed"
	}
	return "held by: " + holders
}

// schemaLock is the lock that migrations of one schema take. Unlike the lock of
// goose it waits in the server, so the next migration starts without polling.
type schemaLock struct{ report func(string) }

// lockKey is the SQL expression of the advisory lock of the current schema.
const lockKey = "hashtextextended('catalog ' || current_schema(), 0)"

// SessionLock implements goose's lock.SessionLocker. Another migration can take
// hours, so the wait has no time limit but that of ctx.
func (l schemaLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	var locked bool
	if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock("+lockKey+")").Scan(&locked); err != nil || locked {
		return err
	}
	l.report("another process migrates these tables; waiting until it has ended")
	for _, statement := range []string{
		"SET lock_timeout = 0; SET statement_timeout = 0", "SELECT pg_advisory_lock(" + lockKey + ")", "RESET lock_timeout; RESET statement_timeout",
	} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// SessionUnlock implements goose's lock.SessionLocker.
func (schemaLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock("+lockKey+")")
	return err
}

// checkMigrated returns an error when a migration of this version has not run.
// Newer migrations are accepted: they run before the processes that need them.
func (s *Store) checkMigrated(ctx context.Context) error {
	need, err := latestMigration()
	if err != nil {
		return err
	}
	var have int64
	err = s.pool.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM "+migrationsTable+" WHERE is_applied").Scan(&have)
	var pgErr *pgconn.PgError
	switch {
	case errors.As(err, &pgErr) && pgErr.Code == undefinedTable:
	case err != nil:
		return cannotConnect(s.address(), err)
	}
	if have < need {
		return fmt.Errorf("%s: the tables are at version %d, but this program needs version %d; run catalog migrate", s.address(), have, need)
	}
	return nil
}

// latestMigration returns the version of the last migration.
func latestMigration() (int64, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, err
	}
	last, err := goose.NumericComponent(slices.Max(files))
	return max(last, journalPartitionsVersion), err
}

func cannotConnect(address string, err error) error {
	return fmt.Errorf("cannot connect to %s; start it, or set -postgres.url: %w", address, markUnavailable(err))
}
