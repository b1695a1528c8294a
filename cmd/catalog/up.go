package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"catalog/client"
	"catalog/cmd/internal/service"
	"catalog/engine/bleve"
	"catalog/engine/embedded"
	"catalog/engine/kafka"
	"catalog/engine/mongo"
	"catalog/engine/opensearch"
	"catalog/engine/postgres"
	"catalog/engine/redis"
	"catalog/engine/sqlite"
	"catalog/gateway"
	"catalog/internal/daemon"
	"catalog/internal/rpc"
	"catalog/internal/telemetry"
	"catalog/reader"
	"catalog/writer"
)

// settings are those of `catalog up`.
type settings struct {
	data, http, grpc string
	demo             int
	verify           time.Duration
	process          daemon.Config
	telemetry        telemetry.Config
	gateway          gateway.Config
	kafka            kafka.Config
	postgres         postgres.Config
	mongo            mongo.Config
	redis            redis.Config
	opensearch       opensearch.Config
}

func up(ctx context.Context, args []string) error {
	var s settings
	fs := flags("up", `up [flags]

Runs gateway, writer and reader in this process. What is not given as an address
is kept in the data folder: nothing else needs to be installed. Given -kafka.brokers,
-postgres.url, -mongo.url, -redis.url or -opensearch.url, that engine is the real one.
`)
	fs.StringVar(&s.data, "data", "catalog-data", "`folder` where everything is kept")
	fs.StringVar(&s.http, "http", "127.0.0.1:8080", "`address` of the API and the start page")
	fs.StringVar(&s.grpc, "grpc", "127.0.0.1:8082", "`address` of gRPC, for catalog verify and its like")
	fs.DurationVar(&s.verify, "verify-interval", time.Hour, "`time` between two comparisons of all that is kept with the truth; 0 for none")
	fs.IntVar(&s.demo, "demo", 0, "make this `number` of products to play with")
	s.process.Flags(fs, "127.0.0.1:8081")
	s.telemetry.Flags(fs)
	s.gateway.Flags(fs)
	s.kafka.Flags(fs)
	s.postgres.Flags(fs)
	s.mongo.Flags(fs)
	s.redis.Flags(fs)
	s.opensearch.Flags(fs)
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return wrongUsage("%q is not a flag; see catalog up -h", fs.Arg(0))
	}
	if s.demo < 0 {
		return wrongUsage("-demo must be 0 or more")
	}
	return s.run(ctx, os.Stdout, os.Stderr)
}

