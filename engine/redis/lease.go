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

	// holderTTL is the time for which Redis remembers the process that acquired a
	// lease last, after the last call of that process. It is longer than a call can
	// be late or a process be frozen.
	holderTTL = time.Hour
)

// changing is the revision of a bucket while one of its products is changing.
const changing = "x"

// bucket returns the bucket of a product. The lease keeps one revision per
// bucket, not per product: a change of one product briefly prevents fills of
// the other products in its bucket, and nothing else.
func bucket(id catalog.ID) string { return strconv.Itoa(int(id[15])) }

// runID is the beginning of the scripts. It defines a function that returns the
// run id of the server, which differs for each start of each node. (A server
// without that section of INFO, which only tests have, has the run id "".)
const runID = `
local function run_id()
  local info = redis.pcall('INFO', 'server')
  if type(info) == 'table' then
    if string.find(info.err, 'section', 1, true) then return '' end
    error(info.err)
  end
  return string.match(info, 'run_id:(%x+)') or ''
end
`

// lease is the local half of a lease. Its holder is the only process that
// changes the products of the shard in the view, and it invalidates the cache
// before every change. The other half is a hash in Redis that expires.
type lease struct {
	owner string // id of this process and this acquisition

	mu       sync.Mutex // serializes the calls to Redis
	token    string     // token of valid entries; "" when a call failed and its effect is unknown
	revision int64      // increases with each call, which reveals an older state of Redis
	acquire  bool       // the next call may take the lease from the former holder
	former   string     // owner of the lease when this process asked for it
	lost     bool       // another process has the lease
	fillable bool       // AllowFill has been called
	changing map[string]bool
	expires  time.Time // time after which no state that Redis has or may still receive is valid

	// Another node serves the shard after a failover or when its slot has moved.
	// The former node may still serve the old lease until it expires.
	server        string    // run id of the node that executed the last call
	clock         clock     // clock of that node
	formerExpires time.Time // when the lease on the former node has expired
}

// extendScript creates or extends a lease. On another server than expected it
// changes nothing. When the hash is missing or is not at the expected revision,
// or is a copy from another server, Redis has lost calls: the lease gets a new
// token, which makes all entries invalid.
//
// The holder outlives the lease. So a process that acquired the lease before
// another one cannot extend it when it has expired, a call that is executed after
// a later call of the same process changes nothing, and a late acquisition does
// not take the lease from a process that acquired it meanwhile.
// KEYS: lease, holder, then products to delete. ARGV: owner, "acquire" or "",
// token, revision, next revision, new token, expiry, fillable, expected run id,
// the holder from which the lease may be acquired, TTL of the holder, then pairs
// of bucket and revision. It returns the token, or "" when it has changed nothing,
// the run id, the time, and the holder.
var extendScript = rueidis.NewLuaScript(runID + `
local now, server = redis.call('TIME'), run_id()
local holder = redis.call('HMGET', KEYS[2], 'owner', 'revision')
local function result(token) return {token, server, now[1], now[2], holder[1] or ''} end
if server ~= ARGV[9] then return result('') end
local lease = redis.call('HMGET', KEYS[1], 'owner', 'token', 'revision', 'server')
if lease[1] and lease[1] ~= ARGV[1] and ARGV[2] == '' then return result('') end
if holder[1] and holder[1] ~= ARGV[1] and (ARGV[2] == '' or holder[1] ~= ARGV[10]) then return result('') end
if holder[1] == ARGV[1] and tonumber(holder[2]) >= tonumber(ARGV[5]) then return result('') end
local token = ARGV[3]
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[3] or lease[3] ~= ARGV[4] or lease[4] ~= server then
  token = ARGV[6]
  redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[2], 'owner', ARGV[1], 'revision', ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[11])
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'token', token, 'revision', ARGV[5], 'fillable', ARGV[8], 'server', server)
for i = 12, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
for i = 3, #KEYS do redis.call('DEL', KEYS[i]) end
redis.call('PEXPIREAT', KEYS[1], ARGV[7])
return result(token)`)

