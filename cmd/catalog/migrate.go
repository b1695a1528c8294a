package main

import (
	"context"
	"fmt"
	"os"

	"catalog/cmd/internal/program"
	"catalog/engine/kafka"
	"catalog/engine/postgres"
	"catalog/internal/engines"
	"catalog/internal/engines/store"
)

func migrate(ctx context.Context, args []string) error {
	var (
		kafkaCfg    kafka.Config
		postgresCfg postgres.Config
	)
	fs := flags("migrate", `migrate -kafka.brokers ADDRESSES -postgres.url URL

Creates the topics and tables that are missing, and updates the tables. It may run
while services run, and any number of times.
`)
	kafkaCfg.Flags(fs)
	postgresCfg.Flags(fs)
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	if kafkaCfg.Brokers == "" || postgresCfg.URL == "" {
		return wrongUsage("give -kafka.brokers and -postgres.url; catalog up without servers needs no migration")
	}
	p, err := program.Open(ctx, "migrate", program.Config{}, os.Stderr)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := postgres.Migrate(ctx, postgresCfg.URL); err != nil {
		return err
	}
	fmt.Println("postgres: tables are up to date")
	log, err := engines.CreateKafka(ctx, p.Engines, kafkaCfg)
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
	fmt.Printf("kafka: topics are up to date, with %d partitions\n", log.Shards())
	return nil
}
