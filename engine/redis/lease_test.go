package redis_test

import (
	"errors"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"catalog"
	"catalog/engine/enginetest"
	"catalog/engine/redis"
)

// fillLamp stores a product in the cache under a lease of c.
func fillLamp(t testing.TB, c *redis.Cache) catalog.Product {
	t.Helper()
	p := catalog.Product{ID: catalog.DerivedID("lamp"), Version: 1, Deleted: true}
	acquire(t, c, p.ID)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-time.After(time.Millisecond) {
		_, found, fillToken, err := c.Product(t.Context(), p.ID)
		if err != nil {
			t.Fatal(err)
		}
		if found {
			return p
		}
		if err := c.Fill(t.Context(), fillToken, p); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the product is not cached after 1 min")
	return p
}

func TestLease_oldSnapshot(t *testing.T) {
	t.Run("the holder detects that Redis has lost calls", func(t *testing.T) {
		server := miniredis.RunT(t) // the clock of the server stands still: nothing expires
		c := connect(t, redis.Config{URL: "redis://" + server.Addr()})
		p := fillLamp(t, c)
		shard := catalog.Shard(p.ID, enginetest.CacheShards)
		snapshot := server.Dump()
		hashes := map[string]map[string]string{} // lease and holder
		var entryKey, entry string
		for _, key := range server.Keys() {
			if server.Type(key) == "hash" {
				hashes[key] = map[string]string{}
				fields, _ := server.HKeys(key)
				for _, f := range fields {
					hashes[key][f] = server.HGet(key, f)
				}
			} else {
				entryKey = key
				entry, _ = server.Get(key)
			}
		}
		if err := errors.Join(c.Invalidate(t.Context(), shard, []catalog.ID{p.ID}), c.AllowFill(t.Context(), shard)); err != nil {
			t.Fatal(err)
		}
		for key, fields := range hashes {
			server.Del(key)
			for f, v := range fields {
				server.HSet(key, f, v)
			}
		}
		if err := server.Set(entryKey, entry); err != nil {
			t.Fatal(err)
		}
		if now := server.Dump(); now != snapshot {
			t.Fatalf("invalid test: the snapshot was restored as\n%s\nwant\n%s", now, snapshot)
		}
		if err := c.Invalidate(t.Context(), shard, nil); err != nil { // any call of the holder
			t.Fatal(err)
		}
		if p, found, _, err := c.Product(t.Context(), p.ID); found || err != nil {
			t.Fatalf("Product = version %d of the old snapshot, %v; want a miss", p.Version, err)
		}
	})
}

func TestLease_restart(t *testing.T) {
	t.Run("leases from before a restart are trusted only after they have expired", func(t *testing.T) {
		server := miniredis.RunT(t) // the server keeps its data across the restart
		c := connect(t, redis.Config{URL: "redis://" + server.Addr()})
		p := fillLamp(t, c)
		server.Close()
		if _, _, _, err := c.Product(t.Context(), p.ID); err == nil {
			t.Fatal("invalid test: Redis is still reachable")
		}
		start := time.Now() // before any new connection
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		for {
			products, _ := c.Products(t.Context(), []catalog.ID{p.ID})
			_, found, fillToken, err := c.Product(t.Context(), p.ID)
			if after := time.Since(start); (found || fillToken != "" || len(products) > 0) && after < time.Second {
				t.Fatalf("the old lease is trusted after %v; want at least 1 s", after)
			}
			if err == nil && found {
				return // the lease is still there, so it has been extended since
			}
			if time.Since(start) > time.Minute {
				t.Fatal("the cache is not used again 1 min after the restart")
			}
			<-time.After(time.Millisecond)
		}
	})
}
