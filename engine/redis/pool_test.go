package redis_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"

	"catalog/engine/redis"
	"catalog/internal/metrics/metricstest"
)

func TestPool(t *testing.T) {
	t.Run("open connections are counted until they are closed", func(t *testing.T) {
		reg := prometheus.NewRegistry()
		c, err := redis.Open(t.Context(), redis.Config{URL: "redis://" + miniredis.RunT(t).Addr(), Shards: 1, Metrics: reg})
		if err != nil {
			t.Fatal(err)
		}
		open := func() float64 {
			return metricstest.Value(t, reg, "db_client_connection_count", "db_client_connection_pool_name", "redis", "db_client_connection_state", "used")
		}
		if open() < 1 {
			t.Error("no connection is open")
		}
		c.Close()
		for end := time.Now().Add(time.Minute); open() != 0; <-time.After(time.Millisecond) { // the client closes in the background
			if time.Now().After(end) {
				t.Fatalf("%v connections are open a minute after Close, want 0", open())
			}
		}
	})
}
