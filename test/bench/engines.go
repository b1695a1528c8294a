package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"catalog/engine/enginetest/freeport"
	"catalog/engine/enginetest/pgschema"
)

// engines are real engines with addresses from the environment. Their topics,
// schemas, databases and keys have a name of their own.
type engines struct {
	kafka, server, postgres, mongo, redis, own string // server is the PostgreSQL, postgres a schema of it
	drops                                      []func(context.Context) error
}

// realEngines returns nil when an address is missing.
func realEngines(ctx context.Context) (*engines, error) {
	e := engines{
		kafka: os.Getenv("CATALOG_TEST_KAFKA_BROKERS"), server: os.Getenv("CATALOG_TEST_POSTGRES_URL"),
		mongo: os.Getenv("CATALOG_TEST_MONGO_URL"), redis: os.Getenv("CATALOG_TEST_REDIS_URL"),
		own: fmt.Sprintf("bench_%d", time.Now().UnixNano()),
	}
	if e.kafka == "" || e.server == "" || e.mongo == "" || e.redis == "" {
		return nil, nil
	}
	var err error
	e.postgres, err = e.schema(ctx, e.own)
	return &e, err
}

// schema creates a schema, which drop removes, and returns its URL.
func (e *engines) schema(ctx context.Context, name string) (string, error) {
	schemaURL, drop, err := pgschema.Create(ctx, e.server, name)
	if err != nil {
		return "", err
	}
	e.drops = append(e.drops, drop)
	return schemaURL, nil
}

// drop removes the schemas. Data in the other engines stay until those stop.
func (e *engines) drop(ctx context.Context) error {
	var errs []error
	for _, drop := range e.drops {
		errs = append(errs, drop(ctx))
	}
	return errors.Join(errs...)
}

// flags returns the flags with which `catalog up` uses the engines.
func (e *engines) flags() []string {
	return []string{
		"-kafka.brokers", e.kafka, "-kafka.topic-prefix", e.own, "-kafka.partitions", "4", "-kafka.replicas", "1",
		"-postgres.url", e.postgres, "-mongo.url", e.mongo, "-mongo.database", e.own, "-redis.url", e.redis, "-redis.prefix", e.own,
	}
}

// startRedis starts a Redis, or returns the one from the environment.
func startRedis(dir string) (url string, stop func(), err error) {
	if url := os.Getenv("CATALOG_TEST_REDIS_URL"); url != "" {
		return url, func() {}, nil
	}
	address := freeport.Address()
	_, port, _ := strings.Cut(address, ":")
	c := exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", dir)
	if err := c.Start(); err != nil {
		return "", nil, fmt.Errorf("start Redis (install redis-server or set CATALOG_TEST_REDIS_URL): %w", err)
	}
	return "redis://" + address, func() { _ = c.Process.Kill(); _ = c.Wait() }, nil
}
