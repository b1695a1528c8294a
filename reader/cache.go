package reader

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/internal/metrics"
	"catalog/reader/projection"
)

// Cache holds either what the view holds of a product at the moment, or nothing.
// The process that projects a shard announces each change before it makes it:
// see projection.Cache. A cache may drop anything at any time. Package redis
// implements it; enginetest.TestCache holds what an implementation must do. An error
// that is ErrUnavailable says that calls for other products would fail, too.
type Cache interface {
	projection.Cache

	// Product returns a product, which may be a tombstone, and whether the cache
	// holds it. A product of version 0 does not exist in the view. When the cache
	// does not hold the product, the ticket is for Fill; "" means that Fill would
	// store nothing.
	Product(ctx context.Context, id catalog.ID) (p catalog.Product, found bool, ticket string, err error)

	// Products returns those of the products that the cache holds, by id, encoded
	// by wire.EncodeProduct. The encoding is empty for a product that does not
	// exist in the view.
	Products(ctx context.Context, ids []catalog.ID) (map[catalog.ID][]byte, error)

	// Fill stores a product that was read from the view after the ticket was
	// issued, unless the product may have changed since.
	Fill(ctx context.Context, ticket string, p catalog.Product) error
}

// cacheClient reads and fills the cache for queries. When the cache is unavailable or
// takes longer than cacheTimeout, it is bypassed for cacheBypass. Without a cache,
// cacheClient finds nothing.
type cacheClient struct {
	cache       Cache // nil for none
	bypassUntil atomic.Int64
	lookups     metrics.Lookups
	errors      prometheus.Counter
	logger      *slog.Logger
}

func newCacheClient(cache Cache, logger *slog.Logger, reg prometheus.Registerer) *cacheClient {
	c := &cacheClient{cache: cache, logger: logger, lookups: metrics.CacheLookups(reg, "redis"), errors: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "catalog_cache_errors_total", Help: "Calls of Redis that failed. If Redis is unavailable or slow, the cache is bypassed for 100 ms.",
	})}
	reg.MustRegister(c.errors)
	return c
}

// bypassed reports whether there is no cache, or it failed a moment ago.
func (c *cacheClient) bypassed() bool {
	return c.cache == nil || time.Now().UnixNano() < c.bypassUntil.Load()
}

// product returns a product of the cache, whether the cache holds it, and the
// ticket for fill if not.
func (c *cacheClient) product(ctx context.Context, id catalog.ID) (p catalog.Product, found bool, ticket string) {
	if c.bypassed() {
		if c.cache != nil {
			c.lookups.Bypasses.Inc()
		}
		return p, false, ""
	}
	call, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	p, found, ticket, err := c.cache.Product(call, id)
	switch {
	case err != nil:
		c.onError(ctx, err)
	case found:
		c.lookups.Hits.Inc()
	default:
		c.lookups.Misses.Inc()
	}
	return p, found, ticket
}

// products returns those of the products that the cache holds, encoded.
func (c *cacheClient) products(ctx context.Context, ids []catalog.ID) map[catalog.ID][]byte {
	if c.bypassed() {
		return nil
	}
	call, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	all, err := c.cache.Products(call, ids)
	if err != nil {
		c.onError(ctx, err)
	}
	c.lookups.Hits.Add(float64(len(all)))
	return all
}

// fill stores a product that the cache did not hold. An empty ticket stores
// nothing.
func (c *cacheClient) fill(ctx context.Context, ticket string, p catalog.Product) {
	if ticket == "" {
		return
	}
	call, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	if err := c.cache.Fill(call, ticket, p); err != nil {
		c.onError(ctx, err)
	}
}

// onError bypasses the cache for a moment if err says that it is unavailable or slow. The
// end of the caller's time says nothing about the cache, and an entry that cannot be read
// says nothing about other entries.
func (c *cacheClient) onError(caller context.Context, err error) {
	if caller.Err() != nil {
		return
	}
	c.errors.Inc()
	bypass := errors.Is(err, catalog.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
	if bypass {
		c.bypassUntil.Store(time.Now().Add(cacheBypass).UnixNano())
	}
	c.logger.DebugContext(caller, "cache call failed", "bypass", bypass, "err", err)
}
