// Package redis implements reader.Cache in Redis: it caches what the view
// holds. It is the only importer of the driver.
//
// It promises coherence: Product and Products return what the view held at
// some moment during the call, or a miss. This holds when Redis evicts keys,
// restarts from an old snapshot or freezes, and when a reader freezes. When
// the cache cannot be sure, it reports a miss. The mechanism is the lease of
// memcached at Facebook ("Scaling Memcache at Facebook", NSDI '13), extended
// to shards; DESIGN.md explains why it is correct.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/rueidis"

	"catalog"
	"catalog/internal/metrics"
)

const (
	defaultPrefix = "catalog"
	defaultTTL    = time.Hour
	dialTimeout   = 2 * time.Second // timeout of connecting; a read that misses the cache must not wait longer
	writeTimeout  = 2 * time.Second // time without a reply after which the connection is replaced
)

// Config configures the connection to Redis and the entries.
type Config struct {
	// URL is the address of Redis, such as redis://127.0.0.1:6379/0. It is
	// required. Of a Redis Cluster it lists a few nodes, of which one must respond:
	// redis://10.0.0.1:6379?addr=10.0.0.2:6379&addr=10.0.0.3:6379.
	URL string

	// Prefix is the first part of every key. Change it to share one Redis
	// between several catalogs. The default is "catalog".
	Prefix string

	// TTL is the time after which an entry expires, varied at random by a tenth
	// so that entries stored together do not expire together. A longer TTL uses
	// more memory; it does not make reads stale. 0 means 1 hour.
	TTL time.Duration

	// Shards is the number of shards of the log. It is required and must be the
	// same in every process.
	Shards int

	// Metrics registers the metrics. Nil means no metrics.
	Metrics prometheus.Registerer
}

// Flags declares the flags of c, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.URL, "redis.url", "", "`URL` of Redis, such as redis://127.0.0.1:6379/0, or of a Redis Cluster, with further nodes as redis://host1:6379?addr=host2:6379; empty means no cache")
	fs.StringVar(&c.Prefix, "redis.prefix", defaultPrefix, "first `part` of every key in Redis")
	fs.DurationVar(&c.TTL, "redis.ttl", defaultTTL, "`time` after which a cached product expires, varied by a tenth")
}

// Cache is the cache in Redis. It implements reader.Cache.
type Cache struct {
	client rueidis.Client
	// cluster means that several nodes serve the keys. A read then checks that the
	// node that it reaches is the one that made the lease.
	cluster bool
	addr    string // for error messages: the host of the URL, without the password
	prefix  string
	ttl     time.Duration
	shards  int
	open    atomic.Int64 // number of open connections
	dialed  atomic.Int64 // time of the last connection attempt, in nanoseconds since 1970

	mu     sync.Mutex
	leases map[int32]*lease // leases that this process holds, by shard
}

// Open connects to Redis. When Redis cannot be reached, the error is one line
// with the address and the remedy.
func Open(ctx context.Context, c Config) (*Cache, error) {
	o, err := rueidis.ParseURL(c.URL)
	if err != nil {
		// Not err, which contains the URL and so the password.
		return nil, errors.New("-redis.url is not valid; set it to a URL such as redis://user:password@127.0.0.1:6379/0, with special characters of the password percent-encoded")
	}
	cache := &Cache{addr: "the address in -redis.url", prefix: c.Prefix, ttl: c.TTL, shards: c.Shards, leases: map[int32]*lease{}}
	if u, err := url.Parse(c.URL); err == nil {
		cache.addr = u.Host
	}
	if cache.ttl <= 0 {
		cache.ttl = defaultTTL
	}
	if cache.prefix == "" {
		cache.prefix = defaultPrefix
	}
	o.DisableCache = true // the gateway caches in its process and follows the events
	o.DisableRetry = true // the view is a faster fallback than a second attempt
	o.ClientName = "catalog"
	o.Dialer.Timeout = dialTimeout
	o.ConnWriteTimeout = writeTimeout
	o.DialCtxFn = func(ctx context.Context, address string, d *net.Dialer, secure *tls.Config) (net.Conn, error) {
		var dialer interface {
			DialContext(ctx context.Context, network, address string) (net.Conn, error)
		} = d
		if secure != nil {
			dialer = &tls.Dialer{NetDialer: d, Config: secure}
		}
		conn, err := dialer.DialContext(ctx, "tcp", address)
		cache.dialed.Store(time.Now().UnixNano())
		if err != nil {
			return nil, err
		}
		cache.open.Add(1)
		return &countedConn{Conn: conn, open: &cache.open}, nil
	}
	client, err := rueidis.NewClient(o)
	if err != nil {
		return nil, cache.unreachable(err)
	}
	cache.client = measure(client, cache.addr)
	err = cache.findCluster(ctx)
	if err == nil && c.Metrics != nil {
		err = metrics.Pool(c.Metrics, "redis", cache.poolStats)
	}
	if err != nil {
		cache.Close()
		return nil, err
	}
	return cache, nil
}

