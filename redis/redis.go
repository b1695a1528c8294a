// Package redis is the cache: copies of products by id, each with its version.
// It is the only importer of the driver, and implements reader.Cache.
//
// What is newer is never overwritten by what is older, whoever comes first.
// Redis may forget anything at any time.
package redis

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"catalog"
	"catalog/wire"
)

// Config says where the cache is.
type Config struct {
	URL    string
	Prefix string        // of the keys; "" for catalog
	TTL    time.Duration // of an entry, give or take a tenth; 0 for an hour
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
}

// Open connects to Redis, or says in one line why not.
func Open(ctx context.Context, c Config) (*Cache, error) {
	o, err := rueidis.ParseURL(c.URL)
	if err != nil {
		return nil, fmt.Errorf("-redis.url: %w", err)
	}
	place := "the Redis URL"
	if u, err := url.Parse(c.URL); err == nil {
		place = u.Host // a URL may hold a password
	}
	o.DisableCache = true // who caches here is the gateway, which follows the events
	o.DisableRetry = true // who asks a cache has something else to do
	o.ClientName = "catalog"
	o.Dialer.Timeout = 2 * time.Second
	o.ConnWriteTimeout = 2 * time.Second
	client, err := rueidis.NewClient(o)
	if err != nil {
		return nil, fmt.Errorf("no Redis answers at %s (%w); start one there, set -redis.url, or leave it out", place, err)
	}
	if c.TTL <= 0 {
		c.TTL = time.Hour
	}
	if c.Prefix == "" {
		c.Prefix = "catalog"
	}
	cache := &Cache{client: client, place: place, prefix: c.Prefix, ttl: c.TTL}
	if err := cache.Ping(ctx); err != nil {
		cache.Close()
		return nil, err
	}
	return cache, nil
}

// Ping says whether Redis answers.
func (c *Cache) Ping(ctx context.Context) error {
	if err := c.client.Do(ctx, c.client.B().Ping().Build()).Error(); err != nil {
		return fmt.Errorf("no Redis answers at %s (%w); start one there, set -redis.url, or leave it out", c.place, err)
	}
	return nil
}

// Close disconnects.
func (c *Cache) Close() { c.client.Close() }

// An entry is a hash of version (v) and product (p), written by a script that
// compares the versions: only Redis can compare and write at once.
var putIfNewer = rueidis.NewLuaScript(`
local v = redis.call('HGET', KEYS[1], 'v')
if v and tonumber(v) >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'p', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`)

func (c *Cache) key(id catalog.ID) string { return c.prefix + ":product:" + id.String() }

// Product answers the cached product, which may be a tombstone, and whether
// there is one.
func (c *Cache) Product(ctx context.Context, id catalog.ID) (catalog.Product, bool, error) {
	value, err := c.client.Do(ctx, c.client.B().Hget().Key(c.key(id)).Field("p").Build()).AsBytes()
	if rueidis.IsRedisNil(err) {
		return catalog.Product{}, false, nil
	}
	if err != nil {
		return catalog.Product{}, false, fmt.Errorf("cached product %s: %w", id, err)
	}
	p, err := wire.DecodeProduct(value)
	if err != nil {
		return catalog.Product{}, false, fmt.Errorf("cached product %s: %w", id, err)
	}
	return p, true, nil
}

// Put stores each product whose version is higher than the cached one.
func (c *Cache) Put(ctx context.Context, products []catalog.Product) error {
	calls := make([]rueidis.LuaExec, len(products))
	for i, p := range products {
		value, err := wire.EncodeProduct(p)
		if err != nil {
			return err
		}
		// With jitter, what was written together does not expire together.
		ttl := c.ttl - c.ttl/10 + rand.N(c.ttl/5+1)
		calls[i] = rueidis.LuaExec{Keys: []string{c.key(p.ID)}, Args: []string{
			strconv.FormatInt(p.Version, 10), rueidis.BinaryString(value), strconv.FormatInt(ttl.Milliseconds(), 10),
		}}
	}
	var (
		failed int
		err    error // the last one
	)
	for _, r := range putIfNewer.ExecMulti(ctx, c.client, calls...) {
		if e := r.Error(); e != nil {
			failed, err = failed+1, e
		}
	}
	if err != nil {
		return fmt.Errorf("cache %d of %d products: %w", failed, len(products), err)
	}
	return nil
}
