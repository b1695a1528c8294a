package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"catalog/client"
	"catalog/cmd/internal/program"
	"catalog/gateway"
	"catalog/internal/cpu"
	"catalog/internal/daemon"
	"catalog/internal/engines/local"
	"catalog/writer"
)

// spareThreads is the number of threads that run Go code in addition to one for each CPU. More
// threads would cost more throughput than the waiting time of short requests that they save (ADR
// 82).
const spareThreads = 2

// upCfg holds the settings of catalog up.
type upCfg struct {
	http, grpc string // listen addresses
	demo       int    // number of demo products
	program    program.Config
	gateway    gateway.Config
	engines    local.Config
	writer     writer.Config
	reader     program.ReaderConfig
}

func up(ctx context.Context, args []string) error {
	var cfg upCfg
	fs := flags("up", `up [flags]

Runs gateway, writer and reader in this process. Engines for which no address is given
are replaced by files in the data folder, so that nothing else needs to be installed.
-kafka.brokers, -postgres.url, -mongo.url, -redis.url and -opensearch.url each select a
real engine.
`)
	fs.StringVar(&cfg.http, "http", "127.0.0.1:8080", "`address` of the HTTP API and the console")
	fs.StringVar(&cfg.grpc, "grpc", "127.0.0.1:8082", "`address` of the gRPC server, for catalog verify, rebuild and dead-letters")
	fs.IntVar(&cfg.demo, "demo", 0, "create this `number` of demo products")
	cfg.program.Flags(fs, "127.0.0.1:8081")
	cfg.gateway.Flags(fs)
	cfg.writer.Flags(fs)
	cfg.reader.Flags(fs)
	cfg.engines.Flags(fs)
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	if cfg.program.Daemon.HealthCheck {
		return program.HealthCheck(ctx, cfg.program, os.Stdout)
	}
	cfg.program.Secrets = daemon.FindSecrets(args, os.Environ())
	if cfg.demo < 0 {
		return wrongUsage("-demo must be 0 or more")
	}
	return runUp(ctx, fs, cfg, os.Stdout, os.Stderr)
}

// runUp opens the engines and runs the three services until ctx ends.
func runUp(ctx context.Context, fs *flag.FlagSet, cfg upCfg, out, logs io.Writer) error {
	cfg.program.Services = 3
	p, err := program.Open(ctx, "catalog", cfg.program, logs)
	if err != nil {
		return err
	}
	defer p.Close()
	p.LogStart(fs)
	// Three services in one process make three times the garbage. With a heap that may
	// grow further, less time goes into collection. $GOGC takes precedence.
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(200)
	}
	// A short request waits for a thread behind goroutines that compute, up to 10 ms behind
	// each. With threads to spare it gets one at once, and the kernel shares the CPUs.
	// $GOMAXPROCS takes precedence.
	if _, set := os.LookupEnv("GOMAXPROCS"); !set {
		runtime.GOMAXPROCS(cpu.Count() + spareThreads)
	}
	e, err := local.Open(ctx, p.Engines, cfg.engines)
	if err != nil {
		return err
	}
	grpcServer, grpcAddr, grpcPart, err := p.GRPC(cfg.grpc)
	if err != nil {
		return err
	}
	// The services call each other by gRPC, as separate processes do.
	conn, err := p.Dial(grpcAddr.String())
	if err != nil {
		return err
	}
	writerPart := p.Writer(e.Store, e.Log, cfg.writer, grpcServer)
	cfg.reader.Log, cfg.reader.View, cfg.reader.Cache, cfg.reader.Index, cfg.reader.Writer = e.Log, e.View, e.Cache, e.Index, conn
	_, readerParts := p.Reader(cfg.reader, grpcServer)
	// Writer and readers use the same CPUs.
	cfg.gateway.MaxConcurrentQueries, cfg.gateway.MaxConcurrentWindows = cpu.Count(), cpu.ButOne()
	gatewayParts, httpAddr, err := p.Gateway(cfg.gateway, e.Log, conn, conn, cfg.http)
	if err != nil {
		return err
	}
	p.Ready = func(ctx context.Context, adminAddr string, took time.Duration) {
		url := "http://" + httpAddr.String()
		printBanner(out, url, adminAddr, cfg.engines.Data, took)
		normalizeStored(ctx, e, p.Telemetry.Log)
		if cfg.demo > 0 {
			if err := demo(ctx, client.New(url), cfg.demo, out); err != nil && ctx.Err() == nil {
				p.Telemetry.Log.Error("demo products not created", "err", err)
			}
		}
	}
	return p.Run(ctx, slices.Concat([]daemon.Part{grpcPart, writerPart}, readerParts, gatewayParts)...)
}

// normalizeStored normalizes the texts that earlier versions have stored, while clients
// are served: once in the file of the data folder, and at each start in PostgreSQL, which
// programs of an earlier version may write to as well.
func normalizeStored(ctx context.Context, e local.Engines, log *slog.Logger) {
	n := normalizer{e.Store, e.Log, e.Log.Shards(), "catalog up", settleTimeout, func(line string) {
		log.WarnContext(ctx, "texts of a product not normalized", "reason", line)
	}}
	run := n.run
	if e.SQLite != nil {
		run = func(ctx context.Context) (int, error) {
			ends, err := e.Log.CommandEnds(ctx)
			if err != nil {
				return 0, err
			}
			return n.once(ctx, e.SQLite, ends)
		}
	}
	changed, err := run(ctx)
	if changed > 0 {
		log.InfoContext(ctx, "texts of stored products normalized", "changed", changed)
	}
	if err != nil && ctx.Err() == nil {
		log.WarnContext(ctx, "texts of stored products not normalized; the next start continues", "err", err)
	}
}

func printBanner(out io.Writer, url, adminAddr, data string, took time.Duration) {
	fmt.Fprintf(out, `catalog is up, in %v. Its data is in %s; Ctrl-C stops it.

  console      %s/
  API          %s/docs/
  metrics      http://%s/metrics

Try it:

  curl -i %s/api/v1/products -H 'Content-Type: application/json' \
    -d '{"sku":"CHA-7","name":"Folding chair","price":{"amount":"149.90","currency":"EUR"},"category":"Furniture/Chairs"}'

`, took.Round(time.Millisecond), data, url, url, adminAddr, url)
}
