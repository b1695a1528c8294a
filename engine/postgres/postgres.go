// Package postgres keeps the truth in PostgreSQL 15 or later: products, the
// journal of every settled command, and one row for each shard. [Store]
// implements writer.Store.
//
// It is the only importer of the driver. It promises that a batch is settled
// in one transaction of two round trips, set by set and never row by row, and
// that it waits for the disk, whatever the server's default says.
package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Config says where the truth is.
type Config struct {
	URL      string
	MaxConns int                   // at most; 0 for 10
	Metrics  prometheus.Registerer // nil for none
}

// Flags declares the flags of c, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.URL, "postgres.url", "", "`address` of PostgreSQL, such as postgres://user:password@localhost:5432/catalog")
	fs.IntVar(&c.MaxConns, "postgres.max-conns", 10, "`number` of connections to PostgreSQL, at most")
}

// Store keeps the truth.
type Store struct {
	pool      *pgxpool.Pool
	repeats   prometheus.Counter
	snapshots *semaphore.Weighted // those that may still be read
}

// Open connects to the database and checks that its tables are there and new
// enough. Its errors are one line that says where the engine was expected and
// what to do.
func Open(ctx context.Context, c Config) (*Store, error) {
	conf, err := parse(c.URL)
	if err != nil {
		return nil, err
	}
	conf.MaxConns = int32(cmp.Or(c.MaxConns, 10))
	conf.ConnConfig.Tracer = otelpgx.NewTracer(otelpgx.WithDisableAcquireTracer())
	pool, err := pgxpool.NewWithConfig(ctx, conf)
	if err != nil {
		return nil, oneLine(fmt.Errorf("-postgres.url: %w", err))
	}
	s := &Store{pool: pool, snapshots: semaphore.NewWeighted(maxSnapshots), repeats: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "catalog_postgres_repeats_total",
		Help: "Batches settled once more, because another shard took an SKU in between.",
	})}
	err = s.checkMigrated(ctx)
	if err == nil && c.Metrics != nil {
		err = errors.Join(c.Metrics.Register(s.repeats), c.Metrics.Register(newPools(pool)))
	}
	if err != nil {
		pool.Close()
		return nil, oneLine(err)
	}
	return s, nil
}

// parse reads an address and adds what every connection has, unless the address
// says otherwise.
func parse(url string) (*pgxpool.Config, error) {
	if url == "" {
		return nil, errors.New("-postgres.url is missing; give an address such as postgres://user:password@localhost:5432/catalog")
	}
	conf, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, oneLine(fmt.Errorf("-postgres.url: %w", err))
	}
	c := conf.ConnConfig
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, 5*time.Second)
	for name, value := range map[string]string{
		"application_name":   "catalog",
		"synchronous_commit": "on",
		// Every statement here finds its rows by an index. A plan that was made
		// when the tables were empty must not scan them when they are large.
		"enable_seqscan":  "off",
		"plan_cache_mode": "force_generic_plan",
		// A writer that stops in the middle of a batch may not keep its shard
		// locked for the next owner.
		"idle_in_transaction_session_timeout": "10s",
	} {
		if _, given := c.RuntimeParams[name]; !given {
			c.RuntimeParams[name] = value
		}
	}
	return conf, nil
}

// place says where a connection goes, without secrets.
func place(c *pgx.ConnConfig) string {
	return fmt.Sprintf("PostgreSQL at %s, database %s", net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), c.Database)
}

func (s *Store) place() string { return place(s.pool.Config().ConnConfig) }

// oneLine is err with its text on one line.
func oneLine(err error) error { return line{err} }

type line struct{ error }

func (l line) Error() string { return strings.Join(strings.Fields(l.error.Error()), " ") }
func (l line) Unwrap() error { return l.error }

// Close waits for the transactions in hand and closes all connections.
func (s *Store) Close() { s.pool.Close() }

// Ping answers an error when the database cannot be reached.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return oneLine(fmt.Errorf("%s: %w", s.place(), reach(err)))
	}
	return nil
}

// versions is the table in which goose keeps which migrations have run.
const versions = "migrations"

// Migrate brings the tables of the database up to date. Several may do so at
// the same time: one does it, the others wait.
func Migrate(ctx context.Context, url string) error {
	conf, err := parse(url)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*conf.ConnConfig)
	defer db.Close()
	if err := db.PingContext(ctx); err != nil {
		return oneLine(unusable(place(conf.ConnConfig), err))
	}
	p, err := provider(db)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return oneLine(fmt.Errorf("migrate %s: %w", place(conf.ConnConfig), reach(err)))
	}
	return nil
}

func provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, goose.WithTableName(versions), goose.WithSessionLocker(turn{}),
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
}

// turn is a lock for the migrations of one schema. Unlike goose's own it waits
// in the server, so that the next has its turn at once.
type turn struct{}

// lockKey is the number of the lock that guards the tables of one schema.
const lockKey = "hashtextextended('catalog ' || current_schema(), 0)"

func (turn) SessionLock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock("+lockKey+")")
	return err
}

func (turn) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock("+lockKey+")")
	return err
}

// checkMigrated answers an error when a migration of this version has not yet
// run. Newer ones are welcome: they come before the processes that need them.
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
	err = s.pool.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM "+versions+" WHERE is_applied").Scan(&have)
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && refused.Code == undefinedTable:
	case err != nil:
		return unusable(s.place(), err)
	}
	if have < need {
		return fmt.Errorf("%s: the tables are at version %d, and this program needs %d; run catalog migrate", s.place(), have, need)
	}
	return nil
}

// unusable is what is said at a start without the database.
func unusable(place string, err error) error {
	return fmt.Errorf("%s cannot be used; start it, or name another with -postgres.url: %w", place, reach(err))
}

// pools reports the connections of a pool.
type pools struct {
	pool                          *pgxpool.Pool
	connections, waited, acquires *prometheus.Desc
}

func newPools(pool *pgxpool.Pool) pools {
	return pools{
		pool: pool,
		connections: prometheus.NewDesc("catalog_postgres_connections",
			"Connections to PostgreSQL, by what they do.", []string{"state"}, nil),
		waited: prometheus.NewDesc("catalog_postgres_wait_seconds_total",
			"Time spent waiting for a connection to PostgreSQL.", nil, nil),
		acquires: prometheus.NewDesc("catalog_postgres_acquires_total",
			"Times that something was asked of PostgreSQL.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (p pools) Describe(to chan<- *prometheus.Desc) {
	to <- p.connections
	to <- p.waited
	to <- p.acquires
}

// Collect implements prometheus.Collector.
func (p pools) Collect(to chan<- prometheus.Metric) {
	st := p.pool.Stat()
	to <- prometheus.MustNewConstMetric(p.connections, prometheus.GaugeValue, float64(st.AcquiredConns()), "busy")
	to <- prometheus.MustNewConstMetric(p.connections, prometheus.GaugeValue, float64(st.IdleConns()), "idle")
	to <- prometheus.MustNewConstMetric(p.waited, prometheus.CounterValue, st.EmptyAcquireWaitTime().Seconds())
	to <- prometheus.MustNewConstMetric(p.acquires, prometheus.CounterValue, float64(st.AcquireCount()))
}
