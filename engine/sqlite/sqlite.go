// Package sqlite implements the store of the writer and the view of the reader in
// one SQLite file, for the system that runs in one process: [Store] stands in for
// package postgres, [View] for package mongo. It is the only importer of the
// driver.
//
// It promises that a settled batch is on disk when Settle returns. Writes of the
// view do not wait for the disk, because the view can be rebuilt from the store.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"

	"github.com/pressly/goose/v3"

	"catalog"
)

//go:embed migrations/*.sql
var migrations embed.FS

const readConns = 4 // connections for reads, which run while a transaction writes

// DB is an open database file. Only one process at a time may open it.
type DB struct {
	store *sql.DB // one connection that writes the store and waits for the disk
	view  *sql.DB // one connection that writes the view and does not wait
	read  *sql.DB // connections that only read

	// mu is held during a write transaction on store or view. SQLite allows one
	// writer and makes the second one poll; the mutex lets it wait instead.
	mu sync.Mutex

	clashes []catalog.ID
}

// Clashes returns the products whose SKU Open found to differ only in case from that of
// another product.
func (db *DB) Clashes() []catalog.ID { return db.clashes }

// Open opens the database in the file at path and migrates its tables. It creates
// the file if it does not exist; the folder must exist.
func Open(ctx context.Context, path string) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open SQLite file: %w", err)
	}
	db := &DB{
		store: connect(path, 1, "synchronous(FULL)", "cache_size(-16000)"),
		view:  connect(path, 1, "synchronous(NORMAL)", "cache_size(-8000)"),
		read:  connect(path, readConns, "query_only(1)"),
	}
	if err := db.migrate(ctx); err != nil {
		return nil, fmt.Errorf("open SQLite file %s: %w", path, errors.Join(err, db.Close()))
	}
	return db, nil
}

// connect returns a pool that opens its connections when they are used. SQLite
// keeps settings such as synchronous per connection, so they are in the address.
func connect(path string, connections int, pragmas ...string) *sql.DB {
	pragmas = append([]string{
		"busy_timeout(5000)", // in milliseconds; must come first, since the next pragmas can find the file locked
		"journal_mode(WAL)",
		"wal_autocheckpoint(4000)", // in pages: fewer pauses than with the default of 1,000
		"journal_size_limit(67108864)",
	}, pragmas...)
	q := url.Values{"_pragma": pragmas, "_txlock": {"immediate"}}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	db := sql.OpenDB(connector(dsn.String()))
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db
}

func (db *DB) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db.store, files, goose.WithTableName("migrations"),
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	if _, err = p.Up(ctx); err != nil {
		return err
	}
	db.clashes, err = setSKUKeys(ctx, db)
	return err
}

// Ping returns an error when the database cannot be read.
func (db *DB) Ping(ctx context.Context) error {
	var n int
	if err := db.read.QueryRowContext(ctx, "SELECT count(*) FROM shards").Scan(&n); err != nil {
		return fmt.Errorf("read SQLite file: %w", err)
	}
	return nil
}

// Close closes all connections. Closing the last one moves the write-ahead log
// into the file.
func (db *DB) Close() error {
	return errors.Join(db.read.Close(), db.view.Close(), db.store.Close())
}

// write runs f in one transaction on conn, which is db.store or db.view.
func (db *DB) write(ctx context.Context, conn *sql.DB, f func(*sql.Tx) error) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}
