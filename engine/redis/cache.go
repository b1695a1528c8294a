package redis

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"
	"golang.org/x/sync/errgroup"

	"catalog"
	"catalog/internal/wire"
)

// absentTTL is the time for which the cache remembers that a product does not
// exist. It is short because clients can ask for any number of unknown ids.
const absentTTL = time.Minute

// leaseTokenSize is the length of a lease token in bytes. Every entry starts
// with the token of the lease under which it was stored.
const leaseTokenSize = 26

// Product returns the product as the view holds it, which may be a tombstone.
// Version 0 means that the view has no such product. When found is false, the
// fill token is for Fill; an empty fill token means that the product cannot be
// stored at the moment.
func (c *Cache) Product(ctx context.Context, id catalog.ID) (p catalog.Product, found bool, fillToken string, err error) {
	entry, lease, err := c.entryAndLease(ctx, id)
	if err != nil {
		return p, false, "", fmt.Errorf("lease of cached product %s: %w", id, markUnavailable(err))
	}
	token, err := lease[0].ToString()
	if err != nil || !c.leasesTrusted() {
		return p, false, "", nil // no valid lease
	}
	encoded, found, err := decodeEntry(id, entry, token)
	switch {
	case err != nil:
		return p, false, "", err
	case found && len(encoded) == 0:
		return catalog.Product{ID: id}, true, "", nil
	case found:
		if p, err = wire.DecodeProduct(encoded); err != nil {
			return p, false, "", fmt.Errorf("cached product %s: %w", id, err)
		}
		return p, true, "", nil
	}
	fillable, _ := lease[1].ToString()
	revision, _ := lease[2].ToString()
	if fillable != "1" || revision == changing {
		return p, false, "", nil
	}
	return p, false, token + revision, nil
}

// entryAndLease returns the entry of a product, and the fields token, fillable
// and the product's bucket of its lease.
func (c *Cache) entryAndLease(ctx context.Context, id catalog.ID) (entry, []rueidis.RedisMessage, error) {
	lease, product := c.leaseKey(catalog.Shard(id, c.shards)), c.productKey(id)
	if c.cluster {
		reply, err := readScript.Exec(ctx, c.client, []string{lease, product}, []string{"fillable", bucket(id)}).ToArray()
		if err != nil {
			return nil, nil, err
		}
		return &reply[3], reply[:3], nil
	}
	replies := c.client.DoMulti(ctx,
		c.client.B().Get().Key(product).Build(),
		c.client.B().Hmget().Key(lease).Field("token", "fillable", bucket(id)).Build())
	fields, err := replies[1].ToArray()
	return &replies[0], fields, err
}

// readScript returns the token and further fields of a lease, then entries. The
// token is nil when another server has made the lease: this server was promoted
// or has received the slot, and the lease may lack the last calls.
// KEYS: lease, products. ARGV: further fields.
var readScript = rueidis.NewLuaScript(runID + `
local reply = redis.call('HMGET', KEYS[1], 'server', 'token', unpack(ARGV))
if table.remove(reply, 1) ~= run_id() then reply[1] = false end
for i = 2, #KEYS do table.insert(reply, redis.call('GET', KEYS[i])) end
return reply`)

// Products returns the cached products among ids as encoded by
// wire.EncodeProduct. The value is empty for a product that the view does not
// have. Products that are not cached are absent from the map.
func (c *Cache) Products(ctx context.Context, ids []catalog.ID) (map[catalog.ID][]byte, error) {
	byShard := map[int32][]catalog.ID{}
	for _, id := range ids {
		shard := catalog.Shard(id, c.shards)
		byShard[shard] = append(byShard[shard], id)
	}
	if c.cluster {
		return c.clusterProducts(ctx, byShard)
	}
	shards, commands := make([]int32, 0, len(byShard)), make(rueidis.Commands, 0, 2*len(byShard))
	for shard, ids := range byShard {
		keys := make([]string, len(ids))
		for i, id := range ids {
			keys[i] = c.productKey(id)
		}
		// The lease is read after the entries: an entry is valid when the lease
		// still has the token under which the entry was stored.
		shards, commands = append(shards, shard), append(commands,
			c.client.B().Mget().Key(keys...).Build(),
			c.client.B().Hget().Key(c.leaseKey(shard)).Field("token").Build())
	}
	replies := c.client.DoMulti(ctx, commands...)
	products := make(map[catalog.ID][]byte, len(ids))
	for i, shard := range shards {
		entries, err := replies[2*i].ToArray()
		if err != nil {
			return nil, fmt.Errorf("cached products of shard %d: %w", shard, markUnavailable(err))
		}
		token, err := replies[2*i+1].ToString()
		if rueidis.IsRedisNil(err) {
			continue // no process holds the lease
		}
		if err != nil {
			return nil, fmt.Errorf("lease of cached products of shard %d: %w", shard, markUnavailable(err))
		}
		if err := decodeEntries(products, byShard[shard], entries, token); err != nil {
			return nil, err
		}
	}
	if !c.leasesTrusted() {
		return nil, nil
	}
	return products, nil
}

