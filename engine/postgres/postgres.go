// Package postgres implements writer.Store in PostgreSQL 15 or later: products,
// the journal of every settled command, and one row for each shard. It is the
// only importer of the driver.
//
// It promises that a group of batches is settled in one transaction of two round
// trips with one statement per table, and that a commit is on disk when Settle
// returns, whatever the default of the server is.
package postgres

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"catalog/internal/memory"
	"catalog/internal/metrics"
)

const (
	defaultMaxConns = 10
	connectTimeout  = 5 * time.Second // unless the URL sets another one

	// idleInTransactionTimeout ends the transaction of a writer that hangs in a
	// batch, so that the next owner can lock the row of the shard.
	idleInTransactionTimeout = "10s"

	// lockTimeout limits a wait for a lock. It is longer than
	// idleInTransactionTimeout, so that the next owner of a shard outlasts an owner
	// that hangs.
	lockTimeout = "15s"

	// encodingBytes limits the events and products that all connections write at once:
	// two of the largest transactions. The payload, the parameter, the message and the
	// buffer that the message grows in make about five bytes of each.
	encodingBytes = 12 << 20

	// statementBytes is the size of events or products at which a statement ends. The
	// driver encodes the parameters of a statement in one buffer, which doubles as it
	// grows.
	statementBytes = 512 << 10

	// statementTimeout ends a statement whose caller is gone or has given up.
	statementTimeout = "30s"
)

// Config configures the connections to PostgreSQL.
type Config struct {
	// URL is the address of the database, such as
	// postgres://user:password@localhost:5432/catalog. It is required. Its
	// parameters override the settings of this package.
	URL string

	// MaxConns is the maximum number of connections. One batch uses one
	// connection. Raise it when db_client_connection_wait_time_seconds grows; the sum
	// over all writers must stay below max_connections of the server. 0 means 10.
	MaxConns int

	// Memory bounds the memory of batches. Nil means the same limit, without metrics.
	Memory *memory.Budget

	// Metrics registers the metrics. Nil means no metrics.
	Metrics prometheus.Registerer
}

// Flags declares the flags of c, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.URL, "postgres.url", "", "`URL` of PostgreSQL, such as postgres://user:password@localhost:5432/catalog")
	fs.IntVar(&c.MaxConns, "postgres.max-conns", defaultMaxConns, "maximum `number` of connections to PostgreSQL")
}

// Store implements writer.Store.
type Store struct {
	pool     *pgxpool.Pool
	retries  prometheus.Counter
	encoding *memory.Share // memory of the events and products that are written
	full     fullDisk
}

// Open connects to the database and checks that its tables are migrated. An
// error is one line that names the server and the remedy.
func Open(ctx context.Context, c Config) (*Store, error) {
	conf, err := parseURL(c.URL)
	if err != nil {
		return nil, err
	}
	conf.MaxConns = int32(cmp.Or(c.MaxConns, defaultMaxConns))
	conf.PingTimeout = pingTimeout
	conf.ConnConfig.DialFunc = dialStalling
	conf.ConnConfig.Tracer = newTracer(conf.ConnConfig)
	pool, err := pgxpool.NewWithConfig(ctx, conf)
	if err != nil {
		return nil, oneLine(fmt.Errorf("-postgres.url: %w", err))
	}
	s := &Store{pool: pool, retries: newRetries(), encoding: c.Memory.Share("postgres.write", encodingBytes)}
	err = s.checkMigrated(ctx)
	if err == nil && c.Metrics != nil {
		err = errors.Join(c.Metrics.Register(s.retries), metrics.Pool(c.Metrics, "postgresql", poolStats(pool)))
	}
	if err != nil {
		pool.Close()
		return nil, oneLine(err)
	}
	return s, nil
}

// parseURL parses a URL and adds the settings that every connection needs, unless
// the URL has them.
func parseURL(url string) (*pgxpool.Config, error) {
	if url == "" {
		return nil, errors.New("-postgres.url is missing; set it to a URL such as postgres://user:password@localhost:5432/catalog")
	}
	conf, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, oneLine(fmt.Errorf("-postgres.url: %w", err))
	}
	c := conf.ConnConfig
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, connectTimeout)
	c.DialFunc = dial
	for name, value := range map[string]string{
		"application_name":   "catalog",
		"synchronous_commit": "on",
		// Every statement of this package finds its rows by an index. A generic plan
		// that was made while the tables were empty must not scan them later.
		"enable_seqscan":                      "off",
		"plan_cache_mode":                     "force_generic_plan",
		"idle_in_transaction_session_timeout": idleInTransactionTimeout,
		"lock_timeout":                        lockTimeout,
		"statement_timeout":                   statementTimeout,
		// The server ends the session of a machine that is gone after 30 + 3 × 10 s, or
		// 10 s after it has sent data, and so releases its locks.
		"tcp_user_timeout":        strconv.FormatInt(unacknowledgedTimeout.Milliseconds(), 10),
		"tcp_keepalives_idle":     "30",
		"tcp_keepalives_interval": "10",
		"tcp_keepalives_count":    "3",
	} {
		if _, given := c.RuntimeParams[name]; !given {
			c.RuntimeParams[name] = value
		}
	}
	return conf, nil
}

// address names the server and the database of a connection, without secrets.
func address(c *pgx.ConnConfig) string {
	return fmt.Sprintf("PostgreSQL at %s, database %s", net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), c.Database)
}

func (s *Store) address() string { return address(s.pool.Config().ConnConfig) }

// oneLine returns err with its text on one line.
func oneLine(err error) error { return oneLineError{err} }

type oneLineError struct{ error }

func (e oneLineError) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }
func (e oneLineError) Unwrap() error { return e.error }

// Close waits for running transactions and closes all connections.
func (s *Store) Close() { s.pool.Close() }

// Ping returns an error when the database cannot be reached, or has no space left.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return oneLine(fmt.Errorf("%s: %w", s.address(), markUnavailable(err)))
	}
	if err := s.full.check(time.Now()); err != nil {
		return fmt.Errorf("%s: %w", s.address(), err)
	}
	return nil
}