// run opens the engines, starts the parts, and stops them when ctx ends.
func (s *settings) run(ctx context.Context, out, logs io.Writer) error {
	since := time.Now()
	t, err := telemetry.Open(ctx, "catalog", service.Version, s.telemetry, logs)
	if err != nil {
		return err
	}
	defer t.Close()
	// Three services in one process make three times the garbage; a heap that
	// may grow further is collected less often. $GOGC says otherwise.
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(200)
	}

	dir, err := embedded.Open(s.data)
	if err != nil {
		return err
	}
	defer dir.Close()
	if s.kafka.Brokers == "" {
		s.kafka.Replicas, s.kafka.Partitions = 1, embedded.Shards
		if s.kafka.Brokers, err = dir.Kafka(); err != nil {
			return err
		}
	}
	log, err := kafka.Open(ctx, s.kafka, t.Log, t.Registry)
	if err != nil {
		return err
	}
	defer log.Close()
	if err := log.CreateTopics(ctx, s.kafka.Partitions); err != nil {
		return err
	}
	db, err := sqlite.Open(ctx, dir.Path("catalog.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	checks := []daemon.Check{{Name: "kafka", Ping: log.Ping}, {Name: "sqlite", Ping: db.Ping}}

	var store writer.Store = sqlite.NewStore(db)
	if s.postgres.URL != "" {
		p, check, err := s.openPostgres(ctx)
		if err != nil {
			return err
		}
		defer p.Close()
		store, checks = p, append(checks, check)
	}
	if err := store.InitShards(ctx, log.Shards()); err != nil {
		return err
	}
	var view reader.View = reader.NewGenerationalView(sqlite.NewView(db))
	if s.mongo.URL != "" {
		m, err := mongo.Open(ctx, s.mongo)
		if err != nil {
			return err
		}
		defer m.Close(context.WithoutCancel(ctx))
		view, checks = reader.NewGenerationalView(m), append(checks, daemon.Check{Name: "mongo", Ping: m.Ping})
	}
	var cache reader.Cache // the embedded view needs none
	if s.redis.URL != "" {
		s.redis.Shards = log.Shards()
		c, err := redis.Open(ctx, s.redis)
		if err != nil {
			return err
		}
		defer c.Close()
		cache = c
	}
	var index reader.Index
	if s.opensearch.URL != "" {
		x, err := opensearch.Open(ctx, s.opensearch, t.Registry)
		if err != nil {
			return err
		}
		defer x.Close()
		index = x
	} else {
		x, err := bleve.OpenGenerations(dir.Path("index"), t.Log)
		if err != nil {
			return err
		}
		defer x.Close()
		index = x
	}

	at, err := daemon.Listen(s.grpc)
	if err != nil {
		return err
	}
	// Services in one process speak to each other as services apart do.
	conn, err := rpc.Dial(at.Addr().String(), t.Registry)
	if err != nil {
		return err
	}
	defer conn.Close()
	http, err := daemon.Listen(s.http)
	if err != nil {
		return err
	}
	admin, err := daemon.Listen(s.process.AdminAddr)
	if err != nil {
		return err
	}

	door, answers, err := service.Gateway(s.gateway, t, log, conn, conn, http)
	if err != nil {
		return err
	}
	calls := rpc.NewServer(t.Log, t.Registry)
	queries, events := service.Reader(t, view, cache, index, log, conn, s.verify, calls)
	checks = append(checks, answers, events)
	stay, drain := daemon.Drain(ctx, s.process.ShutdownDelay)
	parts := []daemon.Part{service.Admin(t, admin, append(checks, stay)...), service.GRPC(calls, at), service.Writer(t, store, log, calls)}
	parts = append(parts, queries...)
	parts = append(parts, door...)
	parts = append(parts, daemon.Part{Name: "greeting", Run: func(ctx context.Context) error {
		if err := whenReady(ctx, checks); err != nil {
			return err
		}
		url := "http://" + http.Addr().String()
		greet(out, url, admin.Addr().String(), s.data, time.Since(since))
		if s.demo > 0 {
			if err := demo(ctx, client.New(url), s.demo, out); err != nil && ctx.Err() == nil {
				t.Log.Error("demo products", "err", err)
			}
		}
		<-ctx.Done()
		return nil
	}}, drain)
	return daemon.Run(ctx, t.Log, s.process.ShutdownTimeout, parts...)
}

func (s *settings) openPostgres(ctx context.Context) (*postgres.Store, daemon.Check, error) {
	if err := postgres.Migrate(ctx, s.postgres.URL); err != nil {
		return nil, daemon.Check{}, err
	}
	p, err := postgres.Open(ctx, s.postgres)
	if err != nil {
		return nil, daemon.Check{}, err
	}
	return p, daemon.Check{Name: "postgres", Ping: p.Ping}, nil
}

// whenReady waits until all checks pass.
func whenReady(ctx context.Context, checks []daemon.Check) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var errs []error
		for _, c := range checks {
			errs = append(errs, c.Ping(ctx))
		}
		if errors.Join(errs...) == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func greet(out io.Writer, url, admin, data string, took time.Duration) {
	fmt.Fprintf(out, `catalog is up, in %v. Everything is kept in %s; Ctrl-C stops it.

  start page   %s/
  API          %s/docs/
  metrics      http://%s/metrics

Try it:

  curl -i %s/api/v1/products -H 'Content-Type: application/json' \
    -d '{"sku":"CHA-7","name":"Folding chair","price":{"amount":"149.90","currency":"EUR"},"category":"Furniture/Chairs"}'

`, took.Round(time.Millisecond), data, url, url, admin, url)
}
