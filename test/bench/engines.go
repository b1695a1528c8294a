package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"catalog/engine/enginetest/freeport"
)

// engines are real engines with addresses from the environment. Their topics,
// schemas, databases and keys have a name of their own.
type engines struct{ kafka, postgres, mongo, redis, own string }

// realEngines returns nil when an address is missing.
func realEngines(ctx context.Context) (*engines, error) {
	e := engines{
		kafka: os.Getenv("CATALOG_TEST_KAFKA_BROKERS"), postgres: os.Getenv("CATALOG_TEST_POSTGRES_URL"),
		mongo: os.Getenv("CATALOG_TEST_MONGO_URL"), redis: os.Getenv("CATALOG_TEST_REDIS_URL"),
		own: fmt.Sprintf("bench_%d", time.Now().UnixNano()),
	}
	if e.kafka == "" || e.postgres == "" || e.mongo == "" || e.redis == "" {
		return nil, nil
	}
	var err error
	e.postgres, err = e.schema(ctx, e.own)
	return &e, err
}

// schema creates a schema and returns its URL.
func (e *engines) schema(ctx context.Context, name string) (string, error) {
	conn, err := pgx.Connect(ctx, e.postgres)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE SCHEMA "+name); err != nil {
		return "", err
	}
	u, err := url.Parse(e.postgres)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// drop removes the schemas. Data in the other engines stay until those stop.
func (e *engines) drop(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, e.postgres)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "DROP SCHEMA "+e.own+" CASCADE; DROP SCHEMA IF EXISTS "+e.own+"_alone CASCADE")
	return err
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
