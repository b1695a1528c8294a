package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"catalog"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationsTable is the table in which goose records the migrations that ran.
const migrationsTable = "migrations"

// Migrate brings the tables of the database up to date, and the view
// product_fields. It may run concurrently: one call migrates, the others wait.
func Migrate(ctx context.Context, url string) error {
	conf, err := parseURL(url)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*conf.ConnConfig)
	defer db.Close()
	if err := db.PingContext(ctx); err != nil {
		return oneLine(cannotConnect(address(conf.ConnConfig), err))
	}
	p, err := provider(db)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if _, err = p.Up(ctx); err == nil {
		err = createFieldsView(ctx, db)
	}
	if err != nil {
		return oneLine(fmt.Errorf("migrate %s: %w", address(conf.ConnConfig), markUnavailable(err)))
	}
	return nil
}

func provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, goose.WithTableName(migrationsTable), goose.WithSessionLocker(schemaLock{}),
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
}

// schemaLock is the lock that migrations of one schema take. Unlike the lock of
// goose it waits in the server, so the next migration starts without polling.
type schemaLock struct{}

// lockKey is the SQL expression of the advisory lock of the current schema.
const lockKey = "hashtextextended('catalog ' || current_schema(), 0)"

// SessionLock implements goose's lock.SessionLocker.
func (schemaLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock("+lockKey+")")
	return err
}

// SessionUnlock implements goose's lock.SessionLocker.
func (schemaLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock("+lockKey+")")
	return err
}

// viewColumn is a column of the view product_fields.
type viewColumn struct{ name, expression string }

// fieldsViewColumns returns the columns of the view product_fields. The view has
// one column for each entry of catalog.Fields, so a new field needs no migration.
func fieldsViewColumns() []viewColumn {
	columns := []viewColumn{{"id", "id"}, {"shard", "shard"}, {"version", "version"}, {"deleted", "deleted"}}
	for _, f := range catalog.Fields {
		value := "data->'" + f.Name + "'"
		switch f.Kind {
		case catalog.KindMoney:
			columns = append(columns, viewColumn{f.Name, "(" + value + "->>'amount')::numeric"}, viewColumn{"currency", value + "->>'currency'"})
		case catalog.KindList:
			columns = append(columns, viewColumn{f.Name, "ARRAY(SELECT json_array_elements_text(" + value + "))"})
		case catalog.KindMap:
			columns = append(columns, viewColumn{f.Name, value})
		default:
			columns = append(columns, viewColumn{f.Name, "data->>'" + f.Name + "'"})
		}
	}
	return append(columns, viewColumn{"created_at", "created_at"}, viewColumn{"updated_at", "updated_at"})
}

// createFieldsView creates the view product_fields, with which operators read
// products. When its columns are not those of this version, it replaces the view.
func createFieldsView(ctx context.Context, db *sql.DB) error {
	var names, selected []string
	for _, c := range fieldsViewColumns() {
		names, selected = append(names, c.name), append(selected, c.expression+" AS "+c.name)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock("+lockKey+")"); err != nil {
		return err
	}
	var existing string
	err = tx.QueryRowContext(ctx, `SELECT coalesce(string_agg(column_name, ',' ORDER BY ordinal_position), '')
		FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = 'product_fields'`).Scan(&existing)
	if err != nil || existing == strings.Join(names, ",") {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DROP VIEW IF EXISTS product_fields"); err != nil {
		return fmt.Errorf("replace the view product_fields: %w; drop the views that use it, run catalog migrate again, then recreate them", err)
	}
	if _, err := tx.ExecContext(ctx, "CREATE VIEW product_fields AS SELECT "+strings.Join(selected, ", ")+" FROM products"); err != nil {
		return fmt.Errorf("create the view product_fields: %w", err)
	}
	return tx.Commit()
}

// checkMigrated returns an error when a migration of this version has not run.
// Newer migrations are accepted: they run before the processes that need them.
func (s *Store) checkMigrated(ctx context.Context) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	need, err := goose.NumericComponent(files[len(files)-1])
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

func cannotConnect(address string, err error) error {
	return fmt.Errorf("cannot connect to %s; start it, or set -postgres.url: %w", address, markUnavailable(err))
}