// countedConn is a connection that is counted while it is open.
type countedConn struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

// Close closes the connection.
func (c *countedConn) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// poolStats returns the number of connections. All commands share them, so none is
// idle and no command waits for one.
func (c *Cache) poolStats() metrics.PoolStats {
	return metrics.PoolStats{
		Used: c.open.Load(), Idle: metrics.Unknown, Max: metrics.Unknown, Pending: metrics.Unknown, Acquired: metrics.Unknown, Failed: metrics.Unknown,
	}
}

// findCluster sets cluster. The scripts ask a server for its run id by INFO, so the
// user must be allowed to.
func (c *Cache) findCluster(ctx context.Context) error {
	info, err := c.client.Do(ctx, c.client.B().Info().Section("server").Build()).ToString()
	reply, isReply := rueidis.IsRedisErr(err)
	switch {
	case isReply && strings.HasPrefix(reply.Error(), "NOPERM"):
		return fmt.Errorf("the user in -redis.url may not run INFO at %s, by which the cache notices a failover; allow +info to the user", c.addr)
	case err != nil && !isReply:
		return c.unreachable(err)
	}
	c.cluster = c.client.Mode() != rueidis.ClientModeStandalone && strings.Contains(info, "run_id:")
	return nil
}

// Ping returns an error when Redis cannot be reached.
func (c *Cache) Ping(ctx context.Context) error {
	if err := c.client.Do(ctx, c.client.B().Ping().Build()).Error(); err != nil {
		return c.unreachable(err)
	}
	return nil
}

func (c *Cache) unreachable(err error) error {
	return fmt.Errorf("cannot reach Redis at %s: %w (%w); start Redis there, set -redis.url, or leave -redis.url empty to run without a cache", c.addr, catalog.ErrUnavailable, err)
}

// Close closes the connections.
func (c *Cache) Close() { c.client.Close() }

// key returns a key of the shard. The shard is the hash tag of the key: a
// Redis cluster keeps all keys of one shard on one node, so a script can use
// them together.
func (c *Cache) key(shard int32, rest string) string {
	return c.prefix + ":{" + strconv.Itoa(int(shard)) + "}:" + rest
}

func (c *Cache) productKey(id catalog.ID) string {
	return c.key(catalog.Shard(id, c.shards), id.String())
}

func (c *Cache) leaseKey(shard int32) string { return c.key(shard, "lease") }

// clock is a reading of the clock of a server and of the local clock at the same
// moment.
type clock struct{ server, local time.Time }

// readClock returns the clock of a server that has just replied with its TIME.
func readClock(seconds, micros string) clock {
	s, _ := strconv.ParseInt(seconds, 10, 64)
	us, _ := strconv.ParseInt(micros, 10, 64)
	return clock{server: time.Unix(s, us*1000), local: time.Now()}
}

// at converts a local time to the clock of the server. The result is early by at
// most the time that the reply with the reading took to arrive.
func (k clock) at(local time.Time) time.Time { return k.server.Add(local.Sub(k.local)) }
