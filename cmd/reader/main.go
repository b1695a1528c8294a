// Command reader keeps the MongoDB view, the Redis cache and the search index
// from the events, and answers queries from them.
package main

import (
	"context"
	"flag"
	"time"

	"catalog/cmd/internal/service"
	"catalog/engine/bleve"
	"catalog/engine/kafka"
	"catalog/engine/mongo"
	"catalog/engine/opensearch"
	"catalog/engine/redis"
	"catalog/internal/daemon"
	"catalog/internal/rpc"
	"catalog/internal/telemetry"
	"catalog/reader"
)

func main() {
	var (
		log                 kafka.Config
		views               mongo.Config
		copies              redis.Config
		shared              opensearch.Config
		grpc, writer, index string
		verify              time.Duration
	)
	service.Main("reader", "Keeps view, cache and search index from the events and answers queries.", "127.0.0.1:9103",
		func(fs *flag.FlagSet) {
			fs.StringVar(&grpc, "grpc", "127.0.0.1:9093", "`address` of gRPC, for gateways")
			fs.StringVar(&writer, "writer", "127.0.0.1:9092", "`target` of the writers' gRPC, such as dns:///writer:9092")
			fs.StringVar(&index, "index", "catalog-index", "`folder` of the search index, of this reader alone; not used with -opensearch.url")
			fs.DurationVar(&verify, "verify-interval", time.Hour, "`time` between two comparisons of all that is kept with the truth; 0 for none")
			log.Flags(fs)
			views.Flags(fs)
			copies.Flags(fs)
			shared.Flags(fs)
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
			view, err := mongo.Open(ctx, views)
			if err != nil {
				return err
			}
			defer view.Close(context.WithoutCancel(ctx))
			checks := []daemon.Check{{Name: "kafka", Ping: broker.Ping}, {Name: "mongo", Ping: view.Ping}}

			var cache reader.Cache // none when no Redis is named
			if copies.URL != "" {
				copies.Shards = broker.Shards()
				c, err := redis.Open(ctx, copies)
				if err != nil {
					return err
				}
				defer c.Close()
				cache = c // not a check: without it the reader is slower, not wrong
			}
			var found reader.Index
			if shared.URL != "" {
				x, err := opensearch.Open(ctx, shared, t.Registry)
				if err != nil {
					return err
				}
				defer x.Close()
				found = x // not a check: without it single products are answered
			} else {
				x, err := bleve.OpenGenerations(index, t.Log)
				if err != nil {
					return err
				}
				defer x.Close()
				found = x
			}
			conn, err := rpc.Dial(writer, t.Registry)
			if err != nil {
				return err
			}
			defer conn.Close()
			l, err := daemon.Listen(grpc)
			if err != nil {
				return err
			}
			s := rpc.NewServer(t.Log, t.Registry)
			parts, events := service.Reader(t, reader.NewGenerationalView(view), cache, found, broker, conn, verify, s)
			return p.Run(ctx, append(checks, events), append(parts, service.GRPC(s, l))...)
		})
}