// unknownServer is expected of a call that must not change anything: no server
// has this run id.
const unknownServer = "unknown"

// extend runs extendScript. settled lists the buckets whose changes have ended,
// invalidated the products whose entries are deleted. On an error the effect on
// Redis is unknown, and extend discards the token. The caller holds l.mu.
func (c *Cache) extend(ctx context.Context, shard int32, l *lease, settled []string, invalidated []catalog.ID) error {
	ctx, cancel := context.WithTimeout(ctx, extendTimeout)
	defer cancel()
	// Every call that Redis may execute late makes Invalidate wait for its expiry.
	// So a lease without a token is extended only when its server has replied to a
	// call that changes nothing.
	server := l.server
	if l.token == "" {
		server = unknownServer
	}
	for {
		token, at, err := c.extendOn(ctx, server, shard, l, settled, invalidated)
		switch {
		case err != nil:
			return fmt.Errorf("extend the cache lease of shard %d: %w", shard, markUnavailable(err))
		case at != server:
			server = at // a call has changed nothing, and l has the clock of this server
			continue
		case token == "":
			l.lost = true
			return leaseLost(shard)
		}
		l.token, l.acquire = token, false
		return nil
	}
}

// extendOn runs extendScript once. It changes the lease only on the given server;
// at is the server that executed the script.
func (c *Cache) extendOn(ctx context.Context, server string, shard int32, l *lease, settled []string, invalidated []catalog.ID) (token, at string, err error) {
	sent, before := time.Now(), l.expires
	acquire, fillable, revision := "", "0", strconv.FormatInt(l.revision+1, 10)
	if l.acquire {
		acquire = "acquire"
	}
	if l.fillable {
		fillable = "1"
	}
	keys := []string{c.leaseKey(shard), c.key(shard, "holder")}
	for _, id := range invalidated {
		keys = append(keys, c.productKey(id))
	}
	args := []string{l.owner, acquire, l.token, strconv.FormatInt(l.revision, 10), revision, rand.Text(), l.expiry(sent), fillable, server,
		l.former, strconv.FormatInt(holderTTL.Milliseconds(), 10)}
	for b := range l.changing {
		args = append(args, b, changing)
	}
	for _, b := range settled {
		args = append(args, b, revision)
	}
	if server != unknownServer {
		l.token = ""
		l.revision++
		l.expires = sent.Add(leaseTTL)
	}
	reply, err := extendScript.Exec(ctx, c.client, keys, args).AsStrSlice()
	if err != nil {
		return "", "", err
	}
	at, l.former = reply[1], reply[4]
	l.clock = readClock(reply[2], reply[3])
	if at != server {
		l.expires = before
	}
	if l.server != "" && at != l.server {
		l.formerExpires = before
	}
	l.server = at
	return reply[0], at, nil
}

// expiry returns when a lease expires that is extended by a call sent at the time. It is a
// time of the clock of the server: a call that the server receives late does not extend
// the lease further.
func (l *lease) expiry(sent time.Time) string {
	return strconv.FormatInt(l.clock.at(sent).Add(leaseTTL).UnixMilli(), 10)
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
	l := &lease{owner: rand.Text(), acquire: true, changing: map[string]bool{}, expires: time.Now().Add(leaseTTL)}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.mu.Lock()
	c.leases[shard] = l
	c.mu.Unlock()
	return c.extend(ctx, shard, l, nil, nil)
}

