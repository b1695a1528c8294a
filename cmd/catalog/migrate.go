package main

import (
	"context"
	"fmt"
	"os"

	"catalog/cmd/internal/service"
	"catalog/engine/kafka"
	"catalog/engine/postgres"
	"catalog/internal/telemetry"
)

func migrate(ctx context.Context, args []string) error {
	var log kafka.Config
	var truth postgres.Config
	fs := flags("migrate", `migrate -kafka.brokers ADDRESSES -postgres.url URL

Makes the topics and tables that are not there and brings tables up to date. It
may run while services run, and as often as you like.
`)
	log.Flags(fs)
	truth.Flags(fs)
	if err := parse(fs, args); err != nil {
		return err
	}
	if log.Brokers == "" || truth.URL == "" {
		return wrongUsage("give -kafka.brokers and -postgres.url; `catalog up` alone needs no migration")
	}
	t, err := telemetry.Open(ctx, "migrate", service.Version, telemetry.Config{}, os.Stderr)
	if err != nil {
		return err
	}
	defer t.Close()
	if err := postgres.Migrate(ctx, truth.URL); err != nil {
		return err
	}
	fmt.Println("postgres: tables are up to date")
	l, err := kafka.Open(ctx, log, t.Log, t.Registry)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.CreateTopics(ctx, log.Partitions); err != nil {
		return err
	}
	s, err := postgres.Open(ctx, truth)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.InitShards(ctx, l.Shards()); err != nil {
		return err
	}
	fmt.Printf("kafka: topics are there, with %d partitions\n", l.Shards())
	return nil
}
