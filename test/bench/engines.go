package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"catalog/engine/enginetest/freeport"
	"catalog/engine/enginetest/pgschema"
)

// engines are real engines with addresses from the environment. Their topics,
// schemas, databases and keys have a name of their own.
type engines struct {
	kafka, server, postgres, mongo, redis, own string // server is the PostgreSQL, postgres a schema of it
	drops                                      []func(context.Context) error
}

// errNoEngines is the error of a part that needs real engines.
var errNoEngines = errors.New("no real engines in the environment; run make engines-up")

// realEngines returns errNoEngines when an address is missing. Call drop at the end.
func realEngines(ctx context.Context) (*engines, error) {
	e := engines{
		kafka: os.Getenv("CATALOG_TEST_KAFKA_BROKERS"), server: os.Getenv("CATALOG_TEST_POSTGRES_URL"),
		mongo: os.Getenv("CATALOG_TEST_MONGO_URL"), redis: os.Getenv("CATALOG_TEST_REDIS_URL"),
		own: fmt.Sprintf("bench_%d", time.Now().UnixNano()),
	}
	if e.kafka == "" || e.server == "" || e.mongo == "" || e.redis == "" {
		return nil, errNoEngines
	}
	var err error
	if e.postgres, err = e.schema(ctx, e.own); err != nil {
		return nil, err
	}
	e.drops = append(e.drops, e.dropTopics, e.dropDatabase)
	return &e, nil
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

// drop removes schemas, topics and databases. The keys in Redis expire.
func (e *engines) drop(ctx context.Context) error {
	var errs []error
	for _, drop := range e.drops {
		errs = append(errs, drop(ctx))
	}
	return errors.Join(errs...)
}

func (e *engines) dropTopics(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(e.kafka))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		return err
	}
	var own []string
	for _, t := range topics.Names() {
		if strings.HasPrefix(t, e.own) {
			own = append(own, t)
		}
	}
	_, err = admin.DeleteTopics(ctx, own...)
	return err
}

func (e *engines) dropDatabase(ctx context.Context) error {
	client, err := mongo.Connect(options.Client().ApplyURI(e.mongo))
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(ctx) }()
	return client.Database(e.own).Drop(ctx)
}

// env returns the settings of programs that use the engines. 0 is the default number
// of partitions.
func (e *engines) env(partitions int) []string {
	env := []string{
		"CATALOG_KAFKA_BROKERS=" + e.kafka, "CATALOG_KAFKA_TOPIC_PREFIX=" + e.own, "CATALOG_KAFKA_REPLICAS=1",
		"CATALOG_POSTGRES_URL=" + e.postgres, "CATALOG_MONGO_URL=" + e.mongo, "CATALOG_MONGO_DATABASE=" + e.own,
		"CATALOG_REDIS_URL=" + e.redis, "CATALOG_REDIS_PREFIX=" + e.own,
	}
	if partitions > 0 {
		env = append(env, fmt.Sprint("CATALOG_KAFKA_PARTITIONS=", partitions))
	}
	return env
}

// cpuTimes returns the CPU time of those engines that run on this machine, by name.
func (e *engines) cpuTimes() (map[string]time.Duration, error) {
	times := map[string]time.Duration{}
	for name, address := range map[string]string{"Kafka": "tcp://" + e.kafka, "PostgreSQL": e.server, "MongoDB": e.mongo, "Redis": e.redis} {
		u, err := url.Parse(address)
		if err != nil {
			return nil, err
		}
		if pid := listener(u.Host); pid > 0 {
			if times[name], err = treeCPU(pid); err != nil {
				return nil, err
			}
		}
	}
	return times, nil
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
