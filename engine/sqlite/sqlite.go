// Package sqlite keeps the truth and the view in one SQLite file, for the
// system that runs in one process: [Store] is what package postgres is in
// production, [View] what package mongo is.
//
// It is the only importer of the driver. It promises that a batch that was
// settled is on the disk; the view is written without waiting for the disk,
// because it can be projected again.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// DB is an open database file. One process at a time may have it open.
type DB struct {
	truth *sql.DB // the one connection that writes the truth and waits for the disk
	view  *sql.DB // the one connection that writes the view and does not
	read  *sql.DB // connections that only read, at the same time as the others write

	// lock is held by a writing transaction on truth or view. SQLite has one
	// writer at a time and lets the second poll; a mutex gives each its turn.
	lock sync.Mutex
}

// Open opens the database in the file at path and brings its tables up to
// date. Where there is no file it makes one; the folder must be there.
func Open(ctx context.Context, path string) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open sqlite: %w", err)
	}
	db := &DB{
		truth: connect(path, 1, "synchronous(FULL)", "cache_size(-16000)"),
		view:  connect(path, 1, "synchronous(NORMAL)", "cache_size(-8000)"),
		read:  connect(path, 4, "query_only(1)"),
	}
	if err := migrate(ctx, db.truth); err != nil {
		return nil, fmt.Errorf("open sqlite file %s: %w", path, errors.Join(err, db.Close()))
	}
	return db, nil
}

// connect opens no connection yet. SQLite keeps settings such as synchronous
// for each connection, and the driver takes them from the address.
func connect(path string, connections int, pragmas ...string) *sql.DB {
	pragmas = append([]string{
		"busy_timeout(5000)", // first, because the others can be busy
		"journal_mode(WAL)",
		"wal_autocheckpoint(4000)", // pages: fewer pauses than with the default of 1,000
		"journal_size_limit(67108864)",
	}, pragmas...)
	q := url.Values{"_pragma": pragmas, "_txlock": {"immediate"}}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	db := sql.OpenDB(connector(dsn.String()))
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db
}

// connector opens connections to the database of its name.
type connector string

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.Driver().Open(string(c)) }
func (c connector) Driver() driver.Driver                        { return &sqlite.Driver{} }

func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithTableName("migrations"),
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// Ping answers an error when the database cannot be read.
func (db *DB) Ping(ctx context.Context) error {
	var n int
	if err := db.read.QueryRowContext(ctx, "SELECT count(*) FROM shards").Scan(&n); err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	return nil
}

// Close closes all connections. The last one moves what is in the write-ahead
// log into the file.
func (db *DB) Close() error {
	return errors.Join(db.read.Close(), db.view.Close(), db.truth.Close())
}
