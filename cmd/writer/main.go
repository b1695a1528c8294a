// Command writer consumes commands from Kafka, stores products in PostgreSQL and
// publishes an event for each command.
package main

import (
	"context"
	"flag"

	"catalog/cmd/internal/program"
	"catalog/engine/kafka"
	"catalog/engine/postgres"
	"catalog/internal/engines"
	"catalog/internal/engines/store"
	"catalog/writer"
)

// memoryLimit is what Go may use of the 256 MiB that a writer needs at most. The rest
// is for the program itself, which is mapped into memory.
const memoryLimit = 200 << 20

func main() {
	var (
		kafkaCfg    kafka.Config
		postgresCfg postgres.Config
		writerCfg   writer.Config
		address     string
	)
	program.Main(program.Info{Name: "writer", About: "Consumes commands, stores products in PostgreSQL and publishes events.", AdminAddr: "127.0.0.1:9102", MemoryLimit: memoryLimit},
		func(fs *flag.FlagSet) {
			fs.StringVar(&address, "grpc", "127.0.0.1:9092", "`address` of the gRPC server, for gateways and readers")
			kafkaCfg.Flags(fs)
			postgresCfg.Flags(fs)
			writerCfg.Flags(fs)
		},
		func(ctx context.Context, p *program.Process) error {
			log, err := engines.OpenKafka(ctx, p.Engines, kafkaCfg)
			if err != nil {
				return err
			}
			products, err := store.Open(ctx, p.Engines, postgresCfg)
			if err != nil {
				return err
			}
			if err := products.InitShards(ctx, log.Shards()); err != nil {
				return err
			}
			grpcServer, _, grpcPart, err := p.GRPC(address)
			if err != nil {
				return err
			}
			return p.Run(ctx, grpcPart, p.Writer(products, log, writerCfg, grpcServer))
		})
}
