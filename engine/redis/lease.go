package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"catalog"
)

const (
	// leaseTTL is the time for which a lease is valid without being extended. It
	// bounds how long the view waits when Redis does not reply.
	leaseTTL = time.Second

	// renewInterval is the time between two extensions of an idle lease: three
	// attempts fit into leaseTTL.
	renewInterval = 300 * time.Millisecond

	// extendTimeout limits one call that extends a lease.
	extendTimeout = 200 * time.Millisecond
)

// changing is the revision of a bucket while one of its products is changing.
const changing = "x"

// bucket returns the bucket of a product. The lease keeps one revision per
// bucket, not per product: a change of one product briefly prevents fills of
// the other products in its bucket, and nothing else.
func bucket(id catalog.ID) string { return strconv.Itoa(int(id[15])) }

// lease is the local half of a lease. Its holder is the only process that
// changes the products of the shard in the view, and it invalidates the cache
// before every change. The other half is a hash in Redis that expires.
type lease struct {
	owner string // this process, since it acquired the shard

	mu       sync.Mutex // serializes the calls to Redis
	token    string     // of valid entries; "" when a call failed and its effect is unknown
	revision int64      // increases with each call, which reveals an older state of Redis
	acquire  bool       // the next call may take the lease from another process
	lost     bool       // another process has the lease
	fillable bool       // AllowFill has been called
	changing map[string]bool
	expires  time.Time // time after which no state that Redis has or may still receive is valid
}

// extendScript creates or extends a lease. When the hash is missing or is not
// at the expected revision, Redis has lost calls: the lease gets a new token,
// which makes all entries invalid.
// KEYS: lease, then products to delete. ARGV: owner, "acquire" or "", token,
// revision, next revision, new token, expiry, fillable, then pairs of bucket
// and revision.
var extendScript = rueidis.NewLuaScript(`
local now = redis.call('TIME')
local lease = redis.call('HMGET', KEYS[1], 'owner', 'token', 'revision')
if lease[1] and lease[1] ~= ARGV[1] and ARGV[2] == '' then return {'', now[1], now[2]} end
local token = ARGV[3]
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[3] or lease[3] ~= ARGV[4] then
  token = ARGV[6]
  redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'token', token, 'revision', ARGV[5], 'fillable', ARGV[8])
for i = 9, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
for i = 2, #KEYS do redis.call('DEL', KEYS[i]) end
redis.call('PEXPIREAT', KEYS[1], ARGV[7])
return {token, now[1], now[2]}`)

// extend runs extendScript. settled lists the buckets whose changes have ended,
// invalidated the products whose entries are deleted. On an error the effect on
// Redis is unknown, and extend discards the token. The caller holds l.mu.
func (c *Cache) extend(ctx context.Context, shard int32, l *lease, settled []string, invalidated []catalog.ID) error {
	ctx, cancel := context.WithTimeout(ctx, extendTimeout)
	defer cancel()
	sent := time.Now()
	l.expires = sent.Add(leaseTTL)
	acquire, fillable, revision := "", "0", strconv.FormatInt(l.revision+1, 10)
	if l.acquire {
		acquire = "acquire"
	}
	if l.fillable {
		fillable = "1"
	}
	keys := []string{c.leaseKey(shard)}
	for _, id := range invalidated {
		keys = append(keys, c.productKey(id))
	}
	// The expiry is a time of the clock of Redis: a call that Redis receives late
	// does not extend the lease further.
	expiry := strconv.FormatInt(c.redisTime(sent).Add(leaseTTL).UnixMilli(), 10)
	args := []string{l.owner, acquire, l.token, strconv.FormatInt(l.revision, 10), revision, rand.Text(), expiry, fillable}
	for b := range l.changing {
		args = append(args, b, changing)
	}
	for _, b := range settled {
		args = append(args, b, revision)
	}
	l.token = ""
	l.revision++
	reply, err := extendScript.Exec(ctx, c.client, keys, args).AsStrSlice()
	if err != nil {
		return fmt.Errorf("extend the cache lease of shard %d: %w", shard, err)
	}
	seconds, _ := strconv.ParseInt(reply[1], 10, 64)
	micros, _ := strconv.ParseInt(reply[2], 10, 64)
	c.setClock([]int64{seconds, micros})
	if l.token = reply[0]; l.token == "" {
		l.lost = true
		return leaseLost(shard)
	}
	l.acquire = false
	return nil
}

func leaseLost(shard int32) error {
	return fmt.Errorf("another process holds the cache lease of shard %d: %w", shard, catalog.ErrFenced)
}

func (c *Cache) lease(shard int32) *lease {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leases[shard]
}

// Acquire takes the lease of the shard, from another process if necessary. All
// entries of the shard become invalid, and none is stored before the first
// AllowFill. After an error RenewLeases tries again; the caller may go on,
// because Invalidate waits until no entry is valid.
func (c *Cache) Acquire(ctx context.Context, shard int32) error {
	l := &lease{owner: rand.Text(), acquire: true, changing: map[string]bool{}}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.mu.Lock()
	c.leases[shard] = l
	c.mu.Unlock()
	return c.extend(ctx, shard, l, nil, nil)
}

// Invalidate removes products from the cache. After it returns, no process reads
// them from the cache until AllowFill. When Redis does not reply, Invalidate
// waits until the lease has expired, at most leaseTTL. It returns ErrFenced when
// another process holds the lease.
func (c *Cache) Invalidate(ctx context.Context, shard int32, products []catalog.ID) error {
	l := c.lease(shard)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost {
		return leaseLost(shard)
	}
	for _, id := range products {
		l.changing[bucket(id)] = true
	}
	if l.token != "" {
		if err := c.extend(ctx, shard, l, nil, products); err == nil || errors.Is(err, catalog.ErrFenced) {
			return err
		}
	}
	select {
	case <-time.After(time.Until(l.expires)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// AllowFill allows Fill to store products of the shard again, including those
// that were invalidated.
func (c *Cache) AllowFill(ctx context.Context, shard int32) error {
	l := c.lease(shard)
	l.mu.Lock()
	defer l.mu.Unlock()
	settled := slices.Collect(maps.Keys(l.changing))
	clear(l.changing)
	l.fillable = true
	if l.token == "" {
		return nil // the next extension creates a new token, which no old fill token matches
	}
	return c.extend(ctx, shard, l, settled, nil)
}

// Release stops extending the lease of the shard. The lease ends when it expires,
// at most leaseTTL later.
func (c *Cache) Release(shard int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.leases, shard)
}

// RenewLeases extends the leases of this process, and recreates those that Redis
// has lost, until ctx ends.
func (c *Cache) RenewLeases(ctx context.Context) {
	tick := time.NewTicker(renewInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.renew(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// renew extends every idle lease once.
func (c *Cache) renew(ctx context.Context) {
	// Every call that Redis may execute late makes Invalidate wait for its expiry.
	// So a lease without a token is extended only when Redis replies to a ping.
	reachable := sync.OnceValue(func() bool {
		ctx, cancel := context.WithTimeout(ctx, extendTimeout)
		defer cancel()
		return c.Ping(ctx) == nil
	})
	c.mu.Lock()
	leases := maps.Clone(c.leases)
	c.mu.Unlock()
	var calls sync.WaitGroup
	for shard, l := range leases {
		calls.Go(func() {
			if !l.mu.TryLock() {
				return // a call in progress extends the lease as well
			}
			defer l.mu.Unlock()
			if !l.lost && (l.token != "" || reachable()) {
				_ = c.extend(ctx, shard, l, nil, nil) // on an error the next tick tries again
			}
		})
	}
	calls.Wait()
}
