// Package mongo implements projection.View in MongoDB. It is the only importer of
// the driver.
//
// It uses only features that MongoDB, FerretDB and mongo-java-server share: the
// tests run on the latter two where MongoDB is not available.
package mongo

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"
	"golang.org/x/sync/semaphore"

	"catalog"
	"catalog/internal/memory"
	"catalog/internal/metrics"
)

// FerretDB 1 holds one connection to its PostgreSQL for each update of a command
// until the command ends. When its pool is empty it waits forever and serves no
// client any more. So commands are small, and few updates are in flight. A command
// that inserts holds one connection.
const (
	replacesPerCommand = 20
	insertsPerCommand  = 500
	defaultMaxInflight = 60 // two readers stay below a pool of 150 connections, three below 200
)

// attempts is the number of times that a command is sent when the server has not
// received it, or FerretDB has used a broken connection to its PostgreSQL. As many
// connections may be broken at once.
const attempts = 40

// Limits of the products that are written, in bytes. A command ends at maxCommandBytes.
// All commands that are built or sent hold maxWriteBytes together: the documents, their
// BSON and the buffers of the driver take several times as much.
const maxCommandBytes, maxWriteBytes = 1 << 20, 4 << 20

const (
	defaultDatabase        = "catalog"
	serverSelectionTimeout = 3 * time.Second  // without a usable server, a call fails after this time
	callTimeout            = 10 * time.Second // timeout of one call, retries included
)

// Config configures the connection to MongoDB.
type Config struct {
	// URL is the address of MongoDB, such as mongodb://127.0.0.1:27017. It is
	// required.
	URL string

	// Database is the name of the database. Change it to share one server between
	// several catalogs. The default is "catalog".
	Database string

	// MaxInflight is the maximum number of updates that are sent and not yet
	// acknowledged; an insertion of many products counts as one. Raise it to project faster into MongoDB.
	// With FerretDB, the sum over all readers must stay below its pool_max_conns.
	// 0 means 60; values below 20 mean 20.
	MaxInflight int

	// Memory bounds the memory of writes. Nil means the same limit, without metrics.
	Memory *memory.Budget

	// Metrics registers the metrics. Nil means no metrics.
	Metrics prometheus.Registerer
}

// Flags declares the flags of c, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.URL, "mongo.url", "", "`URL` of MongoDB, such as mongodb://127.0.0.1:27017")
	fs.StringVar(&c.Database, "mongo.database", defaultDatabase, "`name` of the database in MongoDB")
	fs.IntVar(&c.MaxInflight, "mongo.max-inflight", defaultMaxInflight, "maximum `number` of unacknowledged updates; with FerretDB the sum over all readers must stay below its pool_max_conns")
}

// View implements projection.View in a MongoDB database.
type View struct {
	client   *mongo.Client
	addr     string // for error messages: the host of the URL, without the password
	process  string // differs for each call of Open
	db       *mongo.Database
	inflight *semaphore.Weighted // updates that may still be sent
	writing  *memory.Share       // memory of the products that are written
	all      *openGenerations

	// Of this generation:
	products, checkpointDocuments *mongo.Collection
	checkpoints                   *checkpoints
}

// Open connects to MongoDB. When MongoDB cannot be reached, the error is one line
// with the address and the remedy.
func Open(ctx context.Context, c Config) (*View, error) {
	if c.URL == "" {
		return nil, errors.New("-mongo.url is missing; set it to a URL such as mongodb://127.0.0.1:27017")
	}
	addr := "the address in -mongo.url"
	if u, err := url.Parse(c.URL); err == nil {
		addr = u.Host
	}
	var pool poolMonitor
	client, err := mongo.Connect(options.Client().ApplyURI(c.URL).
		SetAppName("catalog").SetWriteConcern(writeconcern.Majority()).
		SetMonitor(newMonitor()).SetServerSelectionTimeout(serverSelectionTimeout).SetTimeout(callTimeout).SetRetryWrites(true).
		SetPoolMonitor(pool.monitor()))
	if err != nil {
		return nil, fmt.Errorf("-mongo.url: %w", err)
	}
	if c.Database == "" {
		c.Database = defaultDatabase
	}
	if c.MaxInflight <= 0 {
		c.MaxInflight = defaultMaxInflight
	}
	shared := &View{
		client: client, addr: addr, process: rand.Text(), db: client.Database(c.Database), all: &openGenerations{views: map[int64]*View{}},
		inflight: semaphore.NewWeighted(int64(max(c.MaxInflight, replacesPerCommand))), writing: c.Memory.Share("mongo.write", maxWriteBytes),
	}
	v := shared.Generation(0)
	err = v.Ping(ctx)
	if err == nil && c.Metrics != nil {
		err = metrics.Pool(c.Metrics, "mongodb", pool.stats)
	}
	if err != nil {
		return nil, errors.Join(err, client.Disconnect(ctx))
	}
	return v, nil
}

// Ping returns an error when MongoDB cannot be reached.
func (v *View) Ping(ctx context.Context) error {
	if err := v.client.Database("admin").RunCommand(ctx, bson.D{{Key: "ping", Value: 1}}).Err(); err != nil {
		return fmt.Errorf("cannot reach MongoDB at %s (%w); start MongoDB there, or set -mongo.url", v.addr, markUnavailable(err))
	}
	return nil
}

// Close closes the connections.
func (v *View) Close(ctx context.Context) error { return v.client.Disconnect(ctx) }

// markUnavailable adds catalog.ErrUnavailable to an error that means that MongoDB
// cannot be reached or cannot work at the moment.
func markUnavailable(err error) error {
	var (
		selectionErr  topology.ServerSelectionError
		connectionErr topology.ConnectionError
		serverErr     mongo.ServerError
	)
	switch {
	case errors.Is(err, context.Canceled):
	case errors.As(err, &selectionErr), errors.As(err, &connectionErr), mongo.IsNetworkError(err), mongo.IsTimeout(err), notSent(err), internalError(err),
		errors.As(err, &serverErr) && serverErr.HasErrorLabel("RetryableWriteError"): // the server is stopping, or no longer the primary
		return fmt.Errorf("MongoDB: %w: %w", catalog.ErrUnavailable, err)
	}
	return err
}

// notSent reports whether the driver did not send the command: other commands lost
// their connection, and the driver cleared its pool.
func notSent(err error) bool {
	var retryable interface{ Retryable() bool }
	return errors.As(err, &retryable) && retryable.Retryable()
}

// internalError reports whether the server failed for an internal reason. FerretDB
// does when it reuses a connection to its PostgreSQL whose last command timed out.
func internalError(err error) bool {
	const code = 1
	var serverErr mongo.ServerError
	return errors.As(err, &serverErr) && serverErr.HasErrorCode(code)
}
