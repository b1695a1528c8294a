//go:build real

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"catalog"
	"catalog/engine/enginetest"
	"catalog/engine/redis"
)

// BenchmarkProduct reads cached products, from one goroutine and from 16 per CPU.
func BenchmarkProduct(b *testing.B) {
	c, err := redis.Open(b.Context(), redis.Config{URL: os.Getenv("CATALOG_TEST_REDIS_URL"), Prefix: fmt.Sprint("bench:", time.Now().UnixNano()), Shards: enginetest.CacheShards})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	go c.RenewLeases(ctx)
	for s := range int32(enginetest.CacheShards) {
		if err := errors.Join(c.Acquire(ctx, s), c.AllowFill(ctx, s)); err != nil {
			b.Fatal(err)
		}
	}
	ids := make([]catalog.ID, 1000)
	for i := range ids {
		ids[i] = catalog.DerivedID(fmt.Sprint(i))
		p := catalog.Product{ID: ids[i], Version: 1, ProductData: catalog.ProductData{Name: "Folding chair", Description: fmt.Sprintf("%0200d", i), Price: catalog.Money{Currency: "EUR"}}}
		for {
			_, found, fillToken, err := c.Product(ctx, ids[i])
			if err != nil {
				b.Fatal(err)
			}
			if found {
				break
			}
			if err := c.Fill(ctx, fillToken, p); err != nil {
				b.Fatal(err)
			}
		}
	}
	read := func(b *testing.B, i int) {
		if _, found, _, err := c.Product(ctx, ids[i%len(ids)]); err != nil || !found {
			b.Error("invalid benchmark: a product is not cached", err)
		}
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			read(b, i)
		}
	})
	b.Run("many", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				read(b, i)
			}
		})
	})
}