// clusterProducts is Products in a Redis Cluster.
func (c *Cache) clusterProducts(ctx context.Context, byShard map[int32][]catalog.ID) (map[catalog.ID][]byte, error) {
	var mu sync.Mutex
	products := map[catalog.ID][]byte{}
	var calls errgroup.Group
	for shard, ids := range byShard {
		calls.Go(func() error {
			keys := []string{c.leaseKey(shard)}
			for _, id := range ids {
				keys = append(keys, c.productKey(id))
			}
			reply, err := readScript.Exec(ctx, c.client, keys, nil).ToArray()
			if err != nil {
				return fmt.Errorf("cached products of shard %d: %w", shard, markUnavailable(err))
			}
			token, err := reply[0].ToString()
			if rueidis.IsRedisNil(err) {
				return nil // no process holds the lease on this server
			}
			mu.Lock()
			defer mu.Unlock()
			return decodeEntries(products, ids, reply[1:], token)
		})
	}
	if err := calls.Wait(); err != nil {
		return nil, err
	}
	return products, nil
}

// leasesTrusted reports whether the leases in Redis are current. A restarted
// Redis can hold leases from before the restart until they expire. After a
// connection has lasted for leaseTTL, all of them have expired. In a cluster,
// readScript compares run ids instead.
func (c *Cache) leasesTrusted() bool {
	if c.cluster {
		return true
	}
	return time.Since(time.Unix(0, c.dialed.Load())) >= leaseTTL
}

// decodeEntries adds to products those of ids whose entries are valid.
func decodeEntries(products map[catalog.ID][]byte, ids []catalog.ID, entries []rueidis.RedisMessage, token string) error {
	for i, id := range ids {
		encoded, found, err := decodeEntry(id, &entries[i], token)
		if err != nil {
			return err
		}
		if found {
			products[id] = encoded
		}
	}
	return nil
}

// entry is a reply with an entry.
type entry interface{ AsBytes() ([]byte, error) }

// decodeEntry returns the encoded product in an entry, which is empty for a
// product that the view does not have. found is false when the entry is absent
// or was stored under another lease token.
func decodeEntry(id catalog.ID, e entry, token string) (encoded []byte, found bool, err error) {
	b, err := e.AsBytes()
	switch {
	case rueidis.IsRedisNil(err):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("cached product %s: %w", id, markUnavailable(err))
	}
	encoded, found = bytes.CutPrefix(b, []byte(token))
	return encoded, found, nil
}

// fillScript stores an entry when its fill token is still valid: the lease has
// the same token, accepts fills, and the bucket has the same revision.
// KEYS: lease, product. ARGV: lease token, bucket, revision, entry, TTL in ms.
var fillScript = rueidis.NewLuaScript(`
local lease = redis.call('HMGET', KEYS[1], 'token', 'fillable', ARGV[2])
if lease[1] ~= ARGV[1] or lease[2] ~= '1' or (lease[3] or '') ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
return 1`)

// Fill stores a product that the caller read from the view after Product
// returned the fill token. It stores nothing when the product may have changed
// since.
func (c *Cache) Fill(ctx context.Context, fillToken string, p catalog.Product) error {
	if len(fillToken) < leaseTokenSize {
		return nil
	}
	token, revision := fillToken[:leaseTokenSize], fillToken[leaseTokenSize:]
	entry, ttl := token, min(absentTTL, c.ttl)
	if p.Version > 0 {
		encoded, err := wire.EncodeProduct(p)
		if err != nil {
			return err
		}
		entry, ttl = entry+rueidis.BinaryString(encoded), c.ttl
	}
	ttl += rand.N(ttl/5+1) - ttl/10 // entries stored together expire at different times
	err := fillScript.Exec(ctx, c.client,
		[]string{c.leaseKey(catalog.Shard(p.ID, c.shards)), c.productKey(p.ID)},
		[]string{token, bucket(p.ID), revision, entry, strconv.FormatInt(ttl.Milliseconds(), 10)},
	).Error()
	if err != nil {
		return fmt.Errorf("cache product %s: %w", p.ID, markUnavailable(err))
	}
	return nil
}
