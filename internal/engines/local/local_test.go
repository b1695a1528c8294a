package local_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"catalog/engine/embedded"
	"catalog/engine/enginetest/freeport"
	"catalog/engine/kafka"
	"catalog/engine/mongo"
	"catalog/engine/opensearch"
	"catalog/engine/postgres"
	"catalog/engine/redis"
	"catalog/internal/engines"
	"catalog/internal/engines/local"
	"catalog/internal/engines/query"
	"catalog/internal/engines/store"
)

func newSet(t *testing.T) *engines.Set {
	s := &engines.Set{Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()}
	t.Cleanup(s.Close)
	return s
}

func config(t *testing.T) local.Config {
	return local.Config{Data: filepath.Join(t.TempDir(), "data")}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	t.Run("without addresses everything is in the data folder", func(t *testing.T) {
		t.Parallel()
		s, cfg := newSet(t), config(t)
		e, err := local.Open(t.Context(), s, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if e.Store == nil || e.View == nil || e.Index == nil || e.Cache != nil || e.Log.Shards() != embedded.Shards {
			t.Errorf("Open = %+v with %d shards; want a store, a view, an index, no cache and %d shards", e, e.Log.Shards(), embedded.Shards)
		}
		var names []string
		for _, c := range s.Checks() {
			names = append(names, c.Name)
			if err := c.Ping(t.Context()); err != nil {
				t.Errorf("check %s = %v; want nil", c.Name, err)
			}
		}
		if want := []string{"disk", "kafka", "sqlite"}; !slices.Equal(names, want) {
			t.Errorf("checks %v; want %v", names, want)
		}
		if _, err := local.Open(t.Context(), newSet(t), cfg); !errors.Is(err, embedded.ErrInUse) {
			t.Errorf("a second Open = %v; want ErrInUse", err)
		}
		s.Close()
		if _, _, err := local.OpenStore(t.Context(), newSet(t), cfg); err != nil {
			t.Errorf("OpenStore after Close = %v; want nil", err)
		}
	})
	t.Run("a repair creates no data folder", func(t *testing.T) {
		t.Parallel()
		cfg := config(t)
		if _, _, err := local.OpenStore(t.Context(), newSet(t), cfg); !errors.Is(err, local.ErrNoFolder) || !strings.Contains(err.Error(), cfg.Data) {
			t.Errorf("OpenStore = %v; want ErrNoFolder and the folder's name", err)
		}
	})
}

// An engine that is not running must be reported on one line with the address and the
// flag that names it.
func TestOpen_unreachable(t *testing.T) {
	t.Parallel()
	addr := freeport.Address()
	tests := []struct {
		engine, flag string
		open         func(context.Context, *engines.Set) error
	}{
		{"Kafka", "-kafka.brokers", func(ctx context.Context, s *engines.Set) error {
			_, err := engines.OpenKafka(ctx, s, kafka.Config{Brokers: addr})
			return err
		}},
		{"PostgreSQL", "-postgres.url", func(ctx context.Context, s *engines.Set) error {
			_, err := store.Open(ctx, s, postgres.Config{URL: "postgres://user:secret@" + addr + "/catalog"})
			return err
		}},
		{"MongoDB", "-mongo.url", func(ctx context.Context, s *engines.Set) error {
			_, err := query.OpenView(ctx, s, query.Config{Mongo: mongo.Config{URL: "mongodb://user:secret@" + addr}})
			return err
		}},
		{"Redis", "-redis.url", func(ctx context.Context, s *engines.Set) error {
			_, err := query.OpenCache(ctx, s, query.Config{Redis: redis.Config{URL: "redis://user:secret@" + addr}}, 1)
			return err
		}},
		{"OpenSearch", "-opensearch.url", func(ctx context.Context, s *engines.Set) error {
			_, err := query.OpenIndex(ctx, s, query.Config{OpenSearch: opensearch.Config{URL: "http://user:secret@" + addr}})
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.engine, func(t *testing.T) {
			t.Parallel()
			s := newSet(t)
			err := tt.open(t.Context(), s)
			if err == nil {
				t.Fatalf("opening %s at %s = nil; want an error", tt.engine, addr)
			}
			for _, want := range []string{tt.engine, addr, tt.flag} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %q has several lines or a password", err)
			}
			if len(s.Checks()) > 0 {
				t.Errorf("%s was added to the checks", tt.engine)
			}
		})
	}
}
