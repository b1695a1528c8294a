package redis_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"catalog"
	"catalog/engine/enginetest"
	"catalog/engine/redis"
	"catalog/reader"
)

// open returns a function that connects another process to one cache. The cache
// has its own key prefix.
func open(t testing.TB, url string) func() reader.Cache {
	t.Helper()
	prefix := "test:" + rand.Text()
	return func() reader.Cache { return connect(t, redis.Config{URL: url, Prefix: prefix}) }
}

func connect(t testing.TB, cfg redis.Config) *redis.Cache {
	t.Helper()
	cfg.Shards = enginetest.CacheShards
	c, err := redis.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// startClock advances the clock of a miniredis with the wall clock; keys expire
// only by FastForward.
func startClock(t testing.TB, server *miniredis.Miniredis) {
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for last := time.Now(); ; {
			select {
			case <-stop:
				return
			case now := <-tick.C:
				server.FastForward(now.Sub(last))
				last = now
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
}

func TestOpen(t *testing.T) {
	t.Run("an unreachable Redis is an error of one line with the address", func(t *testing.T) {
		_, err := redis.Open(t.Context(), redis.Config{URL: "redis://user:secret@127.0.0.1:1"})
		if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
			t.Fatalf("Open = %v; want one line with the address and without the password", err)
		}
	})
}

func TestCache(t *testing.T) {
	enginetest.TestCache(t, func(t *testing.T) func() reader.Cache {
		server := miniredis.RunT(t)
		startClock(t, server)
		return open(t, "redis://"+server.Addr())
	})
}

// acquire acquires the shard of the product and allows fills.
func acquire(t testing.TB, c *redis.Cache, id catalog.ID) (shard int32) {
	t.Helper()
	shard = catalog.Shard(id, enginetest.CacheShards)
	if err := errors.Join(c.Acquire(t.Context(), shard), c.AllowFill(t.Context(), shard)); err != nil {
		t.Fatal(err)
	}
	return shard
}

func TestCache_outage(t *testing.T) {
	server := miniredis.RunT(t)
	startClock(t, server)
	c := connect(t, redis.Config{URL: "redis://" + server.Addr()})
	id := catalog.DerivedID("p")
	shard := acquire(t, c, id)
	server.Close()

	t.Run("reads fail at once", func(t *testing.T) {
		start := time.Now()
		for range 10 {
			if _, _, _, err := c.Product(t.Context(), id); err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("Product = %v; want an error of one line", err)
			}
		}
		// Without the dial timeout of 2 s on each call; the margin is for a busy machine.
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("10 failed reads took %v; want far less than 2 s each", d)
		}
	})
	t.Run("only the first change waits for the lease to expire", func(t *testing.T) {
		start := time.Now()
		for range 20 {
			if err := c.Invalidate(t.Context(), shard, []catalog.ID{id}); err != nil {
				t.Fatal(err)
			}
		}
		// 20 waits of one lease each would be 20 s.
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("20 changes took %v; want one wait of about 1 s", d)
		}
	})
	t.Run("the cache is used again when Redis is back", func(t *testing.T) {
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		if err := c.AllowFill(t.Context(), shard); err != nil {
			t.Fatal(err)
		}
		go c.RenewLeases(t.Context())
		deadline := time.Now().Add(time.Minute)
		for {
			if _, _, fillToken, err := c.Product(t.Context(), id); err == nil && fillToken != "" {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("Product returns no fill token 1 min after the restart")
			}
			<-time.After(time.Millisecond)
		}
	})
}
