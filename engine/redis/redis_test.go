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

// open answers processes that use a cache with keys of its own.
func open(t *testing.T, url string) func() reader.Cache {
	t.Helper()
	prefix := "test:" + rand.Text()
	return func() reader.Cache { return connect(t, redis.Config{URL: url, Prefix: prefix}) }
}

func connect(t *testing.T, cfg redis.Config) *redis.Cache {
	t.Helper()
	cfg.Shards = enginetest.CacheShards
	c, err := redis.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestCache(t *testing.T) {
	enginetest.TestCache(t, func(t *testing.T) func() reader.Cache {
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
	shard := catalog.Shard(id, enginetest.CacheShards)
	if err := c.Acquire(t.Context(), shard); err != nil {
		t.Fatal(err)
	}
	if err := c.AllowFill(t.Context(), shard); err != nil {
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
		if err := c.Invalidate(t.Context(), shard, []catalog.ID{id}); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(since); d > 4*time.Second {
		t.Errorf("a cache that is away held 20 changes up for %v", d)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := c.AllowFill(t.Context(), shard); err != nil {
		t.Fatal(err)
	}
	go c.RenewLeases(t.Context())
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

// lamp is in the cache, guarded by c, at the answered moment of Redis.
func lamp(t *testing.T, c *redis.Cache) catalog.Product {
	t.Helper()
	p := catalog.Product{ID: catalog.DerivedID("lamp"), Version: 1, Deleted: true}
	shard := catalog.Shard(p.ID, enginetest.CacheShards)
	if err := errors.Join(c.Acquire(t.Context(), shard), c.AllowFill(t.Context(), shard)); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(time.Millisecond) {
		_, found, ticket, err := c.Product(t.Context(), p.ID)
		if err != nil {
			t.Fatal(err)
		}
		if found {
			return p
		}
		if err := c.Fill(t.Context(), ticket, p); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the cache is never used")
	return p
}

func TestAnOldSnapshotIsNotBelievedByWhoeverGuardsTheShard(t *testing.T) {
	server := miniredis.RunT(t) // in which nothing expires
	c := connect(t, redis.Config{URL: "redis://" + server.Addr()})
	p := lamp(t, c)
	shard := catalog.Shard(p.ID, enginetest.CacheShards)
	snapshot := server.Dump()
	guard := map[string]string{}
	var guardKey, entryKey, entry string
	for _, key := range server.Keys() {
		if server.Type(key) == "hash" {
			guardKey = key
			fields, _ := server.HKeys(key)
			for _, f := range fields {
				guard[f] = server.HGet(key, f)
			}
		} else {
			entryKey = key
			entry, _ = server.Get(key)
		}
	}
	if err := errors.Join(c.Invalidate(t.Context(), shard, []catalog.ID{p.ID}), c.AllowFill(t.Context(), shard)); err != nil {
		t.Fatal(err)
	}
	// Redis is now as it was.
	server.Del(guardKey)
	for f, v := range guard {
		server.HSet(guardKey, f, v)
	}
	if err := server.Set(entryKey, entry); err != nil {
		t.Fatal(err)
	}
	if now := server.Dump(); now != snapshot {
		t.Fatalf("void: it was\n%s\nand is\n%s", snapshot, now)
	}
	if err := c.Invalidate(t.Context(), shard, nil); err != nil { // what comes next, whatever it is about
		t.Fatal(err)
	}
	if p, found, _, err := c.Product(t.Context(), p.ID); found || err != nil {
		t.Fatalf("version %d of the old snapshot is answered, %v", p.Version, err)
	}
}

func TestARedisThatWasStartedAgainIsNotBelievedBeforeAllThatItMayHaveIsOver(t *testing.T) {
	server := miniredis.RunT(t) // which keeps all that it has
	c := connect(t, redis.Config{URL: "redis://" + server.Addr()})
	p := lamp(t, c)
	server.Close()
	if _, _, _, err := c.Product(t.Context(), p.ID); err == nil {
		t.Fatal("void: Redis was not away")
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	for since := time.Now(); ; {
		several, _ := c.Products(t.Context(), []catalog.ID{p.ID})
		_, found, ticket, err := c.Product(t.Context(), p.ID)
		if after := time.Since(since); (found || ticket != "" || len(several) > 0) && after < time.Second {
			t.Fatalf("it is believed after %v", after)
		}
		if err == nil && found {
			return // its guard is still there, so it must have been prolonged since
		}
		if time.Since(since) > 20*time.Second {
			t.Fatal("it is never believed again")
		}
		<-time.After(time.Millisecond)
	}
}
