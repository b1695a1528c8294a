// Command gateway answers HTTP: it sends commands to the log and queries to the
// reader.
package main

import (
	"context"
	"flag"

	"catalog/cmd/internal/service"
	"catalog/engine/kafka"
	"catalog/gateway"
	"catalog/internal/daemon"
	"catalog/internal/rpc"
	"catalog/internal/telemetry"
)

func main() {
	var (
		log                  kafka.Config
		door                 gateway.Config
		http, reader, writer string
	)
	service.Main("gateway", "Answers HTTP: sends commands to Kafka and queries to the reader.", "127.0.0.1:9101",
		func(fs *flag.FlagSet) {
			fs.StringVar(&http, "http", "127.0.0.1:8080", "`address` of the API and the start page")
			fs.StringVar(&reader, "reader", "127.0.0.1:9093", "`target` of the readers' gRPC, such as dns:///reader:9093")
			fs.StringVar(&writer, "writer", "127.0.0.1:9092", "`target` of the writers' gRPC, such as dns:///writer:9092")
			door.Flags(fs)
			log.Flags(fs)
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
			readers, err := rpc.Dial(reader, t.Registry)
			if err != nil {
				return err
			}
			defer readers.Close()
			writers, err := rpc.Dial(writer, t.Registry)
			if err != nil {
				return err
			}
			defer writers.Close()
			l, err := daemon.Listen(http)
			if err != nil {
				return err
			}
			parts, answers, err := service.Gateway(door, t, broker, readers, writers, l)
			if err != nil {
				return err
			}
			return p.Run(ctx, []daemon.Check{
				{Name: "kafka", Ping: broker.Ping}, answers,
				{Name: "reader", Ping: rpc.Ping(readers)}, {Name: "writer", Ping: rpc.Ping(writers)},
			}, parts...)
		})
}
