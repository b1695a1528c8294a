// Command gateway serves the HTTP API: it sends commands to Kafka and forwards
// queries to the readers.
package main

import (
	"context"
	"flag"

	"catalog/cmd/internal/program"
	"catalog/engine/kafka"
	"catalog/gateway"
	"catalog/internal/engines"
	"catalog/internal/rpc"
)

func main() {
	var (
		gatewayCfg           gateway.Config
		kafkaCfg             kafka.Config
		http, reader, writer string
	)
	program.Main(program.Info{Name: "gateway", About: "Serves the HTTP API: sends commands to Kafka and queries to the readers.", AdminAddr: "127.0.0.1:9101"},
		func(fs *flag.FlagSet) {
			fs.StringVar(&http, "http", "127.0.0.1:8080", "`address` of the HTTP API and the console")
			fs.StringVar(&reader, "reader", "127.0.0.1:9093", "gRPC `target` of the readers, such as dns:///reader:9093")
			fs.StringVar(&writer, "writer", "127.0.0.1:9092", "gRPC `target` of the writers, such as dns:///writer:9092")
			gatewayCfg.Flags(fs)
			kafkaCfg.Flags(fs)
		},
		func(ctx context.Context, p *program.Process) error {
			log, err := engines.OpenKafka(ctx, p.Engines, kafkaCfg)
			if err != nil {
				return err
			}
			p.Engines.WatchBrokers(log)
			readers, err := p.Dial(reader)
			if err != nil {
				return err
			}
			p.Engines.AddCheck("reader", rpc.Ping(readers))
			writers, err := p.Dial(writer)
			if err != nil {
				return err
			}
			p.Engines.AddCheck("writer", rpc.Ping(writers))
			parts, _, err := p.Gateway(gatewayCfg, log, readers, writers, http)
			if err != nil {
				return err
			}
			return p.Run(ctx, parts...)
		})
}
