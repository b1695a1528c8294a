// Package local opens the engines of a program that also works without servers: an
// engine with an address is opened at that address, and a data folder replaces every
// other one.
package local

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"catalog/engine/embedded"
	"catalog/engine/kafka"
	"catalog/engine/postgres"
	"catalog/engine/sqlite"
	"catalog/internal/archive"
	"catalog/internal/engines"
	"catalog/internal/engines/query"
	"catalog/internal/engines/store"
	"catalog/internal/repair"
	"catalog/reader"
	"catalog/reader/projection"
	"catalog/writer"
)

// ErrNoFolder means that OpenStore needs a data folder that does not exist.
var ErrNoFolder = errors.New("there is no data folder")

// Config holds the addresses of the engines and the data folder.
type Config struct {
	// Data is the folder of every engine without an address. Only one process may use
	// it at a time.
	Data string

	Kafka    kafka.Config
	Postgres postgres.Config
	Query    query.Config // its IndexFolder is set by Open
}

// Flags declares the flags of all engines, and -data.
func (c *Config) Flags(fs *flag.FlagSet) {
	c.StoreFlags(fs)
	c.Query.Flags(fs)
}

// StoreFlags declares the flags of Kafka and PostgreSQL, and -data.
func (c *Config) StoreFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.Data, "data", "catalog-data", "`folder` of the engines for which no address is given; one process at a time may use it")
	c.Kafka.Flags(fs)
	c.Postgres.Flags(fs)
}

// Engines are the opened engines of all three services.
type Engines struct {
	Log   *kafka.Log
	Store writer.Store
	// SQLite is Store if it is in the data folder, and nil otherwise.
	SQLite *sqlite.Store
	View   projection.View
	Cache  reader.Cache // nil without Redis: the local view is fast enough without a cache
	Index  reader.Index
}

// Open opens all engines, and creates the topics and tables that are missing.
func Open(ctx context.Context, s *engines.Set, cfg Config) (e Engines, err error) {
	dir, err := openDir(s, &cfg)
	if err != nil {
		return e, err
	}
	s.WatchFolder("data", cfg.Data)
	if e.Log, err = engines.CreateKafka(ctx, s, cfg.Kafka); err != nil {
		return e, err
	}
	if !dir.HasKafka() {
		s.WatchBrokers(e.Log)
	}
	db, err := openSQLite(ctx, s, dir)
	if err != nil {
		return e, err
	}
	if cfg.Postgres.URL == "" {
		e.SQLite = sqlite.NewStore(db)
		e.Store = e.SQLite
	} else if e.Store, err = openMigrated(ctx, s, cfg.Postgres); err != nil {
		return e, err
	}
	if err := e.Store.InitShards(ctx, e.Log.Shards()); err != nil {
		return e, err
	}
	e.View = projection.NewGenerationalView(sqlite.NewView(db))
	if cfg.Query.Mongo.URL != "" {
		if e.View, err = query.OpenView(ctx, s, cfg.Query); err != nil {
			return e, err
		}
	}
	if e.Cache, err = query.OpenCache(ctx, s, cfg.Query, e.Log.Shards()); err != nil {
		return e, err
	}
	cfg.Query.IndexFolder = dir.Path("index")
	e.Index, err = query.OpenIndex(ctx, s, cfg.Query)
	return e, err
}

// openMigrated returns the store in PostgreSQL, with its tables updated.
func openMigrated(ctx context.Context, s *engines.Set, cfg postgres.Config) (writer.Store, error) {
	report := func(line string) { s.Log.InfoContext(ctx, "tables are being migrated", "progress", line) }
	if err := postgres.Migrate(ctx, cfg.URL, report); err != nil {
		return nil, err
	}
	return store.Open(ctx, s, cfg)
}

// OpenStore opens the log and the store for a repair. It creates nothing: the data
// folder, the topics and the tables must exist.
func OpenStore(ctx context.Context, s *engines.Set, cfg Config) (*kafka.Log, repair.Store, error) {
	var (
		dir *embedded.Dir
		st  repair.Store
		err error
	)
	if cfg.Kafka.Brokers == "" || cfg.Postgres.URL == "" {
		if _, err := os.Stat(cfg.Data); err != nil {
			return nil, nil, fmt.Errorf("%w %s; name it with -data, or give -kafka.brokers and -postgres.url", ErrNoFolder, cfg.Data)
		}
		if dir, err = openDir(s, &cfg); err != nil {
			return nil, nil, err
		}
	}
	if cfg.Postgres.URL != "" {
		st, err = store.Open(ctx, s, cfg.Postgres)
	} else {
		var db *sqlite.DB
		if db, err = openSQLite(ctx, s, dir); err == nil {
			st = sqlite.NewStore(db)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	log, err := engines.OpenKafka(ctx, s, cfg.Kafka)
	return log, st, err
}

// OpenJournal opens the store whose journal is archived. It creates nothing: the
// data folder or the tables must exist.
func OpenJournal(ctx context.Context, s *engines.Set, cfg Config) (archive.Store, error) {
	if cfg.Postgres.URL != "" {
		return store.Open(ctx, s, cfg.Postgres)
	}
	if _, err := os.Stat(cfg.Data); err != nil {
		return nil, fmt.Errorf("%w %s; name it with -data, or give -postgres.url", ErrNoFolder, cfg.Data)
	}
	dir, err := embedded.Open(cfg.Data)
	if err != nil {
		return nil, err
	}
	s.OnClose(func() { dir.Close() })
	db, err := openSQLite(ctx, s, dir)
	if err != nil {
		return nil, err
	}
	return sqlite.NewStore(db), nil
}

// openDir opens the data folder. Without a broker's address it also starts the log
// of the folder, and sets cfg.Kafka to its address.
func openDir(s *engines.Set, cfg *Config) (*embedded.Dir, error) {
	dir, err := embedded.Open(cfg.Data)
	if err != nil {
		return nil, err
	}
	s.OnClose(dir.Close)
	if cfg.Kafka.Brokers == "" {
		cfg.Kafka.Replicas, cfg.Kafka.Partitions = 1, embedded.Shards
		cfg.Kafka.Brokers, err = dir.Kafka()
	}
	return dir, err
}

func openSQLite(ctx context.Context, s *engines.Set, dir *embedded.Dir) (*sqlite.DB, error) {
	db, err := sqlite.Open(ctx, dir.Path("catalog.db"))
	if err != nil {
		return nil, err
	}
	s.OnClose(func() { db.Close() })
	if clashes := db.Clashes(); len(clashes) > 0 {
		s.Log.WarnContext(ctx, "products have SKUs that differ only in case from those of others; give each another SKU", "products", fmt.Sprint(clashes))
	}
	s.AddCheck("sqlite", db.Ping)
	return db, nil
}
