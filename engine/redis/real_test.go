//go:build real

package redis_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"catalog"
	"catalog/engine/enginetest"
	"catalog/engine/enginetest/rediscluster"
	"catalog/engine/redis"
	"catalog/reader"
)

func TestCache_real(t *testing.T) {
	url := os.Getenv("CATALOG_TEST_REDIS_URL")
	if url == "" {
		t.Fatal("CATALOG_TEST_REDIS_URL is not set; set it to the URL of a Redis server for tests")
	}
	enginetest.TestCache(t, func(t *testing.T) func() reader.Cache { return open(t, url) })
}

func TestCache_cluster(t *testing.T) {
	url := rediscluster.Start(t).URL()
	enginetest.TestCache(t, func(t *testing.T) func() reader.Cache { return open(t, url) })
}

// A lease is invalid on another node than the one that made it, and a change waits
// until the lease on the former node has expired.
func TestLease_failover(t *testing.T) {
	for name, failover := range map[string]func(c *rediscluster.Cluster, key string){
		"the master is killed":         (*rediscluster.Cluster).KillMaster,
		"a replica takes over at once": (*rediscluster.Cluster).Takeover,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := rediscluster.Start(t)
			c := connect(t, redis.Config{URL: cluster.URL()})
			ctx, stop := context.WithCancel(t.Context())
			var renewing sync.WaitGroup
			renewing.Go(func() { c.RenewLeases(ctx) })
			p := fillLamp(t, c)
			stop() // this process makes no further call to the lease
			renewing.Wait()
			shard := catalog.Shard(p.ID, enginetest.CacheShards)
			failover(cluster, fmt.Sprintf("catalog:{%d}:lease", shard))
			for range 20 {
				if got, found, _, _ := c.Product(t.Context(), p.ID); found {
					t.Fatalf("Product = version %d after the failover, before the holder has renewed the lease; want a miss", got.Version)
				}
			}
			for end := time.Now().Add(time.Minute); c.Invalidate(t.Context(), shard, []catalog.ID{p.ID}) != nil; {
				if time.Now().After(end) {
					t.Fatal("Invalidate still fails 1 min after the failover")
				}
			}
			ctx, stop = context.WithCancel(t.Context())
			renewing.Go(func() { c.RenewLeases(ctx) })
			fillLamp(t, c)
			stop()
			renewing.Wait()
		})
	}
}
