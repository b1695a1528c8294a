// Command reader applies events to the MongoDB view, the Redis cache and the search
// index, and serves queries from them.
package main

import (
	"context"
	"flag"

	"catalog/cmd/internal/program"
	"catalog/engine/kafka"
	"catalog/internal/engines"
	"catalog/internal/engines/query"
)

func main() {
	var (
		kafkaCfg        kafka.Config
		queryCfg        query.Config
		address, writer string
		cfg             program.ReaderConfig
	)
	program.Main(program.Info{Name: "reader", About: "Applies events to view, cache and search index, and serves queries.", AdminAddr: "127.0.0.1:9103"},
		func(fs *flag.FlagSet) {
			fs.StringVar(&address, "grpc", "127.0.0.1:9093", "`address` of the gRPC server, for gateways")
			fs.StringVar(&writer, "writer", "127.0.0.1:9092", "gRPC `target` of the writers, such as dns:///writer:9092")
			fs.StringVar(&queryCfg.IndexFolder, "index", "catalog-index", "`folder` of this reader's search index, shared with no other process; not used with -opensearch.url")
			cfg.Flags(fs)
			kafkaCfg.Flags(fs)
			queryCfg.Flags(fs)
		},
		func(ctx context.Context, p *program.Process) (err error) {
			log, err := engines.OpenKafka(ctx, p.Engines, kafkaCfg)
			if err != nil {
				return err
			}
			cfg.Log = log
			if cfg.View, err = query.OpenView(ctx, p.Engines, queryCfg); err != nil {
				return err
			}
			if cfg.Cache, err = query.OpenCache(ctx, p.Engines, queryCfg, log.Shards()); err != nil {
				return err
			}
			if cfg.Index, err = query.OpenIndex(ctx, p.Engines, queryCfg); err != nil {
				return err
			}
			if cfg.Writer, err = p.Dial(writer); err != nil {
				return err
			}
			grpcServer, _, grpcPart, err := p.GRPC(address)
			if err != nil {
				return err
			}
			r, parts := p.Reader(cfg, grpcServer)
			grpcServer.ServeWhen(r.PingIndex)
			return p.Run(ctx, append(parts, grpcPart)...)
		})
}
