// Package redis is the cache: what the view would answer, without asking it.
// It is the only importer of the driver, and implements reader.Cache.
//
// It promises that it cannot be told from the view: what it answers is what the
// view had at that moment, whatever Redis has forgotten, kept for too long or
// brought back from an old snapshot, and whoever froze meanwhile. Where it
// cannot know that, it answers nothing. DESIGN.md says why this holds.
package redis

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"catalog"
)

// Config says where the cache is.
type Config struct {
	URL    string
	Prefix string        // of the keys; "" for catalog
	TTL    time.Duration // of an entry, give or take a tenth; 0 for an hour
	Shards int           // that products are in, as the log has them
}

// Flags declares the flags of c, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.URL, "redis.url", "", "`URL` of Redis, such as redis://127.0.0.1:6379/0; no cache without it")
	fs.StringVar(&c.Prefix, "redis.prefix", "catalog", "first part of the `name` of the keys")
	fs.DurationVar(&c.TTL, "redis.ttl", time.Hour, "`time` that a product stays in the cache, give or take a tenth")
}

// Cache is the cache in Redis.
type Cache struct {
	client rueidis.Client
	place  string
	prefix string
	ttl    time.Duration
	shards int
	dialed atomic.Int64 // when Redis was last connected to, in nanoseconds since 1970
	clock  atomic.Pointer[clock]

	mu     sync.Mutex
	guards map[int32]*guard
}

// Open connects to Redis, or says in one line why not.
func Open(ctx context.Context, c Config) (*Cache, error) {
	o, err := rueidis.ParseURL(c.URL)
	if err != nil {
		return nil, fmt.Errorf("-redis.url: %w", err)
	}
	cache := &Cache{place: "the Redis URL", prefix: c.Prefix, ttl: c.TTL, shards: c.Shards, guards: map[int32]*guard{}}
	if u, err := url.Parse(c.URL); err == nil {
		cache.place = u.Host // a URL may hold a password
	}
	if cache.ttl <= 0 {
		cache.ttl = time.Hour
	}
	if cache.prefix == "" {
		cache.prefix = "catalog"
	}
	o.DisableCache = true // who caches here is the gateway, which follows the events
	o.DisableRetry = true // who asks a cache has something else to do
	o.ClientName = "catalog"
	o.Dialer.Timeout = 2 * time.Second
	o.ConnWriteTimeout = 2 * time.Second
	o.DialCtxFn = func(ctx context.Context, address string, d *net.Dialer, secure *tls.Config) (net.Conn, error) {
		var dial interface {
			DialContext(ctx context.Context, network, address string) (net.Conn, error)
		} = d
		if secure != nil {
			dial = &tls.Dialer{NetDialer: d, Config: secure}
		}
		conn, err := dial.DialContext(ctx, "tcp", address)
		cache.dialed.Store(time.Now().UnixNano())
		return conn, err
	}
	if cache.client, err = rueidis.NewClient(o); err != nil {
		return nil, cache.away(err)
	}
	if err := cache.Ping(ctx); err != nil {
		cache.Close()
		return nil, err
	}
	return cache, nil
}

// Ping says whether Redis answers.
func (c *Cache) Ping(ctx context.Context) error {
	now, err := c.client.Do(ctx, c.client.B().Time().Build()).AsIntSlice()
	if err != nil {
		return c.away(err)
	}
	c.setClock(now)
	return nil
}

func (c *Cache) away(err error) error {
	return fmt.Errorf("no Redis answers at %s (%w); start one there, set -redis.url, or leave it out", c.place, err)
}

// Close disconnects.
func (c *Cache) Close() { c.client.Close() }

// Keys of one shard have the same tag, so that they are in one place of a
// cluster and scripts can work on them together.
func (c *Cache) key(shard int32, rest string) string {
	return c.prefix + ":{" + strconv.Itoa(int(shard)) + "}:" + rest
}

func (c *Cache) productKey(id catalog.ID) string {
	return c.key(catalog.Shard(id, c.shards), id.String())
}

func (c *Cache) guardKey(shard int32) string { return c.key(shard, "guard") }

// clock is what time it was there when it was what time here.
type clock struct{ there, here time.Time }

// setClock takes the answer of TIME, which has just come.
func (c *Cache) setClock(now []int64) {
	if len(now) == 2 {
		c.clock.Store(&clock{there: time.Unix(now[0], now[1]*1000), here: time.Now()})
	}
}

// there is what time it is in Redis, or a little earlier: the answer has
// travelled.
func (c *Cache) there(here time.Time) time.Time {
	k := c.clock.Load()
	return k.there.Add(here.Sub(k.here))
}
