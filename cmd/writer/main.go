// Command writer consumes commands, stores products in PostgreSQL and publishes
// what became of each command.
package main

import (
	"context"
	"flag"

	"catalog/cmd/internal/service"
	"catalog/engine/kafka"
	"catalog/engine/postgres"
	"catalog/internal/daemon"
	"catalog/internal/rpc"
	"catalog/internal/telemetry"
)

func main() {
	var (
		log   kafka.Config
		truth postgres.Config
		grpc  string
	)
	service.Main("writer", "Consumes commands, stores products in PostgreSQL and publishes events.", "127.0.0.1:9102",
		func(fs *flag.FlagSet) {
			fs.StringVar(&grpc, "grpc", "127.0.0.1:9092", "`address` of gRPC, for gateways and readers")
			log.Flags(fs)
			truth.Flags(fs)
		},
		func(ctx context.Context, p *service.Process, t *telemetry.Telemetry) error {
			broker, err := kafka.Open(ctx, log, t.Log, t.Registry)
			if err != nil {
				return err
			}
			defer broker.Close()
			if err := broker.LoadTopics(ctx); err != nil {
				return err
			}
			truth.Metrics = t.Registry
			store, err := postgres.Open(ctx, truth)
			if err != nil {
				return err
			}
			defer store.Close()
			if err := store.InitShards(ctx, broker.Shards()); err != nil {
				return err
			}
			l, err := daemon.Listen(grpc)
			if err != nil {
				return err
			}
			s := rpc.NewServer(t.Log, t.Registry)
			return p.Run(ctx,
				[]daemon.Check{{Name: "kafka", Ping: broker.Ping}, {Name: "postgres", Ping: store.Ping}},
				service.GRPC(s, l), service.Writer(t, store, broker, s))
		})
}
