package local_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"catalog"
	"catalog/engine/kafka"
	"catalog/engine/mongo"
	"catalog/engine/opensearch"
	"catalog/engine/postgres"
	"catalog/engine/redis"
	"catalog/internal/engines"
	"catalog/internal/engines/query"
	"catalog/internal/engines/store"
)

// opens returns for each engine, by name, a function that opens it at an address, which
// is what follows the scheme of a URL.
func opens(at string) map[string]func(context.Context, *engines.Set) error {
	return map[string]func(context.Context, *engines.Set) error{
		"Kafka": func(ctx context.Context, s *engines.Set) error {
			_, err := engines.OpenKafka(ctx, s, kafka.Config{Brokers: at})
			return err
		},
		"PostgreSQL": func(ctx context.Context, s *engines.Set) error {
			_, err := store.Open(ctx, s, postgres.Config{URL: "postgres://" + at})
			return err
		},
		"MongoDB": func(ctx context.Context, s *engines.Set) error {
			_, err := query.OpenView(ctx, s, query.Config{Mongo: mongo.Config{URL: "mongodb://" + at}})
			return err
		},
		"Redis": func(ctx context.Context, s *engines.Set) error {
			_, err := query.OpenCache(ctx, s, query.Config{Redis: redis.Config{URL: "redis://" + at}}, 8)
			return err
		},
		"OpenSearch": func(ctx context.Context, s *engines.Set) error {
			_, err := query.OpenIndex(ctx, s, query.Config{OpenSearch: opensearch.Config{URL: "http://" + at}})
			return err
		},
	}
}

func TestOpen_engineAway(t *testing.T) {
	t.Parallel()
	const nothing = "127.0.0.1:1" // no process listens there
	for name, open := range opens(nothing) {
		t.Run(name+" that is away is an engine to wait for", func(t *testing.T) {
			t.Parallel()
			if err := open(t.Context(), newSet(t)); !errors.Is(err, catalog.ErrUnavailable) {
				t.Fatalf("Open = %v; want ErrUnavailable", err)
			}
		})
	}
}

func TestOpen_plantedSecret(t *testing.T) {
	t.Parallel()
	const secret = "pl4nted-s3cret"
	for _, where := range []string{
		"user:" + secret + "@127.0.0.1:1", "user:" + secret + "@127.0.0.1:port", "user:%" + secret + "@127.0.0.1:1", "user:" + secret + "/@127.0.0.1:1",
		":" + secret + "@", "user:" + secret + "@127.0.0.1:1/\x7f", "user:" + secret + "@[::1", "127.0.0.1:1/?password=" + secret + "&bad=%zz",
	} {
		for name, open := range opens(where) {
			t.Run("the error of "+name+" hides the secret in "+where, func(t *testing.T) {
				t.Parallel()
				if err := open(t.Context(), newSet(t)); err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("Open = %v", err)
				}
			})
		}
	}
}
