package redis_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"catalog"
	"catalog/catalogtest"
	"catalog/reader"
	"catalog/redis"
)

// open answers processes that use a cache with keys of its own.
func open(t *testing.T, url string) func() reader.Cache {
	t.Helper()
	prefix := "test:" + rand.Text()
	return func() reader.Cache { return connect(t, redis.Config{URL: url, Prefix: prefix}) }
}

func connect(t *testing.T, cfg redis.Config) *redis.Cache {
	t.Helper()
	cfg.Shards = catalogtest.CacheShards
	c, err := redis.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestCache(t *testing.T) {
	catalogtest.TestCache(t, func(t *testing.T) func() reader.Cache {
		server := miniredis.RunT(t)
		expire(t, server)
		return open(t, "redis://"+server.Addr())
	})
}

// expire makes time pass in a miniredis, which has none of its own.
func expire(t *testing.T, server *miniredis.Miniredis) {
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

func TestAMissingRedisIsSaidInOneLine(t *testing.T) {
	_, err := redis.Open(t.Context(), redis.Config{URL: "redis://127.0.0.1:1"})
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || strings.Contains(err.Error(), "\n") {
		t.Fatalf("Open = %v; want one line that says where", err)
	}
}

func TestARedisThatGoesAwayIsAnErrorAtOnceAndIsUsedAgainWhenItIsBack(t *testing.T) {
	server := miniredis.RunT(t)
	expire(t, server)
	c := connect(t, redis.Config{URL: "redis://" + server.Addr()})
	id := catalog.DerivedID("p")
	shard := catalog.Shard(id, catalogtest.CacheShards)
	if err := c.Guard(t.Context(), shard); err != nil {
		t.Fatal(err)
	}
	if err := c.Admit(t.Context(), shard); err != nil {
		t.Fatal(err)
	}
	server.Close()
	since := time.Now()
	for range 10 {
		if _, _, _, err := c.Product(t.Context(), id); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("Product = %v; want one line", err)
		}
	}
	if d := time.Since(since); d > 2*time.Second {
		t.Errorf("10 errors took %v", d)
	}
	since = time.Now()
	for range 20 { // the first waits until the term is over, and no other
		if err := c.Forget(t.Context(), shard, []catalog.ID{id}); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(since); d > 4*time.Second {
		t.Errorf("a cache that is away held 20 changes up for %v", d)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := c.Admit(t.Context(), shard); err != nil {
		t.Fatal(err)
	}
	go c.Keep(t.Context())
	deadline := time.Now().Add(10 * time.Second)
	for {
		if _, _, ticket, err := c.Product(t.Context(), id); err == nil && ticket != "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it is not used again")
		}
		<-time.After(time.Millisecond)
	}
}