// Invalidate removes products from the cache. After it returns, no process reads
// them from the cache until AllowFill. When Redis does not reply, Invalidate
// waits until the lease has expired, at most leaseTTL; when another node serves
// the shard than before, until the lease on the former node has expired. It
// returns ErrFenced when another process holds the lease.
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
	until := l.expires
	if l.token != "" {
		switch err := c.extend(ctx, shard, l, nil, products); {
		case errors.Is(err, catalog.ErrFenced):
			return err
		case err == nil:
			until = l.formerExpires
		default:
			until = l.expires
		}
	}
	if until = later(until, l.formerExpires); !time.Now().Before(until) {
		return nil
	}
	select {
	case <-time.After(time.Until(until)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
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

// renewScript extends leases that are as their holder expects. It changes nothing else, so
// one that is executed late does no harm, and the revisions stay.
// KEYS: pairs of lease and holder. ARGV: expected run id, TTL of the holders, then for
// each lease its owner, token, revision and expiry. It returns the run id, the time, and
// the indexes of the leases that it has extended.
var renewScript = rueidis.NewLuaScript(runID + `
local now, server = redis.call('TIME'), run_id()
local reply = {server, now[1], now[2]}
if server ~= ARGV[1] then return reply end
for i = 0, #KEYS / 2 - 1 do
  local lease, holder, a = KEYS[2 * i + 1], KEYS[2 * i + 2], 3 + 4 * i
  local l = redis.call('HMGET', lease, 'owner', 'token', 'revision', 'server')
  local h = redis.call('HMGET', holder, 'owner', 'revision')
  if l[1] == ARGV[a] and l[2] == ARGV[a + 1] and l[3] == ARGV[a + 2] and l[4] == server and h[1] == ARGV[a] and h[2] == ARGV[a + 2] then
    redis.call('PEXPIRE', holder, ARGV[2])
    redis.call('PEXPIREAT', lease, ARGV[a + 3])
    table.insert(reply, tostring(i))
  end
end
return reply`)

// heldLease is a lease with its shard. Its mu is held.
type heldLease struct {
	*lease
	shard int32
}

// renew extends every idle lease once, with one call for those of a server. A lease that
// is not as expected, or has no token, gets a call of its own.
func (c *Cache) renew(ctx context.Context) {
	c.mu.Lock()
	all := maps.Clone(c.leases)
	c.mu.Unlock()
	together := c.client.Mode() != rueidis.ClientModeCluster // in a cluster, all keys of a call must belong to one shard
	byServer := map[string][]heldLease{}
	var others []heldLease
	for shard, l := range all {
		switch held := (heldLease{l, shard}); {
		case !l.mu.TryLock(): // a call in progress extends the lease as well
		case l.lost:
			l.mu.Unlock()
		case l.token == "" || !together:
			others = append(others, held)
		default:
			byServer[l.server] = append(byServer[l.server], held)
		}
	}
	for server, leases := range byServer {
		others = append(others, c.renewTogether(ctx, server, leases)...)
	}
	var calls sync.WaitGroup
	for _, l := range others {
		calls.Go(func() {
			defer l.mu.Unlock()
			_ = c.extend(ctx, l.shard, l.lease, nil, nil) // on an error the next tick tries again
		})
	}
	calls.Wait()
}

// renewTogether extends leases by one call, and unlocks them. It returns those that it has
// not extended and has not unlocked. On an error it discards the tokens, as extend does.
func (c *Cache) renewTogether(ctx context.Context, server string, leases []heldLease) (others []heldLease) {
	ctx, cancel := context.WithTimeout(ctx, extendTimeout)
	defer cancel()
	sent := time.Now()
	var keys []string
	args := []string{server, strconv.FormatInt(holderTTL.Milliseconds(), 10)}
	for _, l := range leases {
		keys = append(keys, c.leaseKey(l.shard), c.key(l.shard, "holder"))
		args = append(args, l.owner, l.token, strconv.FormatInt(l.revision, 10), l.expiry(sent))
		l.expires = sent.Add(leaseTTL)
	}
	reply, err := renewScript.Exec(ctx, c.client, keys, args).AsStrSlice()
	if err != nil {
		for _, l := range leases {
			l.token = ""
			l.mu.Unlock()
		}
		return nil
	}
	renewed := map[string]bool{}
	for _, i := range reply[3:] {
		renewed[i] = true
	}
	for i, l := range leases {
		if !renewed[strconv.Itoa(i)] {
			others = append(others, l)
			continue
		}
		l.clock = readClock(reply[1], reply[2])
		l.mu.Unlock()
	}
	return others
}
